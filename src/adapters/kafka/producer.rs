//! [`Appender`] on an idempotent producer that waits for all replicas.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};

use super::context::log;
use super::error::hint;
use super::options::{KafkaOptions, RECORD_BYTES_MAX, Role};
use crate::model::Topic;
use crate::ports::{Appender, Outgoing, PortError, PortResult};

/// Why a batch failed.
#[derive(Clone, Debug)]
enum Failure {
    /// Its records were not written; a repeat may be.
    Lost(String),
    /// A repeat fails as well.
    Fatal(String),
}

#[derive(Default)]
struct Counts {
    /// Records not yet reported on, by batch.
    pending: BTreeMap<u64, u64>,
    /// The first failure of each batch.
    failed: BTreeMap<u64, Failure>,
    /// The producer refuses everything from here on.
    broken: bool,
}

/// Delivery reports, counted.
#[derive(Default)]
struct Ledger {
    counts: Mutex<Counts>,
    changed: Condvar,
}

impl Ledger {
    fn sent(&self, batch: u64) {
        *self.counts.lock().pending.entry(batch).or_insert(0) += 1;
    }

    fn reported(&self, batch: u64, failure: Option<Failure>) {
        let mut counts = self.counts.lock();
        let mut wake = false;
        if let Some(pending) = counts.pending.get_mut(&batch) {
            *pending -= 1;
            if *pending == 0 {
                counts.pending.remove(&batch);
                wake = true;
            }
        }
        if let Some(failure) = failure {
            counts.failed.entry(batch).or_insert(failure);
            wake = true;
        }
        drop(counts);
        if wake {
            self.changed.notify_all();
        }
    }

    fn wait(&self, batch: u64, within: Duration) -> PortResult<()> {
        let deadline = Instant::now() + within;
        let mut counts = self.counts.lock();
        loop {
            if counts.failed.range(..=batch).next().is_some() {
                let later = counts.failed.split_off(&batch.saturating_add(1));
                let mut failures = std::mem::replace(&mut counts.failed, later).into_values();
                let first = failures.next();
                let fatal = failures.find(|failure| matches!(failure, Failure::Fatal(_)));
                match fatal.or(first) {
                    Some(Failure::Fatal(text)) => return Err(PortError::Fatal(text)),
                    Some(Failure::Lost(text)) => return Err(PortError::Lost(text)),
                    None => {}
                }
            }
            let waiting: u64 = counts.pending.range(..=batch).map(|(_, count)| count).sum();
            if waiting == 0 {
                return Ok(());
            }
            if self.changed.wait_until(&mut counts, deadline).timed_out() {
                return Err(PortError::Transient(format!(
                    "{waiting} records are not yet acknowledged by Kafka"
                )));
            }
        }
    }
}

/// The producer's callbacks.
#[derive(Clone)]
struct Delivery(Arc<Ledger>);

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, batch: usize) {
        let failure = result.as_ref().err().map(|(error, record)| {
            let code = error.rdkafka_error_code();
            if code == Some(Code::Fatal) {
                self.0.counts.lock().broken = true;
            }
            let text = format!("a record for {} was not written: {error}", record.topic());
            match code.and_then(hint) {
                Some(hint) => Failure::Fatal(format!("{text}; {hint}")),
                None => Failure::Lost(text),
            }
        });
        self.0.reported(batch as u64, failure);
    }
}

/// Appends to Kafka.
pub struct KafkaAppender {
    options: KafkaOptions,
    name: String,
    topics: BTreeMap<Topic, String>,
    ledger: Arc<Ledger>,
    producer: RwLock<Option<ThreadedProducer<Delivery>>>,
}

impl KafkaAppender {
    /// A producer of its own, with two threads of librdkafka's and one that hears its reports.
    pub fn open(options: &KafkaOptions, name: &str) -> PortResult<Self> {
        let ledger = Arc::new(Ledger::default());
        Ok(Self {
            producer: RwLock::new(Some(create(options, name, &ledger)?)),
            options: options.clone(),
            name: name.to_owned(),
            topics: Topic::ALL
                .into_iter()
                .map(|topic| (topic, options.topic_name(topic)))
                .collect(),
            ledger,
        })
    }

    /// Replaces a producer that librdkafka has given up. What it still held is reported as lost.
    fn mend(&self) -> PortResult<()> {
        let mut producer = self.producer.write();
        if self.ledger.counts.lock().broken || producer.is_none() {
            // Dropped first, so that its purged records are counted before the state is cleared.
            drop(producer.take());
            let mut counts = self.ledger.counts.lock();
            counts.broken = false;
            counts.pending.clear();
            drop(counts);
            *producer = Some(create(&self.options, &self.name, &self.ledger)?);
        }
        Ok(())
    }
}

