//! What is told before anything is pulled: what it would cost, and what AWS allows.

use serde_json::{Value, json};

use super::moto::{Act, HOME, Moto, Proxy};
use super::world::World;

/// Two regions, everything on.
const ALL: &str = "[sources]\nregions = ['eu-west-1', 'eu-west-2']\nmonthly_usd_max = 1\n\
    [sources.metrics]\ninclude = ['App']\n[sources.costs]\ninterval_ms = 604800000\n\
    reports_interval_ms = 604800000\n[sources.budgets]\n[sources.alarms]\n[[accounts]]\nid = '123456789012'";

#[test]
fn a_plan_counts_what_there_is_and_says_what_the_ceiling_leaves_out() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    moto.moto.python(
        r#"
for number in range(5):
    client("cloudwatch").put_metric_data(Namespace="App", MetricData=[{"MetricName": "Requests",
        "Dimensions": [{"Name": "Service", "Value": str(number)}], "Value": 1.0}])
client("ec2").create_volume(AvailabilityZone="eu-west-1a", Size=7, VolumeType="gp3")
"#,
    );
    let world = World::new(&moto.url(), ALL);
    let ended = world.ask(&["sources", "plan", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    let account = &plan["accounts"][0];
    assert_eq!(account["account"], HOME);
    assert_eq!(account["regions"], json!(["eu-west-1", "eu-west-2"]));
    // An hour apart: in two regions a page of each of 31 kinds, four more calls for the region's
    // settings, one for templates' versions, one for whose the public snapshots are, five for quotas
    // of other services and a second page of EC2's; outside them a page of each of seven, two more for the account's summary and some for the report on users.
    let sources = account["sources"].as_array().unwrap();
    let row = |name: &str| sources.iter().find(|row| row["source"] == name).unwrap();
    let calls = row("inventory")["calls"].as_u64().unwrap();
    let report = calls / 730 - 2 * (31 + 6 + 5) - (7 + 2);
    assert_eq!(calls % 730, 0, "{calls}");
    assert!((2..=31).contains(&report), "{calls}");
    assert_eq!(row("costs")["micro_usd"], 50_000);
    assert_eq!(row("forecast")["micro_usd"], 50_000);
    assert_eq!(row("reservations")["calls"], 10);
    assert_eq!(row("budgets")["micro_usd"], 0);
    assert_eq!(row("alarms")["calls"], 2 * 8_760);
    // 0.60 USD are left; a series takes four statistics in 8,760 rounds at a thousandth of a cent.
    assert_eq!(account["series"], 5);
    assert_eq!(account["series_paid_for"], 600_000 / 350_400);
    assert_eq!(account["polling_micro_usd"], 5 * 350_400);
    assert_eq!(account["stream_micro_usd"], 5 * 43_800 * 3);
    let ended = world.ask(&["sources", "plan"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for told in [
        HOME,
        "1 of 5 series",
        "all 5 series polled: 1.76 USD",
        "0.66 USD and Firehose",
        "of the 1 that",
        "use and coverage by day",
        "termination protection and user data",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
}

#[test]
fn a_plan_says_what_looking_into_buckets_takes_and_which_cannot_be_looked_into() {
    let Some(moto) = Moto::start() else { return };
    // More than S3 lists in a call.
    moto.python(
        r#"
s3 = client("s3")
s3.create_bucket(Bucket="bills", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
for number in range(1001):
    s3.put_object(Bucket="bills", Key=f"deep/{number}.csv", Body=b"")
"#,
    );
    let settings = "[[files]]\nfrom = 's3://bills/deep'\ninterval_ms = 3600000\n\
        [[files]]\nfrom = 's3://nobodys/x'";
    let world = World::new(&moto.url(), settings);
    let ended = world.ask(&["sources", "plan", "--json"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let plan: Value = serde_json::from_str(&ended.stdout).unwrap();
    let calls = 2 * 730;
    let known = json!({ "from": "s3://bills/deep", "objects": 1001, "calls": calls, "micro_usd": calls * 5, "error": null });
    assert_eq!(plan["files"][0], known);
    let error = plan["files"][1]["error"].as_str().unwrap();
    assert!(error.contains("s3:ListBucket of nobodys"), "{error}");
    let ended = world.ask(&["sources", "plan"]);
    for told in [
        "looks at 1001 objects of s3://bills/deep",
        "s3://nobodys/x: s3:ListBucket",
        "0.01 USD a month for looking into buckets",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
}

#[test]
fn a_live_check_names_the_caller_every_permission_and_the_rules_that_go_blind() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    let world = World::new(&moto.url(), ALL);
    let ended = world.ask(&["check", "--live"]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    for told in [
        "123456789012 as arn:aws:",
        "in eu-west-1, eu-west-2",
        "ec2:DescribeVolumes",
        "cloudwatch:GetMetricData",
        "ce:GetCostAndUsage",
        "ce:GetSavingsPlansCoverage",
        "none, but what AWS would make smaller",
        "budgets:ViewBudget",
        "COST-BUD-1",
        "cloudwatch:DescribeAlarms",
        "asking cost 8 US cents",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
    assert!(!ended.stdout.contains("refused"), "{}", ended.stdout);
}

#[test]
fn a_live_check_tells_a_refusal_from_a_fault_and_an_account_that_is_shut() {
    let Some(moto) = Moto::start() else { return };
    let proxy = Proxy::start(&moto, |asked| match asked.action.as_str() {
        "DescribeVolumes" => Act::Refuse(403, "UnauthorizedOperation"),
        "DescribeSnapshots" => Act::Refuse(400, "InvalidParameterValue"),
        "AssumeRole" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Pass,
    });
    let settings = "[sources]\nregions = ['eu-west-1']\n[[accounts]]\nid = '123456789012'\n\
        [[accounts]]\nid = '100000000025'\nrole = 'skyherd-read'";
    let world = World::new(&proxy.url(), settings);
    let ended = world.ask(&["check", "--live"]);
    assert_eq!(ended.code, Some(1), "{}{}", ended.stdout, ended.stderr);
    for told in [
        "ec2:DescribeVolumes is refused in eu-west-1: ec2:DescribeVolumes: UnauthorizedOperation",
        "deploy/iam/inventory.json; rules lost: RES-TAG-1, COST-EBS-1,",
        "ec2:DescribeSnapshots could not be told in eu-west-1",
        "100000000025: role arn:aws:iam::100000000025:role/skyherd-read: sts:AssumeRole: AccessDenied",
    ] {
        assert!(ended.stdout.contains(told), "{told}: {}", ended.stdout);
    }
}
