//! What is asked for money: metrics and costs.

use serde_json::{Value, json};

use super::moto::{HOME, Moto};
use super::world::World;
use crate::harness::{DEADLINE, await_until};

const METRICS: &str = "[sources]\nregions = ['eu-west-1']\ninventory_interval_ms = 0\n\
    [sources.metrics]\ninterval_ms = 1000\ninclude = ['App']\n[[accounts]]\nid = '123456789012'";

/// Puts a value of the series `name` so many minutes ago, on the five minutes.
fn put(moto: &Moto, points: &[(&str, i64, f64)]) {
    let points = json!(points).to_string();
    moto.python(&format!(
        r#"
import datetime
now = datetime.datetime.now(datetime.timezone.utc)
now = now.replace(minute=now.minute - now.minute % 5, second=0, microsecond=0)
for name, minutes, value in json.loads('{points}'):
    client("cloudwatch").put_metric_data(Namespace="App", MetricData=[{{"MetricName": "Requests",
        "Dimensions": [{{"Name": "Service", "Value": name}}], "Value": value, "Unit": "Count",
        "Timestamp": now - datetime.timedelta(minutes=minutes)}}])
"#
    ));
}

#[test]
fn points_are_told_once_over_rounds_and_a_restart_and_no_data_is_no_point() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    put(
        &moto.moto,
        &[("a", 60, 1.0), ("a", 30, 2.0), ("b", 30, 4.0)],
    );
    // A round a second is dear; the ceiling is another test's.
    let settings = METRICS.replace("[sources]\n", "[sources]\nmonthly_usd_max = 100000\n");
    let world = World::new(&moto.url(), &settings);
    let mut skyherd = world.run();
    let sums = |world: &World| {
        let mut sums: Vec<(String, i64)> = world
            .records("aws.metrics")
            .iter()
            .map(|point| {
                let name = point["dimensions"]["Service"].as_str().unwrap().to_owned();
                (name, point["value"]["sum"].as_f64().unwrap() as i64)
            })
            .collect();
        sums.sort();
        sums
    };
    let pair = |name: &str, sum: i64| (name.to_owned(), sum);
    world.await_whole(1);
    assert_eq!(sums(&world), [pair("a", 1), pair("a", 2), pair("b", 4)]);
    skyherd.stop();
    // While nobody looked; within the overlap and without a gap.
    put(&moto.moto, &[("a", 10, 8.0)]);
    let mut again = world.run();
    let expected = [pair("a", 1), pair("a", 2), pair("a", 8), pair("b", 4)];
    await_until("the new point is told", DEADLINE, || {
        (sums(&world).len() >= expected.len()).then_some(())
    });
    world.await_whole(1);
    assert_eq!(sums(&world), expected);
    again.stop();
}

#[test]
fn a_metric_comes_by_its_own_period_with_its_own_percentiles() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    moto.moto.python(
        r#"
import datetime
minute = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0) - datetime.timedelta(minutes=5)
for second in range(10):
    for name in ("Fine", "Plain"):
        client("cloudwatch").put_metric_data(Namespace="App", MetricData=[{"MetricName": name, "Value": float(second),
            "Timestamp": minute + datetime.timedelta(seconds=second)}])
"#,
    );
    let settings = METRICS.replace(
        "include = ['App']\n",
        "include = ['App']\nback_fill_hours = 1\n[[sources.metrics.by_metric]]\n\
         metric = 'App:Fine'\nperiod_seconds = 60\npercentiles = ['p50', 'p90']\n",
    );
    let settings = settings.replace("[sources]\n", "[sources]\nmonthly_usd_max = 100000\n");
    let world = World::new(&moto.url(), &settings);
    let mut skyherd = world.run();
    let told = await_until("both are told", DEADLINE, || {
        let told = world.records("aws.metrics");
        (told.len() >= 2).then_some(told)
    });
    let value = |name: &str| {
        let mut of = told.iter().filter(|point| point["metric_name"] == name);
        of.next().unwrap_or_else(|| panic!("{told:?}"))["value"].clone()
    };
    assert_eq!(
        value("Fine"),
        json!({ "count": 10.0, "sum": 45.0, "max": 9.0, "min": 0.0, "p50": 4.0, "p90": 8.0 })
    );
    assert_eq!(
        value("Plain"),
        json!({ "count": 10.0, "sum": 45.0, "max": 9.0, "min": 0.0 })
    );
    let begins = |name: &str| {
        let of = told.iter().find(|point| point["metric_name"] == name);
        of.unwrap()["timestamp"].as_i64().unwrap()
    };
    assert_eq!(begins("Fine") % 60_000, 0);
    assert_eq!(begins("Plain") % 300_000, 0);
    skyherd.stop();
}

