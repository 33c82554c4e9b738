//! Single facts that AWS words otherwise than in its `EventBridge` events.

use serde_json::{Value, json};

use super::told::Told;
use super::{Object, Opener, Within, text, time};
use crate::model::{Timestamp, derive_hex};
use crate::sources::{Shape, undecodable};

impl Opener {
    /// Gives the object if it is such a fact; whether it was.
    pub(super) fn fact(&mut self, object: &Object, raw: &[u8], within: &Within) -> bool {
        let has = |name: &str| object.contains_key(name);
        if has("AlarmName") && has("NewStateValue") {
            self.alarm_sns(object, raw, within);
        } else if has("alarmData") {
            self.alarm_lambda(object, raw, within);
        } else if has("invokingEvent") {
            self.config_rule(object, raw, within);
        } else if has("anomalyId") && has("impact") {
            self.cost_anomaly(object, raw, within);
        } else if has("AwsAccountId") && has("ProductArn") && has("Resources") {
            self.asff(object, raw, within);
        } else if has("accountId") && has("service") && has("severity") && has("type") {
            self.guard_duty(object, raw, within);
        } else if has("awsAccountId") && has("findingArn") {
            self.inspector(object, raw, within);
        } else if has("eventName") && has("eventSource") && has("userIdentity")
            || has("eventVersion") && has("insightDetails")
        {
            self.cloudtrail(object, raw, within);
        } else if has("tests") && has("rule") && has("log_types") {
            self.ignore(Shape::Detection, raw, "tests of a detection rule");
        } else {
            return false;
        }
        true
    }

    fn alarm_sns(&mut self, alarm: &Object, raw: &[u8], within: &Within) {
        let what = Shape::AlarmSns;
        let arn = text(alarm, "AlarmArn");
        let place = within.clone().told_by_arn(arn);
        let said = |name: &str| alarm.get(name).cloned().unwrap_or_default();
        let mut configuration = Object::new();
        configuration.insert("description".into(), said("AlarmDescription"));
        for (from, to) in [("AlarmRule", "alarmRule"), ("Trigger", "trigger")] {
            if let Some(value) = alarm.get(from) {
                configuration.insert(to.into(), value.clone());
            }
        }
        if let Some(metrics) = alarm.get("Trigger").and_then(metrics_of) {
            configuration.insert("metrics".into(), metrics);
        }
        let told = Told {
            source: "aws.cloudwatch",
            detail_type: "CloudWatch Alarm State Change",
            account: text(alarm, "AWSAccountId")
                .or(place.hints.account.as_deref())
                .unwrap_or_default(),
            // `Region` is a display name, such as "EU (London)".
            region: place.hints.region.as_deref().unwrap_or("global"),
            at: alarm
                .get("StateChangeTime")
                .and_then(time)
                .or(within.hints.at),
            resources: arn.map(str::to_owned).into_iter().collect(),
            detail: json!({
                "alarmName": said("AlarmName"),
                "state": {
                    "value": said("NewStateValue"),
                    "reason": said("NewStateReason"),
                    "timestamp": said("StateChangeTime"),
                },
                "previousState": { "value": said("OldStateValue") },
                "configuration": configuration,
            }),
        };
        self.told(what, &told, raw);
    }

    fn alarm_lambda(&mut self, call: &Object, raw: &[u8], within: &Within) {
        let arn = text(call, "alarmArn").or_else(|| {
            let first = call.get("resources")?.as_array()?.first()?;
            first.as_str()
        });
        // An ARN may be padded: `us-east-1: 444455556666`.
        let arn = arn.map(|arn| arn.replace(": ", ":"));
        let place = within.clone().told_by_arn(arn.as_deref());
        let account = text(call, "accountId").or_else(|| text(call, "account"));
        let region = text(call, "region");
        let told = Told {
            source: "aws.cloudwatch",
            detail_type: "CloudWatch Alarm State Change",
            account: account
                .or(place.hints.account.as_deref())
                .unwrap_or_default(),
            region: region.or(place.hints.region.as_deref()).unwrap_or("global"),
            at: call.get("time").and_then(time).or(within.hints.at),
            resources: arn.clone().into_iter().collect(),
            detail: call.get("alarmData").cloned().unwrap_or_default(),
        };
        self.told(Shape::AlarmLambda, &told, raw);
    }