fn create(
    options: &KafkaOptions,
    name: &str,
    ledger: &Arc<Ledger>,
) -> PortResult<ThreadedProducer<Delivery>> {
    let config = options.client(Role::Producer, name)?;
    ThreadedProducer::from_config_and_context(&config, Delivery(Arc::clone(ledger)))
        .map_err(|error| super::error::port_error("set up the Kafka producer", &error))
}

impl Appender for KafkaAppender {
    fn atomic(&self) -> bool {
        false
    }

    fn append(&self, batch: u64, record: &Outgoing) -> PortResult<()> {
        let topic = &self.topics[&record.topic];
        let mut outgoing = BaseRecord::<[u8], [u8], usize>::with_opaque_to(topic, batch as usize)
            .partition(record.partition as i32);
        outgoing.key = record.key.as_deref();
        outgoing.payload = record.payload.as_deref();
        outgoing.timestamp = record.timestamp_ms.filter(|ms| *ms > 0);
        if !record.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(record.headers.len());
            outgoing.headers = Some(record.headers.iter().fold(
                headers,
                |headers, (key, value)| {
                    headers.insert(Header {
                        key,
                        value: Some(value),
                    })
                },
            ));
        }
        let producer = self.producer.read();
        let Some(client) = producer.as_ref() else {
            drop(producer);
            self.mend()?;
            return Err(PortError::Lost("the Kafka producer was replaced".into()));
        };
        self.ledger.sent(batch);
        let Err((error, _)) = client.send(outgoing) else {
            return Ok(());
        };
        self.ledger.reported(batch, None);
        drop(producer);
        match error.rdkafka_error_code() {
            Some(Code::QueueFull) => Err(PortError::Transient(
                "the queue of records waiting for Kafka is full".into(),
            )),
            Some(Code::Fatal) => {
                self.ledger.counts.lock().broken = true;
                self.mend()?;
                Err(PortError::Lost(format!(
                    "the Kafka producer was replaced: {error}"
                )))
            }
            Some(Code::MessageSizeTooLarge) => Err(PortError::Fatal(format!(
                "a record for {topic} is {} bytes, more than the {RECORD_BYTES_MAX} we send; raise producer.message.max.bytes in kafka.properties and max.message.bytes of the topic",
                record.payload.as_ref().map_or(0, Vec::len)
            ))),
            _ => Err(super::error::port_error(
                &format!("append to {topic} partition {}", record.partition),
                &error,
            )),
        }
    }

    fn settle(&self, batch: u64, within: Duration) -> PortResult<()> {
        let settled = self.ledger.wait(batch, within);
        if self.ledger.counts.lock().broken {
            self.mend()?;
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::ZERO;

    #[test]
    fn a_batch_settles_with_the_earlier_ones_and_not_the_later() {
        let ledger = Ledger::default();
        ledger.sent(1);
        ledger.sent(2);
        ledger.sent(3);
        ledger.reported(2, None);
        assert!(matches!(ledger.wait(2, NOW), Err(PortError::Transient(_))));
        ledger.reported(1, None);
        assert!(ledger.wait(2, NOW).is_ok());
        assert!(matches!(ledger.wait(3, NOW), Err(PortError::Transient(_))));
    }

    #[test]
    fn a_failure_is_reported_once_and_only_to_its_batch() {
        let ledger = Ledger::default();
        ledger.sent(1);
        ledger.sent(2);
        ledger.reported(1, None);
        ledger.reported(2, Some(Failure::Lost("gone".into())));
        assert!(ledger.wait(1, NOW).is_ok());
        assert!(matches!(ledger.wait(2, NOW), Err(PortError::Lost(_))));
        assert!(ledger.wait(2, NOW).is_ok());
    }

    #[test]
    fn a_producer_given_up_is_replaced_and_its_records_are_lost_once() {
        let options = KafkaOptions {
            brokers: "127.0.0.1:1".into(),
            ..KafkaOptions::default()
        };
        let appender = KafkaAppender::open(&options, "test").expect("no broker is needed");
        let record = Outgoing {
            topic: Topic::Audit,
            partition: 0,
            key: None,
            payload: None,
            headers: Vec::new(),
            timestamp_ms: None,
        };
        appender.append(1, &record).expect("taken");
        appender.ledger.counts.lock().broken = true;
        assert!(matches!(
            appender.settle(1, NOW),
            Err(PortError::Transient(_))
        ));
        assert!(matches!(appender.settle(1, NOW), Err(PortError::Lost(_))));
        assert!(appender.settle(1, NOW).is_ok());
        appender.append(2, &record).expect("taken by the next one");
        assert!(matches!(
            appender.settle(2, NOW),
            Err(PortError::Transient(_))
        ));
    }
}
