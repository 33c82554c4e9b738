//! Every file of the public samples, kind by kind as their manifest names them: decoded into its
//! kind, ignored with a reason that names its kind, or, where it is broken, put aside.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use skyherd::model::{FactBody, Ignored, Message};
use skyherd::sources::Decoded;
use skyherd::sources::replay::{Options, ReplayError, Summary, read};

use super::samples;

/// What becomes of a kind's records: the facts they may be, how the reasons may begin for which
/// some are ignored, and whether every file has to give facts.
struct Expected {
    facts: &'static [&'static str],
    ignored: &'static [&'static str],
}

const fn all(facts: &'static [&'static str]) -> Expected {
    Expected {
        facts,
        ignored: &[],
    }
}
const fn some(facts: &'static [&'static str], ignored: &'static [&'static str]) -> Expected {
    Expected { facts, ignored }
}
const fn none(ignored: &'static [&'static str]) -> Expected {
    Expected {
        facts: &[],
        ignored,
    }
}

/// What is not valid input: broken texts, and a validator's own rules and single columns, some of
/// them empty.
const NO_DATA: [&str; 2] = ["malformed", "focus-0.5-validator"];

fn expected(kind: &str) -> Expected {
    match kind {
        "eventbridge/ec2-state" => all(&["InstanceState"]),
        "eventbridge/ec2-other" => all(&["OtherEc2", "Spot"]),
        "eventbridge/ebs" => all(&["Volume", "Snapshot"]),
        "eventbridge/autoscaling" => all(&["AutoScaling"]),
        "eventbridge/health" | "api-health" => all(&["Health"]),
        "eventbridge/guardduty" => all(&["GuardDuty", "MalwareScan"]),
        "eventbridge/securityhub" | "asff-finding" | "api-securityhub" => all(&["SecurityHub"]),
        "eventbridge/inspector2" | "api-inspector2" => all(&["Inspector"]),
        "eventbridge/config" => all(&["Config"]),
        "eventbridge/cloudtrail-api" => all(&["ApiCall", "ServiceEvent"]),
        "eventbridge/console-signin" => all(&["SignIn"]),
        "eventbridge/trustedadvisor" => all(&["TrustedAdvisor"]),
        "eventbridge/cloudwatch-alarm" | "alarm-sns" | "alarm-lambda" => all(&["Alarm"]),
        "eventbridge/cost-anomaly" | "cost-anomaly-sns" => all(&["CostAnomaly"]),
        // Outside of the product.
        "eventbridge/ecr" => none(&["aws.ecr:"]),
        "eventbridge/ecs" => none(&["aws.ecs:"]),
        "eventbridge/other" => some(&["OtherEc2"], &[""]),
        // One of them is a table's columns, not a stream.
        "metric-stream-json" => some(&["Metric"], &["api-answer: the columns of a table"]),
        "metric-stream-otlp07"
        | "metric-stream-otlp10"
        | "firehose-http-request"
        | "traces-bitbrains-rnd" => all(&["Metric"]),
        "cwlogs-subscription" => all(&["LogLines"]),
        "budgets-sns" => all(&["Budget"]),
        "guardduty-s3-finding" => all(&["GuardDuty"]),
        "config-rule-lambda" => some(&["Config"], &["config-rule:"]),
        // Queues and topics of these samples carry mostly other programs' texts.
        "sns-envelope" | "sns-other" => some(&["Alarm", "GuardDuty", "MalwareScan"], &["sns:"]),
        "sqs-envelope" => none(&["sqs:", "sns:", "s3-notification:"]),
        "kinesis-envelope" => some(&["LogLines"], &["kinesis:"]),
        "firehose-lambda" => some(
            &["LogLines"],
            &["firehose-lambda:", "logs-subscription: CONTROL_MESSAGE"],
        ),
        // They name an object to fetch, not a resource's state, and no account.
        "s3-notification" => none(&["s3-notification:"]),
        "cloudtrail-log"
        | "cloudtrail-attack-stratus"
        | "cloudtrail-attack-invictus"
        | "cloudtrail-attack-otrf" => all(&["ApiCall", "SignIn", "ServiceEvent"]),
        "api-ec2-describeinstances" => some(&["Item:instance"], &["api-answer:"]),
        "api-ec2-describevolumes" => some(&["Item:volume"], &["api-answer:"]),
        "api-autoscaling" => some(&["Item:auto-scaling-group"], &["api-answer:"]),
        "api-describealarms" => some(&["Alarm"], &["api-answer:"]),
        "api-getmetricdata" | "api-getmetricstatistics" => some(&["Metric"], &["api-answer:"]),
        "api-trustedadvisor" => some(&["TrustedAdvisor"], &["api-answer: the list of Trusted"]),
        "api-compute-optimizer" | "api-cost-optimization-hub" => all(&["Advice"]),
        "api-ce" => some(
            &["Cost", "CostAnomaly", "Advice"],
            &["api-answer: UtilizationsByTime"],
        ),
        "cur-legacy-csv" | "cur2-parquet" => all(&["Cost", "Delivered"]),
        "focus-1.0-csv" | "focus-parquet" | "focus-1.2-scenarios" => {
            some(&["Cost", "Delivered"], &["provider "])
        }
        "api-misc" => some(
            &["Config"],
            &["api-answer: attribute values of the price list"],
        ),
        // Rules and their tests, made for other programs: nothing of it happened.
        "detections-panther" | "detections-sigma" => none(&["detection:"]),
        other => panic!("the manifest names a kind that this test does not: {other}"),
    }
}

