//! The order in which a task takes its topics' records: by event time.

use crate::agents::Agent;
use crate::model::Topic;
use crate::ports::Log;

use super::task::{Planned, Task};
use super::worker::Shared;

/// Moves queued records into the plan, smallest event time first.
///
/// A topic that is empty here but known to lag is waited for, within a bound: catching up after
/// an outage sees facts in about the order they happened.
pub(super) fn plan<A: Agent>(shared: &Shared<A>, task: &mut Task<A>, log: &dyn Log, now_ms: u64) {
    // The ends do not move while we plan, so only a queue that runs empty can begin to lag.
    let mut lags = None;
    while task.plan.len() < shared.options.plan_records_max {
        let head = task
            .queues
            .iter()
            .filter_map(|(topic, queue)| Some((queue.items.front()?.at, topic)))
            .min();
        let Some((_, topic)) = head else {
            task.waiting_ms = None;
            return;
        };
        if *lags.get_or_insert_with(|| lagging_topic(shared, task, log)) {
            let since = *task.waiting_ms.get_or_insert(now_ms);
            if now_ms.saturating_sub(since) < shared.options.merge_wait_ms {
                return;
            }
        } else {
            task.waiting_ms = None;
        }
        let Some(queue) = task.queues.get_mut(topic) else {
            return;
        };
        let Some(queued) = queue.items.pop_front() else {
            return;
        };
        if queue.items.is_empty() {
            lags = None;
        }
        task.plan.push_back(Planned { topic, queued });
    }
}

/// Whether some topic has nothing at hand although the log is known to hold more of it.
fn lagging_topic<A: Agent>(shared: &Shared<A>, task: &Task<A>, log: &dyn Log) -> bool {
    task.queues.iter().any(|(topic, queue)| {
        queue.items.is_empty()
            && topic != shared.spec.writes
            && log
                .end(topic, task.id.partition)
                .is_some_and(|end| queue.next < end)
    })
}

/// The lag of a task by topic, in records, as far as the log's ends are known.
pub(super) fn lag<A: Agent>(task: &Task<A>, log: &dyn Log) -> Vec<(Topic, u64)> {
    task.queues
        .iter()
        .map(|(topic, queue)| {
            let taken = task.meta.positions.get(&topic).copied().unwrap_or(0).max(
                if queue.items.is_empty() && task.plan.is_empty() {
                    queue.next
                } else {
                    0
                },
            );
            let end = log.end(topic, task.id.partition).unwrap_or(taken);
            (topic, end.saturating_sub(taken))
        })
        .collect()
}
