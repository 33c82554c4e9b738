//! What every pair of log and store must do, each law as a sentence, run for each implementation.
//!
//! To plug in another pair: implement [`World`] for it and write `conforms!(name, TheWorld);`.

mod embedded;
pub(crate) mod log_laws;
mod sim;
pub(crate) mod store_laws;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use skyherd::model::{AgentName, Subject, Timestamp, Topic};
use skyherd::ports::{
    Acquired, Appender, Checkpoint, Gap, Log, Outgoing, Ownership, Positions, RecordView, Store,
    TaskId,
};

/// Partitions of every topic in a world.
pub(crate) const PARTITIONS: u32 = 4;
/// Polls after which records that have not come are missing. Generous: a broker may be slow.
const POLLS_MAX: usize = 600;
/// Polls after which nothing more is taken to come.
const QUIET_POLLS: usize = 3;
const WAIT: Duration = Duration::from_millis(100);
const SETTLE: Duration = Duration::from_secs(30);

/// One deployment of a log and a store, empty at first, with [`PARTITIONS`] partitions.
pub(crate) trait World {
    /// Whether this world can be made here; says so itself when it cannot.
    fn available() -> bool {
        true
    }
    /// Whether raw records keep the time they were sent with; a broker that appends by its own
    /// clock writes its own.
    const KEEPS_TIME: bool = true;
    /// A deployment nobody else uses.
    fn fresh() -> Self;
    /// The only consumer of [`AGENT`]'s group.
    fn log(&mut self, reads: &[Topic]) -> Box<dyn Log>;
    /// The store.
    fn store(&mut self) -> Arc<dyn Store>;
    /// The process ends without ceremony and starts again. Every handle was dropped before.
    fn reopen(&mut self);
    /// Removes the records before an offset.
    fn trim(&mut self, topic: Topic, partition: u32, before: u64);
}

/// Whose tasks the laws use.
pub(crate) const AGENT: AgentName = AgentName::Resource;

/// The laws of one implementation as tests of their own.
macro_rules! conforms_to {
    ($name:ident, $world:ty; $($laws:ident: $($law:ident)*;)*) => {
        mod $name { $($(#[test] fn $law() {
            if <$world as $crate::conformance::World>::available() {
                $crate::conformance::$laws::$law(&mut <$world as $crate::conformance::World>::fresh());
            }
        })*)* }
    };
}
pub(crate) use conforms_to;

/// Every law for one implementation.
macro_rules! conforms {
    ($name:ident, $world:ty) => {
        $crate::conformance::conforms_to! { $name, $world;
            log_laws:
                a_record_comes_back_byte_for_byte
                records_of_a_topic_partition_come_in_order
                a_topic_that_is_not_named_is_taken_from_its_start
                delivery_begins_at_the_given_position
                a_position_beyond_the_end_is_a_gap_and_resumes_at_the_start
                a_position_below_the_start_is_a_gap_and_resumes_at_the_start
                a_position_at_the_end_is_no_gap
                a_paused_topic_partition_keeps_its_position
                a_stopped_partition_delivers_nothing_and_can_start_again
                a_partition_started_again_goes_back
                a_poll_hands_over_no_more_than_asked_for
                reading_ends_at_the_end_as_of_the_call
                reading_from_below_the_start_begins_at_the_start
                settled_records_are_visible_and_survive_a_restart
                refreshed_ends_are_the_true_ends
                the_first_change_of_ownership_is_every_partition
                ;
            store_laws:
                an_owner_of_nothing_finds_nothing
                each_owner_has_a_higher_epoch
                an_epoch_is_at_least_the_one_asked_for
                an_older_owners_checkpoint_is_fenced_and_writes_nothing
                a_checkpoint_of_an_epoch_the_store_never_gave_finds_it_went_back
                a_checkpoint_on_positions_the_store_does_not_have_finds_it_went_back
                a_checkpoint_is_there_whole_after_a_restart
                a_repeated_checkpoint_is_committed_and_changes_nothing
                states_come_in_the_order_asked_for_with_the_missing_ones
                what_is_read_names_the_memory_it_was_read_from
                a_deleted_state_is_gone_with_its_observations
                tasks_do_not_see_each_others_memory
                wakes_come_oldest_first_and_survive_a_restart
                a_wake_replaces_the_subjects_earlier_one_and_can_be_removed
                the_newest_hundred_observations_are_kept
                observations_added_one_by_one_are_those_added_at_once
                a_subject_whose_name_begins_anothers_has_its_own_observations
                a_wiped_task_keeps_only_its_epoch
                an_older_owner_wipes_nothing
                subjects_are_listed_in_order_after_the_last_one_seen
                ;
        }
    };
}
pub(crate) use conforms;