fn names(decoded: &Decoded) -> BTreeSet<String> {
    let Decoded::Message(Message::Facts(facts)) = decoded else {
        return BTreeSet::new();
    };
    facts
        .iter()
        .map(|fact| match &fact.body {
            FactBody::Metric(_) => "Metric".to_owned(),
            FactBody::Event(event) => format!("{:?}", event.kind),
            FactBody::Item(item) => format!("Item:{}", item.kind.as_str()),
            FactBody::Cost(_) => "Cost".to_owned(),
            FactBody::Delivered(_) => "Delivered".to_owned(),
        })
        .collect()
}

#[test]
fn every_public_sample_is_decoded_into_its_kind_ignored_by_name_or_put_aside() {
    let Some(folder) = samples("events") else {
        return;
    };
    let manifest = std::fs::read_to_string(folder.join("MANIFEST.jsonl")).unwrap();
    let mut wrong: Vec<String> = Vec::new();
    let mut files: BTreeMap<String, u64> = BTreeMap::new();
    let mut ours: BTreeMap<String, u64> = BTreeMap::new();
    for line in manifest.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| entry[name].as_str().unwrap_or_default();
        let (kind, file) = (text("kind"), text("file"));
        let broken = NO_DATA.contains(&kind) || entry["placeholder"] == true;
        let expected = (!broken).then(|| expected(kind));
        *files.entry(kind.to_owned()).or_default() += 1;
        let mut summary = Summary::default();
        read(&[folder.join(file)], &Options::default(), |record| {
            let fate = summary.take(&record);
            match (&expected, &fate) {
                (None, Err(_)) => {}
                // A placeholder of a kind outside of the product is not looked into.
                (None, Ok(Decoded::Ignored(_))) if kind == "eventbridge/other" => {}
                (Some(expected), Ok(Decoded::Ignored(Ignored(reason))))
                    if expected
                        .ignored
                        .iter()
                        .any(|start| reason.starts_with(start)) => {}
                (Some(expected), Ok(decoded)) => {
                    let names = names(decoded);
                    *ours.entry(kind.to_owned()).or_default() += 1;
                    if names.is_empty()
                        || !names
                            .iter()
                            .all(|name| expected.facts.contains(&name.as_str()))
                    {
                        wrong.push(format!("{file}: {names:?} {decoded:.200?}"));
                    }
                }
                (None, Ok(decoded)) => wrong.push(format!("{file}: taken as {:?}", names(decoded))),
                (Some(_), Err(error)) => wrong.push(format!("{file}: {error}")),
            }
            Ok::<_, ReplayError>(())
        })
        .unwrap();
        assert!(summary.holds());
    }
    wrong.dedup();
    assert!(
        wrong.is_empty(),
        "{} of {files:?}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    for kind in files
        .keys()
        .filter(|kind| !NO_DATA.contains(&kind.as_str()))
    {
        let facts = !expected(kind).facts.is_empty();
        let some = ours.contains_key(kind);
        // Envelopes of one placeholder each stand in some kinds; the rest has to give facts.
        assert!(
            some == facts || kind == "sns-other" || kind == "eventbridge/ec2-other",
            "{kind}: {ours:?}"
        );
    }
}
