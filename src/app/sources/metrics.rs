//! CloudWatch's metrics of one account and region: which series there are, and their points, as far
//! as the month's money goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::known::PREFIX;
use super::marks::{Group, settle};
use super::money::{self, Purse};
use super::units::tell;
use super::{Fault, Shared, Target};
use crate::adapters::aws::{Aws, CallError, Form, Place, Points, Series};
use crate::config::{Metrics as Settings, fits, retention_hours};
use crate::model::{Statistics, Topic};
use crate::ports::Clock as _;
use crate::rules::RULES;
use crate::sources::metric_record;
use crate::telemetry::Signal;

/// Most series of one account and region; those beyond are told of and left out.
const SERIES_TOTAL_MAX: usize = 50_000;
/// Most pages of the list of one namespace.
const PAGES_MAX: usize = 1_000;
/// Metrics that CloudWatch writes by the minute whatever an instance's monitoring, and that rules
/// count minutes of (RES-STATE-2 and -3 of the catalogue).
const BY_THE_MINUTE: &str = "StatusCheckFailed";
/// Dimensions that name a resource which rules judge.
const RESOURCES: [&str; 5] = [
    "InstanceId",
    "VolumeId",
    "NatGatewayId",
    "AutoScalingGroupName",
    "LoadBalancer",
];

/// The metrics of one target.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    groups: Vec<Group>,
    /// When series are looked for again, on this process's own clock.
    look_due: u64,
}

fn row_key(target: &Target, number: usize) -> String {
    format!(
        "{PREFIX}{}/{}/metrics/{number}",
        target.account, target.place.region
    )
}

/// Where the metrics of a target stand among the sources.
fn row(target: &Target) -> super::status::Place {
    let region = target.place.region.clone();
    (target.account.clone(), region, "metrics")
}

/// How many rules ask for a metric: what is asked for by none is the first to be left out.
pub(super) fn usefulness(namespace: &str, name: &str) -> usize {
    let asks = |rule: &&&'static dyn crate::rules::Rule| {
        let mut metrics = rule.meta().needs.metrics.iter();
        metrics.any(|metric| metric.namespace == namespace && metric.name == name)
    };
    RULES.iter().filter(asks).count()
}

/// Namespaces and metrics that are wanted: those named, else those that rules ask for.
fn wanted(settings: &Settings, namespace: &str, name: &str) -> bool {
    let named = |list: &[String]| {
        let mut list = list.iter();
        list.any(|pattern| fits(pattern, namespace, name))
    };
    let included = if settings.include.is_empty() {
        usefulness(namespace, name) > 0
    } else {
        named(&settings.include)
    };
    included && !named(&settings.exclude)
}

/// How the points of a metric are asked for.
fn form(settings: &Settings, namespace: &str, name: &str) -> Form {
    let mut own = settings.by_metric.iter();
    let own = own.find(|own| fits(&own.metric, namespace, name));
    let minutes = namespace == "AWS/EC2" && name.starts_with(BY_THE_MINUTE);
    let period = if minutes { 60 } else { settings.period_seconds };
    Form {
        period_seconds: own.and_then(|own| own.period_seconds).unwrap_or(period),
        percentiles: own.map(|own| own.percentiles.clone()).unwrap_or_default(),
    }
}

/// Milliseconds that are filled in of a metric asked for in this form: no more than is kept of it.
fn back_fill_ms(settings: &Settings, form: &Form) -> i64 {
    let kept = retention_hours(form.period_seconds).unwrap_or(settings.back_fill_hours);
    i64::from(settings.back_fill_hours.min(kept)) * 3_600_000
}

/// The namespaces in which something may be wanted.
pub(super) fn namespaces(settings: &Settings) -> BTreeSet<String> {
    if settings.include.is_empty() {
        let metrics = RULES.iter().flat_map(|rule| rule.meta().needs.metrics);
        return metrics.map(|metric| metric.namespace.to_owned()).collect();
    }
    let names = settings.include.iter();
    names
        .map(|pattern| pattern.split(':').next().unwrap_or_default().to_owned())
        .collect()
}

