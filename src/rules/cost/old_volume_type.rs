#![doc = include_str!("old_volume_type.md")]

use crate::model::{ActionKind, AgentName, ItemKind, Severity};
use crate::rules::{Case, Found, Meta, Needs, Rule, Verdict, evidence, prices, proposal};

/// gp2 delivers 3 IOPS a GiB, at most this many.
const GP2_IOPS_MAX: i64 = 16_000;
/// gp2 delivers 128 MiB/s up to 170 GiB and 250 MiB/s beyond.
const GP2_SMALL_GIB: i64 = 170;
const GP2_SMALL_MIBPS: i64 = 128;
const GP2_MIBPS: i64 = 250;

static META: Meta = Meta {
    id: "COST-EBS-3",
    title: "Volume is of type gp2",
    agent: AgentName::Cost,
    severity: Severity::Low,
    needs: Needs {
        subjects: &["volume"],
        items: &[ItemKind::Volume],
        ..Needs::NONE
    },
    permissions: &["ec2:DescribeVolumes"],
    controls: &[],
    remediation: "Change the volume to gp3 with the IOPS and throughput it has now.",
    since: "0.1.0",
    reopen_after: 1,
    clear_after: 1,
    momentary: false,
    page: include_str!("old_volume_type.md"),
};

/// COST-EBS-3.
pub struct OldVolumeType;

impl Rule for OldVolumeType {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(volume) = case.thing() else {
            return Verdict::Silent;
        };
        if volume.class != "gp2" {
            return Verdict::Clear;
        }
        // What gp2 can deliver at most; what is really used could be less.
        let gib = volume.size_gib.clamp(0, 1 << 20);
        let iops = (3 * gib).clamp(prices::GP3_IOPS, GP2_IOPS_MAX);
        let mibps = if gib <= GP2_SMALL_GIB {
            GP2_SMALL_MIBPS
        } else {
            GP2_MIBPS
        };
        let (Some(gp2), Some(gp3)) = (
            prices::volume_gib_mills("gp2"),
            prices::volume_gib_mills("gp3"),
        ) else {
            return Verdict::Silent;
        };
        let mills = (gp2 - gp3) * gib
            - prices::GP3_IOPS_MILLS * (iops - prices::GP3_IOPS)
            - prices::GP3_MIBPS_MILLS * (mibps - prices::GP3_MIBPS);
        if mills <= 0 {
            return Verdict::Clear;
        }
        let mut upgrade = proposal(
            ActionKind::Upgrade,
            [
                ("from", "gp2".into()),
                ("to", "gp3".into()),
                ("iops", iops.to_string()),
                ("throughput_mibps", mibps.to_string()),
            ],
        );
        let savings = prices::volume_savings(mills);
        let why = format!(
            "{gib} GiB of gp2; gp3 with {iops} IOPS and {mibps} MiB/s saves {} a month",
            savings.monthly
        );
        upgrade.savings = Some(savings);
        Verdict::found(
            Found::new(
                prices::severity(upgrade.savings.as_ref()),
                why,
                vec![evidence("VolumeType", "gp2", "gp3", volume.at)],
            )
            .since(volume.at)
            .propose(upgrade),
        )
    }
}
