//! What AWS wraps facts in: SNS, SQS, Kinesis, Firehose, log subscriptions, S3 notifications and
//! `CloudEvents`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::told::Told;
use super::{Object, Opener, Within, text, time};
use crate::sources::{PAYLOAD_BYTES_MAX, Shape, undecodable};

/// Log lines kept in one record.
const LOG_LINES_MAX: usize = 1_000;

/// Whether other programs' messages come the same way, so that what is of no AWS kind is no error.
pub(super) fn carries_anything(carrier: Shape) -> bool {
    matches!(
        carrier,
        Shape::Sns | Shape::Sqs | Shape::Kinesis | Shape::FirehoseLambda | Shape::LogsSubscription
    )
}

/// Whether the text is a place left open, as AWS SAM's sample events have them.
pub(super) fn is_template(text: &str) -> bool {
    text.starts_with("{{{") && text.ends_with("}}}")
}

/// Whether a name is such a place.
pub(super) fn holds_template(text: &str) -> bool {
    text.contains("{{{") && text.contains("}}}")
}

impl Opener {
    /// Opens the object if it is a wrapping; whether it was.
    pub(super) fn carrier(&mut self, object: &Object, raw: &[u8], within: &Within) -> bool {
        let list = |name: &str| object.get(name).and_then(Value::as_array);
        let of = |name: &str| object.get(name).and_then(Value::as_object);
        if let Some(records) = list("Records") {
            self.records(records, raw, within);
        } else if let Some(records) = list("records") {
            self.firehose(object, records, raw, within);
        } else if let Some(sns) = of("Sns") {
            self.sns(sns, raw, within);
        } else if is_sns(object) {
            self.sns(object, raw, within);
        } else if let (Some(body), Some(_)) = (text(object, "body"), text(object, "messageId")) {
            let arn = text(object, "eventSourceARN");
            let sent = of("attributes").and_then(|own| own.get("SentTimestamp"));
            let inside = within.deeper(Shape::Sqs).told_by_arn(arn);
            self.bytes(body.as_bytes(), &inside.at(sent.and_then(time)));
        } else if let Some(kinesis) = of("kinesis") {
            let arn = text(object, "eventSourceARN");
            let came = kinesis.get("approximateArrivalTimestamp");
            let inside = within.deeper(Shape::Kinesis).told_by_arn(arn);
            self.data(kinesis, raw, &inside.at(came.and_then(time)));
        } else if let Some(logs) = of("awslogs") {
            self.data(logs, raw, &within.deeper(Shape::LogsSubscription));
        } else if let (Some(kind), Some(events)) = (text(object, "messageType"), list("logEvents"))
        {
            self.logs(object, kind, events, raw, within);
        } else if of("s3").is_some() {
            let name = text(object, "eventName").unwrap_or("no event name");
            self.ignore(Shape::S3Notification, raw, name);
        } else if let (Some(_), Some(body)) = (object.get("headers"), text(object, "body")) {
            // A request as it was recorded.
            let mut inside = within.clone();
            inside.depth += 1;
            self.bytes(body.as_bytes(), &inside);
        } else if object.contains_key("specversion") && object.contains_key("type") {
            self.cloud_event(object, raw, within);
        } else {
            return false;
        }
        true
    }

    /// `Records` of Lambda's event sources, and of `CloudTrail`'s log files.
    fn records(&mut self, records: &[Value], raw: &[u8], within: &Within) {
        if records.is_empty() {
            return self.ignore(Shape::Unrecognised, raw, "an empty list of records");
        }
        for record in records {
            let raw = record.to_string();
            // Lists inside lists are no more than a deeper wrapping.
            let mut inside = within.clone();
            inside.depth += usize::from(record.get("Records").is_some());
            self.value(record.clone(), raw.as_bytes(), &inside);
        }
    }

    /// Firehose's own request, or its call of a transforming function.
    fn firehose(&mut self, object: &Object, records: &[Value], raw: &[u8], within: &Within) {
        let what = if object.contains_key("requestId") {
            Shape::FirehoseHttp
        } else {
            Shape::FirehoseLambda
        };
        if records.is_empty() {
            return self.ignore(what, raw, "no records");
        }
        let arn = text(object, "deliveryStreamArn");
        let came = object.get("timestamp").and_then(time);
        for record in records {
            let raw = record.to_string();
            let Some(record) = record.as_object() else {
                let reason = undecodable("a record is no object with `data`".into());
                self.refuse(what, raw.as_bytes(), reason);
                continue;
            };
            let own = record.get("approximateArrivalTimestamp").and_then(time);
            let inside = within.deeper(what).told_by_arn(arn).at(own.or(came));
            self.data(record, raw.as_bytes(), &inside);
        }
    }

    /// The base64 in `data`.
    fn data(&mut self, object: &Object, raw: &[u8], within: &Within) {
        let data = object.get("data").and_then(Value::as_str);
        match data.map(|data| (data, STANDARD.decode(data))) {
            Some((_, Ok(bytes))) => self.bytes(&bytes, within),
            Some((data, Err(_))) if is_template(data) => self.text(data, within),
            Some((_, Err(error))) => {
                let reason = undecodable(format!("`data` is no base64: {error}"));
                self.refuse(within.carrier.unwrap_or(Shape::Unrecognised), raw, reason);
            }
            None => {
                let reason = undecodable("missing field `data`".into());
                self.refuse(within.carrier.unwrap_or(Shape::Unrecognised), raw, reason);
            }
        }
    }