#[test]
fn series_beyond_the_month_s_money_are_left_out_and_said_to_be() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    put(&moto.moto, &[("a", 30, 1.0)]);
    let settings = METRICS.replace("[sources]\n", "[sources]\nmonthly_usd_max = 0\n");
    let world = World::new(&moto.url(), &settings);
    let mut skyherd = world.run();
    let rows = await_until("a round is over", DEADLINE, || {
        let rows = world.sources();
        (!rows.is_empty()).then_some(rows)
    });
    let told = rows[0]["errors"][0].as_str().unwrap();
    assert!(
        told.contains("0 of 1 series") && told.contains("monthly_usd_max"),
        "{told}"
    );
    assert_eq!(world.records("aws.metrics"), [Value::Null; 0]);
    skyherd.stop();
}

#[test]
fn a_day_s_costs_are_told_once_and_again_when_they_were_restated() {
    let Some(moto) = Moto::start() else { return };
    let day = |amounts: [&str; 2]| {
        let group = |service: &str, amount: &str| {
            let metric = json!({ "Amount": amount, "Unit": "USD" });
            json!({ "Keys": [service, "EU-Usage"], "Metrics": { "UnblendedCost": metric, "AmortizedCost": metric } })
        };
        json!({ "ResultsByTime": [{
            "TimePeriod": { "Start": "2026-11-20", "End": "2026-11-21" }, "Total": {}, "Estimated": true,
            "Groups": [group("Amazon Simple Storage Service", amounts[0]), group("AmazonCloudWatch", amounts[1])],
        }] })
    };
    let results = json!({ "results": [day(["1.5", "2.0000000001"]), day(["1.5", "3"])] });
    let url = format!("{}/moto-api/static/ce/cost-and-usage-results", moto.url());
    let sent = ureq::post(&url)
        .content_type("application/json")
        .send(results.to_string());
    assert!(sent.unwrap().status().is_success());
    let world = World::new(
        &moto.url(),
        "[sources]\nregions = ['eu-west-1']\ninventory_interval_ms = 0\n[sources.costs]\ninterval_ms = 1000\ndays = 30\n[[accounts]]\nid = '123456789012'",
    );
    let mut skyherd = world.run();
    let rows = await_until("the restatement is told", DEADLINE, || {
        let rows = world.records("aws.billing");
        (rows.len() >= 3).then_some(rows)
    });
    let costs: Vec<&str> = rows
        .iter()
        .map(|row| row["BilledCost"].as_str().unwrap())
        .collect();
    assert_eq!(costs, ["1.5", "2.0000000001", "3"]);
    assert!(rows.iter().all(|row| row["SubAccountId"] == HOME));
    let told = world.sources();
    let told = told.iter().find(|row| row["source"] == "costs").unwrap();
    // Two rounds of a page at the least; what asking cost is told where one looks how it does.
    assert!(told["usd"].as_f64().unwrap() >= 0.02, "{told}");
    let shown = world.command(&["sources"]).stdout;
    assert!(shown.contains("USD") && shown.contains("0.0"), "{shown}");
    assert!(
        world
            .metrics()
            .contains("skyherd_source_micro_usd_total{source=\"costs\"}")
    );
    skyherd.stop();
}