    fn config_rule(&mut self, call: &Object, raw: &[u8], within: &Within) {
        let what = Shape::ConfigRule;
        let invoking = text(call, "invokingEvent").map(serde_json::from_str::<Value>);
        let invoking = match invoking {
            Some(Ok(Value::Object(invoking))) => invoking,
            Some(Err(error)) => {
                let reason = undecodable(format!("config-rule: invokingEvent: {error}"));
                return self.refuse(what, raw, reason);
            }
            _ => {
                let reason = undecodable("config-rule: invokingEvent is no object in text".into());
                return self.refuse(what, raw, reason);
            }
        };
        let kind = text(&invoking, "messageType").unwrap_or("no messageType");
        let item = ["configurationItem", "configurationItemSummary"]
            .into_iter()
            .find_map(|name| invoking.get(name)?.as_object());
        let Some(item) = item else {
            // A schedule says that it is time, nothing of any resource.
            return self.ignore(what, raw, kind);
        };
        let place = within.clone().told_by_arn(text(call, "configRuleArn"));
        let told_at = ["configurationItemCaptureTime", "notificationCreationTime"]
            .into_iter()
            .find_map(|name| item.get(name).or_else(|| invoking.get(name)).and_then(time));
        let told = Told {
            source: "aws.config",
            detail_type: "Config Configuration Item Change",
            account: text(item, "awsAccountId")
                .or_else(|| text(call, "accountId"))
                .or(place.hints.account.as_deref())
                .unwrap_or_default(),
            region: text(item, "awsRegion")
                .or(place.hints.region.as_deref())
                .unwrap_or("global"),
            at: told_at.or(within.hints.at),
            resources: text(item, "ARN").map(str::to_owned).into_iter().collect(),
            detail: json!({
                "messageType": kind,
                "configRuleARN": call.get("configRuleArn"),
                "configurationItem": item,
                "configurationItemDiff": invoking.get("configurationItemDiff"),
            }),
        };
        self.told(what, &told, raw);
    }

    /// SNS says `dimensionalValue` where the event says `dimensionValue`, an answer of the API
    /// begins each name with a capital.
    pub(super) fn cost_anomaly(&mut self, anomaly: &Object, raw: &[u8], within: &Within) {
        let mut detail = anomaly.clone();
        if let Some(value) = detail.remove("dimensionalValue") {
            detail.insert("dimensionValue".into(), value);
        }
        let place = within.clone().told_by_arn(text(&detail, "monitorArn"));
        let ends = ["anomalyEndDate", "anomalyStartDate"]
            .into_iter()
            .find_map(|name| detail.get(name).and_then(time));
        let account = text(&detail, "accountId").map(str::to_owned);
        let account = account.or(place.hints.account);
        if let Some(account) = &account {
            detail.insert("accountId".into(), account.as_str().into());
        }
        let monitor = text(&detail, "monitorArn").map(str::to_owned);
        let told = Told {
            source: "aws.ce",
            detail_type: "Anomaly Detected",
            account: account.as_deref().unwrap_or_default(),
            region: "us-east-1",
            at: within.hints.at.or(ends),
            resources: monitor.into_iter().collect(),
            detail: Value::Object(detail.clone()),
        };
        self.told(Shape::CostAnomaly, &told, raw);
    }

    pub(super) fn asff(&mut self, finding: &Object, raw: &[u8], within: &Within) {
        let resource = |name: &str| {
            let first = finding.get("Resources")?.as_array()?.first()?;
            first.get(name)?.as_str()
        };
        let place = within.clone().told_by_arn(text(finding, "ProductArn"));
        let region = text(finding, "Region").or_else(|| resource("Region"));
        let told = Told {
            source: "aws.securityhub",
            detail_type: "Security Hub Findings - Imported",
            account: text(finding, "AwsAccountId").unwrap_or_default(),
            region: region.or(place.hints.region.as_deref()).unwrap_or("global"),
            at: newest(finding, &["UpdatedAt", "LastObservedAt", "CreatedAt"]).or(within.hints.at),
            resources: text(finding, "Id").map(str::to_owned).into_iter().collect(),
            detail: json!({ "findings": [finding] }),
        };
        self.told(Shape::Asff, &told, raw);
    }

    fn guard_duty(&mut self, finding: &Object, raw: &[u8], within: &Within) {
        let mut detail = finding.clone();
        if text(finding, "id").is_none() {
            // Relays cut ids off; the same finding gets the same one again.
            let named = |name: &str| text(finding, name).unwrap_or_default();
            let service = finding.get("service").and_then(Value::as_object);
            let seen = service.and_then(|service| text(service, "eventFirstSeen"));
            let id = derive_hex(&[
                named("accountId"),
                named("region"),
                named("type"),
                named("arn"),
                seen.unwrap_or_default(),
            ]);
            detail.insert("id".into(), id.into());
        }
        let service = finding.get("service").and_then(Value::as_object);
        let seen = service.and_then(|service| service.get("eventLastSeen").and_then(time));
        let told = Told {
            source: "aws.guardduty",
            detail_type: "GuardDuty Finding",
            account: text(finding, "accountId").unwrap_or_default(),
            region: text(finding, "region")
                .or(within.hints.region.as_deref())
                .unwrap_or("global"),
            at: newest(finding, &["updatedAt", "createdAt"])
                .or(seen)
                .or(within.hints.at),
            resources: Vec::new(),
            detail: Value::Object(detail),
        };
        self.told(Shape::GuardDuty, &told, raw);
    }

