#![doc = include_str!("low_use_instance.md")]

use super::idle_instance::{CPU, NETWORK_DAY_MAX, NETWORK_IN, NETWORK_OUT, Traffic, WINDOW_DAYS};
use crate::model::{ActionKind, AgentName, EventKind, ItemKind, Proposal, Severity};
use crate::rules::stats::Total;
use crate::rules::{Case, Found, Measure, Meta, Needs, Rule, Verdict, evidence, prices, proposal};

/// Daily average CPU of a day of low use, percent (Trusted Advisor's check).
const CPU_AVERAGE_MAX: f64 = 10.0;
/// Days of low use that make a finding (Trusted Advisor).
const LOW_DAYS: usize = 4;
/// Hours of data that make a day count. OURS: one quiet hour is no quiet day.
const HOURS_MIN: u32 = 12;

static META: Meta = Meta {
    id: "COST-EC2-2",
    title: "Instance is hardly used",
    agent: AgentName::Cost,
    severity: Severity::Low,
    needs: Needs {
        subjects: &["instance"],
        metrics: &[CPU, NETWORK_IN, NETWORK_OUT],
        events: &[EventKind::InstanceState],
        items: &[ItemKind::Instance],
        whole_days: true,
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData", "ec2:DescribeInstances"],
    controls: &[],
    remediation: "Choose a smaller type of the same family.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("low_use_instance.md"),
};

/// COST-EC2-2.
pub struct LowUseInstance;

impl Rule for LowUseInstance {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if matches!(case.memory.state(), Some(("stopped" | "stopping", _))) {
            return Verdict::Clear;
        }
        let (first, last) = window(case);
        let (Some(cpu), Some(traffic)) = (case.series(CPU), Traffic::of(case, first)) else {
            return Verdict::Silent;
        };
        let (mut known, mut low, mut averages) = (0_usize, 0_usize, 0.0);
        cpu.each_day(first, last, |day, total| {
            let bytes = traffic.both((day - first) as usize);
            if bytes.is_nan() || total.hours() < HOURS_MIN {
                return;
            }
            known += 1;
            if is_low(total, bytes) {
                low += 1;
                averages += total.average();
            }
        });
        if low < LOW_DAYS {
            // Clear only when the days not known could not make up for it.
            let unknown = WINDOW_DAYS as usize - known.min(WINDOW_DAYS as usize);
            return if low + unknown < LOW_DAYS {
                Verdict::Clear
            } else {
                Verdict::Silent
            };
        }
        let average = averages / low as f64;
        let rightsize = smaller(case);
        Verdict::found(
            Found::new(
                prices::severity(rightsize.savings.as_ref()),
                format!(
                    "on {low} of {WINDOW_DAYS} days CPU averaged {average:.1} % and the \
                     network moved at most 5 MB"
                ),
                vec![evidence(
                    "days of low use",
                    low.to_string(),
                    format!("{LOW_DAYS} of {WINDOW_DAYS}"),
                    case.as_of,
                )],
            )
            // Memory is not looked at: CloudWatch does not have it without an agent.
            .confidence(0.6)
            .propose(rightsize),
        )
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let (first, last) = window(case);
        let traffic = Traffic::of(case, first)?;
        let mut low = 0_u32;
        case.series(CPU)?.each_day(first, last, |day, total| {
            let bytes = traffic.both((day - first) as usize);
            low += u32::from(total.hours() >= HOURS_MIN && is_low(total, bytes));
        });
        let (low, wanted) = (f64::from(low), LOW_DAYS as f64);
        Some(Measure::above("days of low use in 14", low, wanted, "days"))
    }
}

/// Whole days only: today is not over.
fn window(case: &Case<'_>) -> (i64, i64) {
    (case.as_of.day() - WINDOW_DAYS, case.as_of.day() - 1)
}

/// A day whose traffic is not known is none.
fn is_low(day: &Total, bytes: f64) -> bool {
    day.average() <= CPU_AVERAGE_MAX && bytes <= NETWORK_DAY_MAX
}

/// The next smaller class of the family, with what it would save where both prices are known.
fn smaller(case: &Case<'_>) -> Proposal {
    let mut rightsize = proposal(ActionKind::Rightsize, []);
    let thing = case.thing().filter(|thing| !thing.other_platform);
    let class = thing.map_or("", |thing| thing.class.as_str());
    if let (Some(price), Some((smaller, less))) = (prices::instance(class), prices::smaller(class))
    {
        rightsize.parameters.insert("from".into(), class.to_owned());
        rightsize.parameters.insert("to".into(), smaller.to_owned());
        rightsize.savings = Some(prices::instance_savings(price.hour - less.hour));
    }
    rightsize
}
