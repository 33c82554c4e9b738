//! Answers of AWS APIs, as the command line and the SDKs write them: what is listed becomes a
//! record an element.
//!
//! An answer says neither when it was given nor, often, whose it is. Time: the newest it names,
//! since it cannot be older. Account and region: from ARNs in it, else from the hints.

use serde_json::{Value, json};

use super::told::Told;
use super::{Object, Opener, Within, text, time};
use crate::model::{ItemKind, Timestamp, Topic, derive_hex};
use crate::sources::{RawInventory, Shape, undecodable};

/// Lists of Describe calls, and the kind of their items.
const INVENTORY: &[(&str, ItemKind)] = &[
    ("Instances", ItemKind::Instance),
    ("Volumes", ItemKind::Volume),
    ("SecurityGroups", ItemKind::SecurityGroup),
    ("Snapshots", ItemKind::Snapshot),
    ("Addresses", ItemKind::ElasticIp),
    ("NetworkInterfaces", ItemKind::NetworkInterface),
    ("AutoScalingGroups", ItemKind::AutoScalingGroup),
    ("LoadBalancers", ItemKind::LoadBalancer),
    ("NatGateways", ItemKind::Natgateway),
    ("Images", ItemKind::Image),
    ("Subnets", ItemKind::Subnet),
    ("Vpcs", ItemKind::Vpc),
];

/// Lists of other answers: the field, what their elements are.
const LISTS: &[(&str, Element)] = &[
    ("MetricAlarms", Element::Alarm),
    ("CompositeAlarms", Element::Alarm),
    ("Findings", Element::Asff),
    ("findings", Element::Inspector),
    ("Anomalies", Element::Anomaly),
    (
        "instanceRecommendations",
        Element::Advice("aws.compute-optimizer"),
    ),
    (
        "volumeRecommendations",
        Element::Advice("aws.compute-optimizer"),
    ),
    (
        "autoScalingGroupRecommendations",
        Element::Advice("aws.compute-optimizer"),
    ),
    ("RightsizingRecommendations", Element::Advice("aws.ce")),
    ("items", Element::Advice("aws.cost-optimization-hub")),
    ("recommendationSummaries", Element::TrustedAdvisor),
    (
        "organizationRecommendationSummaries",
        Element::TrustedAdvisor,
    ),
    ("recommendationResourceSummaries", Element::TrustedAdvisor),
    (
        "organizationRecommendationResourceSummaries",
        Element::TrustedAdvisor,
    ),
    ("events", Element::Health),
    ("successfulSet", Element::Health),
    ("entities", Element::Health),
    ("UtilizationsByTime", Element::Commitment),
    ("CoveragesByTime", Element::Commitment),
    ("SavingsPlansUtilizationsByTime", Element::Commitment),
    ("SavingsPlansCoverages", Element::Commitment),
    ("ComplianceSummariesByResourceType", Element::Compliance),
];

/// Answers that hold no fact about an account.
const EMPTY_HANDED: &[(&str, &str)] = &[
    ("AttributeValues", "attribute values of the price list"),
    ("PriceList", "the price list"),
    ("checks", "the list of Trusted Advisor's checks"),
];

#[derive(Clone, Copy)]
enum Element {
    Alarm,
    Asff,
    Inspector,
    Anomaly,
    Advice(&'static str),
    TrustedAdvisor,
    Health,
    Commitment,
    Compliance,
}

impl Opener {
    /// Gives what the object holds if it is an answer known; whether it was.
    pub(super) fn answer(&mut self, answer: &Object, raw: &[u8], within: &Within) -> bool {
        let what = Shape::ApiAnswer;
        let of = |name: &str| answer.get(name).and_then(Value::as_object);
        if let Some(error) = of("Error").filter(|error| error.contains_key("Code")) {
            let code = text(error, "Code").unwrap_or_default();
            self.ignore(what, raw, &format!("the API refused: {code}"));
        } else if let Some((_, says)) = EMPTY_HANDED
            .iter()
            .find(|(name, _)| answer.get(*name).is_some_and(Value::is_array))
        {
            self.ignore(what, raw, says);
        } else if answer.contains_key("Reservations") || inventory(answer) {
            self.described(answer, raw, within);
        } else if answer.contains_key("MetricDataResults") {
            self.metric_data(answer, raw, within);
        } else if answer.contains_key("Datapoints") {
            self.metric_statistics(answer, raw, within);
        } else if answer.contains_key("ResultsByTime") {
            self.costs(answer, raw, within);
        } else if let Some(result) = of("result").filter(|result| result.contains_key("checkId")) {
            self.check_result(result, raw, within);
        } else if let Some(one) = of("organizationRecommendation").or(of("recommendation")) {
            self.trusted_advisor(one, raw, within);
        } else if LISTS
            .iter()
            .any(|(name, _)| answer.get(*name).is_some_and(Value::is_array))
        {
            self.lists(answer, raw, within);
        } else {
            return false;
        }
        true
    }

