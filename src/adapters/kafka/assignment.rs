//! What a member owns: partition numbers over all its topics, and how far each was handed out.

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::{Offset, TopicPartitionList};

use crate::model::Topic;
use crate::ports::{PortError, PortResult};

/// Stands for "not ours".
const NOT_OWNED: i64 = -1;

/// The member's share of the topics.
pub(super) struct Assignment {
    topics: Vec<(Topic, String)>,
    owned: BTreeSet<u32>,
    /// The next offset to hand out, by topic and partition.
    next: Vec<Vec<i64>>,
    paused: BTreeSet<(usize, u32)>,
    /// Where the topic of a record was found last; records come in runs of one topic.
    last: usize,
}

/// What a record is to the member.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// The next of its topic.
    Next(Topic),
    /// Earlier than what was handed out: the topic was made anew.
    Before,
    /// Not, or no longer, ours.
    Elsewhere,
}

impl Assignment {
    pub(super) fn new(topics: Vec<(Topic, String)>) -> Self {
        Self {
            next: vec![Vec::new(); topics.len()],
            topics,
            owned: BTreeSet::new(),
            paused: BTreeSet::new(),
            last: 0,
        }
    }

    pub(super) fn topics(&self) -> &[(Topic, String)] {
        &self.topics
    }

    pub(super) fn owned(&self) -> &BTreeSet<u32> {
        &self.owned
    }

    pub(super) fn index(&self, topic: Topic) -> Option<usize> {
        self.topics.iter().position(|(known, _)| *known == topic)
    }

    /// Every topic of `partitions`.
    pub(super) fn places(&self, partitions: impl IntoIterator<Item = u32>) -> Vec<(&str, u32)> {
        partitions
            .into_iter()
            .flat_map(|partition| {
                self.topics
                    .iter()
                    .map(move |(_, name)| (name.as_str(), partition))
            })
            .collect()
    }

    /// The partition numbers of a rebalance. Refuses one that lacks some topic: accounts would be
    /// seen in part.
    pub(super) fn numbers(&self, listed: &[(String, i32)]) -> PortResult<Vec<u32>> {
        let mut by_number: BTreeMap<u32, BTreeSet<&str>> = BTreeMap::new();
        for (topic, partition) in listed {
            by_number
                .entry(*partition as u32)
                .or_default()
                .insert(topic);
        }
        for (number, topics) in &by_number {
            let missing: Vec<&str> = self
                .topics
                .iter()
                .map(|(_, name)| name.as_str())
                .filter(|name| !topics.contains(name))
                .collect();
            if !missing.is_empty() {
                return Err(PortError::Fatal(format!(
                    "Kafka assigns partition {number} of {} but not of {}; all topics need the same number of partitions and all members of the group the same topics; compare them with `skyherd topics diff`",
                    topics.iter().copied().collect::<Vec<_>>().join(", "),
                    missing.join(", ")
                )));
            }
        }
        Ok(by_number.into_keys().collect())
    }

    /// Owns a topic's partition from `offset` on.
    pub(super) fn begin(&mut self, index: usize, partition: u32, offset: i64) {
        let next = &mut self.next[index];
        let place = partition as usize;
        if next.len() <= place {
            next.resize(place + 1, NOT_OWNED);
        }
        next[place] = offset;
        self.owned.insert(partition);
    }

    pub(super) fn end(&mut self, partition: u32) {
        self.owned.remove(&partition);
        self.paused.retain(|(_, paused)| *paused != partition);
        for next in &mut self.next {
            if let Some(next) = next.get_mut(partition as usize) {
                *next = NOT_OWNED;
            }
        }
    }

    pub(super) fn next(&self, index: usize, partition: u32) -> Option<i64> {
        let next = *self.next[index].get(partition as usize)?;
        (next != NOT_OWNED).then_some(next)
    }

    /// Judges a record and, when it is the next one, steps past it.
    pub(super) fn take(&mut self, topic: &str, partition: i32, offset: i64) -> Place {
        if self.topics[self.last].1 != topic {
            match self.topics.iter().position(|(_, name)| name == topic) {
                Some(index) => self.last = index,
                None => return Place::Elsewhere,
            }
        }
        let Some(next) = self.next[self.last].get_mut(partition as usize) else {
            return Place::Elsewhere;
        };
        if *next == NOT_OWNED {
            return Place::Elsewhere;
        }
        if offset < *next {
            return Place::Before;
        }
        *next = offset + 1;
        Place::Next(self.topics[self.last].0)
    }

    pub(super) fn pause(&mut self, index: usize, partition: u32, paused: bool) {
        if paused {
            self.paused.insert((index, partition));
        } else {
            self.paused.remove(&(index, partition));
        }
    }

    /// All that is owned, at the next offsets, and the paused part of it.
    pub(super) fn lists(&self) -> PortResult<(TopicPartitionList, TopicPartitionList)> {
        let mut all = TopicPartitionList::new();
        let mut paused = TopicPartitionList::new();
        for partition in &self.owned {
            for (index, (_, name)) in self.topics.iter().enumerate() {
                let Some(next) = self.next(index, *partition) else {
                    continue;
                };
                all.add_partition_offset(name, *partition as i32, Offset::Offset(next))
                    .map_err(|error| super::error::port_error("list partitions", &error))?;
                if self.paused.contains(&(index, *partition)) {
                    paused.add_partition(name, *partition as i32);
                }
            }
        }
        Ok((all, paused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Assignment {
        Assignment::new(vec![
            (Topic::AwsEvents, "aws.events".into()),
            (Topic::AwsMetrics, "aws.metrics".into()),
        ])
    }

    fn listed(places: &[(&str, i32)]) -> Vec<(String, i32)> {
        places
            .iter()
            .map(|(topic, partition)| ((*topic).to_owned(), *partition))
            .collect()
    }

    #[test]
    fn a_partition_of_only_some_topics_is_refused_by_name() {
        let whole = [("aws.events", 3), ("aws.metrics", 3)];
        assert_eq!(two().numbers(&listed(&whole)).ok(), Some(vec![3]));
        let error = two()
            .numbers(&listed(&[whole[0], whole[1], ("aws.events", 4)]))
            .expect_err("partition 4 lacks metrics");
        assert!(
            matches!(&error, PortError::Fatal(text) if text.contains("partition 4") && text.contains("aws.metrics")),
            "{error:?}"
        );
    }

    #[test]
    fn only_records_of_owned_partitions_are_taken_and_only_forwards() {
        let mut share = two();
        assert_eq!(share.take("aws.metrics", 1, 5), Place::Elsewhere);
        share.begin(1, 1, 5);
        assert_eq!(
            share.take("aws.metrics", 1, 7),
            Place::Next(Topic::AwsMetrics)
        );
        assert_eq!(share.take("aws.metrics", 1, 7), Place::Before);
        assert_eq!(share.take("aws.events", 1, 7), Place::Elsewhere);
        share.end(1);
        assert_eq!(share.take("aws.metrics", 1, 8), Place::Elsewhere);
    }
}
