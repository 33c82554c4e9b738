//! The coordinator joins findings into recommendations, and requests into answers.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use skyherd::agents::coordinator::{
    ANSWERED_RETENTION_MS, CLOSED_MAX, Coordinator, Note, OPEN_REQUESTS_MAX, RESOLVED_RETENTION_MS,
    State,
};
use skyherd::agents::{Agent, Effects, Input, Keys, Step, Trigger};
use skyherd::model::{
    ActionKind, AgentName, Answer, Approval, AuditRecord, Decision, Edge, Environment, Evidence,
    ExemptedBy, Exemption, Finding, FindingId, FindingStatus, Message, Proposal, Recommendation,
    RecommendationId, RecommendationState, Request, Savings, Severity, Subject, Task, TaskKind,
    TaskResult, TaskStatus, Timestamp, Topic, Usd,
};

const ACCOUNT: &str = "111122223333";
/// 2026-11-01T00:00:00Z.
const START_MS: i64 = 1_793_491_200_000;
const NOTES_MAX: usize = 1_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_ms(START_MS + minute * Timestamp::MINUTE)
}

fn subject(resource: &str) -> Subject {
    Subject::new(ACCOUNT, "eu-west-1", resource)
}

/// An open finding on `resource`, its own owner, at minute 0.
fn finding(rule: &str, resource: &str) -> Finding {
    let agent = match rule.split('-').next() {
        Some("COST") => AgentName::Cost,
        Some("PERF") => AgentName::Performance,
        Some("RES") => AgentName::Resource,
        _ => AgentName::Security,
    };
    Finding {
        id: FindingId::derive(rule, &subject(resource), ""),
        rule: rule.into(),
        agent,
        subject: subject(resource),
        discriminator: "".into(),
        status: FindingStatus::Open,
        edge: Edge::Opened,
        severity: Severity::Medium,
        title: format!("{rule} holds"),
        why: format!("{rule} was seen on {resource}."),
        evidence: vec![Evidence {
            name: rule.into(),
            value: "1".into(),
            threshold: String::new(),
            at: at(0),
        }],
        opened_at: at(0),
        at: at(0),
        expires_at: None,
        episode: 1,
        seq: 1,
        epoch: 1,
        owner: subject(resource),
        owner_before: None,
        proposal: None,
        confidence: 0.9,
        exposed: false,
        environment: None,
        exemption: None,
    }
}

trait Build: Sized {
    fn owner(self, resource: &str) -> Self;
    fn version(self, epoch: u64, seq: u64) -> Self;
    fn minute(self, minute: i64) -> Self;
    fn severity(self, severity: Severity) -> Self;
    fn proposes(self, action: ActionKind, saving_mills: i64) -> Self;
    fn closed(self, seq: u64, minute: i64) -> Self;
}

impl Build for Finding {
    fn owner(mut self, resource: &str) -> Self {
        self.owner = subject(resource);
        self
    }
    fn version(mut self, epoch: u64, seq: u64) -> Self {
        (self.epoch, self.seq) = (epoch, seq);
        self
    }
    fn minute(mut self, minute: i64) -> Self {
        self.at = at(minute);
        self
    }
    fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }
    fn proposes(mut self, action: ActionKind, saving_mills: i64) -> Self {
        self.proposal = Some(Proposal {
            action,
            target: None,
            parameters: BTreeMap::new(),
            savings: (saving_mills != 0).then(|| Savings {
                monthly: Usd::from_mills(saving_mills),
                price_source: "list".into(),
                price_date: "2026-11-01".into(),
            }),
        });
        self
    }
    fn closed(mut self, seq: u64, minute: i64) -> Self {
        self.status = FindingStatus::Cleared;
        self.edge = Edge::Cleared;
        self.version(1, seq).minute(minute)
    }
}

/// The coordinator with its memory, as the runtime drives it: notes first in first out before the
/// next message, states through their stored form after every step.
#[derive(Default)]
struct World {
    states: BTreeMap<Subject, Vec<u8>>,
    wakes: BTreeMap<Subject, Timestamp>,
    now: Timestamp,
    published: Vec<Message>,
    /// Steps that changed a state.
    writes: usize,
}

impl World {
    fn after(findings: impl IntoIterator<Item = Finding>) -> Self {
        let mut world = Self::default();
        for finding in findings {
            world.find(finding);
        }
        world
    }

    fn state(&self, key: &Subject) -> State {
        self.states.get(key).map_or_else(State::default, |bytes| {
            rmp_serde::from_slice(bytes).expect("a stored state reads back")
        })
    }

    fn find(&mut self, finding: Finding) -> Vec<Message> {
        self.take(&Message::Finding(Box::new(finding)))
    }

    /// Takes a message and returns what it made the coordinator publish.
    fn take(&mut self, message: &Message) -> Vec<Message> {
        let before = self.published.len();
        self.now = self.now.max(message.at().unwrap_or(self.now));
        let mut keys = Keys::new();
        Coordinator.route(Input::Message(message), &mut keys);
        for key in keys {
            self.step(&key, Some(message), None);
        }
        self.published[before..].to_vec()
    }

    /// Advances the clock and fires the wakes that are due, oldest first.
    fn advance(&mut self, to: Timestamp) -> Vec<Message> {
        let before = self.published.len();
        while let Some((due, key)) = self
            .wakes
            .iter()
            .map(|(key, due)| (*due, key.clone()))
            .min()
            .filter(|(due, _)| *due <= to)
        {
            self.now = self.now.max(due);
            self.wakes.remove(&key);
            self.step(&key, None, None);
        }
        self.now = self.now.max(to);
        self.published[before..].to_vec()
    }

    fn step(&mut self, key: &Subject, message: Option<&Message>, note: Option<Note>) {
        let mut queue = VecDeque::from([(key.clone(), note)]);
        let mut message = message;
        for _ in 0..NOTES_MAX {
            let Some((key, note)) = queue.pop_front() else {
                return;
            };
            let mut state = self.state(&key);
            let unchanged = self.state(&key);
            let mut effects = Effects::default();
            let trigger = match (&note, message.take()) {
                (Some(note), _) => Trigger::Note(note),
                (None, Some(message)) => Trigger::Input(Input::Message(message)),
                (None, None) => Trigger::Wake,
            };
            let step = Step {
                trigger,
                key: &key,
                now: self.now,
            };
            Coordinator.handle(step, &mut state, &mut effects);
            assert!(effects.dirty || state == unchanged, "{key} changed unsaved");
            if effects.dirty {
                self.writes += 1;
                let bytes = rmp_serde::to_vec_named(&state).unwrap();
                let back: State = rmp_serde::from_slice(&bytes).unwrap();
                assert_eq!(back, state, "{key} is not what was stored");
                self.states.insert(key.clone(), bytes);
            }
            match effects.wake {
                Some(Some(due)) => drop(self.wakes.insert(key, due)),
                Some(None) => drop(self.wakes.remove(&key)),
                None => {}
            }
            for mut message in effects.publish {
                message.stamp(1);
                self.published.push(message);
            }
            queue.extend(
                effects
                    .notes
                    .into_iter()
                    .map(|(key, note)| (key, Some(note))),
            );
        }
        panic!("notes never ended");
    }

