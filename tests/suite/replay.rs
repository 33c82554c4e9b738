//! The story through the real topology on the embedded log.

use std::collections::BTreeMap;

use skyherd::app::{Outcome, Replay, ReplayOptions};
use skyherd::model::{FindingStatus, RecommendationState};
use skyherd::story::{StoryOptions, tell};

fn replay(options: StoryOptions) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let mut replay = Replay::open(dir.path(), ReplayOptions { partitions: 8 }).unwrap();
    for record in tell(options) {
        replay
            .push(record.topic, Some(&record.account), &record.payload)
            .unwrap();
    }
    replay.run(&mut |_| {}).unwrap()
}

#[test]
fn the_story_ends_with_the_findings_it_planted() {
    let outcome = replay(StoryOptions {
        period_minutes: 60,
        ..StoryOptions::default()
    });
    let mut open: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for finding in &outcome.findings {
        println!(
            "{:?} {} {} ep {} seq {} {} | {}",
            finding.status,
            finding.rule,
            finding.subject,
            finding.episode,
            finding.seq,
            finding.opened_at,
            finding.why
        );
        if finding.status == FindingStatus::Open {
            open.entry(finding.rule.to_string())
                .or_default()
                .push(finding.subject.id().to_owned());
        }
    }
    for row in &outcome.recommendations {
        println!(
            "{:?} {} {:?} {:.1} {} {:?} {:?}",
            row.state,
            row.owner,
            row.action,
            row.priority.score,
            row.title,
            row.savings,
            row.held_by
        );
    }
    assert_eq!(outcome.dead_letters, 0);
    assert!(
        outcome
            .recommendations
            .iter()
            .any(|row| row.state == RecommendationState::Open)
    );
}
