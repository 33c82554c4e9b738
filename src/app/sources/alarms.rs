//! CloudWatch's alarms of one place: each is told when it is seen first and when its state changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::hash::hash_of;
use super::known::PREFIX;
use super::units::tell;
use super::{Fault, Shared, Target};
use crate::model::Topic;
use crate::ports::{Clock as _, Outgoing};
use crate::sources::{Fate, Hints, open};
use crate::telemetry::Signal;

/// Most pages of one answer, at a hundred alarms each.
const PAGES_MAX: usize = 1_000;

/// The state each alarm was last told in, both as hashes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Alarms {
    told: BTreeMap<u64, u64>,
}

fn row_key(target: &Target) -> String {
    format!("{PREFIX}{}/{}/alarms", target.account, target.place.region)
}

/// Which alarm it is, and in which state since when. The reasons of a state change without it.
fn state(alarm: &Value) -> (u64, u64) {
    let text = |name: &str| alarm[name].as_str().unwrap_or_default();
    let since = match text("StateTransitionedTimestamp") {
        "" => text("StateUpdatedTimestamp"),
        since => since,
    };
    (
        hash_of(&[text("AlarmArn"), text("AlarmName")]),
        hash_of(&[text("StateValue"), since]),
    )
}

impl Alarms {
    /// What the log remembers of a place. What cannot be read is told again.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, target: &Target) -> Self {
        let row = rows.get(&row_key(target));
        row.and_then(|payload| rmp_serde::from_slice(payload).ok())
            .unwrap_or_default()
    }

    async fn sweep(&mut self, shared: &Shared, target: &Target) -> Result<u64, Fault> {
        let hints = Hints {
            account: Some(target.account.clone()),
            region: Some(target.place.region.clone()),
            at: Some(shared.now()),
            ..Hints::default()
        };
        let (mut after, mut records, mut next) = (Self::default(), Vec::new(), None::<String>);
        for page in 0.. {
            if page >= PAGES_MAX {
                return Err(Fault::Endless("cloudwatch:DescribeAlarms"));
            }
            let (alarms, more) = shared.aws.alarms(&target.place, next.as_deref()).await?;
            for alarm in alarms {
                let (which, state) = state(&alarm);
                after.told.insert(which, state);
                if self.told.get(&which) != Some(&state) {
                    records.extend(told(shared, &alarm, &hints)?);
                }
            }
            next = more;
            if next.is_none() {
                break;
            }
        }
        let count = records.len() as u64;
        if after != *self {
            let row = rmp_serde::to_vec(&after).map_err(|error| Fault::Shape(error.to_string()))?;
            records.push(shared.outgoing(Topic::Memory, &target.account, &row_key(target), row));
            shared.publish(records).await?;
            *self = after;
        }
        Ok(count)
    }
}

/// The event that tells of the alarm.
fn told(shared: &Shared, alarm: &Value, hints: &Hints) -> Result<Vec<Outgoing>, Fault> {
    let answer = json!({ "MetricAlarms": [alarm] }).to_string();
    let mut records = Vec::new();
    for part in open(answer.as_bytes(), hints) {
        match part.fate {
            Fate::Record { topic, account } => {
                records.push(shared.outgoing(topic, &account, &account, part.payload));
            }
            Fate::Ignored(_) => {}
            Fate::Refused(why) => return Err(Fault::Shape(why.0)),
        }
    }
    Ok(records)
}

/// One round.
pub(super) async fn round(shared: &Arc<Shared>, target: &Target, alarms: &mut Alarms) {
    let began = shared.clock.monotonic_ms();
    let (published, errors) = match alarms.sweep(shared, target).await {
        Ok(count) => (count, Vec::new()),
        Err(fault) => {
            tell(shared, target, &fault);
            (0, vec![fault.to_string()])
        }
    };
    let known = alarms.told.len() as u64;
    shared.handle.metrics.emit(&Signal::SourceSwept {
        source: "alarms",
        account: &target.account,
        region: &target.place.region,
        records: published,
        known,
        seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
        whole: errors.is_empty(),
    });
    let place = (
        target.account.clone(),
        target.place.region.clone(),
        "alarms",
    );
    let board = &shared.handle.board;
    board.note(place, shared.now(), (known, published), errors);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_told_again_when_its_state_changed_and_not_for_another_reason() {
        let alarm = |value: &str, since: &str, reason: &str| {
            state(&json!({
                "AlarmArn": "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:high", "AlarmName": "high",
                "StateValue": value, "StateTransitionedTimestamp": since, "StateReason": reason,
            }))
        };
        let first = alarm("OK", "2026-11-01T00:00:00Z", "1 below 10");
        assert_eq!(first, alarm("OK", "2026-11-01T00:00:00Z", "2 below 10"));
        let raised = alarm("ALARM", "2026-11-02T00:00:00Z", "11 above 10");
        assert_eq!(first.0, raised.0);
        assert_ne!(first.1, raised.1);
        // There and back between two rounds.
        assert_ne!(first.1, alarm("OK", "2026-11-02T01:00:00Z", "1 below 10").1);
    }
}