    /// The rows a reader of the compacted topic ends with.
    fn rows(&self) -> BTreeMap<RecommendationId, Recommendation> {
        let mut rows = BTreeMap::new();
        for message in &self.published {
            match message {
                Message::Recommendation(row) => {
                    rows.insert(row.id.clone(), (**row).clone());
                }
                Message::Tombstone(_, _, key) => {
                    rows.retain(|id: &RecommendationId, _| id.as_str() != key);
                }
                _ => {}
            }
        }
        rows
    }

    fn row(&self, resource: &str, action: ActionKind) -> Recommendation {
        let id = RecommendationId::derive(&subject(resource), action.as_str());
        let rows = self.rows();
        let known: Vec<&str> = rows.values().map(|row| row.title.as_str()).collect();
        let row = rows.get(&id);
        row.unwrap_or_else(|| panic!("no {action:?} of {resource} among {known:?}"))
            .clone()
    }

    /// What every recommendation says that is not resolved.
    fn content(&self) -> Vec<Recommendation> {
        self.rows()
            .values()
            .filter_map(Recommendation::content)
            .collect()
    }

    fn audit(&self) -> Vec<AuditRecord> {
        let records = self.published.iter().filter_map(|message| match message {
            Message::Audit(record) => Some((**record).clone()),
            _ => None,
        });
        records.collect()
    }
}

fn rows_of(messages: &[Message]) -> Vec<Recommendation> {
    let rows = messages.iter().filter_map(|message| match message {
        Message::Recommendation(row) => Some((**row).clone()),
        _ => None,
    });
    rows.collect()
}

// --- findings in ---------------------------------------------------------------------------

#[test]
fn a_finding_with_a_proposal_becomes_a_recommendation_at_once() {
    let idle = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 70_080);
    let mut world = World::default();
    let rows = rows_of(&world.find(idle.clone()));
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    assert_eq!(row.id, RecommendationId::derive(&idle.owner, "stop"));
    assert_eq!(row.state, RecommendationState::Open);
    assert_eq!((row.cycle, row.revision, row.seq), (1, 1, 1));
    assert_eq!(row.findings, vec![(idle.id.clone(), 1)]);
    assert_eq!(row.counted_savings(), Usd::from_mills(70_080));
    assert_eq!(row.title, "Stop instance/i-1: COST-EC2-1 holds");
    assert_eq!(row.why, vec![(AgentName::Cost, idle.why.clone())]);
    assert_eq!(row.evidence, idle.evidence);
    assert_eq!(row.targets, vec![(idle.subject, BTreeMap::new())]);
    assert_eq!((row.opened_at, row.at), (at(0), at(0)));
}

#[test]
fn a_finding_without_a_proposal_asks_a_person_to_look() {
    let world = World::after([finding("RES-STATE-4", "instance/i-1")]);
    let row = world.row("instance/i-1", ActionKind::Investigate);
    assert_eq!(row.state, RecommendationState::Open);
    assert!(row.targets.is_empty(), "nothing is changed by looking");
}

#[test]
fn a_muted_finding_neither_proposes_nor_vetoes_nor_hides() {
    let muted = |finding: Finding, seq: u64| Finding {
        exemption: Some(Exemption {
            by: ExemptedBy::Tag,
            reason: "meant to be so".into(),
            until: at(1_000_000),
        }),
        edge: Edge::Updated,
        ..finding.version(1, seq).minute(seq as i64)
    };
    let idle = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 70_080);
    let slow = finding("PERF-EC2-3", "instance/i-1")
        .proposes(ActionKind::ChangeCredits, 0)
        .severity(Severity::High);
    let mut world = World::after([idle.clone(), slow.clone()]);
    let stop = |world: &World| world.row("instance/i-1", ActionKind::Stop).state;
    assert_eq!(stop(&world), RecommendationState::Vetoed);

    world.find(muted(slow.clone(), 2));
    assert_eq!(stop(&world), RecommendationState::Open);
    let mended = world.row("instance/i-1", ActionKind::ChangeCredits);
    assert_eq!(mended.state, RecommendationState::Resolved);

    world.find(muted(idle, 2));
    assert_eq!(stop(&world), RecommendationState::Resolved);
    let saved: Vec<Usd> = world
        .rows()
        .values()
        .map(Recommendation::counted_savings)
        .collect();
    assert!(saved.iter().all(|saved| *saved == Usd::ZERO), "{saved:?}");

    // Its exemption ended: it speaks again.
    world.find(Finding {
        edge: Edge::Updated,
        ..slow.version(1, 3).minute(3)
    });
    let again = world.row("instance/i-1", ActionKind::ChangeCredits);
    assert_eq!((again.state, again.cycle), (RecommendationState::Open, 2));

    let all = finding("SEC-SG-1", "security-group/sg-1").proposes(ActionKind::RevokeIngress, 0);
    let one = finding("SEC-SG-2", "security-group/sg-1").proposes(ActionKind::RevokeIngress, 0);
    let mut world = World::after([one, all.clone()]);
    let rules = |world: &World| {
        let row = world.row("security-group/sg-1", ActionKind::RevokeIngress);
        row.rules
    };
    assert_eq!(rules(&world), ["SEC-SG-1"]);
    world.find(muted(all, 2));
    assert_eq!(rules(&world), ["SEC-SG-2"]);
}

#[test]
fn a_repeated_row_changes_nothing() {
    let idle = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([idle.clone()]);
    let writes = world.writes;
    assert!(world.find(idle).is_empty());
    assert_eq!(world.writes, writes, "a repeat is not even written down");
}