    fn lists(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let before = self.parts.len();
        let mut names = Vec::new();
        for (name, element) in LISTS {
            let Some(list) = answer.get(*name).and_then(Value::as_array) else {
                continue;
            };
            names.push(*name);
            for each in list.iter().filter_map(Value::as_object) {
                let own = Value::Object(each.clone()).to_string();
                self.element(*element, each, answer, own.as_bytes(), within);
            }
        }
        if self.parts.len() == before {
            self.ignore(
                Shape::ApiAnswer,
                raw,
                &format!("{} without any", names.join(" and ")),
            );
        }
    }

    fn element(
        &mut self,
        element: Element,
        each: &Object,
        answer: &Object,
        raw: &[u8],
        within: &Within,
    ) {
        match element {
            Element::Alarm => self.described_alarm(each, raw, within),
            Element::Asff => self.asff(each, raw, within),
            Element::Inspector => self.inspector(each, raw, within),
            Element::Anomaly => {
                let Value::Object(each) = uncapitalised(&Value::Object(each.clone())) else {
                    return;
                };
                self.cost_anomaly(&each, raw, within);
            }
            Element::Advice(source) => self.advice(source, each, answer, raw, within),
            Element::TrustedAdvisor => self.trusted_advisor(each, raw, within),
            Element::Health => self.health(each, raw, within),
            Element::Commitment => self.commitment(each, raw, within),
            Element::Compliance => self.compliance(each, raw, within),
        }
    }

    fn described(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let before = self.parts.len();
        for (name, kind) in INVENTORY {
            for item in list(answer, name) {
                self.item(*kind, item, None, within);
            }
        }
        for reservation in list(answer, "Reservations") {
            let owner = reservation.get("OwnerId").and_then(Value::as_str);
            let instances = reservation.get("Instances").and_then(Value::as_array);
            for item in instances.into_iter().flatten() {
                self.item(ItemKind::Instance, item, owner, within);
            }
        }
        if self.parts.len() == before {
            self.ignore(Shape::ApiAnswer, raw, "a description of no resource");
        }
    }

    fn item(&mut self, kind: ItemKind, item: &Value, owner: Option<&str>, within: &Within) {
        let what = Shape::ApiAnswer;
        let raw = item.to_string();
        let said = |name: &str| item.get(name).and_then(Value::as_str);
        let arn = [
            "AutoScalingGroupARN",
            "LoadBalancerArn",
            "SecurityGroupArn",
            "SubnetArn",
        ]
        .into_iter()
        .find_map(said);
        let place = within.clone().from_arn(arn);
        let account = owner.or_else(|| said("OwnerId")).map(str::to_owned);
        let Some(account) = account.or(place.hints.account) else {
            let reason = format!(
                "{}: the answer names no account; send it with one",
                kind.as_str()
            );
            return self.refuse(what, raw.as_bytes(), undecodable(reason));
        };
        let zone = said("AvailabilityZone").or_else(|| {
            let placed = item.pointer("/Placement/AvailabilityZone");
            let listed = || item.pointer("/AvailabilityZones/0");
            placed.or_else(listed)?.as_str()
        });
        let region = zone.map(region_of_zone).or(place.hints.region);
        let record = RawInventory {
            account: account.into(),
            region: region.unwrap_or_else(|| "global".to_owned()).into(),
            kind,
            observed_at: newest_in(item).or(within.hints.at).unwrap_or_default(),
            presence: crate::model::Presence::Present,
            item: item.clone(),
        };
        let payload = serde_json::to_vec(&record).unwrap_or_default();
        self.record(what, Topic::AwsInventory, payload, raw.as_bytes());
    }

