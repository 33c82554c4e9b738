//! What input is, before anything of it is decided about.

use serde::Serialize;

use crate::model::Topic;

/// What something was recognised as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// An `EventBridge` envelope.
    Eventbridge,
    /// A metric-stream object.
    MetricStream,
    /// Length-delimited `ExportMetricsServiceRequest`s, `OpenTelemetry` 0.7 or 1.0.
    MetricStreamOtlp,
    /// Our inventory envelope.
    Inventory,
    /// A row of a FOCUS export.
    Focus,
    /// A row of a legacy Cost and Usage Report.
    Cur,
    /// A row of a CUR 2.0, or of a legacy report in Parquet.
    Cur2,
    /// The end of a bill's delivery.
    Delivery,
    /// What lists the files of a bill's delivery.
    BillManifest,
    /// A row of a `timestamp,value` file.
    MetricCsv,
    /// A row of a Bitbrains VM trace.
    VmTrace,
    /// A `CloudTrail` record outside `EventBridge`.
    Cloudtrail,
    /// A `CloudWatch` Logs subscription.
    LogsSubscription,
    /// An alarm as SNS words it.
    AlarmSns,
    /// An alarm as Lambda is called with it.
    AlarmLambda,
    /// A budget's notification, in English.
    Budget,
    /// A cost anomaly outside `EventBridge`.
    CostAnomaly,
    /// One finding in the AWS Security Finding Format.
    Asff,
    /// A `GuardDuty` finding outside `EventBridge`.
    GuardDuty,
    /// An `Inspector2` finding outside `EventBridge`.
    Inspector,
    /// What AWS Config calls a rule's function with.
    ConfigRule,
    /// The answer of an AWS API.
    ApiAnswer,
    /// An SNS message.
    Sns,
    /// Messages of an SQS queue.
    Sqs,
    /// Records of a Kinesis stream.
    Kinesis,
    /// What Firehose calls a transforming function with.
    FirehoseLambda,
    /// What Firehose posts to an HTTP endpoint.
    FirehoseHttp,
    /// What S3 tells of its objects.
    S3Notification,
    /// A `CloudEvents` event.
    CloudEvents,
    /// Detection rules and their tests, made for other programs.
    Detection,
    /// Anything else.
    Unrecognised,
}

impl Shape {
    /// The name in summaries and reasons.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Eventbridge => "eventbridge",
            Self::MetricStream => "metric-stream",
            Self::MetricStreamOtlp => "metric-stream-otlp",
            Self::Inventory => "inventory",
            Self::Focus => "focus",
            Self::Cur => "cur",
            Self::Cur2 => "cur-2.0",
            Self::Delivery => "delivery",
            Self::BillManifest => "bill-manifest",
            Self::MetricCsv => "metric-csv",
            Self::VmTrace => "vm-trace",
            Self::Cloudtrail => "cloudtrail",
            Self::LogsSubscription => "logs-subscription",
            Self::AlarmSns => "alarm-sns",
            Self::AlarmLambda => "alarm-lambda",
            Self::Budget => "budget",
            Self::CostAnomaly => "cost-anomaly",
            Self::Asff => "asff",
            Self::GuardDuty => "guardduty",
            Self::Inspector => "inspector",
            Self::ConfigRule => "config-rule",
            Self::ApiAnswer => "api-answer",
            Self::Sns => "sns",
            Self::Sqs => "sqs",
            Self::Kinesis => "kinesis",
            Self::FirehoseLambda => "firehose-lambda",
            Self::FirehoseHttp => "firehose-http",
            Self::S3Notification => "s3-notification",
            Self::CloudEvents => "cloudevents",
            Self::Detection => "detection",
            Self::Unrecognised => "unrecognised",
        }
    }
    /// The topic what is not taken apart any further is published to.
    pub fn topic(self) -> Topic {
        match self {
            Self::MetricStream | Self::MetricStreamOtlp | Self::MetricCsv | Self::VmTrace => {
                Topic::AwsMetrics
            }
            Self::Inventory => Topic::AwsInventory,
            Self::Focus | Self::Cur | Self::Cur2 | Self::Delivery | Self::BillManifest => {
                Topic::AwsBilling
            }
            _ => Topic::AwsEvents,
        }
    }
}