#[test]
fn a_row_of_an_older_epoch_never_counts_however_high_its_seq() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([row.clone().version(2, 1)]);
    let zombie = Finding {
        epoch: 1,
        ..row.closed(9, 5)
    };
    assert!(world.find(zombie).is_empty());
    let state = world.row("instance/i-1", ActionKind::Stop).state;
    assert_eq!(state, RecommendationState::Open);
}

#[test]
fn a_replay_under_a_newer_epoch_that_says_the_same_publishes_nothing() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([row.clone()]);
    assert!(world.find(row.clone().version(2, 1)).is_empty());
    let again = Finding {
        epoch: 2,
        ..row.closed(2, 5)
    };
    assert_eq!(
        rows_of(&world.find(again)).len(),
        1,
        "the newer epoch goes on"
    );
}

#[test]
fn cleared_expired_and_withdrawn_rows_close_a_finding() {
    for (status, edge) in [
        (FindingStatus::Cleared, Edge::Cleared),
        (FindingStatus::Expired, Edge::Expired),
        (FindingStatus::Open, Edge::Withdrawn),
    ] {
        let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
        let mut world = World::after([row.clone()]);
        world.find(Finding {
            status,
            edge,
            ..row.version(1, 2).minute(3)
        });
        let row = world.row("instance/i-1", ActionKind::Stop);
        assert_eq!(row.state, RecommendationState::Resolved, "{edge:?}");
    }
}

#[test]
fn the_tombstone_of_a_finding_closes_it_when_its_closing_row_was_compacted_away() {
    let row = finding("COST-EBS-1", "volume/v-1")
        .owner("instance/i-1")
        .proposes(ActionKind::Delete, 1);
    let mut world = World::after([row.clone()]);
    world.take(&Message::Tombstone(
        Topic::FindingsCost,
        row.subject,
        row.id.to_string(),
    ));
    let state = world.row("instance/i-1", ActionKind::Delete).state;
    assert_eq!(state, RecommendationState::Resolved);
}

#[test]
fn a_stale_opening_does_not_reopen_what_closed_and_the_memory_of_it_is_bounded() {
    let nth = |n: usize| Finding {
        id: FindingId::derive("SEV-1", &subject("role/r"), &n.to_string()),
        ..finding("SEV-1", "role/r").minute(n as i64)
    };
    let mut world = World::default();
    for n in 0..CLOSED_MAX * 2 {
        world.find(nth(n));
        world.find(nth(n).closed(2, n as i64));
    }
    assert!(
        world.find(nth(CLOSED_MAX * 2 - 1)).is_empty(),
        "it is remembered"
    );
    let size = world.states[&subject("role/r")].len();
    world.find(nth(CLOSED_MAX * 2));
    world.find(nth(CLOSED_MAX * 2).closed(2, CLOSED_MAX as i64 * 2));
    let grown = world.states[&subject("role/r")].len();
    assert!(grown <= size + 8, "{size} bytes grew to {grown}");
}

// --- owners --------------------------------------------------------------------------------

#[test]
fn findings_of_several_resources_join_at_their_owner() {
    let world = World::after([
        finding("COST-EBS-1", "volume/v-1")
            .owner("instance/i-1")
            .proposes(ActionKind::Delete, 3_000),
        finding("COST-EBS-2", "volume/v-2")
            .owner("instance/i-1")
            .proposes(ActionKind::Delete, 5_000),
    ]);
    let row = world.row("instance/i-1", ActionKind::Delete);
    assert_eq!(row.counted_savings(), Usd::from_mills(8_000));
    assert_eq!(row.targets.len(), 2);
    assert_eq!(row.findings.len(), 2);
    assert_eq!(row.rules, ["COST-EBS-1", "COST-EBS-2"]);
    assert!(row.title.ends_with("(and 1 more reason)"), "{}", row.title);
}

#[test]
fn a_finding_whose_owner_changed_leaves_the_former_owners_case() {
    let row = finding("COST-EBS-1", "volume/v-1").proposes(ActionKind::Delete, 3_000);
    let moved = Finding {
        owner_before: Some(subject("instance/i-1")),
        ..row.clone().owner("instance/i-2").version(1, 2).minute(9)
    };
    let world = World::after([row.owner("instance/i-1"), moved]);
    let before = world.row("instance/i-1", ActionKind::Delete);
    let after = world.row("instance/i-2", ActionKind::Delete);
    assert_eq!(before.state, RecommendationState::Resolved);
    assert_eq!(after.state, RecommendationState::Open);
}

#[test]
fn a_move_is_seen_even_when_the_row_that_named_the_former_owner_was_compacted_away() {
    let row = finding("COST-EBS-1", "volume/v-1").proposes(ActionKind::Delete, 3_000);
    let world = World::after([
        row.clone().owner("instance/i-1"),
        row.owner("instance/i-3").version(1, 4).minute(9),
    ]);
    let before = world.row("instance/i-1", ActionKind::Delete);
    assert_eq!(before.state, RecommendationState::Resolved);
    assert_eq!(world.content().len(), 1);
}

// --- conflicts -----------------------------------------------------------------------------

#[test]
fn a_group_open_on_every_port_hides_its_narrower_findings() {
    let world = World::after([
        finding("SEC-SG-2", "security-group/sg-1").proposes(ActionKind::RevokeIngress, 0),
        finding("SEC-SG-1", "security-group/sg-1")
            .severity(Severity::High)
            .proposes(ActionKind::RevokeIngress, 0),
        finding("SEC-SG-7", "security-group/sg-1").severity(Severity::Critical),
        finding("SEC-SG-2", "security-group/sg-2").proposes(ActionKind::RevokeIngress, 0),
    ]);
    let row = world.row("security-group/sg-1", ActionKind::RevokeIngress);
    assert_eq!(row.rules, ["SEC-SG-1"]);
    let hidden: Vec<&str> = row.hides.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(hidden, ["SEC-SG-2", "SEC-SG-7"]);
    assert_eq!(row.severity, Severity::Critical, "the worst, hidden or not");
    let other = world.row("security-group/sg-2", ActionKind::RevokeIngress);
    assert_eq!(
        other.rules,
        ["SEC-SG-2"],
        "another group hides nothing here"
    );
    assert_eq!(world.content().len(), 2);
}

#[test]
fn what_was_hidden_shows_again_when_the_wider_finding_closes() {
    let wide = finding("SEC-SG-1", "security-group/sg-1").proposes(ActionKind::RevokeIngress, 0);
    let narrow = finding("SEC-SG-2", "security-group/sg-1").proposes(ActionKind::RevokeIngress, 0);
    let world = World::after([wide.clone(), narrow.clone(), wide.closed(2, 7)]);
    let row = world.row("security-group/sg-1", ActionKind::RevokeIngress);
    assert_eq!(row.state, RecommendationState::Open);
    assert_eq!(row.findings, vec![(narrow.id, 1)]);
    assert!(row.hides.is_empty());
}