    fn described_alarm(&mut self, alarm: &Object, raw: &[u8], within: &Within) {
        let arn = text(alarm, "AlarmArn");
        let place = within.clone().from_arn(arn);
        let said = |name: &str| alarm.get(name).cloned().unwrap_or_default();
        let times = [
            "StateUpdatedTimestamp",
            "StateTransitionedTimestamp",
            "AlarmConfigurationUpdatedTimestamp",
        ];
        let changed = times
            .iter()
            .find_map(|name| alarm.get(*name).and_then(time));
        let told = Told {
            source: "aws.cloudwatch",
            detail_type: "CloudWatch Alarm State Change",
            account: place.hints.account.as_deref().unwrap_or_default(),
            region: place.hints.region.as_deref().unwrap_or("global"),
            at: changed.or(within.hints.at),
            resources: arn.map(str::to_owned).into_iter().collect(),
            detail: json!({
                "alarmName": said("AlarmName"),
                "state": {
                    "value": said("StateValue"),
                    "reason": said("StateReason"),
                    "reasonData": said("StateReasonData"),
                    "timestamp": said("StateUpdatedTimestamp"),
                },
                "configuration": alarm,
            }),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    /// What AWS itself would change: Compute Optimizer, Cost Optimization Hub, Cost Explorer.
    fn advice(
        &mut self,
        source: &str,
        advice: &Object,
        answer: &Object,
        raw: &[u8],
        within: &Within,
    ) {
        let arn = [
            "resourceArn",
            "instanceArn",
            "volumeArn",
            "autoScalingGroupArn",
        ]
        .into_iter()
        .find_map(|name| text(advice, name));
        let place = within.clone().from_arn(arn);
        let current = advice.get("CurrentInstance").and_then(Value::as_object);
        let id = arn
            .or_else(|| text(advice, "resourceId"))
            .or_else(|| current.and_then(|current| text(current, "ResourceId")));
        let account = text(advice, "accountId").or_else(|| text(advice, "AccountId"));
        let made = answer
            .get("Metadata")
            .and_then(|metadata| metadata.get("GenerationTimestamp"));
        let told = Told {
            source,
            detail_type: "AWS Recommendation",
            account: account
                .or(place.hints.account.as_deref())
                .unwrap_or_default(),
            region: text(advice, "region")
                .or(place.hints.region.as_deref())
                .unwrap_or("global"),
            // An answer without any time is of no particular time.
            at: made
                .and_then(time)
                .or_else(|| newest_in(&Value::Object(advice.clone())))
                .or(within.hints.at)
                .or(Some(Timestamp::default())),
            resources: id.map(str::to_owned).into_iter().collect(),
            detail: Value::Object(advice.clone()),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    /// The older Support API: a check with the resources it flags.
    fn check_result(&mut self, result: &Object, raw: &[u8], within: &Within) {
        let check = text(result, "checkId").unwrap_or_default();
        let at = result.get("timestamp").and_then(time);
        let before = self.parts.len();
        for flagged in list(result, "flaggedResources") {
            let Some(flagged) = flagged.as_object() else {
                continue;
            };
            let columns = list(flagged, "metadata").filter_map(Value::as_str);
            let named = columns.clone().find(|column| {
                column.starts_with("arn:") || crate::sources::subject::kind_of_id(column).is_some()
            });
            let id = named.or_else(|| text(flagged, "resourceId"));
            let status = text(flagged, "status");
            self.advised(check, id, status, (at, flagged), raw, within);
        }
        if self.parts.len() == before {
            let status = text(result, "status");
            self.advised(check, None, status, (at, result), raw, within);
        }
    }

    /// The newer Trusted Advisor API: a recommendation, or one of its resources.
    fn trusted_advisor(&mut self, one: &Object, raw: &[u8], within: &Within) {
        let arn = text(one, "arn");
        let place = within
            .clone()
            .from_arn(arn.filter(|arn| !arn.contains(":::")));
        let check = text(one, "name")
            .or_else(|| text(one, "recommendationArn"))
            .or(arn)
            .unwrap_or("unnamed check");
        let id = text(one, "awsResourceId").or_else(|| text(one, "id"));
        let at = one.get("lastUpdatedAt").and_then(time);
        let at = at.or_else(|| newest_in(&Value::Object(one.clone())));
        self.advised(check, id, text(one, "status"), (at, one), raw, &place);
    }

    fn advised(
        &mut self,
        check: &str,
        id: Option<&str>,
        status: Option<&str>,
        (at, said): (Option<Timestamp>, &Object),
        raw: &[u8],
        within: &Within,
    ) {
        let region = text(said, "region").or_else(|| text(said, "regionCode"));
        let told = Told {
            source: "aws.trustedadvisor",
            detail_type: "Trusted Advisor Check Item Refresh Notification",
            account: text(said, "accountId")
                .or(within.hints.account.as_deref())
                .unwrap_or_default(),
            region: region
                .or(within.hints.region.as_deref())
                .unwrap_or("us-east-1"),
            at: at.or(within.hints.at).or(Some(Timestamp::default())),
            resources: Vec::new(),
            detail: json!({
                "check-name": check,
                "status": status,
                "resource_id": id.unwrap_or_default(),
                "uuid": derive_hex(&[check, id.unwrap_or_default()]),
                "check-item-detail": said,
            }),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    /// An event, its details, or an entity it affects.
    fn health(&mut self, each: &Object, raw: &[u8], within: &Within) {
        let event = each.get("event").and_then(Value::as_object).unwrap_or(each);
        let arn = text(event, "arn").or_else(|| text(event, "eventArn"));
        let region = text(event, "region").or_else(|| arn?.split(':').nth(3));
        let entity = text(event, "entityValue").is_some().then(|| {
            json!([{ "entityValue": event.get("entityValue"), "status": event.get("statusCode"), "tags": event.get("tags") }])
        });
        let said = |name: &str| event.get(name).cloned().unwrap_or_default();
        let described = each
            .get("eventDescription")
            .and_then(|described| described.get("latestDescription"));
        let description =
            described.map(|text| json!([{ "language": "en_US", "latestDescription": text }]));
        let told = Told {
            source: "aws.health",
            detail_type: "AWS Health Event",
            account: text(event, "awsAccountId")
                .or(within.hints.account.as_deref())
                .unwrap_or_default(),
            region: region
                .filter(|region| !region.is_empty())
                .unwrap_or("global"),
            at: ["lastUpdatedTime", "startTime"]
                .into_iter()
                .find_map(|name| event.get(name).and_then(time))
                .or(within.hints.at),
            resources: text(event, "entityArn")
                .map(str::to_owned)
                .into_iter()
                .collect(),
            detail: json!({
                "eventArn": arn,
                "service": said("service"),
                "eventTypeCode": said("eventTypeCode"),
                "eventTypeCategory": said("eventTypeCategory"),
                "statusCode": said("statusCode"),
                "startTime": said("startTime"),
                "endTime": said("endTime"),
                "lastUpdatedTime": said("lastUpdatedTime"),
                "eventDescription": description.unwrap_or_default(),
                "affectedEntities": entity.unwrap_or_default(),
            }),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    /// Use and coverage of reservations and savings plans over one period.
    fn commitment(&mut self, each: &Object, raw: &[u8], within: &Within) {
        let period = each.get("TimePeriod");
        let at = ["End", "Start"]
            .into_iter()
            .find_map(|end| period?.get(end).and_then(time));
        let told = Told {
            source: "aws.ce",
            detail_type: "Commitment Report",
            account: within.hints.account.as_deref().unwrap_or_default(),
            region: "global",
            at: at.or(within.hints.at),
            resources: Vec::new(),
            detail: Value::Object(each.clone()),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    fn compliance(&mut self, each: &Object, raw: &[u8], within: &Within) {
        let counted = each.get("ComplianceSummary");
        let at = counted.and_then(|counted| counted.get("ComplianceSummaryTimestamp"));
        let told = Told {
            source: "aws.config",
            detail_type: "Config Rules Compliance Change",
            account: within.hints.account.as_deref().unwrap_or_default(),
            region: within.hints.region.as_deref().unwrap_or("global"),
            at: at.and_then(time).or(within.hints.at),
            resources: Vec::new(),
            detail: json!({
                "resourceType": "AWS::Config::ComplianceSummary",
                "resourceId": text(each, "ResourceType").unwrap_or("all"),
                "complianceSummary": counted,
            }),
        };
        self.told(Shape::ApiAnswer, &told, raw);
    }

    fn metric_data(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let before = self.parts.len();
        for result in list(answer, "MetricDataResults").filter_map(Value::as_object) {
            let label = text(result, "Label").or_else(|| text(result, "Id"));
            let times: Vec<&Value> = list(result, "Timestamps").collect();
            let values: Vec<&Value> = list(result, "Values").collect();
            if times.len() != values.len() {
                let reason = format!(
                    "GetMetricData: {} timestamps and {} values of {label:?}",
                    times.len(),
                    values.len()
                );
                self.refuse(Shape::ApiAnswer, raw, undecodable(reason));
                continue;
            }
            for (at, value) in times.into_iter().zip(values) {
                let value = value.as_f64();
                let statistics = value
                    .map(|value| json!({ "count": 1.0, "sum": value, "min": value, "max": value }));
                self.point(label, at, statistics, "None", raw, within);
            }
        }
        if self.parts.len() == before {
            self.ignore(Shape::ApiAnswer, raw, "GetMetricData without points");
        }
    }

    fn metric_statistics(&mut self, answer: &Object, raw: &[u8], within: &Within) {
        let before = self.parts.len();
        let label = text(answer, "Label");
        for point in list(answer, "Datapoints") {
            let number = |name: &str| point.get(name).and_then(Value::as_f64);
            let at = point.get("Timestamp").cloned().unwrap_or_default();
            let unit = point.get("Unit").and_then(Value::as_str).unwrap_or("None");
            let percentiles = point.get("ExtendedStatistics").and_then(Value::as_object);
            let count = number("SampleCount").unwrap_or(1.0);
            let average = number("Average").or_else(|| number("Sum").map(|sum| sum / count));
            let any = average
                .or_else(|| number("Maximum"))
                .or_else(|| number("Minimum"));
            if let Some(any) = any {
                let statistics = json!({
                    "count": count,
                    "sum": number("Sum").unwrap_or(any * count),
                    "min": number("Minimum").unwrap_or(any),
                    "max": number("Maximum").unwrap_or(any),
                });
                self.point(label, &at, Some(statistics), unit, raw, within);
            }
            // A percentile is no average of its metric: it goes by a name of its own.
            for (name, value) in percentiles.into_iter().flatten() {
                let value = value.as_f64();
                let statistics = value
                    .map(|value| json!({ "count": 1.0, "sum": value, "min": value, "max": value }));
                let own = format!("{}.{name}", label.unwrap_or("metric"));
                self.point(Some(&own), &at, statistics, unit, raw, within);
            }
        }
        if self.parts.len() == before {
            self.ignore(Shape::ApiAnswer, raw, "GetMetricStatistics without points");
        }
    }

    fn point(
        &mut self,
        label: Option<&str>,
        at: &Value,
        statistics: Option<Value>,
        unit: &str,
        raw: &[u8],
        within: &Within,
    ) {
        let hints = &within.hints;
        let missing = if hints.account.is_none() {
            Some("no account; send it with one")
        } else if statistics.is_none() {
            Some("a value that is no number")
        } else {
            None
        };
        let (Some(at), None) = (time(at), missing) else {
            let reason = format!("metric answer: it has {}", missing.unwrap_or("no time"));
            return self.refuse(Shape::ApiAnswer, raw, undecodable(reason));
        };
        let dimensions: Object = hints
            .dimensions
            .iter()
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let point = json!({
            "account_id": hints.account,
            "region": hints.region.as_deref().unwrap_or("global"),
            "namespace": hints.namespace.as_deref().unwrap_or("Answer"),
            "metric_name": hints.name.as_deref().or(label).unwrap_or("metric"),
            "dimensions": dimensions,
            "timestamp": at.ms(),
            "value": statistics,
            "unit": unit,
        });
        let payload = point.to_string().into_bytes();
        self.record(Shape::ApiAnswer, Topic::AwsMetrics, payload, raw);
    }
}

fn inventory(answer: &Object) -> bool {
    INVENTORY.iter().any(|(name, kind)| {
        let Some(list) = answer.get(*name).and_then(Value::as_array) else {
            return false;
        };
        let first = list.first();
        first.is_none_or(|first| first.get(kind.id_field()).is_some())
    })
}

fn list<'v>(
    object: &'v Object,
    name: &str,
) -> std::iter::Flatten<std::option::IntoIter<&'v Vec<Value>>> {
    object
        .get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

/// The newest time anywhere in the value; `None` when it names none.
fn newest_in(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) if text.len() >= "2026-01-31T12:00".len() && text.contains(':') => {
            Timestamp::parse(text).ok()
        }
        Value::Array(values) => values.iter().filter_map(newest_in).max(),
        Value::Object(object) => object.values().filter_map(newest_in).max(),
        _ => None,
    }
}

/// `eu-west-1a` → `eu-west-1`, `us-west-2-lax-1a` → `us-west-2`.
fn region_of_zone(zone: &str) -> String {
    let mut kept = Vec::new();
    for part in zone.split('-') {
        let digits = part.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            kept.push(digits);
            break;
        }
        kept.push(part);
    }
    kept.join("-")
}

/// The same value with names that begin small, as events write them.
fn uncapitalised(value: &Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(name, value)| {
                    let mut letters = name.chars();
                    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
                    let name = first.into_iter().chain(letters).collect();
                    (name, uncapitalised(value))
                })
                .collect(),
        ),
        Value::Array(values) => Value::Array(values.iter().map(uncapitalised).collect()),
        other => other.clone(),
    }
}
