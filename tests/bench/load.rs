//! What is published: the story in many accounts or the simulated estate, and calls that open security groups.

use skyherd::estate::{self, Estate, EstateOptions};

use crate::story::{self, StoryOptions};
use serde_json::{Value, json};
use skyherd::model::{Timestamp, Topic, partition_of};
use skyherd::ports::Outgoing;

/// Every n-th call opens a group to the world.
pub(crate) const OPENING_EVERY: u64 = 20;
/// Accounts that calls and groups are spread over.
const ACCOUNTS: u64 = 64;
const REGION: &str = "eu-west-1";

/// A month in 48 accounts, a point an hour of each series: about 410,000 metric records.
pub(crate) const STORY: StoryOptions = StoryOptions {
    days: 34,
    period_minutes: 60,
    copies: 24,
    seed: 1,
};

/// What the agents are fed: the story, or the simulated estate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// A record a point.
    Story(StoryOptions),
    /// Hundreds of points a record, as a metric stream delivers them.
    Estate(EstateOptions),
}

impl Load {
    /// Records of the load with the time of each, in order.
    fn told(self) -> Box<dyn Iterator<Item = (Timestamp, Topic, String, Vec<u8>)>> {
        match self {
            Self::Story(options) => Box::new(
                story::tell(options).map(|told| (told.at, told.topic, told.account, told.payload)),
            ),
            Self::Estate(options) => Box::new(Estate::new(options).into_records().map(|record| {
                let at = estate::begin().plus(record.told * Timestamp::SECOND);
                (at, record.topic, record.account, record.payload)
            })),
        }
    }

    fn begin_and_span(self) -> (Timestamp, i64) {
        match self {
            Self::Story(options) => (story::begin(), options.days * Timestamp::DAY),
            Self::Estate(options) => (estate::begin(), options.hours * Timestamp::HOUR),
        }
    }

    /// The load, and `calls` spread evenly over its time, in order of time.
    pub(crate) fn records(self, calls: u64, partitions: u32) -> impl Iterator<Item = Outgoing> {
        let (begin, span) = self.begin_and_span();
        let apart = span / calls.max(1) as i64;
        let mut calls = (0..calls)
            .map(move |number| (number, begin.plus(number as i64 * apart)))
            .peekable();
        self.told()
            .flat_map(move |(told, topic, account, payload)| {
                let mut records = Vec::new();
                while let Some((number, at)) = calls.next_if(|(_, at)| *at <= told) {
                    let opening = number % OPENING_EVERY == 0;
                    records.push(call(number, opening, at, partitions));
                }
                records.push(record(topic, &account, payload, partitions));
                records
            })
    }
}

fn record(topic: Topic, account: &str, payload: Vec<u8>, partitions: u32) -> Outgoing {
    Outgoing {
        topic,
        partition: partition_of(account, partitions),
        key: Some(account.as_bytes().to_vec()),
        payload: Some(payload),
        headers: Vec::new(),
        timestamp_ms: None,
    }
}

fn account(number: u64) -> String {
    format!("{:012}", 700_000_000_000 + number % ACCOUNTS * 7_919)
}

/// The name of the n-th security group.
pub(crate) fn group(number: u64) -> String {
    format!("sg-{number:017x}")
}

/// The number of the first group named in a record.
pub(crate) fn group_number(text: &[u8]) -> Option<u64> {
    let start = text.windows(3).position(|window| window == b"sg-")? + 3;
    let digits = std::str::from_utf8(text.get(start..start + 17)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

/// A `DescribeSecurityGroups` item that opens nothing to anywhere.
pub(crate) fn closed_group(number: u64, at: Timestamp, partitions: u32) -> Outgoing {
    let account = account(number);
    let value = json!({
        "account": account,
        "region": REGION,
        "kind": "security-group",
        "observed_at": at.to_string(),
        "item": {
            "GroupId": group(number),
            "GroupName": "web",
            "Description": "web",
            "VpcId": "vpc-0123456789abcdef0",
            "OwnerId": account,
            "IpPermissions": [permission("10.0.0.0/8")],
            "IpPermissionsEgress": [],
        },
    });
    let payload = value.to_string().into_bytes();
    record(Topic::AwsInventory, &account, payload, partitions)
}

fn permission(range: &str) -> Value {
    json!({
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": range}],
        "Ipv6Ranges": [],
        "UserIdGroupPairs": [],
    })
}

/// A call recorded by CloudTrail: one that opens SSH of the group to the world, which is a finding
/// at once, or one that only looks and is of no interest.
pub(crate) fn call(number: u64, opening: bool, at: Timestamp, partitions: u32) -> Outgoing {
    let account = account(number);
    let name = if opening {
        "AuthorizeSecurityGroupIngress"
    } else {
        "DescribeSecurityGroupRules"
    };
    let id = format!("bench-{number}-{}", at.ms());
    let value = json!({
        "version": "0",
        "id": id,
        "detail-type": "AWS API Call via CloudTrail",
        "source": "aws.ec2",
        "account": account,
        "time": at.to_string(),
        "region": REGION,
        "resources": [],
        "detail": {
            "eventVersion": "1.10",
            "eventID": id,
            "eventName": name,
            "eventSource": "ec2.amazonaws.com",
            "eventTime": at.to_string(),
            "eventType": "AwsApiCall",
            "awsRegion": REGION,
            "recipientAccountId": account,
            "sourceIPAddress": "203.0.113.7",
            "userAgent": "console.amazonaws.com",
            "userIdentity": {"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/alice"), "accountId": account, "userName": "alice"},
            "requestParameters": {"groupId": group(number), "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}},
            "responseElements": null,
        },
    });
    let payload = value.to_string().into_bytes();
    record(Topic::AwsEvents, &account, payload, partitions)
}