#[test]
fn an_exposed_instance_joins_the_revocation_of_its_group() {
    let group = "security-group/sg-1";
    let open = finding("SEC-SG-2", group)
        .severity(Severity::High)
        .proposes(ActionKind::RevokeIngress, 0);
    let exposed = |instance: &str| {
        let row = finding("SEC-EXP-1", instance).severity(Severity::Critical);
        Finding {
            exposed: true,
            ..row
        }
    };
    // Both ways a rule may say so: the group as owner, or as the target of its proposal.
    let mut targeted = exposed("instance/i-2").proposes(ActionKind::RevokeIngress, 0);
    targeted.proposal.as_mut().unwrap().target = Some(subject(group));
    let world = World::after([targeted, exposed("instance/i-1").owner(group), open]);
    let row = world.row(group, ActionKind::RevokeIngress);
    assert_eq!(row.rules, ["SEC-EXP-1", "SEC-SG-2"]);
    assert_eq!(row.severity, Severity::Critical);
    let why = &row.why[0].1;
    assert!(
        why.ends_with("; reaches instance/i-1, instance/i-2"),
        "{why}"
    );
    assert_eq!(row.targets, vec![(subject(group), BTreeMap::new())]);
    assert_eq!(world.content().len(), 1, "one misconfiguration, one row");
}

#[test]
fn of_exclusive_actions_the_strongest_alone_is_open_and_counts() {
    let world = World::after([
        finding("COST-EC2-7", "instance/i-1").proposes(ActionKind::Schedule, 30_000),
        finding("COST-EC2-5", "instance/i-1").proposes(ActionKind::Upgrade, 20_000),
        finding("COST-EC2-4", "instance/i-1").proposes(ActionKind::Rightsize, 40_000),
        finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 70_000),
        finding("RES-TAG-1", "instance/i-1").proposes(ActionKind::Tag, 0),
    ]);
    let stop = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!(stop.state, RecommendationState::Open);
    let hidden: Vec<&str> = stop.hides.iter().map(|one| one.what.as_str()).collect();
    assert_eq!(hidden, ["rightsize", "schedule", "upgrade"]);
    for action in [
        ActionKind::Schedule,
        ActionKind::Upgrade,
        ActionKind::Rightsize,
    ] {
        let row = world.row("instance/i-1", action);
        assert_eq!(row.state, RecommendationState::Superseded);
        assert_eq!(row.held_by[0].what, "stop");
        assert_eq!(row.counted_savings(), Usd::ZERO);
        assert!(row.savings.is_some(), "the alternative shows its figure");
    }
    let tag = world.row("instance/i-1", ActionKind::Tag);
    assert_eq!(tag.state, RecommendationState::Open, "tags exclude nothing");
    let total: Usd = world
        .content()
        .iter()
        .map(Recommendation::counted_savings)
        .sum();
    assert_eq!(total, Usd::from_mills(70_000));
}

#[test]
fn the_next_action_opens_when_the_winner_resolves() {
    let stop = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 70_000);
    let resize = finding("COST-EC2-4", "instance/i-1").proposes(ActionKind::Rightsize, 40_000);
    let world = World::after([resize, stop.clone(), stop.closed(2, 5)]);
    let row = world.row("instance/i-1", ActionKind::Rightsize);
    assert_eq!(row.state, RecommendationState::Open);
    assert_eq!(
        (row.cycle, row.revision),
        (1, 3),
        "superseded, then open again"
    );
    assert!(row.held_by.is_empty());
}

#[test]
fn a_shortage_of_capacity_holds_back_whatever_takes_some_away() {
    for (rule, action) in [
        ("PERF-EC2-1", ActionKind::Stop),
        ("PERF-EC2-2", ActionKind::Rightsize),
        ("PERF-EC2-3", ActionKind::Terminate),
        ("PERF-EC2-4", ActionKind::Scale),
        ("PERF-EBS-2", ActionKind::Rightsize),
    ] {
        let busy = finding(rule, "instance/i-1").severity(Severity::High);
        let save = finding("COST-EC2-4", "instance/i-1").proposes(action, 40_000);
        let mut world = World::after([busy.clone(), save]);
        let row = world.row("instance/i-1", action);
        assert_eq!(row.state, RecommendationState::Vetoed, "{rule}");
        assert_eq!(row.held_by[0].what, rule);
        assert_eq!(row.counted_savings(), Usd::ZERO);
        world.find(busy.closed(2, 5));
        let row = world.row("instance/i-1", action);
        assert_eq!(row.state, RecommendationState::Open, "{rule} is over");
    }
}

#[test]
fn a_mild_performance_finding_vetoes_nothing() {
    let world = World::after([
        finding("PERF-EC2-2", "instance/i-1").severity(Severity::Medium),
        finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 40_000),
    ]);
    let row = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!(row.state, RecommendationState::Open);
}

#[test]
fn a_vetoed_winner_does_not_exclude_the_next() {
    let world = World::after([
        finding("PERF-EC2-2", "instance/i-1").severity(Severity::High),
        finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 70_000),
        finding("COST-EC2-5", "instance/i-1").proposes(ActionKind::Upgrade, 20_000),
    ]);
    let state = |action| world.row("instance/i-1", action).state;
    assert_eq!(state(ActionKind::Stop), RecommendationState::Vetoed);
    assert_eq!(state(ActionKind::Upgrade), RecommendationState::Open);
}

#[test]
fn a_critical_security_incident_forbids_deleting_the_evidence() {
    let incident = finding("SEV-19", "instance/i-1").severity(Severity::Critical);
    let world = World::after([
        incident,
        finding("RES-LIFE-2", "instance/i-1").proposes(ActionKind::Terminate, 0),
        finding("COST-EBS-1", "volume/v-1")
            .owner("instance/i-1")
            .proposes(ActionKind::Delete, 3_000),
        finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 3_000),
    ]);
    let state = |action| world.row("instance/i-1", action).state;
    assert_eq!(state(ActionKind::Terminate), RecommendationState::Vetoed);
    assert_eq!(state(ActionKind::Delete), RecommendationState::Vetoed);
    assert_eq!(state(ActionKind::Stop), RecommendationState::Open);
}