/// The series of a place that are wanted and how each is asked for, and how many calls listing them
/// took.
pub(super) async fn discover(
    aws: &Aws,
    place: &Place,
    settings: &Settings,
) -> Result<(Vec<(Series, Form)>, u64), CallError> {
    let (mut found, mut calls) = (Vec::new(), 0);
    let of_resource = |series: &Series| {
        let mut names = series.dimensions.iter().map(|(name, _)| name.as_str());
        names.any(|name| RESOURCES.contains(&name))
    };
    for namespace in namespaces(settings) {
        let mut next: Option<String> = None;
        for _ in 0..PAGES_MAX {
            let (page, after) = aws.series(place, &namespace, next.as_deref()).await?;
            calls += 1;
            found.extend(page.into_iter().filter(|series| {
                wanted(settings, &series.namespace, &series.name)
                    && (!settings.include.is_empty() || of_resource(series))
            }));
            next = after;
            if next.is_none() {
                break;
            }
        }
    }
    found.sort();
    found.dedup();
    found.truncate(SERIES_TOTAL_MAX);
    let form = |series: &Series| form(settings, &series.namespace, &series.name);
    let found = found.into_iter().map(|series| {
        let form = form(&series);
        (series, form)
    });
    Ok((found.collect(), calls))
}

/// The positions, group by group, of the most useful series that together take no more than
/// `queries`; of equally useful ones those that were there first, so that every round asks for the
/// same ones.
fn chosen(groups: &[Group], mut queries: usize) -> Vec<BTreeSet<usize>> {
    let mut ranked = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        for (at, series) in group.series(|_| true) {
            let useful = usefulness(&series.namespace, &series.name);
            ranked.push((std::cmp::Reverse(useful), number, at));
        }
    }
    ranked.sort_unstable();
    let mut chosen = vec![BTreeSet::new(); groups.len()];
    for (_, number, at) in ranked {
        let Some(left) = queries.checked_sub(groups[number].form().queries()) else {
            break;
        };
        queries = left;
        chosen[number].insert(at);
    }
    chosen
}

impl Metrics {
    /// What the log remembers of a target.
    pub(super) fn from_rows(rows: &BTreeMap<String, Vec<u8>>, target: &Target) -> Self {
        let groups = (0..)
            .map_while(|number| rows.get(&row_key(target, number)))
            // What cannot be read is taken again from the past that is filled in.
            .map(|payload| rmp_serde::from_slice(payload).unwrap_or_default())
            .collect();
        Self {
            groups,
            look_due: 0,
        }
    }

    /// Looks for series that are new or gone.
    async fn look(
        &mut self,
        shared: &Shared,
        target: &Target,
        settings: &Settings,
    ) -> Result<(), Fault> {
        let now = shared.clock.monotonic_ms();
        if now < self.look_due {
            return Ok(());
        }
        let (found, _) = discover(&shared.aws, &target.place, settings).await?;
        let hours = settings.back_fill_hours;
        let since = shared.now().ms() - i64::from(hours) * 3_600_000;
        settle(&mut self.groups, found, since);
        self.look_due = now + shared.config.sources.discovery_interval_ms;
        Ok(())
    }

    /// One round: every series that can be paid for is asked, and what is new is told.
    async fn round(
        &mut self,
        shared: &Shared,
        target: &Target,
        settings: &Settings,
        purse: &mut Purse,
    ) -> Result<Taken, Fault> {
        self.look(shared, target, settings).await?;
        let total: usize = self.groups.iter().map(Group::len).sum();
        let queries = |group: &Group| group.len() * group.form().queries();
        let queries: usize = self.groups.iter().map(queries).sum();
        let affordable = purse.affordable(
            shared.now(),
            queries as u64,
            settings.interval_ms,
            money::METRIC_MICRO_USD,
        );
        let chosen = chosen(&self.groups, affordable as usize);
        let mut taken = Taken {
            series: total as u64,
            ..Taken::default()
        };
        for (number, chosen) in chosen.iter().enumerate() {
            let group = (number, chosen);
            self.group(shared, target, settings, group, purse, &mut taken)
                .await?;
        }
        if taken.asked < taken.series {
            taken.errors.push(format!(
                "{} of {} series are asked for; sources.monthly_usd_max allows no more this month",
                taken.asked, taken.series
            ));
        }
        Ok(taken)
    }

