//! [`Log`] and [`Appender`] on Apache Kafka through librdkafka.
//!
//! One member of an agent's consumer group, polled on the worker's own thread; payloads are
//! borrowed from librdkafka for the duration of the call. Rebalances are only recorded by the
//! callback and answered by the worker: `start` passes the stored positions in the assignment
//! itself, so that Kafka's committed offsets are never read. Members are static: closing sends no
//! `LeaveGroup`, a restart under the same node name takes its partitions back, and a node that is
//! taken away for good gives them up when its session times out (6 s unless configured), since
//! librdkafka offers no way to remove a static member at once.
//!
//! A topic deleted and made anew while no member watched shows as a gap only when a stored
//! position lies outside the new log; Kafka's clients do not tell a topic's identity.

mod assignment;
mod context;
mod error;
mod follower;
mod log;
mod member;
mod offsets;
mod options;
mod producer;
mod reader;
mod record;
pub mod topics;
mod unwritten;

pub use follower::KafkaFollower;
pub use member::KafkaLog;
pub use offsets::{check_partitions, partition_counts};
pub use options::{
    FETCHED_KIB_MAX, KafkaOptions, QUEUE_KIB_MAX, QUEUE_RECORDS_MAX, RECORD_BYTES_MAX,
};
pub use producer::KafkaAppender;
pub use reader::KafkaReader;
pub use unwritten::fill_unwritten_memory;