    fn sns(&mut self, sns: &Object, raw: &[u8], within: &Within) {
        let kind = text(sns, "Type").unwrap_or("Notification");
        if kind != "Notification" {
            return self.ignore(Shape::Sns, raw, kind);
        }
        let Some(message) = text(sns, "Message") else {
            let reason = undecodable("missing field `Message`".into());
            return self.refuse(Shape::Sns, raw, reason);
        };
        let sent = sns.get("Timestamp").and_then(time);
        let inside = within
            .deeper(Shape::Sns)
            .told_by_arn(text(sns, "TopicArn"))
            .at(sent);
        self.bytes(message.as_bytes(), &inside);
    }

    /// A subscription's batch: lines that are records of ours by themselves (`CloudTrail`'s log
    /// group), the others as one record of the group.
    fn logs(&mut self, object: &Object, kind: &str, events: &[Value], raw: &[u8], within: &Within) {
        let what = Shape::LogsSubscription;
        if kind != "DATA_MESSAGE" {
            return self.ignore(what, raw, kind);
        }
        let (Some(owner), Some(group)) = (text(object, "owner"), text(object, "logGroup")) else {
            let reason = undecodable("missing field `owner` or `logGroup`".into());
            return self.refuse(what, raw, reason);
        };
        let mut inside = within.deeper(what);
        inside.hints.account = Some(owner.to_owned());
        let mut lines = Vec::new();
        for event in events {
            let message = event
                .get("message")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let at = event.get("timestamp").and_then(time);
            if message.trim_start().starts_with('{') {
                // Programs log JSON of their own too: what is none of ours stays a line.
                let before = self.parts.len();
                self.bytes(message.as_bytes(), &inside.clone().at(at));
                let ours = |part: &super::Part| matches!(part.fate, super::Fate::Record { .. });
                if self.parts[before..].iter().any(ours) {
                    continue;
                }
                self.parts.truncate(before);
            }
            lines.push((at, event));
        }
        let mut bytes = 0;
        let mut batch: Vec<(_, &Value)> = Vec::new();
        for (at, event) in lines {
            let size = event.to_string().len();
            if batch.len() >= LOG_LINES_MAX || bytes + size > PAYLOAD_BYTES_MAX / 2 {
                self.log_lines(
                    object,
                    owner,
                    group,
                    &std::mem::take(&mut batch),
                    raw,
                    &inside,
                );
                bytes = 0;
            }
            bytes += size;
            batch.push((at, event));
        }
        if !batch.is_empty() {
            self.log_lines(object, owner, group, &batch, raw, &inside);
        }
    }

    fn log_lines(
        &mut self,
        object: &Object,
        owner: &str,
        group: &str,
        lines: &[(Option<crate::model::Timestamp>, &Value)],
        raw: &[u8],
        within: &Within,
    ) {
        let newest = lines.iter().filter_map(|(at, _)| *at).max();
        let events: Vec<&Value> = lines.iter().map(|(_, event)| *event).collect();
        let told = Told {
            source: "aws.logs",
            detail_type: "CloudWatch Logs Subscription",
            account: owner,
            region: within.hints.region.as_deref().unwrap_or("global"),
            at: newest.or(within.hints.at),
            resources: Vec::new(),
            detail: json!({
                "logGroup": group,
                "logStream": object.get("logStream"),
                "subscriptionFilters": object.get("subscriptionFilters"),
                "logEvents": events,
            }),
        };
        self.told(Shape::LogsSubscription, &told, raw);
    }

    /// A `CloudEvents` event in JSON: its data, or an AWS event put into its attributes.
    fn cloud_event(&mut self, object: &Object, raw: &[u8], within: &Within) {
        let inside = within
            .deeper(Shape::CloudEvents)
            .at(object.get("time").and_then(time));
        if object.contains_key("data_base64") {
            let mut data = Object::new();
            data.insert("data".into(), object["data_base64"].clone());
            return self.data(&data, raw, &inside);
        }
        let data = object.get("data").cloned().unwrap_or_default();
        let (Some(source), Some(kind)) = (text(object, "source"), text(object, "type")) else {
            let reason = undecodable("missing field `source` or `type`".into());
            return self.refuse(Shape::CloudEvents, raw, reason);
        };
        let own = data
            .as_object()
            .is_some_and(|data| data.contains_key("detail-type"));
        if source.starts_with("aws.") && !own && data.is_object() {
            let region = text(object, "region").or(inside.hints.region.as_deref());
            let account = text(object, "account").or(inside.hints.account.as_deref());
            let told = Told {
                source,
                detail_type: kind,
                account: account.unwrap_or_default(),
                region: region.unwrap_or("global"),
                at: inside.hints.at,
                resources: text(object, "subject")
                    .map(str::to_owned)
                    .into_iter()
                    .collect(),
                detail: data,
            };
            return self.told(Shape::CloudEvents, &told, raw);
        }
        let bytes = data.to_string();
        self.value(data, bytes.as_bytes(), &inside);
    }
}

fn is_sns(object: &Object) -> bool {
    let kind = text(object, "Type").is_some_and(|kind| {
        matches!(
            kind,
            "Notification" | "SubscriptionConfirmation" | "UnsubscribeConfirmation"
        )
    });
    object.contains_key("TopicArn") && (kind || object.contains_key("Message"))
}
