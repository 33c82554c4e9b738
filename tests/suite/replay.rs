//! The story through the real topology on the embedded log.

use std::collections::BTreeSet;

use crate::decode::bills::report;
use crate::story::{StoryOptions, tell};
use skyherd::app::{Outcome, Replay, ReplayOptions};
use skyherd::model::{ActionKind, FindingStatus, Recommendation, RecommendationState};
use skyherd::sources::replay::{Options, ReplayError, read};

/// An hour between points keeps the test short and changes no plot.
const HOURLY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 60,
    copies: 1,
    seed: 1,
};

fn replay(options: StoryOptions, partitions: u32) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let mut replay = Replay::open(
        dir.path(),
        ReplayOptions {
            partitions,
            ..ReplayOptions::default()
        },
    )
    .unwrap();
    for record in tell(options) {
        replay
            .push(record.topic, Some(&record.account), &record.payload)
            .unwrap();
    }
    replay.run(&mut |_| {}).unwrap()
}

fn row<'a>(outcome: &'a Outcome, resource: &str, action: ActionKind) -> &'a Recommendation {
    outcome
        .recommendations
        .iter()
        .find(|row| row.owner.resource() == resource && row.action == action)
        .unwrap_or_else(|| panic!("no {} for {resource}", action.as_str()))
}

#[test]
fn the_story_ends_with_what_it_planted_and_nothing_else() {
    let outcome = replay(HOURLY, 8);
    assert_eq!(outcome.dead_letters, 0);
    let open: BTreeSet<(&str, &str)> = outcome
        .findings
        .iter()
        .filter(|finding| finding.status == FindingStatus::Open)
        .map(|finding| (finding.rule.as_str(), finding.subject.id()))
        .collect();
    let planted: BTreeSet<(&str, &str)> = [
        (
            "COST-ANOM-1",
            "Amazon Elastic Compute Cloud/EU-DataTransfer-Out-Bytes",
        ),
        ("COST-EBS-1", "vol-0e0000000000000e9"),
        ("COST-EBS-3", "vol-0f0000000000000f1"),
        ("COST-EC2-1", "i-0d0000000000000d1"),
        ("COST-EC2-2", "i-0c0000000000000c1"),
        ("COST-EC2-2", "i-0d0000000000000d1"),
        ("PERF-EBS-2", "vol-0f0000000000000f1"),
        ("PERF-EC2-2", "i-0b0000000000000b2"),
        ("PERF-EC2-3", "i-0c0000000000000c1"),
        ("RES-LIFE-2", "i-0a0000000000000a9"),
        ("RES-TAG-1", "i-0e0000000000000e1"),
        ("SEC-EXP-1", "i-0a0000000000000a9"),
        ("SEC-EXP-1", "i-0c0000000000000c1"),
        ("SEC-EXP-1", "i-0d0000000000000d1"),
        ("SEC-EXP-1", "i-0e0000000000000e1"),
        ("SEC-EXP-1", "i-0f0000000000000f1"),
        ("SEC-SG-1", "sg-0a0000000000000a3"),
        ("SEC-SG-2", "sg-0a0000000000000a2"),
        ("SEC-SG-2", "sg-0a0000000000000a3"),
    ]
    .into();
    assert_eq!(open, planted);
}

#[test]
fn what_was_mended_is_closed_and_what_came_back_counts_its_openings() {
    let outcome = replay(HOURLY, 8);
    let of = |rule: &str| outcome.findings.iter().find(|finding| finding.rule == rule);
    let host = of("RES-STATE-2").expect("the host failed on day 25");
    assert_eq!((host.status, host.episode), (FindingStatus::Cleared, 1));
    let root = of("SEV-3").expect("root made a key on day 28");
    assert_eq!(root.status, FindingStatus::Expired);
    let group = of("SEC-SG-1").expect("the lab was opened, closed and opened");
    assert_eq!((group.status, group.episode), (FindingStatus::Open, 2));
}

