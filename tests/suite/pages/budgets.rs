//! Budgets of the configuration: what an account's costs add up to in a month, however they arrive.

use serde_json::{Value, json};
use skyherd::agents::domain::DomainAgent;
use skyherd::model::{AgentName, Edge, FindingStatus, Severity, Topic, Usd};
use skyherd::rules::budget::Plan;
use skyherd::sources::{Decoded, cost_record, decode};

use super::world::World;

const ACCOUNT: &str = "111122223333";

fn plan(name: &str, accounts: &[&str]) -> Plan {
    Plan {
        name: name.into(),
        accounts: accounts.iter().map(|id| (*id).to_owned()).collect(),
        limit: Usd::from_mills(100_000),
        thresholds: vec![50, 80, 100],
    }
}

fn world(plans: Vec<Plan>) -> World {
    let mut world = World::new(DomainAgent::new(AgentName::Cost).budgeting(plans));
    world.forgetful = true;
    world
}

fn take(world: &mut World, payload: &[u8]) {
    let decoded = decode(Topic::AwsBilling, None, Some(payload)).unwrap();
    let Decoded::Message(skyherd::model::Message::Facts(facts)) = decoded else {
        panic!("{decoded:?}");
    };
    for fact in &facts {
        world.fact(fact);
    }
}

/// A usage type's day.
fn spend(world: &mut World, usage: &str, (from, to): (&str, &str), amount: &str) {
    let row = cost_record(
        ACCOUNT,
        ("Amazon EC2", usage),
        (from, to),
        (amount, amount, "USD"),
    );
    take(world, &row);
}

/// Edge, severity and spend of every row of the rule.
fn told(world: &World) -> Vec<(Edge, Severity, String)> {
    let rows = world.findings().filter(|row| row.rule == "COST-BUD-1");
    rows.map(|row| (row.edge, row.severity, row.evidence[0].value.clone()))
        .collect()
}

fn row(edge: Edge, severity: Severity, spent: &str) -> (Edge, Severity, String) {
    (edge, severity, spent.to_owned())
}

#[test]
fn a_month_s_costs_are_summed_over_usages_and_each_threshold_is_told_once() {
    let mut world = world(vec![plan("all", &[])]);
    spend(&mut world, "BoxUsage", ("2026-10-31", "2026-11-01"), "900");
    spend(&mut world, "BoxUsage", ("2026-11-01", "2026-11-02"), "30");
    spend(&mut world, "EBS", ("2026-11-02", "2026-11-03"), "15");
    let october = row(Edge::Opened, Severity::Critical, "$900.00");
    let cleared = row(Edge::Cleared, Severity::Critical, "$900.00");
    assert_eq!(told(&world), [october, cleared]);
    spend(&mut world, "EBS", ("2026-11-02", "2026-11-03"), "21");
    spend(&mut world, "EBS", ("2026-11-02", "2026-11-03"), "21");
    // Restated below it, and above again: that was told.
    spend(&mut world, "EBS", ("2026-11-02", "2026-11-03"), "15");
    spend(&mut world, "EBS", ("2026-11-02", "2026-11-03"), "25");
    spend(&mut world, "BoxUsage", ("2026-11-03", "2026-11-04"), "45.5");
    let november = [
        row(Edge::Opened, Severity::Medium, "$51.00"),
        row(Edge::Updated, Severity::Critical, "$100.50"),
    ];
    assert_eq!(told(&world)[2..], november);
    let open = world.rows();
    let open: Vec<_> = open
        .values()
        .filter(|row| row.status == FindingStatus::Open)
        .collect();
    assert_eq!(open.len(), 1);
    assert_eq!(
        open[0].subject.as_str(),
        "111122223333/global/configured-budget/all"
    );
    let begins = skyherd::model::Timestamp::parse("2026-12-01T00:00:00Z").unwrap();
    world.advance(begins);
    assert_eq!(told(&world).last().unwrap().0, Edge::Cleared);
}