    pub(super) fn inspector(&mut self, finding: &Object, raw: &[u8], within: &Within) {
        let place = within.clone().told_by_arn(text(finding, "findingArn"));
        let told = Told {
            source: "aws.inspector2",
            detail_type: "Inspector2 Finding",
            account: text(finding, "awsAccountId").unwrap_or_default(),
            region: place.hints.region.as_deref().unwrap_or("global"),
            at: newest(finding, &["updatedAt", "lastObservedAt", "firstObservedAt"])
                .or(within.hints.at),
            resources: text(finding, "findingArn")
                .map(str::to_owned)
                .into_iter()
                .collect(),
            detail: Value::Object(finding.clone()),
        };
        self.told(Shape::Inspector, &told, raw);
    }

    /// A record of a log file or a log group → the event `EventBridge` would have made of it.
    fn cloudtrail(&mut self, record: &Object, raw: &[u8], within: &Within) {
        let identity = record.get("userIdentity").and_then(Value::as_object);
        let of_caller = identity.and_then(|identity| text(identity, "accountId"));
        let mut detail = record.clone();
        // An insight is about calls of one name, which it keeps a level deeper.
        let insight = record.get("insightDetails").and_then(Value::as_object);
        for name in ["eventName", "eventSource"] {
            if let (None, Some(value)) = (record.get(name), insight.and_then(|own| own.get(name))) {
                detail.insert(name.into(), value.clone());
            }
        }
        let service = text(&detail, "eventSource").unwrap_or_default().to_owned();
        let service = service.split('.').next().unwrap_or_default();
        let source = format!("aws.{service}");
        let detail_type = match text(record, "eventType") {
            Some("AwsConsoleSignIn") => "AWS Console Sign In via CloudTrail",
            _ if insight.is_some() => "AWS Insight via CloudTrail",
            Some("AwsServiceEvent") => "AWS Service Event via CloudTrail",
            _ => "AWS API Call via CloudTrail",
        };
        if text(record, "eventID").is_none() {
            // Version 1.00 had no ids.
            let whole = Value::Object(record.clone()).to_string();
            detail.insert("eventID".into(), derive_hex(&[&whole]).into());
        }
        let account = text(record, "recipientAccountId")
            .or(of_caller)
            .or(within.hints.account.as_deref());
        let told = Told {
            source: &source,
            detail_type,
            account: account.unwrap_or_default(),
            region: text(record, "awsRegion")
                .or(within.hints.region.as_deref())
                .unwrap_or("global"),
            // Log shippers move the time into a field of their own.
            at: ["eventTime", "@timestamp"]
                .into_iter()
                .find_map(|name| record.get(name).and_then(time))
                .or(within.hints.at),
            resources: Vec::new(),
            detail: Value::Object(detail),
        };
        self.told(Shape::Cloudtrail, &told, raw);
    }
}

fn newest(object: &Object, names: &[&str]) -> Option<Timestamp> {
    names
        .iter()
        .filter_map(|name| object.get(*name).and_then(time))
        .max()
}

/// The metrics an alarm watches, as the event lists them: SNS words a single one as the trigger
/// itself, its dimensions as pairs of `name` and `value`, its statistic in capitals.
fn metrics_of(trigger: &Value) -> Option<Value> {
    if let Some(metrics) = trigger.get("Metrics") {
        return Some(metrics.clone());
    }
    let name = trigger.get("MetricName")?;
    let pairs = trigger.get("Dimensions").and_then(Value::as_array);
    let dimensions: Object = pairs
        .into_iter()
        .flatten()
        .filter_map(|pair| {
            Some((
                pair.get("name")?.as_str()?.to_owned(),
                pair.get("value")?.clone(),
            ))
        })
        .collect();
    Some(json!([{
        "id": "m1",
        "metricStat": {
            "metric": {
                "namespace": trigger.get("Namespace"),
                "name": name,
                "dimensions": dimensions,
            },
            "period": trigger.get("Period"),
            "stat": trigger.get("Statistic"),
        },
        "returnData": true,
    }]))
}