#[test]
fn conflicts_are_resolved_and_say_how() {
    let outcome = replay(HOURLY, 8);
    let stop = row(&outcome, "instance/i-0d0000000000000d1", ActionKind::Stop);
    assert_eq!(stop.state, RecommendationState::Open);
    assert!(stop.hides.iter().any(|hidden| hidden.what == "rightsize"));
    let smaller = row(
        &outcome,
        "instance/i-0d0000000000000d1",
        ActionKind::Rightsize,
    );
    assert_eq!(smaller.state, RecommendationState::Superseded);
    assert!(
        smaller
            .held_by
            .iter()
            .any(|holder| holder.what.contains("stop"))
    );
    // Low on average, yet out of credits: making it smaller would be wrong.
    let starved = row(
        &outcome,
        "instance/i-0c0000000000000c1",
        ActionKind::Rightsize,
    );
    assert_eq!(starved.state, RecommendationState::Vetoed);
    assert!(
        starved
            .held_by
            .iter()
            .any(|holder| holder.what.contains("PERF-EC2-3"))
    );
    let everything = row(
        &outcome,
        "security-group/sg-0a0000000000000a3",
        ActionKind::RevokeIngress,
    );
    assert!(
        everything
            .hides
            .iter()
            .any(|hidden| hidden.what == "SEC-SG-2")
    );
    let volume = row(
        &outcome,
        "instance/i-0f0000000000000f1",
        ActionKind::Upgrade,
    );
    assert_eq!(volume.rules, ["COST-EBS-3", "PERF-EBS-2"]);
}

#[test]
fn the_number_of_partitions_changes_nothing() {
    let content = |outcome: &Outcome| -> Vec<Recommendation> {
        outcome
            .recommendations
            .iter()
            .filter_map(Recommendation::content)
            .collect()
    };
    assert_eq!(content(&replay(HOURLY, 1)), content(&replay(HOURLY, 32)));
}

/// What a month's bills, delivered one after another, end with for the usage they are of.
fn delivered(bills: &[&[&str]]) -> Vec<(FindingStatus, String)> {
    let (dir, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut replay = Replay::open(dir.path(), ReplayOptions::default()).unwrap();
    for (number, parts) in bills.iter().enumerate() {
        let folder = files.path().join(number.to_string());
        std::fs::create_dir(&folder).unwrap();
        for (part, text) in parts.iter().enumerate() {
            std::fs::write(folder.join(format!("{part}.csv")), text).unwrap();
        }
        let mut records = Vec::new();
        read(&[folder], &Options::default(), |record| {
            records.push(record);
            Ok::<_, ReplayError>(())
        })
        .unwrap();
        for record in records {
            let account = record.account.as_deref();
            replay.push(record.topic, account, &record.payload).unwrap();
        }
    }
    let outcome = replay.run(&mut |_| {}).unwrap();
    assert_eq!(outcome.dead_letters, 0);
    let rows = outcome.findings.into_iter();
    rows.filter(|row| row.rule == "COST-ANOM-1")
        .map(|row| (row.status, row.evidence[0].value.clone()))
        .collect()
}

#[test]
fn a_delivery_replaces_the_month_so_far_and_one_told_again_adds_nothing() {
    let account = ["111122223333"];
    let dear = report(&account, 20, |day| {
        if day == 20 { "500".into() } else { "10".into() }
    });
    let plain = report(&account, 20, |_| "10".into());
    let half = report(&account, 20, |_| "5.5".into());
    let found = [(FindingStatus::Open, "$500.00".to_owned())];
    assert_eq!(delivered(&[&[&dear]]), found);
    assert_eq!(delivered(&[&[&dear], &[&dear], &[&dear]]), found);
    assert_eq!(delivered(&[&[&plain], &[&dear]]), found);
    // Two files of one delivery add up, row by row, although every row of the one is in the other.
    assert_eq!(delivered(&[&[&half, &half]]), []);
    let last = report(&account, 20, |day| {
        if day == 20 { "250".into() } else { "5".into() }
    });
    assert_eq!(delivered(&[&[&last, &last]]), found);
    assert_eq!(
        delivered(&[&[&dear], &[&plain]])[0].0,
        FindingStatus::Cleared
    );
}

#[test]
fn a_delivery_that_is_not_whole_leaves_the_month_as_it_was() {
    let account = ["111122223333"];
    let dear = report(&account, 20, |day| {
        if day == 20 { "500".into() } else { "10".into() }
    });
    let plain = report(&account, 20, |_| "10".into());
    let manifest = r#"{"assemblyId": "a", "reportKeys": ["p/0.csv", "p/2.csv"]}"#;
    let found = [(FindingStatus::Open, "$500.00".to_owned())];
    assert_eq!(delivered(&[&[&dear], &[&plain, manifest]]), found);
    let all = r#"{"assemblyId": "a", "reportKeys": ["p/0.csv"]}"#;
    assert_eq!(
        delivered(&[&[&dear], &[&plain, all]])[0].0,
        FindingStatus::Cleared
    );
}