    async fn group(
        &mut self,
        shared: &Shared,
        target: &Target,
        settings: &Settings,
        (number, chosen): (usize, &BTreeSet<usize>),
        purse: &mut Purse,
        taken: &mut Taken,
    ) -> Result<(), Fault> {
        let group = &mut self.groups[number];
        let asked = group.series(|at| chosen.contains(&at));
        if asked.is_empty() {
            return Ok(());
        }
        let form = group.form().clone();
        let now = shared.now().ms();
        let to = now - now.rem_euclid(form.period_ms());
        let from = group.from(&asked, now - back_fill_ms(settings, &form));
        let series: Vec<Series> = asked.iter().map(|(_, series)| series.clone()).collect();
        let place = &target.place;
        let answers = shared.aws.points(place, &series, &form, (from, to)).await;
        // Asked is paid for, answered or not.
        let cost = (series.len() * form.queries()) as u64 * money::METRIC_MICRO_USD;
        purse.spend(shared.now(), cost);
        shared.paid(&row(target), cost);
        taken.asked += series.len() as u64;
        let (mut records, whose) = (Vec::new(), (target.account.as_str(), place.region.as_str()));
        for ((at, series), points) in asked.into_iter().zip(answers?) {
            let points = match points {
                Points::Complete(points) => points,
                Points::Forbidden(why) => {
                    taken
                        .errors
                        .push(format!("{}: forbidden: {why}", series.name));
                    continue;
                }
                Points::Failed(why) => {
                    taken.errors.push(format!("{}: {why}", series.name));
                    continue;
                }
            };
            for point in group.take(at, &points, to) {
                let value = Statistics {
                    count: point.count,
                    sum: point.sum,
                    min: point.min,
                    max: point.max,
                };
                let metric = (series.namespace.as_str(), series.name.as_str());
                let shares = form.percentiles.iter().zip(&point.percentiles);
                let shares: Vec<(&str, f64)> = shares
                    .filter_map(|(name, share)| Some((name.as_str(), (*share)?)))
                    .collect();
                let at = point.at_ms;
                let payload = metric_record(whose, metric, &series.dimensions, at, &value, &shares);
                records.push(shared.outgoing(Topic::AwsMetrics, whose.0, whose.0, payload));
            }
        }
        taken.points += records.len() as u64;
        // Points and marks are one write where log and memory are one: a crash repeats nothing.
        let row = rmp_serde::to_vec(group).map_err(|error| Fault::Shape(error.to_string()))?;
        records.push(shared.outgoing(Topic::Memory, whose.0, &row_key(target, number), row));
        let (key, spent) = purse.row(&target.account);
        records.push(shared.outgoing(Topic::Memory, whose.0, &key, spent));
        shared.publish(records).await
    }
}

/// What a round brought.
#[derive(Debug, Default)]
struct Taken {
    series: u64,
    asked: u64,
    points: u64,
    errors: Vec<String>,
}

