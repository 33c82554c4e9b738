//! A month in two AWS accounts, told in AWS's own shapes: the input of the fault tests, the
//! simulator and the benchmarks. Small and sparse, where `skyherd::estate` is large.
//!
//! The pipeline does not know this module; it sees records in topics like anyone's.

mod shapes;

use serde_json::{Value, json};

use shapes::{api_call, instance, inventory, metric, security_group, state_change, volume};
use skyherd::model::{Timestamp, Topic};

/// Production.
pub(crate) const PRODUCTION: &str = "111122223333";
/// Development.
pub(crate) const DEVELOPMENT: &str = "444455556666";
const REGION: &str = "eu-west-1";
/// 2026-09-01T00:00:00Z.
const BEGIN_MS: i64 = 1_788_220_800_000;

/// How long and how dense the story is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StoryOptions {
    /// Days told.
    pub(crate) days: i64,
    /// Minutes between points of a metric.
    pub(crate) period_minutes: i64,
    /// Copies of both accounts under other account ids: load without new plots.
    pub(crate) copies: u32,
    /// Varies the noise of the metrics, not the plots.
    pub(crate) seed: u64,
}

impl Default for StoryOptions {
    fn default() -> Self {
        Self {
            days: 34,
            period_minutes: 15,
            copies: 1,
            seed: 1,
        }
    }
}

/// One raw record.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoryRecord {
    /// When it happened.
    pub(crate) at: Timestamp,
    /// Where it is published.
    pub(crate) topic: Topic,
    /// Its account: the record key.
    pub(crate) account: String,
    /// The record.
    pub(crate) payload: Vec<u8>,
}

/// The first instant of the story.
pub(crate) fn begin() -> Timestamp {
    Timestamp::from_ms(BEGIN_MS)
}

/// Tells the story in order of time, a day at a time.
pub(crate) fn tell(options: StoryOptions) -> impl Iterator<Item = StoryRecord> {
    (0..options.days).flat_map(move |day| {
        let mut records: Vec<StoryRecord> = Vec::new();
        for copy in 0..options.copies {
            let mut teller = Teller {
                options,
                day,
                copy,
                records: &mut records,
            };
            teller.inventory();
            teller.metrics();
            teller.host_failure();
            teller.billing();
            teller.events();
        }
        records.sort_by_key(|record| record.at);
        records
    })
}

struct Teller<'a> {
    options: StoryOptions,
    day: i64,
    copy: u32,
    records: &'a mut Vec<StoryRecord>,
}

/// An instance that reports metrics: id, mean CPU in percent, swing over the day, bytes in and
/// out a minute.
const MEASURED: [(&str, &str, f64, f64, f64); 6] = [
    (PRODUCTION, "i-0b0000000000000b1", 42.0, 25.0, 9_000_000.0),
    (PRODUCTION, "i-0b0000000000000b2", 97.0, 2.0, 5_000_000.0),
    (PRODUCTION, "i-0c0000000000000c1", 7.0, 2.0, 400.0),
    (DEVELOPMENT, "i-0d0000000000000d1", 1.2, 0.6, 500.0),
    (DEVELOPMENT, "i-0e0000000000000e1", 12.0, 6.0, 80_000.0),
    (DEVELOPMENT, "i-0f0000000000000f1", 30.0, 10.0, 900_000.0),
];