#[test]
fn one_size_up_and_one_size_down_become_one_size_up() {
    let world = World::after([
        finding("COST-EC2-4", "instance/i-1").proposes(ActionKind::Rightsize, 40_000),
        finding("PERF-EC2-6", "instance/i-1").proposes(ActionKind::Rightsize, 0),
    ]);
    let row = world.row("instance/i-1", ActionKind::Rightsize);
    assert_eq!(row.state, RecommendationState::Open);
    assert_eq!(row.rules, ["PERF-EC2-6"]);
    assert_eq!(row.savings, None);
    assert_eq!(row.hides[0].what, "COST-EC2-4");
}

#[test]
fn two_findings_that_ask_for_one_change_save_once() {
    let mut larger = finding("COST-EC2-3", "instance/i-1").proposes(ActionKind::Stop, 71_000);
    let parameters = &mut larger.proposal.as_mut().unwrap().parameters;
    parameters.insert("after".into(), "7d".into());
    let world = World::after([
        finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 70_000),
        larger,
    ]);
    let row = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!(row.counted_savings(), Usd::from_mills(71_000));
    assert_eq!(row.targets.len(), 1, "one resource is stopped one way");
    assert_eq!(row.targets[0].1["after"], "7d", "the way that saves most");
}

// --- ranking -------------------------------------------------------------------------------

#[test]
fn the_score_is_the_sum_of_its_visible_terms() {
    let idle = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 99_000);
    let world = World::after([Finding {
        exposed: true,
        environment: Some(Environment::Production),
        ..idle
    }]);
    let priority = world.row("instance/i-1", ActionKind::Stop).priority;
    let names: Vec<&str> = priority
        .terms
        .iter()
        .map(|term| term.name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "risk",
            "saving",
            "impact",
            "confidence",
            "exposure",
            "environment"
        ]
    );
    // 100 · (0.45·0.55 + 0.25·log10(100)/4 + 0.20·log2(2)/4 + 0.10·0.9) · 1.25 · 1.2
    assert!((priority.score - 76.88).abs() < 0.011, "{}", priority.score);
    let (terms, factors) = priority.terms.split_at(4);
    let sum: f64 = terms.iter().map(|term| term.weight * term.value).sum();
    let factor: f64 = factors.iter().map(|term| term.weight).product();
    assert!((priority.score - 100.0 * sum * factor).abs() < 0.011);
}

#[test]
fn critical_security_sorts_above_all_cost_rows() {
    let mut dear = finding("COST-EC2-1", "instance/i-1")
        .severity(Severity::Critical)
        .proposes(ActionKind::Stop, 9_000_000_000);
    dear.exposed = true;
    dear.environment = Some(Environment::Production);
    let mut root = finding("SEV-3", "root/root").severity(Severity::Critical);
    root.environment = Some(Environment::Development);
    let world = World::after([dear, root, finding("COST-IP-1", "address/a-1")]);
    let mut rows = world.content();
    rows.sort_by(Recommendation::rank);
    let rules: Vec<&str> = rows.iter().map(|row| row.rules[0].as_str()).collect();
    assert_eq!(rules, ["SEV-3", "COST-EC2-1", "COST-IP-1"]);
    assert!(rows[0].priority.score < rows[1].priority.score);
}

#[test]
fn equal_scores_rank_by_effort_then_age_then_id() {
    let row = |action, opened: i64, owner: &str| {
        let world = World::after([finding("RES-TAG-1", owner).proposes(action, 0)]);
        let mut row = world.row(owner, action);
        row.opened_at = at(opened);
        row
    };
    let easy = row(ActionKind::Tag, 9, "instance/i-1");
    let old = row(ActionKind::Upgrade, 1, "instance/i-2");
    let young = row(ActionKind::Upgrade, 5, "instance/i-3");
    let twin = row(ActionKind::Upgrade, 5, "instance/i-4");
    let mut twins = [young.clone(), twin];
    twins.sort_by(|a, b| a.id.cmp(&b.id));
    let expected = [easy, old, twins[0].clone(), twins[1].clone()];
    let mut rows = expected.clone();
    rows.reverse();
    rows.sort_by(Recommendation::rank);
    assert_eq!(rows, expected);
}

// --- lives ---------------------------------------------------------------------------------

#[test]
fn a_later_finding_revises_the_same_id() {
    let mut world =
        World::after([finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1)]);
    let more = finding("COST-EC2-3", "instance/i-1")
        .proposes(ActionKind::Stop, 5)
        .minute(4);
    let rows = rows_of(&world.find(more));
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].cycle, rows[0].revision, rows[0].seq), (1, 2, 2));
    assert_eq!((rows[0].opened_at, rows[0].at), (at(0), at(4)));
}

#[test]
fn an_edge_that_changes_nothing_visible_publishes_nothing() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([row.clone()]);
    assert!(world.find(row.version(1, 2).minute(6)).is_empty());
}

#[test]
fn closing_every_finding_resolves_and_reopening_begins_the_next_cycle() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([row.clone(), row.clone().closed(2, 5)]);
    let resolved = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!(resolved.state, RecommendationState::Resolved);
    assert_eq!((resolved.cycle, resolved.revision, resolved.seq), (1, 2, 2));
    assert_eq!((resolved.opened_at, resolved.at), (at(0), at(5)));
    assert_eq!(resolved.content(), None);
    world.find(Finding {
        episode: 2,
        ..row.version(1, 3).minute(8)
    });
    let again = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!(again.id, resolved.id);
    assert_eq!(again.state, RecommendationState::Open);
    assert_eq!((again.cycle, again.revision, again.seq), (2, 1, 3));
    assert_eq!(again.opened_at, at(8));
}

#[test]
fn a_reopening_with_an_older_event_time_does_not_turn_the_rows_time_back() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let world = World::after([
        row.clone(),
        row.clone().closed(2, 5),
        row.version(2, 1).minute(3),
    ]);
    let again = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!((again.cycle, again.at), (2, at(5)));
}

#[test]
fn a_resolved_row_gets_its_tombstone_after_the_retention_and_cycles_go_on() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([row.clone(), row.clone().closed(2, 5)]);
    let due = at(5).plus(RESOLVED_RETENTION_MS);
    assert!(world.advance(due.plus(-1)).is_empty());
    let id = RecommendationId::derive(&row.owner, "stop").to_string();
    let tombstone = Message::Tombstone(Topic::Recommendations, row.owner.clone(), id);
    assert_eq!(world.advance(due), [tombstone]);
    assert!(world.wakes.is_empty());
    world.find(row.version(1, 3).minute(60_000));
    let again = world.row("instance/i-1", ActionKind::Stop);
    assert_eq!((again.cycle, again.revision, again.seq), (2, 1, 3));
}