/// One round through a target; whether nothing failed that may go better soon.
pub(super) async fn round(
    shared: &Arc<Shared>,
    target: &Target,
    metrics: &mut Metrics,
    purse: &tokio::sync::Mutex<Purse>,
) -> bool {
    let Some(settings) = &shared.config.sources.metrics else {
        return true;
    };
    let Ok(_permit) = shared.sweeps.acquire().await else {
        return true;
    };
    let began = shared.clock.monotonic_ms();
    // One round of an account at a time, so that two do not spend the same money.
    let mut purse = purse.lock().await;
    let outcome = metrics.round(shared, target, settings, &mut purse).await;
    let well = !matches!(
        &outcome,
        Err(Fault::Log(_) | Fault::Call(CallError::Throttled(_) | CallError::Failed(_)))
    );
    let taken = outcome.unwrap_or_else(|fault| {
        tell(shared, target, &fault);
        Taken {
            errors: vec![fault.to_string()],
            ..Taken::default()
        }
    });
    shared.handle.metrics.emit(&Signal::SourceSwept {
        source: "metrics",
        account: &target.account,
        region: &target.place.region,
        records: taken.points,
        known: taken.series,
        seconds: (shared.clock.monotonic_ms() - began) as f64 / 1_000.0,
        whole: taken.errors.is_empty(),
    });
    let board = &shared.handle.board;
    board.note(
        row(target),
        shared.now(),
        (taken.series, taken.points),
        taken.errors,
    );
    well
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ByMetric;

    fn series(name: &str, count: usize) -> Vec<(Series, Form)> {
        let one = |number: usize| Series {
            namespace: "AWS/EC2".to_owned(),
            name: name.to_owned(),
            dimensions: vec![("InstanceId".to_owned(), format!("i-{number}"))],
        };
        let each = (0..count).map(one);
        each.map(|series| (series, Form::default())).collect()
    }

    fn picked(groups: &[Group], count: usize) -> Vec<String> {
        let chosen = chosen(groups, count * Form::default().queries());
        let each = groups.iter().zip(&chosen);
        let series = each.flat_map(|(group, chosen)| group.series(|at| chosen.contains(&at)));
        series.map(|(_, series)| series.name).collect()
    }

    #[test]
    fn as_many_series_are_asked_for_as_there_is_money_and_the_useful_ones_first() {
        assert!(usefulness("AWS/EC2", "CPUUtilization") > usefulness("AWS/EC2", "DiskReadOps"));
        let mut groups = Vec::new();
        let all = [series("DiskReadOps", 300), series("CPUUtilization", 5)].concat();
        settle(&mut groups, all, 0);
        assert_eq!(picked(&groups, 3), ["CPUUtilization"; 3]);
        assert_eq!(picked(&groups, 0), [""; 0]);
        let some = picked(&groups, 205);
        assert_eq!(
            some.len(),
            205,
            "equally useful ones are not all or nothing"
        );
        let useful = some.iter().filter(|name| *name == "CPUUtilization");
        assert_eq!(useful.count(), 5);
        assert_eq!(chosen(&groups, 205), chosen(&groups, 205));
        assert_eq!(picked(&groups, 1_000).len(), 305);
    }

    #[test]
    fn a_metric_has_the_form_that_is_configured_for_it_and_status_checks_count_minutes() {
        let mut settings = Settings::default();
        let of = |settings: &Settings, name: &str| {
            let form = form(settings, "AWS/EC2", name);
            (form.period_seconds, form.percentiles.len())
        };
        assert_eq!(of(&settings, "CPUUtilization"), (300, 0));
        assert_eq!(of(&settings, "StatusCheckFailed_System"), (60, 0));
        let own = |metric: &str, period, percentiles: &[&str]| ByMetric {
            metric: metric.to_owned(),
            period_seconds: period,
            percentiles: percentiles.iter().map(ToString::to_string).collect(),
        };
        settings.by_metric = vec![
            own("AWS/EC2:CPUUtilization", None, &["p99"]),
            own("AWS/EC2", Some(3_600), &[]),
        ];
        assert_eq!(of(&settings, "CPUUtilization"), (300, 1));
        assert_eq!(of(&settings, "StatusCheckFailed_System"), (3_600, 0));
        // A dearer series has room for fewer beside it.
        let dear = form(&settings, "AWS/EC2", "CPUUtilization");
        let mut groups = Vec::new();
        let all = series("DiskReadOps", 10).into_iter();
        let dearer = series("CPUUtilization", 2).into_iter();
        let dearer = dearer.map(|(series, _)| (series, dear.clone()));
        settle(&mut groups, all.chain(dearer).collect(), 0);
        let chosen: usize = chosen(&groups, 19).iter().map(BTreeSet::len).sum();
        assert_eq!(chosen, 2 + (19 - 2 * 5) / 4);
        settings.back_fill_hours = 20 * 24;
        let minute = form(&Settings::default(), "AWS/EC2", "StatusCheckFailed");
        assert_eq!(back_fill_ms(&settings, &minute), 15 * 24 * 3_600_000);
    }

    #[test]
    fn what_rules_ask_for_is_wanted_unless_somebody_names_something_else() {
        let mut settings = Settings::default();
        assert!(wanted(&settings, "AWS/EC2", "CPUUtilization"));
        assert!(!wanted(&settings, "AWS/EC2", "DiskReadOps"));
        settings.exclude = vec!["AWS/EC2:CPUUtilization".to_owned()];
        assert!(!wanted(&settings, "AWS/EC2", "CPUUtilization"));
        settings.include = vec!["AWS/EC2".to_owned(), "App:Requests".to_owned()];
        assert!(wanted(&settings, "AWS/EC2", "DiskReadOps"));
        assert!(!wanted(&settings, "AWS/EC2", "CPUUtilization"));
        assert!(wanted(&settings, "App", "Requests") && !wanted(&settings, "App", "Errors"));
        let spaces: Vec<String> = namespaces(&settings).into_iter().collect();
        assert_eq!(spaces, ["AWS/EC2", "App"]);
    }
}
