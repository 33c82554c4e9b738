//! What AWS wraps facts in, and other words for the same facts, on small examples of our own.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};
use skyherd::model::{EventKind, Fact, FactBody, MetricPoint, Timestamp, Topic};
use skyherd::sources::{DEPTH_MAX, Decoded, Fate, Hints, Part, Shape, decode, open};

use super::{event, facts, valid_records};

const ACCOUNT: &str = "111122223333";

fn event_json() -> String {
    valid_records().remove(1).1.to_string()
}

fn sns(message: &str) -> String {
    json!({
        "Type": "Notification", "MessageId": "m-1", "Message": message,
        "TopicArn": format!("arn:aws:sns:eu-west-1:{ACCOUNT}:alarms"),
        "Timestamp": "2026-01-31T12:00:00.000Z",
    })
    .to_string()
}

fn sqs(body: &str) -> String {
    json!({ "Records": [{
        "messageId": "q-1", "body": body, "eventSource": "aws:sqs", "awsRegion": "eu-west-1",
        "attributes": { "SentTimestamp": "1769860800000" },
        "eventSourceARN": format!("arn:aws:sqs:eu-west-1:{ACCOUNT}:queue"),
    }]})
    .to_string()
}

fn kinesis(data: &[u8]) -> String {
    json!({ "Records": [{
        "eventSource": "aws:kinesis", "eventSourceARN": format!("arn:aws:kinesis:eu-west-1:{ACCOUNT}:stream/s"),
        "kinesis": { "data": STANDARD.encode(data), "approximateArrivalTimestamp": 1_769_860_800.5 },
    }]})
    .to_string()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn opened(bytes: impl AsRef<[u8]>) -> Vec<Part> {
    open(bytes.as_ref(), &Hints::default())
}

/// The facts of the records in it, all of which must decode.
fn told(bytes: impl AsRef<[u8]>) -> Vec<Fact> {
    let parts = opened(bytes);
    let mut all = Vec::new();
    for part in parts {
        let Fate::Record { topic, .. } = part.fate else {
            panic!("{part:?}");
        };
        all.extend(facts(topic, std::str::from_utf8(&part.payload).unwrap()));
    }
    all
}

fn only_event(bytes: impl AsRef<[u8]>) -> Fact {
    let mut all = told(bytes);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn wrappings_are_opened_one_inside_the_other_as_deep_as_is_promised_and_no_deeper() {
    let mut wrapped = event_json();
    for depth in 1..=DEPTH_MAX {
        wrapped = if depth % 2 == 0 {
            sqs(&wrapped)
        } else {
            sns(&wrapped)
        };
        let parts = opened(&wrapped);
        assert_eq!(parts.len(), 1);
        assert_eq!(parts[0].payload, event_json().into_bytes(), "{depth}");
        assert!(
            matches!(&parts[0].fate, Fate::Record { topic: Topic::AwsEvents, account } if account == ACCOUNT)
        );
    }
    let parts = opened(sns(&wrapped));
    assert!(
        matches!(
            &parts[..],
            [Part {
                fate: Fate::Refused(_),
                ..
            }]
        ),
        "{parts:?}"
    );
}

#[test]
fn lists_and_recorded_requests_inside_one_another_end_at_the_same_depth() {
    let ways: [fn(String) -> String; 3] = [
        |inside| format!(r#"{{"Records":[{inside}]}}"#),
        |inside| format!("[{inside}]"),
        |inside| json!({"headers": {}, "body": inside}).to_string(),
    ];
    for way in ways {
        let wrapped = |times: usize| (0..times).fold(event_json(), |inside, _| way(inside));
        let refused = |part: &Part| matches!(part.fate, Fate::Refused(_));
        assert!(!opened(wrapped(DEPTH_MAX)).iter().any(refused));
        let deep = opened(wrapped(DEPTH_MAX + 2));
        assert!(deep.len() == 1 && refused(&deep[0]), "{deep:?}");
    }
}

#[test]
fn a_wrapped_event_decodes_from_a_topic_as_the_bare_one_does() {
    let bare = decode(Topic::AwsEvents, None, Some(event_json().as_bytes()));
    assert!(matches!(bare, Ok(Decoded::Message(_))));
    for wrapped in [
        sns(&event_json()),
        sqs(&sns(&event_json())),
        kinesis(event_json().as_bytes()),
    ] {
        assert_eq!(
            decode(Topic::AwsEvents, None, Some(wrapped.as_bytes())),
            bare
        );
    }
}

#[test]
fn a_log_subscription_gives_cloudtrails_records_and_keeps_other_lines_together() {
    let call = json!({
        "eventVersion": "1.08", "userIdentity": {"type": "Root", "accountId": ACCOUNT},
        "eventTime": "2026-01-31T12:00:00Z", "eventSource": "ec2.amazonaws.com",
        "eventName": "StopInstances", "awsRegion": "eu-west-1", "eventID": "e-1",
        "requestParameters": {"instancesSet": {"items": [{"instanceId": "i-1"}]}},
        "recipientAccountId": ACCOUNT,
    });
    let subscription = json!({
        "messageType": "DATA_MESSAGE", "owner": "999900001111", "logGroup": "/trail",
        "logStream": "s", "subscriptionFilters": ["f"],
        "logEvents": [
            {"id": "1", "timestamp": 1_769_860_800_000_i64, "message": call.to_string()},
            {"id": "2", "timestamp": 1_769_860_801_000_i64, "message": "ERROR out of memory"},
            {"id": "3", "timestamp": 1_769_860_802_000_i64, "message": "{\"level\":\"info\"}"},
        ],
    });
    let packed = gzip(subscription.to_string().as_bytes());
    let direct = json!({ "awslogs": { "data": STANDARD.encode(&packed) } }).to_string();
    for way in [direct.into_bytes(), kinesis(&packed).into_bytes(), packed] {
        let all = told(&way);
        assert_eq!(all.len(), 2);
        // The call belongs to the account in the record, the lines to the log group's owner.
        assert_eq!(event(&all[0]).kind, EventKind::ApiCall);
        assert_eq!(
            all[0].subject.to_string(),
            format!("{ACCOUNT}/eu-west-1/instance/i-1")
        );
        assert_eq!(event(&all[1]).kind, EventKind::LogLines);
        assert!(all[1].subject.to_string().starts_with("999900001111/"));
        assert_eq!(
            event(&all[1]).detail["logEvents"].as_array().unwrap().len(),
            2
        );
    }
}

#[test]
fn an_alarm_is_one_fact_however_it_is_clothed() {
    let arn = format!("arn:aws:cloudwatch:eu-west-2:{ACCOUNT}:alarm:busy");
    let through_sns = json!({
        "AlarmName": "busy", "AWSAccountId": ACCOUNT, "NewStateValue": "ALARM",
        "OldStateValue": "OK", "NewStateReason": "r", "StateChangeTime": "2026-01-31T12:00:00.006+0000",
        "Region": "EU (London)", "AlarmArn": arn,
        "Trigger": {"MetricName": "CPUUtilization", "Namespace": "AWS/EC2", "Statistic": "AVERAGE",
            "Dimensions": [{"name": "InstanceId", "value": "i-1"}], "Period": 60, "Threshold": 1.0},
    });
    let to_lambda = json!({
        "source": "aws.cloudwatch", "alarmArn": arn, "accountId": ACCOUNT,
        "time": "2026-01-31T12: 00: 00.006+0000", "region": "eu-west-2",
        "alarmData": {"alarmName": "busy", "state": {"value": "ALARM", "timestamp": "2026-01-31T12:00:00.006+0000"}},
    });
    let described = json!({ "MetricAlarms": [{
        "AlarmName": "busy", "AlarmArn": arn, "StateValue": "ALARM",
        "StateUpdatedTimestamp": "2026-01-31T12:00:00.006+0000",
    }]});
    let mut keys = Vec::new();
    for way in [
        sns(&through_sns.to_string()),
        to_lambda.to_string(),
        described.to_string(),
    ] {
        let fact = only_event(way);
        assert_eq!(event(&fact).kind, EventKind::Alarm);
        assert_eq!(
            fact.subject.to_string(),
            format!("{ACCOUNT}/eu-west-2/alarm/busy")
        );
        assert_eq!(fact.at.ms(), 1_769_860_800_006);
        keys.push(fact.dedupe);
    }
    assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
}

#[test]
fn a_budgets_text_is_read_by_its_labels_whatever_its_sentence_says() {
    for (sentence, threshold, value, unit) in [
        (
            "is greater than $80.00 for the current month.",
            "> $1,080.00",
            "1080.00",
            "USD",
        ),
        (
            "is greater than $5 per day. Yesterday, it was more.",
            "> $5",
            "5",
            "USD",
        ),
        ("exceeded 80% of your budget.", "> 80%", "80", "PERCENT"),
        ("is greater than 10 GB.", "> 10 GB", "10", "GB"),
    ] {
        let message = format!(
            "AWS Budget Notification January 31, 2026\nAWS Account 012345678901\n\nDear AWS Customer,\n\nYour budget {sentence}\n\nBudget Name: All of it\nBudget Type: Cost\nBudgeted Amount: $100.00\nAlert Type: FORECASTED\nAlert Threshold: {threshold}\nFORECASTED Amount: $81.50\n"
        );
        for way in [sns(&message), message.clone()] {
            let fact = only_event(way);
            let detail = &event(&fact).detail;
            assert_eq!(event(&fact).kind, EventKind::Budget);
            assert_eq!(
                fact.subject.to_string(),
                "012345678901/global/budget/All of it"
            );
            assert_eq!(detail["threshold"]["value"], value);
            assert_eq!(detail["threshold"]["unit"], unit);
            assert_eq!(detail["amount"]["value"], "81.50");
            assert_eq!(detail["text"], message.trim());
            assert_eq!(
                fact.at.day(),
                Timestamp::parse("2026-01-31T00:00:00Z").unwrap().day()
            );
        }
        let other = message.replace("Alert Type:", "Kind of alert:");
        assert!(matches!(opened(sns(&other))[0].fate, Fate::Refused(_)));
    }
}

#[test]
fn a_budget_is_one_fact_as_the_wire_and_as_the_command_line_write_it() {
    let budget = |start: Value, end: Value| {
        json!({
            "BudgetName": "all", "BudgetType": "COST", "TimeUnit": "MONTHLY",
            "BudgetLimit": {"Amount": "100.0", "Unit": "USD"},
            "TimePeriod": {"Start": start, "End": end},
            "CalculatedSpend": {"ActualSpend": {"Amount": "12.3456789012", "Unit": "USD"}},
            "LastUpdatedTime": "2025-12-24T00:00:00Z",
        })
    };
    let wire = budget(json!(1_767_225_600.0), json!(3_706_473_600.0));
    let line = budget(
        json!("2026-01-01T00:00:00+00:00"),
        json!("2087-06-15T00:00:00Z"),
    );
    let hints = Hints {
        account: Some(ACCOUNT.to_owned()),
        at: Some(Timestamp::parse("2026-01-31T12:00:00Z").unwrap()),
        ..Hints::default()
    };
    let of = |answer: Value| {
        let parts = open(answer.to_string().as_bytes(), &hints);
        assert_eq!(parts.len(), 1, "{parts:#?}");
        parts.into_iter().next().unwrap()
    };
    let many = of(json!({ "Budgets": [wire], "NextToken": "more" }));
    assert_eq!(many, of(json!({ "Budgets": [line] })));
    assert_eq!(many.payload, of(json!({ "Budget": line })).payload);
    let event: Value = serde_json::from_slice(&many.payload).unwrap();
    assert_eq!(
        event["time"], "2026-01-31T12:00:00Z",
        "and not when it was changed"
    );
    assert_eq!(event["detail"]["actualAmount"]["value"], "12.3456789012");
    assert_eq!(event["detail"]["forecastedAmount"], Value::Null);
    // Limits of several months: the last that has begun.
    let mut planned = wire.clone();
    planned.as_object_mut().unwrap().remove("BudgetLimit");
    assert!(matches!(
        of(json!({ "Budgets": [planned] })).fate,
        Fate::Ignored(_)
    ));
    planned["PlannedBudgetLimits"] = json!({
        "1764547200": {"Amount": "50", "Unit": "USD"},
        "1767225600": {"Amount": "60", "Unit": "USD"},
        "1769904000": {"Amount": "70", "Unit": "USD"},
    });
    let event: Value =
        serde_json::from_slice(&of(json!({ "Budgets": [planned] })).payload).unwrap();
    assert_eq!(event["detail"]["budgetedAmount"]["value"], "60");
}

#[test]
fn a_forecast_is_of_the_day_it_begins_and_needs_an_account() {
    let day = |start: &str, end: &str| json!({ "TimePeriod": {"Start": start, "End": end}, "MeanValue": "20" });
    let answer = json!({
        "Total": {"Amount": "40", "Unit": "USD"},
        "ForecastResultsByTime": [day("2026-01-30", "2026-01-31"), day("2026-01-31", "2026-02-01")],
    });
    let hints = Hints {
        account: Some(ACCOUNT.to_owned()),
        ..Hints::default()
    };
    let parts = open(answer.to_string().as_bytes(), &hints);
    let event: Value = serde_json::from_slice(&parts[0].payload).unwrap();
    assert_eq!(event["time"], "2026-01-30T00:00:00Z");
    let whole = json!({ "Start": "2026-01-30", "End": "2026-02-01" });
    assert_eq!(event["detail"]["TimePeriod"], whole);
    let parts = open(answer.to_string().as_bytes(), &Hints::default());
    assert!(matches!(parts[0].fate, Fate::Refused(_)));
}

#[test]
fn an_answer_of_a_describe_call_becomes_inventory_with_the_accounts_it_names() {
    let answer = json!({ "Reservations": [{ "OwnerId": ACCOUNT, "Instances": [{
        "InstanceId": "i-1", "Placement": {"AvailabilityZone": "us-west-2-lax-1a"},
        "LaunchTime": "2026-01-31T12:00:00Z",
    }]}]});
    let all = told(answer.to_string());
    assert_eq!(
        all[0].subject.to_string(),
        format!("{ACCOUNT}/us-west-2/instance/i-1")
    );
    assert_eq!(all[0].at.ms(), 1_769_860_800_000);
    // A volume names no account: without a hint it is put aside, not given to nobody.
    let volume = json!({ "Volumes": [{ "VolumeId": "vol-1", "AvailabilityZone": "eu-west-1b" }]});
    assert!(matches!(
        opened(volume.to_string())[0].fate,
        Fate::Refused(_)
    ));
    let hints = Hints {
        account: Some(ACCOUNT.into()),
        ..Hints::default()
    };
    let parts = open(volume.to_string().as_bytes(), &hints);
    assert!(
        matches!(&parts[0].fate, Fate::Record { topic: Topic::AwsInventory, account } if account == ACCOUNT)
    );
}

#[test]
fn cost_explorers_groups_become_cost_lines() {
    let answer = json!({
        "GroupDefinitions": [{"Type": "DIMENSION", "Key": "SERVICE"}, {"Type": "TAG", "Key": "team"}],
        "ResultsByTime": [{
            "TimePeriod": {"Start": "2026-01-30", "End": "2026-01-31"}, "Total": {}, "Estimated": true,
            "Groups": [{"Keys": ["Amazon EC2", "team$web"], "Metrics": {
                "UnblendedCost": {"Amount": "1.0000000001", "Unit": "USD"},
                "AmortizedCost": {"Amount": "2.5", "Unit": "USD"}}}],
        }],
    });
    let hints = Hints {
        account: Some(ACCOUNT.into()),
        ..Hints::default()
    };
    let parts = open(answer.to_string().as_bytes(), &hints);
    let facts = facts(
        Topic::AwsBilling,
        std::str::from_utf8(&parts[0].payload).unwrap(),
    );
    let FactBody::Cost(line) = &facts[0].body else {
        panic!("{facts:?}")
    };
    assert_eq!(line.service, "Amazon EC2");
    assert_eq!(line.billed.amount().to_string(), "1.0000000001");
    assert_eq!(line.effective.amount().to_string(), "2.5");
    assert_eq!(line.end.since(line.start), Timestamp::DAY);
}

#[test]
fn other_programs_messages_are_passed_over_and_say_how_they_came() {
    for (input, reason) in [
        (sns("hello"), "sns: a text of no AWS kind"),
        (sqs("{\"a\":1}"), "sqs: a JSON message of no AWS kind"),
        (kinesis(b"hello"), "kinesis: a text of no AWS kind"),
    ] {
        let parts = opened(&input);
        assert!(
            matches!(&parts[0].fate, Fate::Ignored(why) if why.0 == reason),
            "{parts:?}"
        );
    }
    // Bare, the same is an error of whoever sent it here.
    for input in ["hello", "{\"a\":1}", "{\"a\":", "", "\u{1}\u{2}"] {
        assert!(
            matches!(
                &opened(input)[..],
                [Part {
                    fate: Fate::Refused(_),
                    ..
                }]
            ),
            "{input}"
        );
    }
}

#[test]
fn a_part_that_unpacks_to_too_much_is_put_aside_as_it_came() {
    let bomb = gzip(&vec![b' '; skyherd::sources::UNPACKED_BYTES_MAX + 1]);
    let parts = opened(&bomb);
    assert!(matches!(
        &parts[..],
        [Part {
            fate: Fate::Refused(_),
            ..
        }]
    ));
    assert_eq!(parts[0].payload, bomb);
}

// A metric stream's protobuf, written by declarations of our own: numbers of fields are AWS's.
#[derive(Clone, PartialEq, prost::Message)]
struct Pair {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(message, optional, tag = "2")]
    value: Option<Any>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, optional, tag = "1")]
    text: Option<String>,
    #[prost(message, optional, tag = "6")]
    pairs: Option<Pairs>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Pairs {
    #[prost(message, repeated, tag = "1")]
    pairs: Vec<Pair>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Flat {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Quantile {
    #[prost(double, tag = "1")]
    quantile: f64,
    #[prost(double, tag = "2")]
    value: f64,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Point {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Flat>,
    #[prost(fixed64, tag = "2")]
    start: u64,
    #[prost(fixed64, tag = "3")]
    end: u64,
    #[prost(fixed64, tag = "4")]
    count: u64,
    #[prost(double, tag = "5")]
    sum: f64,
    #[prost(message, repeated, tag = "6")]
    quantiles: Vec<Quantile>,
    #[prost(message, repeated, tag = "7")]
    attributes: Vec<Pair>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Points {
    #[prost(message, repeated, tag = "1")]
    points: Vec<Point>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Metric {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "3")]
    unit: String,
    #[prost(message, optional, tag = "11")]
    summary: Option<Points>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    metrics: Vec<Metric>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Resource {
    #[prost(message, optional, tag = "1")]
    attributes: Option<Pairs>,
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

fn pair(key: &str, text: &str) -> Pair {
    let value = Any {
        text: Some(text.into()),
        pairs: None,
    };
    Pair {
        key: key.into(),
        value: Some(value),
    }
}

/// One point of one metric as each format writes it.
pub(super) fn otlp(old: bool, account: &str, dimensions: &[(&str, &str)]) -> Vec<u8> {
    let named = [("Namespace", "AWS/EBS"), ("MetricName", "VolumeReadOps")];
    let flat = |(key, value): &(&str, &str)| Flat {
        key: (*key).into(),
        value: (*value).into(),
    };
    let point = Point {
        start: 1_769_860_800_000_000_000,
        end: 1_769_860_860_000_000_000,
        count: 4,
        sum: 10.0,
        quantiles: [(0.0, 1.0), (0.999, 3.5), (1.0, 4.0)]
            .map(|(quantile, value)| Quantile { quantile, value })
            .to_vec(),
        labels: if old {
            named.iter().chain(dimensions).map(flat).collect()
        } else {
            Vec::new()
        },
        attributes: if old {
            Vec::new()
        } else {
            let pairs = dimensions
                .iter()
                .map(|(key, value)| pair(key, value))
                .collect();
            let value = Any {
                text: None,
                pairs: Some(Pairs { pairs }),
            };
            let mut all: Vec<Pair> = named.iter().map(|(key, value)| pair(key, value)).collect();
            all.push(Pair {
                key: "Dimensions".into(),
                value: Some(value),
            });
            all
        },
    };
    let request = Request {
        resources: vec![Resource {
            attributes: Some(Pairs {
                pairs: vec![
                    pair("cloud.provider", "aws"),
                    pair("cloud.account.id", account),
                    pair("cloud.region", "eu-west-1"),
                ],
            }),
            scopes: vec![Scope {
                metrics: vec![Metric {
                    name: "amazonaws.com/AWS/EBS/VolumeReadOps".into(),
                    unit: "{Count}".into(),
                    summary: Some(Points {
                        points: vec![point],
                    }),
                }],
            }],
        }],
    };
    request.encode_length_delimited_to_vec()
}

fn point(fact: &Fact) -> &MetricPoint {
    match &fact.body {
        FactBody::Metric(point) => point,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_opentelemetry_formats_say_what_the_json_format_says_dimensions_included() {
    let json = json!({
        "account_id": ACCOUNT, "region": "eu-west-1", "namespace": "AWS/EBS",
        "metric_name": "VolumeReadOps", "timestamp": 1_769_860_800_000_i64, "unit": "Count",
        "dimensions": {"VolumeId": "vol-1", "Namespace": "mine"},
        "value": {"count": 4.0, "sum": 10.0, "min": 1.0, "max": 4.0, "p99.9": 3.5},
    });
    let expected = facts(Topic::AwsMetrics, &json.to_string());
    for old in [true, false] {
        let bytes = otlp(
            old,
            ACCOUNT,
            &[("VolumeId", "vol-1"), ("Namespace", "mine")],
        );
        let decoded = decode(Topic::AwsMetrics, None, Some(&bytes));
        let Ok(Decoded::Message(skyherd::model::Message::Facts(own))) = decoded else {
            panic!("{decoded:?}");
        };
        assert_eq!(own.to_vec(), expected, "0.7: {old}");
        // Published it is JSON, percentiles and all.
        let parts = opened(&bytes);
        assert_eq!(parts[0].what, Shape::MetricStreamOtlp);
        let written: Value = serde_json::from_slice(&parts[0].payload).unwrap();
        assert_eq!(written, json, "0.7: {old}");
    }
}

#[test]
fn a_record_of_several_accounts_and_both_formats_is_split_by_account() {
    let mut bytes = otlp(true, "1", &[("VolumeId", "vol-1")]);
    bytes.extend(otlp(false, "2", &[("VolumeId", "vol-2")]));
    bytes.extend(otlp(false, "1", &[("VolumeId", "vol-3")]));
    let parts = opened(&bytes);
    let accounts: Vec<_> = parts
        .iter()
        .map(|part| match &part.fate {
            Fate::Record { account, .. } => account.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(accounts, ["1", "2"]);
    assert_eq!(told(&bytes).len(), 3);
}

#[test]
fn a_point_without_labels_and_attributes_is_refused_rather_than_merged_with_others() {
    let whole = otlp(false, ACCOUNT, &[]);
    assert_eq!(point(&told(&whole)[0]).dimensions.len(), 0);
    let mut request = Request::decode_length_delimited(&whole[..]).unwrap();
    request.resources[0].scopes[0].metrics[0]
        .summary
        .as_mut()
        .unwrap()
        .points[0]
        .attributes
        .clear();
    let bytes = request.encode_length_delimited_to_vec();
    let parts = opened(&bytes);
    assert!(
        matches!(&parts[..], [Part { fate: Fate::Refused(why), .. }] if why.0.contains("neither labels nor attributes"))
    );
    assert_eq!(parts[0].payload, bytes);
}

proptest! {
    #[test]
    fn whatever_comes_every_record_given_decodes_for_the_account_it_is_given_to(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0_usize..2_000,
        flip in any::<u8>(),
        which in 0_usize..7,
    ) {
        let mut input = match which {
            0 => bytes,
            1 => sns(&event_json()).into_bytes(),
            2 => sqs(&sns(&event_json())).into_bytes(),
            3 => kinesis(&gzip(event_json().as_bytes())).into_bytes(),
            4 => otlp(true, ACCOUNT, &[("VolumeId", "vol-1")]),
            5 => otlp(false, ACCOUNT, &[("VolumeId", "vol-1")]),
            _ => valid_records().remove(0).1.to_string().into_bytes(),
        };
        if let Some(byte) = input.get_mut(cut) {
            *byte ^= flip;
        }
        let parts = opened(&input);
        prop_assert!(!parts.is_empty());
        for part in parts {
            if let Fate::Record { topic, account } = part.fate {
                let decoded = decode(topic, None, Some(&part.payload));
                let Ok(Decoded::Message(message)) = decoded else {
                    return Err(TestCaseError::fail(format!("{decoded:?}")));
                };
                prop_assert_eq!(message.account(), account);
            }
        }
    }
}