/// The task of a partition.
fn task(partition: u32) -> TaskId {
    TaskId {
        agent: AGENT,
        partition,
    }
}

fn subject(name: &str) -> Subject {
    Subject::new("111122223333", "eu-west-1", name)
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_ms(ms)
}

/// A record with a payload and nothing else.
fn record(topic: Topic, partition: u32, payload: &str) -> Outgoing {
    Outgoing {
        topic,
        partition,
        key: None,
        payload: Some(payload.as_bytes().to_vec()),
        headers: Vec::new(),
        timestamp_ms: Some(1_000),
    }
}

/// A checkpoint that changes nothing but the meta value.
fn checkpoint(task: TaskId, owner: &Acquired, meta: &str) -> Checkpoint {
    Checkpoint {
        task,
        epoch: owner.epoch,
        expected: owner.meta.clone(),
        meta: meta.as_bytes().to_vec(),
        states: Vec::new(),
        recent: Vec::new(),
        wakes: Vec::new(),
        outputs: Vec::new(),
    }
}

/// Appends and settles.
fn publish(log: &dyn Log, records: &[Outgoing]) {
    let appender = log.appender();
    for record in records {
        appender.append(1, record).unwrap();
    }
    settle(&*appender);
}

fn settle(appender: &dyn Appender) {
    appender.settle(1, SETTLE).unwrap();
}

/// A record, copied.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Taken {
    offset: u64,
    record: Outgoing,
}

fn copy(view: RecordView<'_>) -> Taken {
    Taken {
        offset: view.offset,
        record: Outgoing {
            topic: view.topic,
            partition: view.partition,
            key: view.key.map(<[u8]>::to_vec),
            payload: view.payload.map(<[u8]>::to_vec),
            headers: view
                .headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.to_vec()))
                .collect(),
            timestamp_ms: view.timestamp_ms,
        },
    }
}

/// Polls until everything is assigned and starts it at the given positions.
fn own(log: &mut dyn Log, positions: &BTreeMap<u32, Positions>) -> Vec<Gap> {
    for _ in 0..POLLS_MAX {
        let change = log
            .poll(1, WAIT, &mut |view| panic!("{view:?} before an assignment"))
            .unwrap();
        match change {
            None => {}
            Some(Ownership::Assigned(partitions)) => {
                let tasks: Vec<(u32, Positions)> = partitions
                    .iter()
                    .map(|p| (*p, positions.get(p).cloned().unwrap_or_default()))
                    .collect();
                return log.start(&tasks).unwrap();
            }
            Some(other) => panic!("{other:?} before an assignment"),
        }
    }
    panic!("nothing was assigned");
}

/// The next `count` records.
fn take(log: &mut dyn Log, count: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    for _ in 0..POLLS_MAX {
        if taken.len() >= count {
            break;
        }
        let change = log.poll(64, WAIT, &mut |view| taken.push(copy(view)));
        assert_eq!(change.unwrap(), None);
    }
    assert_eq!(taken.len(), count, "{taken:?}");
    taken
}

/// That nothing (more) comes.
fn take_nothing(log: &mut dyn Log) {
    for _ in 0..QUIET_POLLS {
        let change = log.poll(64, WAIT, &mut |view| panic!("{view:?} was not expected"));
        assert_eq!(change.unwrap(), None);
    }
}

fn payloads(taken: &[Taken]) -> Vec<String> {
    let text = |t: &Taken| String::from_utf8(t.record.payload.clone().unwrap()).unwrap();
    taken.iter().map(text).collect()
}
