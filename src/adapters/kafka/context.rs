//! What librdkafka tells a consumer beside records: rebalances, ends of the log, log lines.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{ClientContext, TopicPartitionList};
use serde::Deserialize;

/// What the group decided, as librdkafka said it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Rebalanced {
    Assigned(Vec<(String, i32)>),
    Revoked(Vec<(String, i32)>),
    Lost(Vec<(String, i32)>),
}

/// The end of one topic partition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct End {
    /// Offset of the next record.
    pub(super) offset: i64,
    /// Whether everything before it that a consumer may see has been handed out. Transaction
    /// markers take offsets but are never seen, so a position alone may never reach the end.
    pub(super) drained: bool,
    /// When reading began, in seconds since 1970: what was said until then is of an earlier
    /// reading, which may have been further.
    pub(super) since: i64,
}

impl End {
    /// The end found when a reading begins now.
    pub(super) fn begin(offset: i64) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            offset,
            drained: false,
            since: now.map_or(0, |now| now.as_secs() as i64),
        }
    }

    /// A question to the brokers was answered. Nothing new leaves a drained log drained.
    pub(super) fn refresh(&mut self, offset: i64) {
        if self.offset != offset {
            self.offset = offset;
            self.drained = false;
        }
    }
}

/// Ends by topic name and partition.
pub(super) type Ends = HashMap<String, BTreeMap<i32, End>>;

/// Shared between the consumer and its callbacks, which run inside its `poll`.
#[derive(Clone, Default)]
pub(super) struct Context {
    pub(super) events: Arc<Mutex<VecDeque<Rebalanced>>>,
    pub(super) ends: Arc<Mutex<Ends>>,
    pub(super) closing: Arc<AtomicBool>,
}

impl ClientContext for Context {
    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice(statistics) {
            Ok(statistics) => merge_ends(&mut self.ends.lock(), statistics),
            Err(error) => tracing::debug!(%error, "librdkafka statistics not understood"),
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        log(level, facility, text);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
    }
}

impl ConsumerContext for Context {
    /// Only records what happened: the worker stores its tasks, or learns their positions, before
    /// the assignment changes.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: rdkafka::types::RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Acquire) {
            // Closing waits until the last assignment is given back, and nobody else will do it.
            if let Err(error) = consumer.unassign() {
                tracing::debug!(%error, "assignment not given back while closing");
            }
            return;
        }
        let partitions = list
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        let event = match code {
            rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Rebalanced::Assigned(partitions)
            }
            _ if consumer.assignment_lost() => Rebalanced::Lost(partitions),
            _ => Rebalanced::Revoked(partitions),
        };
        self.events.lock().push_back(event);
    }

    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "offsets not reported");
        }
    }
}

/// librdkafka's own lines; what a person must act on comes back as an error as well.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, text: &str) {
    match level {
        RDKafkaLogLevel::Debug => tracing::trace!(facility, text, "librdkafka"),
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
            tracing::debug!(facility, text, "librdkafka");
        }
        _ => tracing::info!(facility, text, "librdkafka"),
    }
}

#[derive(Deserialize)]
pub(super) struct Statistics {
    /// When they were gathered, in seconds since 1970.
    #[serde(default)]
    time: i64,
    #[serde(default)]
    topics: HashMap<String, TopicStatistics>,
}
#[derive(Deserialize)]
struct TopicStatistics {
    #[serde(default)]
    partitions: HashMap<String, PartitionStatistics>,
}
#[derive(Deserialize)]
struct PartitionStatistics {
    #[serde(default)]
    hi_offset: i64,
    #[serde(default)]
    next_offset: i64,
    #[serde(default)]
    fetchq_cnt: i64,
}

fn merge_ends(ends: &mut Ends, statistics: Statistics) {
    let time = statistics.time;
    for (topic, statistics) in statistics.topics {
        let Some(known) = ends.get_mut(&topic) else {
            continue;
        };
        for (partition, heard) in statistics.partitions {
            // "-1" collects what has no partition yet; negative offsets mean not known.
            let Ok(partition) = partition.parse::<i32>() else {
                continue;
            };
            if partition < 0 || heard.hi_offset < 0 {
                continue;
            }
            let end = known.entry(partition).or_default();
            end.offset = end.offset.max(heard.hi_offset);
            end.drained =
                time > end.since && heard.fetchq_cnt == 0 && heard.next_offset >= end.offset;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str, before: End) -> End {
        let mut ends = Ends::from([("t".into(), BTreeMap::from([(0, before)]))]);
        merge_ends(&mut ends, serde_json::from_str(text).unwrap());
        ends["t"][&0]
    }

    #[test]
    fn an_end_is_drained_only_when_all_before_it_was_handed_out() {
        let text = r#"{"time":5,"topics":{"t":{"partitions":{"0":{"hi_offset":9,"next_offset":9,"fetchq_cnt":0},"-1":{}}},"other":{}}}"#;
        let end = heard(text, End::default());
        assert_eq!((end.offset, end.drained), (9, true));
        let end = heard(
            &text.replace("\"fetchq_cnt\":0", "\"fetchq_cnt\":1"),
            End::default(),
        );
        assert!(!end.drained);
        let newer = End {
            offset: 12,
            ..End::default()
        };
        let end = heard(text, newer);
        assert_eq!((end.offset, end.drained), (12, false));
        let begun_anew = End {
            offset: 9,
            drained: false,
            since: 5,
        };
        assert!(!heard(text, begun_anew).drained, "said of the time before");
    }

    #[test]
    fn a_question_that_brings_nothing_new_leaves_a_log_drained() {
        let mut end = End {
            offset: 9,
            drained: true,
            since: 0,
        };
        end.refresh(9);
        assert!(end.drained);
        end.refresh(10);
        assert_eq!((end.offset, end.drained), (10, false));
    }
}