#[test]
fn reopening_cancels_the_tombstone() {
    let row = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([
        row.clone(),
        row.clone().closed(2, 5),
        row.version(1, 3).minute(8),
    ]);
    assert!(world.wakes.is_empty());
    assert!(
        world
            .advance(at(8).plus(2 * RESOLVED_RETENTION_MS))
            .is_empty()
    );
}

#[test]
fn an_earlier_owners_row_is_compared_adopted_and_withdrawn() {
    let published =
        World::after([finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1)])
            .row("instance/i-1", ActionKind::Stop);
    let row = Recommendation {
        cycle: 4,
        seq: 17,
        revision: 3,
        ..published
    };
    let message = Message::Recommendation(Box::new(row.clone()));
    let mut state = State::default();
    assert_eq!(Coordinator.row(&state, row.id.as_str()), None);
    assert!(Coordinator.adopt(&mut state, &message));
    assert_eq!(
        Coordinator.row(&state, row.id.as_str()),
        Some(message.clone())
    );
    assert!(!Coordinator.adopt(&mut state, &message), "it is taken once");

    let withdrawn = Coordinator.withdraw(&message, at(9)).unwrap();
    let Message::Recommendation(closing) = &withdrawn else {
        panic!("{withdrawn:?}");
    };
    assert_eq!(closing.id, row.id);
    assert_eq!(closing.state, RecommendationState::Resolved);
    assert_eq!((closing.cycle, closing.revision, closing.seq), (4, 4, 18));
    assert_eq!(
        Coordinator.withdraw(&withdrawn, at(10)),
        None,
        "closed already"
    );
}

#[test]
fn its_own_rows_concern_their_owner_and_change_nothing() {
    let idle = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let mut world = World::after([idle.clone()]);
    let row = world.row("instance/i-1", ActionKind::Stop);
    let id = row.id.to_string();
    let writes = world.writes;
    for own in [
        Message::Recommendation(Box::new(row)),
        Message::Tombstone(Topic::Recommendations, idle.owner.clone(), id),
    ] {
        let mut keys = Keys::new();
        Coordinator.route(Input::Message(&own), &mut keys);
        assert_eq!(keys.as_slice(), std::slice::from_ref(&idle.owner));
        assert!(world.take(&own).is_empty());
    }
    assert_eq!(world.writes, writes);
}

#[test]
fn an_adopted_recommendation_goes_on_counting() {
    let idle = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let published = World::after([idle.clone()]).row("instance/i-1", ActionKind::Stop);
    let mut state = State::default();
    Coordinator.adopt(
        &mut state,
        &Message::Recommendation(Box::new(Recommendation {
            cycle: 4,
            seq: 17,
            ..published
        })),
    );
    let mut world = World::default();
    let bytes = rmp_serde::to_vec_named(&state).unwrap();
    world.states.insert(idle.owner.clone(), bytes);
    assert!(world.find(idle.clone()).is_empty(), "the same advice holds");
    let rows = rows_of(&world.find(idle.closed(2, 5)));
    assert_eq!((rows[0].cycle, rows[0].seq), (4, 18));
}

// --- bounds --------------------------------------------------------------------------------

#[test]
fn evidence_is_bounded_newest_first_and_named_once() {
    let noisy = |rule: &str| {
        let mut row = finding(rule, "instance/i-1").proposes(ActionKind::Stop, 1);
        row.evidence = (0..30)
            .map(|minute| Evidence {
                name: "CPUUtilization".into(),
                value: minute.to_string(),
                threshold: "5".into(),
                at: at(minute),
            })
            .collect();
        row
    };
    let world = World::after([noisy("COST-EC2-1"), noisy("COST-EC2-3")]);
    let evidence = world.row("instance/i-1", ActionKind::Stop).evidence;
    let minutes: Vec<Timestamp> = evidence.iter().map(|one| one.at).collect();
    let expected: Vec<Timestamp> = (10..30).rev().map(at).collect();
    assert_eq!(minutes, expected);
}

// --- audit ---------------------------------------------------------------------------------

#[test]
fn opening_and_resolving_are_audited_in_one_chain_an_account() {
    let one = finding("COST-EC2-1", "instance/i-1").proposes(ActionKind::Stop, 1);
    let two = finding("COST-EC2-1", "instance/i-2").proposes(ActionKind::Stop, 1);
    let mut world = World::after([one.clone(), two, one.clone().closed(2, 5)]);
    world.take(&Message::Approval(Box::new(Approval {
        recommendation: RecommendationId::derive(&one.owner, "stop"),
        owner: one.owner.clone(),
        cycle: 1,
        revision: 1,
        digest: "d".into(),
        person: "ada".into(),
        decision: Decision::Approve,
        at: at(6),
        expires_at: at(60),
        reason: String::new(),
    })));
    let chain = world.audit();
    let what: Vec<&str> = chain.iter().map(|record| record.what.as_str()).collect();
    assert_eq!(
        what,
        [
            "recommendation opened: stop 111122223333/eu-west-1/instance/i-1, cycle 1",
            "recommendation opened: stop 111122223333/eu-west-1/instance/i-2, cycle 1",
            "recommendation resolved: stop 111122223333/eu-west-1/instance/i-1, cycle 1",
            "approve received from ada: cycle 1, revision 1, digest d",
        ]
    );
    let mut previous = String::new();
    for (index, record) in chain.iter().enumerate() {
        assert_eq!(record.seq, index as u64 + 1);
        assert_eq!(record.previous, previous);
        assert_eq!(record.hash, record.expected_hash());
        previous.clone_from(&record.hash);
    }
}

// --- requests ------------------------------------------------------------------------------

fn request(id: &str, kind: TaskKind) -> Request {
    Request {
        id: id.into(),
        kind,
        account: ACCOUNT.into(),
        subject: None,
        at: at(0),
        deadline: at(10),
    }
}

fn ask(world: &mut World, request: Request) -> Vec<Message> {
    world.take(&Message::Request(Box::new(request)))
}

fn tasks(messages: &[Message]) -> Vec<Task> {
    let tasks = messages.iter().filter_map(|message| match message {
        Message::Task(task) => Some((**task).clone()),
        _ => None,
    });
    tasks.collect()
}

