#![doc = include_str!("high_cpu.md")]

use crate::model::{ActionKind, AgentName, Severity, Timestamp};
use crate::rules::stats::{Point, View};
use crate::rules::{Case, Found, Measure, Meta, Metric, Needs, Rule, Verdict, evidence, proposal};

const CPU: Metric = Metric {
    namespace: "AWS/EC2",
    name: "CPUUtilization",
};
/// Average CPU that is too high, percent (Trusted Advisor).
const CPU_MAX: f64 = 90.0;
/// Slots in a row above it, and their length (catalogue: 3 × 5 min).
const SLOTS: i64 = 3;
const SLOT_MS: i64 = 5 * Timestamp::MINUTE;
/// Days above it, of so many (Trusted Advisor), and the hours of data that make a day count.
const HIGH_DAYS: usize = 4;
const WINDOW_DAYS: i64 = 14;
const HOURS_MIN: u32 = 12;

static META: Meta = Meta {
    id: "PERF-EC2-2",
    title: "Instance runs out of CPU",
    agent: AgentName::Performance,
    severity: Severity::High,
    needs: Needs {
        subjects: &["instance"],
        metrics: &[CPU],
        ..Needs::NONE
    },
    permissions: &["cloudwatch:GetMetricData"],
    controls: &[],
    remediation: "Add capacity: a larger type, or more instances in the group.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("high_cpu.md"),
};

/// PERF-EC2-2.
pub struct HighCpu;

/// The least average of the newest [`SLOTS`] slots, when each of them has data.
fn lately(view: &View<'_>) -> Option<f64> {
    let newest = view.newest()?.at.ms().div_euclid(SLOT_MS);
    let mut slots = [(0.0, 0.0); SLOTS as usize];
    for point in view.back() {
        let back = newest - point.at.ms().div_euclid(SLOT_MS);
        let Some(slot) = usize::try_from(back)
            .ok()
            .and_then(|back| slots.get_mut(back))
        else {
            break;
        };
        slot.0 += point.average();
        slot.1 += 1.0;
    }
    slots
        .iter()
        .map(|(sum, points)| (*points > 0.0).then(|| sum / points))
        .try_fold(f64::MAX, |least, average| Some(least.min(average?)))
}

impl Rule for HighCpu {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        let Some(view) = case.series(CPU) else {
            return Verdict::Silent;
        };
        let newest = view.newest().map_or(0.0, Point::average);
        if newest > CPU_MAX
            && let Some(least) = lately(&view).filter(|least| *least > CPU_MAX)
        {
            return Verdict::found(Self::found(
                case,
                META.severity,
                format!("average CPU was above {CPU_MAX} % for 15 minutes, at least {least:.1} %"),
                format!("{least:.1} %"),
            ));
        }
        let (first, last) = (case.as_of.day() - WINDOW_DAYS, case.as_of.day() - 1);
        let mut high = 0;
        view.each_day(first, last, |_, day| {
            high += usize::from(day.average() > CPU_MAX && day.hours() >= HOURS_MIN);
        });
        if high >= HIGH_DAYS {
            return Verdict::found(Self::found(
                case,
                Severity::Medium,
                format!("average CPU was above {CPU_MAX} % on {high} of {WINDOW_DAYS} days"),
                format!("{high} days"),
            ));
        }
        if newest > CPU_MAX {
            Verdict::Silent
        } else {
            Verdict::Clear
        }
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let view = case.series(CPU)?;
        let average = lately(&view).unwrap_or_else(|| view.newest().map_or(0.0, Point::average));
        Some(Measure::above("CPU over 15 minutes", average, CPU_MAX, "%"))
    }
}

impl HighCpu {
    fn found(case: &Case<'_>, severity: Severity, why: String, value: String) -> Found {
        Found::new(
            severity,
            why,
            vec![evidence(
                CPU.name,
                value,
                format!("{CPU_MAX} %"),
                case.as_of,
            )],
        )
        .propose(proposal(ActionKind::Scale, [("direction", "out".into())]))
    }
}
