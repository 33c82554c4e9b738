#![doc = include_str!("idle_instance.md")]

use crate::model::{ActionKind, AgentName, EventKind, ItemKind, Severity};
use crate::rules::stats::View;
use crate::rules::{
    Case, Found, Measure, Meta, Metric, Needs, Rule, Verdict, evidence, prices, proposal,
};

pub(super) const CPU: Metric = Metric {
    namespace: "AWS/EC2",
    name: "CPUUtilization",
};
pub(super) const NETWORK_IN: Metric = Metric {
    namespace: "AWS/EC2",
    name: "NetworkIn",
};
pub(super) const NETWORK_OUT: Metric = Metric {
    namespace: "AWS/EC2",
    name: "NetworkOut",
};

/// Look-back in UTC days, today included (Compute Optimizer's default).
pub(super) const WINDOW_DAYS: i64 = 14;
/// Hours of data needed (Compute Optimizer).
const HOURS_MIN: u32 = 30;
/// Peak CPU of an idle instance, percent (Compute Optimizer).
const CPU_MAX: f64 = 5.0;
/// Network bytes a day of an idle instance, both ways (Compute Optimizer: 5 MB).
pub(super) const NETWORK_DAY_MAX: f64 = 5.0e6;

static META: Meta = Meta {
    id: "COST-EC2-1",
    title: "Instance is idle",
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
    remediation: "Stop the instance; its volumes are still billed.",
    since: "0.1.0",
    reopen_after: 2,
    clear_after: 2,
    momentary: false,
    page: include_str!("idle_instance.md"),
};

/// COST-EC2-1.
pub struct IdleInstance;

impl Rule for IdleInstance {
    fn meta(&self) -> &'static Meta {
        &META
    }

    fn check(&self, case: &Case<'_>) -> Verdict {
        if matches!(case.memory.state(), Some(("stopped" | "stopping", _))) {
            return Verdict::Clear;
        }
        let Some(cpu) = case.series(CPU) else {
            return Verdict::Silent;
        };
        // The common case, decided by the newest point alone.
        if cpu
            .newest()
            .is_some_and(|point| f64::from(point.max) >= CPU_MAX)
        {
            return Verdict::Clear;
        }
        let first = case.as_of.day() - WINDOW_DAYS + 1;
        let (peak, hours) = load(&cpu, first);
        if peak >= CPU_MAX {
            return Verdict::Clear;
        }
        let Some(traffic) = Traffic::of(case, first) else {
            return Verdict::Silent;
        };
        let busiest = traffic.busiest();
        if busiest >= NETWORK_DAY_MAX {
            return Verdict::Clear;
        }
        if hours < HOURS_MIN {
            return Verdict::Silent;
        }
        Verdict::found(Self::found(case, peak, busiest, hours))
    }

    fn measure(&self, case: &Case<'_>) -> Option<Measure> {
        let first = case.as_of.day() - WINDOW_DAYS + 1;
        let (peak, hours) = load(&case.series(CPU)?, first);
        if peak >= CPU_MAX {
            return Some(Measure::below("peak CPU in 14 days", peak, CPU_MAX, "%"));
        }
        let busiest = Traffic::of(case, first)?.busiest();
        if busiest >= NETWORK_DAY_MAX {
            let (busiest, least) = (busiest / 1.0e6, NETWORK_DAY_MAX / 1.0e6);
            return Some(Measure::below(
                "network on the busiest day",
                busiest,
                least,
                "MB",
            ));
        }
        let (hours, least) = (f64::from(hours), f64::from(HOURS_MIN));
        Some(Measure::above("hours of data", hours, least, "h"))
    }
}

/// The peak of the days of a window, and how many hours of them have data.
fn load(cpu: &View<'_>, first: i64) -> (f64, u32) {
    let (mut peak, mut hours) = (0.0, 0);
    cpu.each_day(first, first + WINDOW_DAYS - 1, |_, day| {
        peak = f64::max(peak, f64::from(day.max));
        hours += day.hours();
    });
    (peak, hours)
}

/// Network bytes of the days of a window, in and out; no number where a day has no data.
pub(super) struct Traffic([[f64; WINDOW_DAYS as usize]; 2]);

impl Traffic {
    /// `None` while one of the two was never heard of. `first` is the window's first day.
    pub(super) fn of(case: &Case<'_>, first: i64) -> Option<Self> {
        let mut days = [[f64::NAN; WINDOW_DAYS as usize]; 2];
        for (days, metric) in days.iter_mut().zip([NETWORK_IN, NETWORK_OUT]) {
            let series = case.series(metric)?;
            series.each_day(first, first + WINDOW_DAYS - 1, |day, total| {
                days[(day - first) as usize] = total.sum;
            });
        }
        Some(Self(days))
    }

    /// Both ways on the n-th day; no number unless both are known.
    pub(super) fn both(&self, day: usize) -> f64 {
        self.0[0][day] + self.0[1][day]
    }

    /// The most a day moved, counting what is known of it.
    fn busiest(&self) -> f64 {
        let known = |bytes: f64| if bytes.is_nan() { 0.0 } else { bytes };
        let days = self.0[0].iter().zip(&self.0[1]);
        days.map(|(inward, outward)| known(*inward) + known(*outward))
            .fold(0.0, f64::max)
    }
}

impl IdleInstance {
    fn found(case: &Case<'_>, peak: f64, busiest: f64, hours: u32) -> Found {
        let mut stop = proposal(ActionKind::Stop, []);
        let thing = case.thing().filter(|thing| !thing.other_platform);
        stop.savings = thing
            .and_then(|thing| prices::instance(&thing.class))
            .map(|price| prices::instance_savings(price.hour));
        let megabytes = busiest / 1.0e6;
        Found::new(
            prices::severity(stop.savings.as_ref()),
            format!(
                "in {hours} h of data over {WINDOW_DAYS} days CPU peaked at {peak:.1} % and the \
                 busiest day moved {megabytes:.2} MB"
            ),
            vec![
                evidence(
                    CPU.name,
                    format!("{peak:.1} % peak"),
                    format!("{CPU_MAX} %"),
                    case.as_of,
                ),
                evidence(
                    "NetworkIn + NetworkOut",
                    format!("{megabytes:.2} MB on the busiest day"),
                    "5 MB a day",
                    case.as_of,
                ),
            ],
        )
        .confidence(if case.subject.region() == "us-east-1" {
            0.9
        } else {
            0.8
        })
        .propose(stop)
    }
}
