//! Answers of AWS APIs, as the command line and the SDKs write them: what is listed becomes a
//! record an element.
//!
//! An answer says neither when it was given nor, often, whose it is. Time: the newest it names,
//! since it cannot be older. Account and region: from ARNs in it, else from the hints.

use serde_json::Value;

use super::{Object, Opener, Within, text};
use crate::model::{ItemKind, Timestamp, Topic};
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
    ("NetworkAcls", ItemKind::NetworkAcl),
    ("RouteTables", ItemKind::RouteTable),
    ("InternetGateways", ItemKind::InternetGateway),
    ("VpcEndpoints", ItemKind::VpcEndpoint),
    ("VpcPeeringConnections", ItemKind::VpcPeeringConnection),
    ("VpnConnections", ItemKind::VpnConnection),
    ("TransitGateways", ItemKind::TransitGateway),
    ("KeyPairs", ItemKind::KeyPair),
    ("FlowLogs", ItemKind::VpcFlowLog),
    ("LaunchTemplates", ItemKind::LaunchTemplate),
    ("InstanceStatuses", ItemKind::InstanceStatus),
    ("TargetGroups", ItemKind::TargetGroup),
    ("LaunchConfigurations", ItemKind::LaunchConfiguration),
    ("ScalingPolicies", ItemKind::ScalingPolicy),
    ("InstanceInformationList", ItemKind::ManagedInstance),
    ("UserDetailList", ItemKind::IamUser),
    ("RoleDetailList", ItemKind::IamRole),
    ("GroupDetailList", ItemKind::IamGroup),
    ("InstanceProfiles", ItemKind::InstanceProfile),
    ("trailList", ItemKind::Trail),
];

/// Lists of other answers: the field, what their elements are.
const LISTS: &[(&str, Element)] = &[
    ("MetricAlarms", Element::Alarm),
    ("CompositeAlarms", Element::Alarm),
    ("Findings", Element::Asff),
    ("findings", Element::Inspector),
    ("Anomalies", Element::Anomaly),
    ("Budgets", Element::Budget),
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
    ("Columns", "the columns of a table"),
    ("checks", "the list of Trusted Advisor's checks"),
];

#[derive(Clone, Copy)]
enum Element {
    Alarm,
    Asff,
    Inspector,
    Anomaly,
    Budget,
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
        } else if answer.contains_key("ForecastResultsByTime") {
            self.forecast(answer, raw, within);
        } else if let Some(budget) = of("Budget").filter(|own| own.contains_key("BudgetName")) {
            self.budget_status(budget, raw, within);
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
            Element::Budget => self.budget_status(each, raw, within),
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
            let owner = owner.filter(|owner| !owner.is_empty());
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
        let said = |name: &str| {
            let text = item.get(name).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let arn = [
            "AutoScalingGroupARN",
            "LoadBalancerArn",
            "SecurityGroupArn",
            "SubnetArn",
            "TransitGatewayArn",
            "TargetGroupArn",
            "LaunchConfigurationARN",
            "PolicyARN",
            "TrailARN",
            "Arn",
        ]
        .into_iter()
        .find_map(said);
        let place = within.clone().told_by_arn(arn);
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

pub(super) fn list<'v>(
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
pub(super) fn newest_in(value: &Value) -> Option<Timestamp> {
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