fn result(task: &Task, agent: AgentName, status: TaskStatus, minute: i64) -> TaskResult {
    TaskResult {
        task: task.id.clone(),
        request: task.request.clone(),
        agent,
        account: task.account.clone(),
        status,
        answer: (status == TaskStatus::Done).then(|| Answer {
            summary: format!("{agent} looked"),
            findings: vec![(
                FindingId::derive(agent.as_str(), &subject("instance/i-1"), ""),
                "seen".into(),
            )],
        }),
        attempts: Vec::new(),
        route: vec![agent],
        at: at(minute),
        epoch: 1,
    }
}

fn answers(messages: &[Message]) -> Vec<TaskResult> {
    let results = messages.iter().filter_map(|message| match message {
        Message::Result(result) => Some((**result).clone()),
        _ => None,
    });
    results.collect()
}

fn reply(world: &mut World, result: TaskResult) -> Vec<TaskResult> {
    answers(&world.take(&Message::Result(Box::new(result))))
}

#[test]
fn a_request_becomes_one_task_an_agent_that_can() {
    for (kind, agents) in [
        (TaskKind::Assess, "resource cost security performance"),
        (TaskKind::Optimize, "resource cost performance"),
        (TaskKind::Security, "security"),
        (TaskKind::Budget, "cost"),
        (TaskKind::Provision, "resource"),
    ] {
        let tasks = tasks(&ask(&mut World::default(), request("r", kind)));
        let asked: Vec<&str> = tasks.iter().map(|task| task.agent.as_str()).collect();
        assert_eq!(asked.join(" "), agents);
        let ids: BTreeSet<&str> = tasks.iter().map(|task| task.id.as_str()).collect();
        assert_eq!(ids.len(), tasks.len());
        assert!(tasks.iter().all(|task| task.deadline == at(10)));
    }
}

#[test]
fn the_last_result_completes_the_answer_that_says_what_came_from_whom() {
    let mut world = World::default();
    let tasks = tasks(&ask(&mut world, request("r", TaskKind::Compliance)));
    let first = result(&tasks[0], AgentName::Resource, TaskStatus::Done, 1);
    assert!(reply(&mut world, first.clone()).is_empty());
    assert!(
        reply(&mut world, first).is_empty(),
        "a repeat is one result"
    );
    let last = result(&tasks[1], AgentName::Security, TaskStatus::Done, 2);
    let answers = reply(&mut world, last.clone());
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].agent, AgentName::Coordinator);
    assert_eq!(answers[0].status, TaskStatus::Done);
    let answer = answers[0].answer.as_ref().unwrap();
    assert_eq!(
        answer.summary,
        "2 of 2 agents answered. resource: resource looked. security: security looked."
    );
    let mut lines: Vec<&str> = answer
        .findings
        .iter()
        .map(|(_, why)| why.as_str())
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, ["resource: seen", "security: seen"]);
    assert!(reply(&mut world, last).is_empty(), "one answer a request");
    let own = Message::Result(Box::new(answers[0].clone()));
    assert!(world.take(&own).is_empty(), "its own answer is no result");
}

#[test]
fn at_the_deadline_the_answer_is_partial_and_names_who_is_missing() {
    let mut world = World::default();
    let tasks = tasks(&ask(&mut world, request("r", TaskKind::Assess)));
    reply(
        &mut world,
        result(&tasks[1], AgentName::Cost, TaskStatus::Done, 1),
    );
    assert!(world.advance(at(10).plus(-1)).is_empty());
    let answers = answers(&world.advance(at(10)));
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].status, TaskStatus::Done);
    let summary = &answers[0].answer.as_ref().unwrap().summary;
    let missing =
        "1 of 4 agents answered; no answer by the deadline from resource, security, performance.";
    assert!(summary.starts_with(missing), "{summary}");
    let late = result(&tasks[0], AgentName::Resource, TaskStatus::Done, 11);
    assert!(reply(&mut world, late).is_empty());
}

#[test]
fn an_answer_nobody_could_give_is_failed_or_refused() {
    for (status, expected) in [
        (Some(TaskStatus::Failed), TaskStatus::Failed),
        (Some(TaskStatus::Refused), TaskStatus::Refused),
        (None, TaskStatus::Failed),
    ] {
        let mut world = World::default();
        let tasks = tasks(&ask(&mut world, request("r", TaskKind::Cost)));
        let answers = match status {
            Some(status) => reply(&mut world, result(&tasks[0], AgentName::Cost, status, 1)),
            None => answers(&world.advance(at(10))),
        };
        assert_eq!(answers[0].status, expected);
    }
}

#[test]
fn a_delegated_task_waits_for_the_agent_it_went_to() {
    let mut world = World::default();
    let tasks = tasks(&ask(&mut world, request("r", TaskKind::Cost)));
    let handed = result(&tasks[0], AgentName::Cost, TaskStatus::Delegated, 1);
    assert!(reply(&mut world, handed).is_empty());
    let done = result(&tasks[0], AgentName::Resource, TaskStatus::Done, 2);
    let answers = reply(&mut world, done);
    assert_eq!(answers[0].route, [AgentName::Resource]);
}

#[test]
fn a_repeated_request_is_the_same_request_open_or_answered() {
    let mut world = World::default();
    ask(&mut world, request("r", TaskKind::Cost));
    assert!(ask(&mut world, request("r", TaskKind::Cost)).is_empty());
    world.advance(at(10));
    assert!(ask(&mut world, request("r", TaskKind::Cost)).is_empty());
    world.advance(at(10).plus(ANSWERED_RETENTION_MS));
    assert_eq!(
        tasks(&ask(&mut world, request("r", TaskKind::Cost))).len(),
        1,
        "forgotten"
    );
}

#[test]
fn open_requests_are_bounded_and_room_comes_back() {
    let mut world = World::default();
    for n in 0..OPEN_REQUESTS_MAX {
        ask(&mut world, request(&n.to_string(), TaskKind::Cost));
    }
    let refused = ask(&mut world, request("more", TaskKind::Cost));
    assert!(tasks(&refused).is_empty());
    assert_eq!(answers(&refused)[0].status, TaskStatus::Refused);
    world.advance(at(10));
    assert_eq!(
        tasks(&ask(&mut world, request("more", TaskKind::Cost))).len(),
        1
    );
}

