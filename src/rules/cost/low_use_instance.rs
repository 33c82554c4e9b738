#![doc = include_str!("low_use_instance.md")]

use super::idle_instance::{CPU, NETWORK_DAY_MAX, NETWORK_IN, NETWORK_OUT, WINDOW_DAYS};
use crate::model::{ActionKind, AgentName, EventKind, ItemKind, Proposal, Severity};
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
        let (Some(cpu), Some(inward), Some(outward)) = (
            case.series(CPU),
            case.series(NETWORK_IN),
            case.series(NETWORK_OUT),
        ) else {
            return Verdict::Silent;
        };
        // Whole days only: today is not over.
        let (first, last) = (case.as_of.day() - WINDOW_DAYS, case.as_of.day() - 1);
        let (inward, outward) = (inward.days(first, last), outward.days(first, last));
        let bytes = |day: i64| {
            let sum = |days: &[(i64, crate::rules::stats::Total)]| {
                let place = days.binary_search_by_key(&day, |(day, _)| *day).ok()?;
                Some(days[place].1.sum)
            };
            Some(sum(&inward)? + sum(&outward)?)
        };
        let (mut known, mut low, mut averages) = (0_usize, 0_usize, 0.0);
        for (day, total) in cpu.days(first, last) {
            let Some(bytes) = bytes(day).filter(|_| total.hours() >= HOURS_MIN) else {
                continue;
            };
            known += 1;
            if total.average() <= CPU_AVERAGE_MAX && bytes <= NETWORK_DAY_MAX {
                low += 1;
                averages += total.average();
            }
        }
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
        let (first, last) = (case.as_of.day() - WINDOW_DAYS, case.as_of.day() - 1);
        let (inward, outward) = (case.series(NETWORK_IN)?, case.series(NETWORK_OUT)?);
        let (inward, outward) = (inward.days(first, last), outward.days(first, last));
        let sum = |days: &[(i64, crate::rules::stats::Total)], day: i64| {
            let found = days.iter().find(|(other, _)| *other == day);
            found.map_or(0.0, |(_, total)| total.sum)
        };
        let low = case
            .series(CPU)?
            .days(first, last)
            .iter()
            .filter(|(day, total)| {
                total.hours() >= HOURS_MIN
                    && total.average() <= CPU_AVERAGE_MAX
                    && sum(&inward, *day) + sum(&outward, *day) <= NETWORK_DAY_MAX
            })
            .count();
        let (low, wanted) = (low as f64, LOW_DAYS as f64);
        Some(Measure::above("days of low use in 14", low, wanted, "days"))
    }
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