impl Teller<'_> {
    /// The account as this copy calls it.
    fn account(&self, account: &str) -> String {
        if self.copy == 0 {
            return account.to_owned();
        }
        let number: u64 = account.parse().unwrap_or_default();
        format!(
            "{:012}",
            (number + u64::from(self.copy) * 7_919) % 1_000_000_000_000
        )
    }

    fn push(&mut self, topic: Topic, account: &str, at: Timestamp, value: &Value) {
        let account = self.account(account);
        let payload = value.to_string().into_bytes();
        self.records.push(StoryRecord {
            at,
            topic,
            account,
            payload,
        });
    }

    fn at(&self, minute: i64) -> Timestamp {
        begin().plus(self.day * Timestamp::DAY + minute * Timestamp::MINUTE)
    }

    /// The sweep of the day, shortly after midnight.
    fn inventory(&mut self) {
        let at = self.at(3);
        for (account, kind, item) in self.items() {
            let value = inventory(&self.account(account), REGION, kind, at, &item);
            self.push(Topic::AwsInventory, account, at, &value);
        }
    }

    fn items(&self) -> Vec<(&'static str, &'static str, Value)> {
        let good = [
            ("Owner", "web"),
            ("Environment", "production"),
            ("CostCenter", "7"),
        ];
        let dev = [
            ("Owner", "lab"),
            ("Environment", "development"),
            ("CostCenter", "9"),
        ];
        let grouped = [
            ("Owner", "web"),
            ("Environment", "production"),
            ("CostCenter", "7"),
            ("aws:autoscaling:groupName", "web"),
        ];
        let open = self.day >= 20;
        let reopened = (9..12).contains(&self.day) || self.day >= 15;
        vec![
            (
                PRODUCTION,
                "instance",
                instance(
                    "i-0b0000000000000b1",
                    "m5.large",
                    "running",
                    &grouped,
                    &["sg-0a0000000000000a1"],
                    Some("198.51.100.10"),
                    &["vol-0b0000000000000b1"],
                ),
            ),
            (
                PRODUCTION,
                "instance",
                instance(
                    "i-0b0000000000000b2",
                    "c5.large",
                    "running",
                    &grouped,
                    &["sg-0a0000000000000a1"],
                    Some("198.51.100.11"),
                    &[],
                ),
            ),
            (
                PRODUCTION,
                "instance",
                instance(
                    "i-0c0000000000000c1",
                    "t3.medium",
                    "running",
                    &good,
                    &["sg-0a0000000000000a2"],
                    Some("198.51.100.12"),
                    &[],
                ),
            ),
            (
                DEVELOPMENT,
                "instance",
                instance(
                    "i-0d0000000000000d1",
                    "m5.xlarge",
                    "running",
                    &dev,
                    &["sg-0a0000000000000a3"],
                    None,
                    &["vol-0d0000000000000d1"],
                ),
            ),
            (
                DEVELOPMENT,
                "instance",
                instance(
                    "i-0e0000000000000e1",
                    "t3.large",
                    "running",
                    &[("Owner", "lab")],
                    &["sg-0a0000000000000a3"],
                    None,
                    &[],
                ),
            ),
            (
                DEVELOPMENT,
                "instance",
                instance(
                    "i-0f0000000000000f1",
                    "m5.large",
                    "running",
                    &dev,
                    &["sg-0a0000000000000a3"],
                    None,
                    &["vol-0f0000000000000f1"],
                ),
            ),
            (
                DEVELOPMENT,
                "instance",
                instance(
                    "i-0a0000000000000a9",
                    "m5.large",
                    "stopped",
                    &dev,
                    &["sg-0a0000000000000a3"],
                    None,
                    &["vol-0a0000000000000a9"],
                ),
            ),
            (
                PRODUCTION,
                "volume",
                volume(
                    "vol-0b0000000000000b1",
                    "gp3",
                    100,
                    Some("i-0b0000000000000b1"),
                    &good,
                ),
            ),
            (
                DEVELOPMENT,
                "volume",
                volume(
                    "vol-0d0000000000000d1",
                    "gp3",
                    50,
                    Some("i-0d0000000000000d1"),
                    &dev,
                ),
            ),
            (
                DEVELOPMENT,
                "volume",
                volume(
                    "vol-0f0000000000000f1",
                    "gp2",
                    600,
                    Some("i-0f0000000000000f1"),
                    &dev,
                ),
            ),
            (
                DEVELOPMENT,
                "volume",
                volume(
                    "vol-0a0000000000000a9",
                    "gp3",
                    80,
                    Some("i-0a0000000000000a9"),
                    &dev,
                ),
            ),
            (
                DEVELOPMENT,
                "volume",
                volume("vol-0e0000000000000e9", "gp3", 500, None, &dev),
            ),
            // 443 open to the world is what a web server is for.
            (
                PRODUCTION,
                "security-group",
                security_group(
                    "sg-0a0000000000000a1",
                    "web",
                    &[("tcp", 443, 443, "0.0.0.0/0")],
                ),
            ),
            (
                PRODUCTION,
                "security-group",
                if open {
                    security_group(
                        "sg-0a0000000000000a2",
                        "bastion",
                        &[("tcp", 22, 22, "10.0.0.0/8"), ("tcp", 22, 22, "0.0.0.0/0")],
                    )
                } else {
                    security_group(
                        "sg-0a0000000000000a2",
                        "bastion",
                        &[("tcp", 22, 22, "10.0.0.0/8")],
                    )
                },
            ),
            (
                DEVELOPMENT,
                "security-group",
                if reopened {
                    security_group(
                        "sg-0a0000000000000a3",
                        "lab",
                        &[("-1", 0, 65_535, "0.0.0.0/0")],
                    )
                } else {
                    security_group(
                        "sg-0a0000000000000a3",
                        "lab",
                        &[("tcp", 22, 22, "10.0.0.0/8")],
                    )
                },
            ),
        ]
    }

    fn metrics(&mut self) {
        let period = self.options.period_minutes.max(1);
        for minute in (0..24 * 60).step_by(usize::try_from(period).unwrap_or(1)) {
            for (index, (account, id, mean, swing, bytes)) in MEASURED.into_iter().enumerate() {
                let at = self.at(minute);
                let wave = (std::f64::consts::TAU * minute as f64 / 1_440.0).sin();
                let noise = self.noise(index as u64, minute);
                let cpu = (mean + swing * wave * 0.5 + swing * noise * 0.5).clamp(0.1, 100.0);
                let traffic = (bytes * period as f64 * (1.0 + 0.5 * wave))
                    .max(0.0)
                    .round();
                for (name, value, unit) in [
                    ("CPUUtilization", cpu, "Percent"),
                    ("NetworkIn", traffic, "Bytes"),
                    ("NetworkOut", traffic / 2.0, "Bytes"),
                ] {
                    let dimension = ("InstanceId", id);
                    let value = metric(
                        &self.account(account),
                        REGION,
                        "AWS/EC2",
                        name,
                        dimension,
                        at,
                        value,
                        unit,
                    );
                    self.push(Topic::AwsMetrics, account, at, &value);
                }
            }
            self.troubles(minute);
        }
    }

    /// Metrics that tell of trouble: credits run out, a burst balance is spent.
    fn troubles(&mut self, minute: i64) {
        let at = self.at(minute);
        let credits = if self.day >= 18 { 4.0 } else { 500.0 };
        let balance = if self.day >= 22 { 8.0 } else { 95.0 };
        for (account, namespace, name, dimension, value, unit) in [
            (
                PRODUCTION,
                "AWS/EC2",
                "CPUCreditBalance",
                ("InstanceId", "i-0c0000000000000c1"),
                credits,
                "Count",
            ),
            (
                DEVELOPMENT,
                "AWS/EBS",
                "BurstBalance",
                ("VolumeId", "vol-0f0000000000000f1"),
                balance,
                "Percent",
            ),
        ] {
            let value = metric(
                &self.account(account),
                REGION,
                namespace,
                name,
                dimension,
                at,
                value,
                unit,
            );
            self.push(Topic::AwsMetrics, account, at, &value);
        }
    }

    /// A host fails for twenty minutes of day 25 and comes back; status checks come each minute.
    fn host_failure(&mut self) {
        if self.day != 25 {
            return;
        }
        for minute in 115..150 {
            let at = self.at(minute);
            let failed = f64::from(u8::from((120..140).contains(&minute)));
            let (name, dimension) = (
                "StatusCheckFailed_System",
                ("InstanceId", "i-0b0000000000000b1"),
            );
            let account = self.account(PRODUCTION);
            let value = metric(
                &account, REGION, "AWS/EC2", name, dimension, at, failed, "Count",
            );
            self.push(Topic::AwsMetrics, PRODUCTION, at, &value);
        }
    }

    /// Between -1 and 1, from seed, series and time.
    fn noise(&self, series: u64, minute: i64) -> f64 {
        let mut x = self.options.seed ^ (series << 48) ^ ((self.day * 1_440 + minute) as u64);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// Yesterday's cost lines, delivered in the morning.
    fn billing(&mut self) {
        let (start, end) = (self.at(0), self.at(24 * 60));
        let weekend = matches!((self.day + 2) % 7, 5 | 6);
        let surge = if self.day >= 31 { 310.0 } else { 0.0 };
        for (account, service, usage, amount) in [
            (
                PRODUCTION,
                "Amazon Elastic Compute Cloud",
                "EU-BoxUsage:m5.large",
                if weekend { 21.0 } else { 30.0 },
            ),
            (
                PRODUCTION,
                "Amazon Elastic Compute Cloud",
                "EU-DataTransfer-Out-Bytes",
                44.0 + surge,
            ),
            (
                DEVELOPMENT,
                "Amazon Elastic Compute Cloud",
                "EU-BoxUsage:m5.xlarge",
                5.14,
            ),
        ] {
            let row = shapes::cost(
                &self.account(account),
                REGION,
                service,
                usage,
                start,
                end,
                amount,
            );
            self.push(Topic::AwsBilling, account, end, &row);
        }
    }

    fn events(&mut self) {
        let root = json!({"type": "Root", "arn": format!("arn:aws:iam::{}:root", self.account(PRODUCTION)), "accountId": self.account(PRODUCTION)});
        let user = |account: &str| json!({"type": "IAMUser", "arn": format!("arn:aws:iam::{account}:user/alice"), "accountId": account, "userName": "alice"});
        let open_all = json!({"groupId": "sg-0a0000000000000a3", "ipPermissions": {"items": [{"ipProtocol": "-1", "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}});
        let open_ssh = json!({"groupId": "sg-0a0000000000000a2", "ipPermissions": {"items": [{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]}});
        let (production, development) = (self.account(PRODUCTION), self.account(DEVELOPMENT));
        let day = self.day;
        let told: Vec<(&str, Value)> = match day {
            0 => vec![(
                DEVELOPMENT,
                state_change(
                    &development,
                    REGION,
                    "i-0a0000000000000a9",
                    "stopped",
                    self.at(30),
                ),
            )],
            9 | 15 => vec![(
                DEVELOPMENT,
                api_call(
                    &development,
                    REGION,
                    "AuthorizeSecurityGroupIngress",
                    &user(&development),
                    &open_all,
                    self.at(9 * 60),
                    day,
                ),
            )],
            12 => vec![(
                DEVELOPMENT,
                api_call(
                    &development,
                    REGION,
                    "RevokeSecurityGroupIngress",
                    &user(&development),
                    &open_all,
                    self.at(9 * 60),
                    day,
                ),
            )],
            20 => vec![(
                PRODUCTION,
                api_call(
                    &production,
                    REGION,
                    "AuthorizeSecurityGroupIngress",
                    &user(&production),
                    &open_ssh,
                    self.at(-60),
                    day,
                ),
            )],
            28 => vec![(
                PRODUCTION,
                api_call(
                    &production,
                    "us-east-1",
                    "CreateAccessKey",
                    &root,
                    &json!({}),
                    self.at(11 * 60),
                    day,
                ),
            )],
            _ => Vec::new(),
        };
        for (account, event) in told {
            let at = event["time"]
                .as_str()
                .and_then(|time| Timestamp::parse(time).ok());
            self.push(Topic::AwsEvents, account, at.unwrap_or(self.at(0)), &event);
        }
    }
}
