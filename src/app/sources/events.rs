//! Events name resources; what they name is asked for at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::app::Handle;
use crate::model::{FactBody, ItemKind, Message, OWN_ACCOUNT, Topic};
use crate::ports::PortResult;
use crate::sources::{Decoded, decode};

/// Resources waiting to be asked for; beyond it the next sweep has to do.
pub(super) const QUEUE_MAX: usize = 10_000;
/// Records taken at once.
const BATCH: usize = 1_000;
/// Longest wait for the next record, and for the answer to a stop.
const WAIT: Duration = Duration::from_millis(200);
/// Pause after the log could not be followed.
const REST: Duration = Duration::from_secs(2);

/// A resource that an event named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) kind: ItemKind,
    pub(super) id: String,
}

/// The resources of our kinds that a record of `aws.events` is about.
fn named(payload: &[u8]) -> Vec<Named> {
    let Ok(Decoded::Message(Message::Facts(facts))) = decode(Topic::AwsEvents, None, Some(payload))
    else {
        return Vec::new();
    };
    facts
        .iter()
        .filter(|fact| matches!(fact.body, FactBody::Event(_)))
        .filter(|fact| fact.subject.account() != OWN_ACCOUNT)
        .filter_map(|fact| {
            let subject = &fact.subject;
            let kind = ItemKind::ALL
                .into_iter()
                .find(|kind| kind.as_str() == subject.kind())?;
            Some(Named {
                account: subject.account().to_owned(),
                region: subject.region().to_owned(),
                kind,
                id: subject.id().to_owned(),
            })
        })
        .collect()
}

/// Follows `aws.events` from now on until told to stop.
pub(super) fn listen(handle: &Arc<Handle>, queue: &Sender<Named>, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        if follow(handle, queue, stop).is_err() {
            std::thread::park_timeout(REST);
        }
    }
}

fn follow(handle: &Handle, queue: &Sender<Named>, stop: &AtomicBool) -> PortResult<()> {
    let topics = [Topic::AwsEvents];
    let bounds = handle.backend.all_bounds(&topics)?;
    let ends = bounds.into_iter().map(|(_, end)| end).collect();
    let mut follower = handle.backend.follow(&topics, ends)?;
    while !stop.load(Ordering::Acquire) {
        follower.poll(BATCH, WAIT, &mut |record| {
            for named in record.payload.map(named).unwrap_or_default() {
                // A full queue means more changes than single calls can follow.
                let _ = queue.try_send(named);
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_the_resource_it_is_about() {
        let event = |detail_type: &str, detail: &str| {
            format!(
                r#"{{"version":"0","id":"1","detail-type":"{detail_type}","source":"aws.ec2","account":"111122223333","time":"2026-11-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
            )
        };
        let state = event(
            "EC2 Instance State-change Notification",
            r#"{"instance-id":"i-0abc","state":"stopped"}"#,
        );
        assert_eq!(
            named(state.as_bytes()),
            [Named {
                account: "111122223333".to_owned(),
                region: "eu-west-1".to_owned(),
                kind: ItemKind::Instance,
                id: "i-0abc".to_owned(),
            }]
        );
        assert_eq!(named(b"no event"), []);
    }
}
