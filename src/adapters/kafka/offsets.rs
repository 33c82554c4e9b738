//! Questions to the brokers: where logs start and end, how many partitions topics have.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::error::{hint, port_error, port_error_live};
use super::options::{KafkaOptions, Role};
use crate::model::Topic;
use crate::ports::{PortError, PortResult};

/// Longest wait for an answer of the brokers.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Where a log starts and where its next record goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Bounds {
    pub(super) low: i64,
    pub(super) high: i64,
}

impl Bounds {
    pub(super) fn contain(self, position: i64) -> bool {
        (self.low..=self.high).contains(&position)
    }
}

/// Bounds by topic name and partition.
pub(super) type AllBounds = HashMap<(String, u32), Bounds>;

/// The bounds of all `places`, one question per broker and side.
pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    places: &[(&str, u32)],
) -> PortResult<AllBounds> {
    // Starts after ends: a log cut meanwhile shows as a gap, not as a position too far.
    let highs = query(consumer, places, Offset::End)?;
    let lows = query(consumer, places, Offset::Beginning)?;
    Ok(highs
        .into_iter()
        .map(|(place, high)| {
            let low = lows.get(&place).copied().unwrap_or(high);
            (
                place,
                Bounds {
                    low,
                    high: high.max(low),
                },
            )
        })
        .collect())
}

/// The ends (or starts) of all `places`.
///
/// An offset query by time, whose reserved times mean start and end: unlike a watermark query it
/// asks for many partitions at once.
pub(super) fn query<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    places: &[(&str, u32)],
    side: Offset,
) -> PortResult<HashMap<(String, u32), i64>> {
    const DOING: &str = "ask Kafka for the bounds of its logs";
    if places.is_empty() {
        return Ok(HashMap::new());
    }
    let mut list = TopicPartitionList::with_capacity(places.len());
    for (topic, partition) in places {
        list.add_partition_offset(topic, *partition as i32, side)
            .map_err(|error| port_error_live(DOING, &error))?;
    }
    let answer = consumer
        .offsets_for_times(list, ANSWER_WITHIN)
        .map_err(|error| port_error_live(DOING, &error))?;
    let mut found = HashMap::with_capacity(places.len());
    for element in answer.elements() {
        element
            .error()
            .map_err(|error| port_error_live(DOING, &error))?;
        match element.offset() {
            Offset::Offset(offset) => {
                found.insert(
                    (element.topic().to_owned(), element.partition() as u32),
                    offset,
                );
            }
            _ => {
                return Err(PortError::Transient(format!(
                    "Kafka does not say where {} partition {} starts and ends",
                    element.topic(),
                    element.partition()
                )));
            }
        }
    }
    Ok(found)
}

/// Longest first wait for an answer; after it the reason of the silence is looked for.
const FIRST_WITHIN: Duration = Duration::from_secs(3);
/// Longest look for that reason.
const REASON_WITHIN: Duration = Duration::from_secs(3);
const REASON_POLL: Duration = Duration::from_millis(100);

/// All topics and brokers. A refusal, such as of a wrong password, is told at once.
pub(super) fn metadata<C: ClientContext>(
    client: &Client<C>,
    options: &KafkaOptions,
    within: Duration,
) -> PortResult<Metadata> {
    const DOING: &str = "ask Kafka for its topics";
    if let Ok(metadata) = client.fetch_metadata(None, FIRST_WITHIN) {
        return Ok(metadata);
    }
    if let Some(reason) = reason(options) {
        return Err(port_error(DOING, &reason));
    }
    client.fetch_metadata(None, within).map_err(|error| match port_error(DOING, &error) {
        PortError::Transient(text) => PortError::Transient(format!(
            "{text}; is one of kafka.brokers ({}) reachable, and does it speak the security.protocol of kafka.properties?",
            options.brokers
        )),
        error => error,
    })
}

/// Why the brokers do not let us in, if that is what they do. A failed question names only the
/// broken connection; the reason comes as an event, for which a client of its own listens.
fn reason(options: &KafkaOptions) -> Option<KafkaError> {
    let listener: BaseConsumer = options.client(Role::Admin, "reason").ok()?.create().ok()?;
    let deadline = Instant::now() + REASON_WITHIN;
    while Instant::now() < deadline {
        if let Some(Err(reason)) = listener.poll(REASON_POLL)
            && reason.rdkafka_error_code().and_then(hint).is_some()
        {
            return Some(reason);
        }
    }
    None
}

/// How many partitions each of `topics` has; `None` for one that does not exist.
pub fn partition_counts(
    options: &KafkaOptions,
    topics: &[Topic],
) -> PortResult<BTreeMap<Topic, Option<u32>>> {
    let consumer: BaseConsumer = options
        .client(Role::Admin, "check")?
        .create()
        .map_err(|error| port_error("set up a Kafka client", &error))?;
    let metadata = metadata(consumer.client(), options, ANSWER_WITHIN)?;
    let mut counts = BTreeMap::new();
    for topic in topics {
        let name = options.topic_name(*topic);
        let found = metadata.topics().iter().find(|found| found.name() == name);
        let missing = |found: &rdkafka::metadata::MetadataTopic| {
            found.error().map(Code::from).is_some_and(|code| {
                matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic)
            })
        };
        let count = found
            .filter(|found| !missing(found))
            .map(|found| found.partitions().len() as u32);
        counts.insert(*topic, count);
    }
    Ok(counts)
}

/// Refuses topics that are absent or do not have exactly `n` partitions.
///
/// Accounts live in the partition their hash names, so another count moves them away from their
/// state: `Fatal`, naming every topic and its number.
pub fn check_partitions(options: &KafkaOptions, topics: &[Topic], n: u32) -> PortResult<()> {
    let wrong: Vec<String> = partition_counts(options, topics)?
        .into_iter()
        .filter(|(_, count)| *count != Some(n))
        .map(|(topic, count)| match count {
            Some(count) => format!("{} has {count}", options.topic_name(topic)),
            None => format!("{} is absent", options.topic_name(topic)),
        })
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(PortError::Fatal(format!(
        "this deployment was begun with {n} partitions a topic, but {}; create absent topics with `skyherd topics apply`, and begin a new deployment (topic and key prefix) for another number",
        wrong.join(", ")
    )))
}
