//! What is asked of AWS, as the records its own pushing services would have sent.

use serde_json::{Map, Value, json};

use crate::model::Statistics;

/// One period of a series as a metric stream writes it in JSON, so that polled and streamed points
/// are decoded by the same code and are the same facts.
pub fn metric_record(
    (account, region): (&str, &str),
    (namespace, name): (&str, &str),
    dimensions: &[(String, String)],
    at_ms: i64,
    value: &Statistics,
    percentiles: &[(&str, f64)],
) -> Vec<u8> {
    let pairs = dimensions.iter();
    let dimensions: Map<String, Value> = pairs
        .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
        .collect();
    let mut record = json!({
        "metric_stream_name": "skyherd",
        "account_id": account,
        "region": region,
        "namespace": namespace,
        "metric_name": name,
        "dimensions": dimensions,
        "timestamp": at_ms,
        "value": {
            "count": value.count,
            "sum": value.sum,
            "max": value.max,
            "min": value.min,
        },
        // GetMetricData names no unit.
        "unit": "None",
    });
    for (name, share) in percentiles {
        record["value"][*name] = (*share).into();
    }
    record.to_string().into_bytes()
}

/// One usage type's day or hour of costs as a FOCUS row, so that asked and exported costs are decoded by the
/// same code. Cost Explorer groups by two things at once, so the row names no region.
pub fn cost_record(
    account: &str,
    (service, usage_type): (&str, &str),
    (start, end): (&str, &str),
    (unblended, amortized, currency): (&str, &str, &str),
) -> Vec<u8> {
    // A day has no hour, an hour has.
    let moment = |text: &str| {
        let hour = if text.contains('T') { "" } else { "T00:00:00Z" };
        format!("{text}{hour}")
    };
    let row = json!({
        "ProviderName": "AWS",
        "SubAccountId": account,
        "ServiceName": service,
        "x_UsageType": usage_type,
        "ChargeCategory": "Usage",
        "ChargePeriodStart": moment(start),
        "ChargePeriodEnd": moment(end),
        "BilledCost": unblended,
        "EffectiveCost": amortized,
        "BillingCurrency": currency,
    });
    row.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{FactBody, Message, Topic};
    use crate::sources::{Decoded, decode};

    #[test]
    fn an_asked_cost_is_decoded_as_an_exported_one_and_its_restatement_replaces_it() {
        let line = |amount: &str| {
            let row = cost_record(
                "111122223333",
                ("Amazon Simple Storage Service", "EU-TimedStorage-ByteHrs"),
                ("2026-11-01", "2026-11-02"),
                (amount, "0.0000000007", "USD"),
            );
            let decoded = decode(Topic::AwsBilling, None, Some(&row)).expect("it is a row");
            let Decoded::Message(Message::Facts(facts)) = decoded else {
                panic!("no facts");
            };
            let FactBody::Cost(line) = facts[0].body.clone() else {
                panic!("no cost");
            };
            *line
        };
        let (first, second) = (line("1.0000000001"), line("2"));
        assert_eq!(first.row, second.row);
        assert_eq!(first.billed.amount().to_string(), "1.0000000001");
        assert_eq!(first.effective.amount().to_string(), "0.0000000007");
        assert_eq!(
            (first.account.as_str(), first.region.as_str()),
            ("111122223333", "global")
        );
    }

    #[test]
    fn a_polled_point_is_decoded_as_a_streamed_one() {
        let value = Statistics {
            count: 5.0,
            sum: 10.0,
            min: 1.0,
            max: 3.0,
        };
        let dimensions = [("InstanceId".to_owned(), "i-0abc".to_owned())];
        let record = metric_record(
            ("111122223333", "eu-west-1"),
            ("AWS/EC2", "CPUUtilization"),
            &dimensions,
            60_000,
            &value,
            &[("p99", 2.5)],
        );
        assert!(String::from_utf8_lossy(&record).contains(r#""p99":2.5"#));
        let decoded = decode(Topic::AwsMetrics, None, Some(&record)).expect("it is a stream's");
        let Decoded::Message(Message::Facts(facts)) = decoded else {
            panic!("no facts");
        };
        assert_eq!(
            facts[0].subject.as_str(),
            "111122223333/eu-west-1/instance/i-0abc"
        );
        assert_eq!(facts[0].at.ms(), 60_000);
        assert!(matches!(&facts[0].body, FactBody::Metric(point) if point.statistics == value));
    }
}
