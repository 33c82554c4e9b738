//! The records of a task that wait for their turn, by topic.

use std::collections::VecDeque;

use crate::model::Topic;

use super::task::Queued;

/// One topic of a task.
#[derive(Debug, Default)]
pub(super) struct TopicQueue {
    pub(super) items: VecDeque<Queued>,
    /// Offset after the last record queued; what the log will deliver next.
    pub(super) next: u64,
    /// The end as of the task's acquisition: the task is live once every topic has passed it.
    pub(super) live_at: u64,
    pub(super) paused: bool,
}

/// A queue a topic, in the order of topics. There are about five of them, and several are looked
/// up for every record: a list is several times faster to go through than a tree.
#[derive(Debug)]
pub(super) struct Queues(Vec<(Topic, TopicQueue)>);

impl Queues {
    pub(super) fn new(topics: &[Topic]) -> Self {
        let mut topics = topics.to_vec();
        topics.sort_unstable();
        topics.dedup();
        let queues = topics
            .into_iter()
            .map(|topic| (topic, TopicQueue::default()));
        Self(queues.collect())
    }
    pub(super) fn get(&self, topic: Topic) -> Option<&TopicQueue> {
        self.iter()
            .find_map(|(of, queue)| (of == topic).then_some(queue))
    }
    pub(super) fn get_mut(&mut self, topic: Topic) -> Option<&mut TopicQueue> {
        self.iter_mut()
            .find_map(|(of, queue)| (of == topic).then_some(queue))
    }
    pub(super) fn iter(&self) -> impl Iterator<Item = (Topic, &TopicQueue)> {
        self.0.iter().map(|(topic, queue)| (*topic, queue))
    }
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (Topic, &mut TopicQueue)> {
        self.0.iter_mut().map(|(topic, queue)| (*topic, queue))
    }
}