#[test]
fn an_hour_takes_the_place_of_its_day_in_the_month_too() {
    let mut world = world(vec![plan("all", &[])]);
    spend(&mut world, "BoxUsage", ("2026-11-02", "2026-11-03"), "49");
    // As the source tells it: the day as nothing, then its hours.
    spend(&mut world, "BoxUsage", ("2026-11-02", "2026-11-03"), "0");
    for hour in 0..23 {
        let span = [hour, hour + 1].map(|hour| format!("2026-11-02T{hour:02}:00:00Z"));
        spend(&mut world, "BoxUsage", (&span[0], &span[1]), "2");
    }
    assert_eq!(told(&world), []);
    spend(
        &mut world,
        "BoxUsage",
        ("2026-11-02T23:00:00Z", "2026-11-03T00:00:00Z"),
        "5",
    );
    assert_eq!(
        told(&world),
        [row(Edge::Opened, Severity::Medium, "$51.00")]
    );
}

#[test]
fn a_bill_counts_when_all_of_it_is_there_and_the_next_one_takes_its_place() {
    let mut world = world(vec![plan("all", &[])]);
    let deliver = |world: &mut World, delivery: &str, amounts: &[(&str, &str)]| {
        let mut line = json!({
            "ProviderName": "AWS", "SubAccountId": ACCOUNT, "ServiceName": "Amazon EC2", "ChargeCategory": "Usage",
            "RegionId": "eu-west-1", "BillingPeriodStart": "2026-11-01T00:00:00Z", "BillingPeriodEnd": "2026-12-01T00:00:00Z",
            "ChargePeriodStart": "2026-11-02T00:00:00Z", "ChargePeriodEnd": "2026-11-03T00:00:00Z",
        });
        for (number, (usage, amount)) in amounts.iter().enumerate() {
            line["x_UsageType"] = (*usage).into();
            line["BilledCost"] = (*amount).into();
            line["EffectiveCost"] = (*amount).into();
            line["x_skyherd_row"] = Value::from(format!("{delivery}/{:x}", number + 1));
            take(world, line.to_string().as_bytes());
        }
        let end = json!({
            "SubAccountId": ACCOUNT, "BillingPeriodStart": "2026-11-01T00:00:00Z",
            "BillingPeriodEnd": "2026-12-01T00:00:00Z", "ChargePeriodStart": "2026-11-02T00:00:00Z",
            "x_skyherd_delivered": delivery,
        });
        end.to_string()
    };
    let end = deliver(
        &mut world,
        "a",
        &[("BoxUsage", "20"), ("BoxUsage", "20"), ("EBS", "15")],
    );
    assert_eq!(told(&world), []);
    take(&mut world, end.as_bytes());
    assert_eq!(
        told(&world),
        [row(Edge::Opened, Severity::Medium, "$55.00")]
    );
    // Told again, and the same month once more as it is now.
    take(&mut world, end.as_bytes());
    let end = deliver(&mut world, "b", &[("BoxUsage", "41"), ("EBS", "15")]);
    take(&mut world, end.as_bytes());
    assert_eq!(told(&world).len(), 1);
    let end = deliver(&mut world, "c", &[("BoxUsage", "66"), ("EBS", "15")]);
    take(&mut world, end.as_bytes());
    assert_eq!(
        told(&world)[1..],
        [row(Edge::Updated, Severity::High, "$81.00")]
    );
}

#[test]
fn a_budget_is_for_its_accounts_and_has_the_thresholds_it_names() {
    let mut own = plan("mine", &[ACCOUNT]);
    own.thresholds = vec![10];
    let mut world = world(vec![plan("theirs", &["444455556666"]), own]);
    spend(&mut world, "BoxUsage", ("2026-11-02", "2026-11-03"), "12");
    spend(&mut world, "BoxUsage", ("2026-11-03", "2026-11-04"), "70");
    assert_eq!(
        told(&world),
        [row(Edge::Opened, Severity::Medium, "$12.00")]
    );
    let rows = world.rows();
    let subjects: Vec<&str> = rows.values().map(|row| row.subject.as_str()).collect();
    assert_eq!(subjects, ["111122223333/global/configured-budget/mine"]);
}
