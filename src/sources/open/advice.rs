//! What AWS itself says of resources when it is asked: alarms, Trusted Advisor, Health, its own
//! recommendations, commitments, compliance. Each becomes the event it would have sent.

use serde_json::{Value, json};

use super::answers::{list, newest_in};
use super::told::Told;
use super::{Object, Opener, Within, text, time};
use crate::model::{Timestamp, derive_hex};
use crate::sources::Shape;
use crate::sources::subject::kind_of_id;

impl Opener {
    pub(super) fn described_alarm(&mut self, alarm: &Object, raw: &[u8], within: &Within) {
        let arn = text(alarm, "AlarmArn");
        let place = within.clone().told_by_arn(arn);
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
    pub(super) fn advice(
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
        let place = within.clone().told_by_arn(arn);
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
    pub(super) fn check_result(&mut self, result: &Object, raw: &[u8], within: &Within) {
        let check = text(result, "checkId").unwrap_or_default();
        let at = result.get("timestamp").and_then(time);
        let before = self.parts.len();
        for flagged in list(result, "flaggedResources") {
            let Some(flagged) = flagged.as_object() else {
                continue;
            };
            let columns = list(flagged, "metadata").filter_map(Value::as_str);
            let named = columns
                .clone()
                .find(|column| column.starts_with("arn:") || kind_of_id(column).is_some());
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
    pub(super) fn trusted_advisor(&mut self, one: &Object, raw: &[u8], within: &Within) {
        let arn = text(one, "arn");
        let place = within
            .clone()
            .told_by_arn(arn.filter(|arn| !arn.contains(":::")));
        let check = text(one, "name")
            .or_else(|| text(one, "recommendationArn"))
            .or(arn)
            .unwrap_or("unnamed check");
        let id = text(one, "awsResourceId").or_else(|| text(one, "id"));
        let at = one.get("lastUpdatedAt").and_then(time);
        let at = at.or_else(|| newest_in(&Value::Object(one.clone())));
        self.advised(check, id, text(one, "status"), (at, one), raw, &place);
    }

    pub(super) fn advised(
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
    pub(super) fn health(&mut self, each: &Object, raw: &[u8], within: &Within) {
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
    pub(super) fn commitment(&mut self, each: &Object, raw: &[u8], within: &Within) {
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

    pub(super) fn compliance(&mut self, each: &Object, raw: &[u8], within: &Within) {
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
}