#[test]
fn a_request_about_another_accounts_resource_is_refused() {
    let foreign = Request {
        subject: Some(Subject::new("999900001111", "eu-west-1", "instance/i-1")),
        ..request("r", TaskKind::Assess)
    };
    let refused = ask(&mut World::default(), foreign);
    assert!(tasks(&refused).is_empty());
    assert_eq!(answers(&refused)[0].status, TaskStatus::Refused);
}

#[test]
fn a_far_deadline_is_held_to_a_day() {
    let far = Request {
        deadline: at(1_000_000),
        ..request("r", TaskKind::Cost)
    };
    let tasks = tasks(&ask(&mut World::default(), far));
    assert_eq!(tasks[0].deadline, at(0).plus(Timestamp::DAY));
}

// --- generated -----------------------------------------------------------------------------

const RULES: [&str; 12] = [
    "COST-EC2-1",
    "COST-EC2-4",
    "COST-EC2-5",
    "COST-EBS-1",
    "PERF-EC2-2",
    "PERF-EC2-3",
    "SEC-SG-1",
    "SEC-SG-2",
    "SEC-EXP-1",
    "SEV-19",
    "RES-TAG-1",
    "RES-LIFE-2",
];
const PLACES: [&str; 3] = ["instance/i-1", "instance/i-2", "security-group/sg-1"];

/// The rows of one finding's life: seqs rise within an epoch, epochs rise.
fn life(rule: &'static str) -> impl Strategy<Value = Vec<Finding>> {
    let row = (
        (0..PLACES.len(), 0..4u8, 0..Severity::ALL.len()),
        (
            0..ActionKind::ALL.len() + 3,
            0..50_000i64,
            0..100u32,
            any::<bool>(),
        ),
    );
    let rows = prop::collection::vec((row, any::<bool>()), 1..5);
    (0..PLACES.len(), rows).prop_map(move |(home, rows)| {
        let (mut epoch, mut seq) = (1, 0);
        let rows = rows.into_iter().enumerate();
        rows.map(|(minute, (row, new_epoch))| {
            let ((owner, closed, severity), (action, saving, confidence, exposed)) = row;
            (epoch, seq) = if new_epoch {
                (epoch + 1, 1)
            } else {
                (epoch, seq + 1)
            };
            let mut row = finding(rule, PLACES[home])
                .owner(PLACES[owner])
                .severity(Severity::ALL[severity])
                .version(epoch, seq)
                .minute(minute as i64);
            if let Some(action) = ActionKind::ALL.get(action) {
                row = row.proposes(*action, saving);
            }
            row.confidence = f64::from(confidence) / 100.0;
            row.exposed = exposed;
            if closed == 0 {
                (row.status, row.edge) = (FindingStatus::Cleared, Edge::Cleared);
            }
            row
        })
        .collect()
    })
}

/// Lives of several findings.
fn lives() -> impl Strategy<Value = Vec<Vec<Finding>>> {
    prop::sample::subsequence(RULES.to_vec(), 1..RULES.len())
        .prop_flat_map(|rules| rules.into_iter().map(life).collect::<Vec<_>>())
}

fn newest(life: &[Finding]) -> Finding {
    let newest = life.iter().max_by_key(|row| (row.epoch, row.seq));
    newest.expect("a life has rows").clone()
}

/// Every row, some twice, in any order; with the final rows alone in a fixed order.
fn histories() -> impl Strategy<Value = (Vec<Finding>, Vec<Finding>)> {
    lives().prop_flat_map(|lives| {
        let last: Vec<Finding> = lives.iter().map(|life| newest(life)).collect();
        let mut all = lives.concat();
        all.extend_from_within(..all.len() / 2);
        (Just(all).prop_shuffle(), Just(last))
    })
}

proptest! {
    #[test]
    fn any_order_with_stale_rows_and_repeats_ends_with_the_same_content(
        (all, last) in histories()
    ) {
        prop_assert_eq!(World::after(all).content(), World::after(last).content());
    }

    #[test]
    fn savings_are_never_counted_twice((all, last) in histories()) {
        let world = World::after(all);
        let counted: Usd = world.content().iter().map(Recommendation::counted_savings).sum();
        // One change of one resource, for one owner, saves what its best proposal saves.
        let mut shares: BTreeMap<(Subject, Subject, ActionKind), Usd> = BTreeMap::new();
        for row in last.iter().filter(|row| row.status == FindingStatus::Open) {
            let Some(proposal) = &row.proposal else { continue };
            let worth = proposal.savings.as_ref().map_or(Usd::ZERO, |savings| savings.monthly);
            let change = (row.owner.clone(), row.subject.clone(), proposal.action);
            let share = shares.entry(change).or_default();
            *share = worth.max(*share);
        }
        prop_assert!(counted <= shares.values().copied().sum());
        let mut behind = BTreeSet::new();
        for row in world.content() {
            for (id, _) in row.findings {
                prop_assert!(behind.insert(id), "one finding, one recommendation");
            }
        }
    }

    #[test]
    fn an_owner_has_at_most_one_open_exclusive_action((all, _) in histories()) {
        let world = World::after(all);
        let mut states: BTreeMap<Subject, Vec<RecommendationState>> = BTreeMap::new();
        for row in world.content() {
            if row.action.exclusive_rank().is_some() {
                states.entry(row.owner).or_default().push(row.state);
            }
        }
        for (owner, states) in states {
            let open = states.iter().filter(|state| **state == RecommendationState::Open).count();
            let free = states.iter().any(|state| *state != RecommendationState::Vetoed);
            prop_assert_eq!(open, usize::from(free), "{}: {:?}", owner, states);
        }
    }

    #[test]
    fn rows_of_an_id_count_up_and_their_time_never_runs_backwards((all, _) in histories()) {
        let world = World::after(all);
        let mut before: BTreeMap<RecommendationId, Recommendation> = BTreeMap::new();
        for row in rows_of(&world.published) {
            if let Some(last) = before.get(&row.id) {
                prop_assert_eq!(row.seq, last.seq + 1);
                prop_assert!(row.at >= last.at);
                let next = if last.state == RecommendationState::Resolved {
                    (last.cycle + 1, 1)
                } else {
                    (last.cycle, last.revision + 1)
                };
                prop_assert_eq!((row.cycle, row.revision), next);
                prop_assert_ne!(row.content(), last.content(), "nothing visible changed");
            } else {
                prop_assert_eq!((row.cycle, row.revision, row.seq), (1, 1, 1));
            }
            before.insert(row.id.clone(), row);
        }
    }
}
