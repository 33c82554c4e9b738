//! What is asked besides costs: what Cost Explorer reports, budgets, alarms, hours.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::moto::{Act, Bridged, HOME, Moto, Proxy};
use super::world::World;
use crate::harness::{DEADLINE, await_until};

/// Everything once a second but costs themselves, and money enough for it.
const REPORTS: &str = "[sources]\nregions = ['eu-west-1']\ninventory_interval_ms = 0\nmonthly_usd_max = 100000\n\
    [sources.costs]\ninterval_ms = 604800000\nreports_interval_ms = 1000\n[sources.budgets]\ninterval_ms = 1000\n\
    [[accounts]]\nid = '123456789012'";

/// Every operation of Cost Explorer that is asked for.
const PAID: [&str; 8] = [
    "GetCostAndUsage",
    "GetCostForecast",
    "GetAnomalies",
    "GetReservationUtilization",
    "GetReservationCoverage",
    "GetSavingsPlansUtilization",
    "GetSavingsPlansCoverage",
    "GetRightsizingRecommendation",
];

fn once(body: &Value) -> Value {
    json!([{ "body": body }])
}

fn anomaly(id: u32, impact: f64) -> Value {
    json!({
        "AnomalyId": format!("{id:08}-0000-4000-8000-000000000000"), "AnomalyStartDate": "2026-11-03T00:00:00Z",
        "AnomalyEndDate": "2026-11-04T00:00:00Z", "DimensionValue": "AWS Lambda",
        "RootCauses": [{ "Service": "AWS Lambda", "Region": "us-east-1", "LinkedAccount": HOME, "UsageType": "Lambda-GB-Second" }],
        "AnomalyScore": { "MaxScore": 0.8, "CurrentScore": 0.4 },
        "Impact": { "MaxImpact": impact, "TotalImpact": impact },
        "MonitorArn": format!("arn:aws:ce::{HOME}:anomalymonitor/x"),
    })
}

/// Two pages of anomalies.
fn anomalies(impact: f64) -> Value {
    json!({ "pages": {
        "": { "Anomalies": [anomaly(1, 10.5)], "NextPageToken": "two" },
        "two": { "Anomalies": [anomaly(2, impact)] },
    } })
}

fn budget(actual: &str) -> Value {
    json!({ "Budgets": [{
        // By the day: on a month's first the rule would wait for the second.
        "BudgetName": "platform", "BudgetType": "COST", "TimeUnit": "DAILY",
        "BudgetLimit": { "Amount": "1000.0", "Unit": "USD" },
        "TimePeriod": { "Start": 1_767_225_600.0, "End": 3_706_473_600.0 },
        "CalculatedSpend": {
            "ActualSpend": { "Amount": actual, "Unit": "USD" },
            "ForecastedSpend": { "Amount": "990.5", "Unit": "USD" },
        },
        "LastUpdatedTime": 1_767_225_600.0,
    }] })
}

/// Something of everything.
fn lay_down(moto: &Bridged) {
    let period = json!({ "Start": "2026-11-20", "End": "2026-11-21" });
    let hours = json!({ "OnDemandHours": "10", "ReservedHours": "30", "TotalRunningHours": "40", "CoverageHoursPercentage": "75" });
    moto.answers(
        "GetCostForecast",
        &once(&json!({
            "Total": { "Amount": "181.3333333333", "Unit": "USD" },
            "ForecastResultsByTime": [{ "TimePeriod": { "Start": "2026-11-23", "End": "2026-11-24" }, "MeanValue": "22.6666666667" }],
        })),
    );
    let same = anomalies(20.0);
    moto.answers("GetAnomalies", &json!([same, same, anomalies(31.25)]));
    moto.answers(
        "GetReservationUtilization",
        &once(&json!({
            "Total": { "UtilizationPercentage": "90" },
            "UtilizationsByTime": [{ "TimePeriod": period, "Groups": [], "Total": { "UtilizationPercentage": "90" } }],
        })),
    );
    moto.answers(
        "GetReservationCoverage",
        &once(&json!({
            "Total": { "CoverageHours": hours },
            "CoveragesByTime": [{ "TimePeriod": period, "Groups": [], "Total": { "CoverageHours": hours } }],
        })),
    );
    moto.answers(
        "GetSavingsPlansUtilization",
        &once(&json!({
            "Total": { "Utilization": { "TotalCommitment": "24", "UsedCommitment": "18", "UnusedCommitment": "6", "UtilizationPercentage": "75" } },
            "SavingsPlansUtilizationsByTime": [{
                "TimePeriod": period,
                "Utilization": { "TotalCommitment": "24", "UsedCommitment": "18", "UnusedCommitment": "6", "UtilizationPercentage": "75" },
            }],
        })),
    );
    moto.answers(
        "GetSavingsPlansCoverage",
        &once(&json!({ "SavingsPlansCoverages": [{
            "Attributes": {}, "TimePeriod": period,
            "Coverage": { "SpendCoveredBySavingsPlans": "18", "OnDemandCost": "6", "TotalCost": "24", "CoveragePercentage": "75" },
        }] })),
    );
    moto.answers(
        "GetRightsizingRecommendation",
        &once(&json!({
            "Metadata": { "RecommendationId": "r0", "GenerationTimestamp": "2026-11-22T08:00:00Z", "LookbackPeriodInDays": "FOURTEEN_DAYS" },
            "Summary": { "TotalRecommendationCount": "1" },
            "RightsizingRecommendations": [{
                "AccountId": HOME, "CurrentInstance": { "ResourceId": "i-0abc", "MonthlyCost": "140.16", "CurrencyCode": "USD" },
                "RightsizingType": "TERMINATE", "TerminateRecommendationDetail": { "EstimatedMonthlySavings": "140.16", "CurrencyCode": "USD" },
            }],
        })),
    );
    moto.answers("DescribeBudgets", &once(&budget("812.125")));
}

/// How many events of each kind were told, our own reports aside.
fn told(world: &World) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for event in world.records("aws.events") {
        if event["source"] != "skyherd" {
            let kind = event["detail-type"].as_str().unwrap().to_owned();
            *told.entry(kind).or_default() += 1;
        }
    }
    told
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    let pairs = pairs.iter();
    pairs
        .map(|(kind, count)| ((*kind).to_owned(), *count))
        .collect()
}

/// The last event of a kind.
fn last(world: &World, kind: &str) -> Value {
    let events = world.records("aws.events");
    let found = events
        .into_iter()
        .rfind(|event| event["detail-type"] == kind);
    found.unwrap_or_else(|| panic!("no {kind}"))["detail"].clone()
}

/// The row of a source, once it is there.
fn row(world: &World, source: &str) -> Option<Value> {
    let rows = world.sources();
    rows.into_iter().find(|row| row["source"] == source)
}

#[test]
fn reports_are_told_once_over_rounds_and_a_restart_and_again_when_they_were_restated() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    lay_down(&moto);
    let proxy = Proxy::bridged(&moto, |_| Act::Pass);
    let world = World::new(&proxy.url(), REPORTS);
    let mut skyherd = world.run();
    let all = counts(&[
        ("Cost Forecast", 1),
        // Two, and the one that was restated.
        ("Anomaly Detected", 3),
        ("Commitment Report", 4),
        ("AWS Recommendation", 1),
        ("AWS Budgets Status", 1),
    ]);
    await_until("everything is told", DEADLINE, || {
        (told(&world) == all).then_some(())
    });
    // Judged from outside: boto3 reads the same answers.
    let read = moto.python(
        r#"
ce, span = client("ce"), {"Start": "2026-11-01", "End": "2026-11-21"}
dates = {"StartDate": "2026-11-01", "EndDate": "2026-11-21"}
budget = client("budgets").describe_budgets(AccountId="123456789012")["Budgets"][0]
answer = {
    "forecast": ce.get_cost_forecast(TimePeriod=span, Metric="UNBLENDED_COST", Granularity="DAILY")["Total"]["Amount"],
    "impact": ce.get_anomalies(DateInterval=dates, NextPageToken="two")["Anomalies"][0]["Impact"]["TotalImpact"],
    "used": ce.get_reservation_utilization(TimePeriod=span)["UtilizationsByTime"][0]["Total"]["UtilizationPercentage"],
    "covered": ce.get_savings_plans_coverage(TimePeriod=span)["SavingsPlansCoverages"][0]["Coverage"]["CoveragePercentage"],
    "saved": ce.get_rightsizing_recommendation(Service="AmazonEC2")["RightsizingRecommendations"][0]["TerminateRecommendationDetail"]["EstimatedMonthlySavings"],
    "spent": budget["CalculatedSpend"]["ActualSpend"]["Amount"],
    "start": budget["TimePeriod"]["Start"].timestamp() * 1000,
}
"#,
    );
    assert_eq!(
        last(&world, "Cost Forecast")["Total"]["Amount"],
        read["forecast"]
    );
    assert_eq!(
        last(&world, "Anomaly Detected")["impact"]["totalImpact"],
        read["impact"]
    );
    let saved = &last(&world, "AWS Recommendation")["TerminateRecommendationDetail"];
    assert_eq!(saved["EstimatedMonthlySavings"], read["saved"]);
    let reports: Vec<Value> = world
        .records("aws.events")
        .into_iter()
        .filter(|event| event["detail-type"] == "Commitment Report")
        .collect();
    let any = |pointer: &str, value: &Value| {
        reports
            .iter()
            .any(|event| event["detail"].pointer(pointer) == Some(value))
    };
    assert!(
        any("/Total/UtilizationPercentage", &read["used"]),
        "{reports:#?}"
    );
    assert!(
        any("/Coverage/CoveragePercentage", &read["covered"]),
        "{reports:#?}"
    );
    assert!(
        reports
            .iter()
            .all(|event| event["account"] == HOME && event["time"] == "2026-11-21T00:00:00Z")
    );
    let status = last(&world, "AWS Budgets Status");
    assert_eq!(status["actualAmount"]["value"], read["spent"]);
    assert_eq!(status["start"], "2026-01-01T00:00:00Z");
    assert_eq!(read["start"], 1_767_225_600_000.0);
    // And somebody is told of it.
    let findings = await_until("the budget's finding", DEADLINE, || {
        let findings = world.records("findings.cost");
        (!findings.is_empty()).then_some(findings)
    });
    assert_eq!(findings[0]["rule"], "COST-BUD-1");
    assert_eq!(
        findings[0]["subject"],
        format!("{HOME}/global/budget/platform")
    );
    assert_eq!(findings[0]["severity"], "high");
    skyherd.stop();
    let before = proxy.count("GetRightsizingRecommendation");
    let mut again = world.run();
    await_until("two more rounds", DEADLINE, || {
        (proxy.count("GetRightsizingRecommendation") >= before + 2).then_some(())
    });
    assert_eq!(told(&world), all);
    again.stop();
}

#[test]
fn a_refused_report_is_named_with_its_action_what_is_not_there_is_nothing_and_the_others_go_on() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    lay_down(&moto);
    let refusal = |code: &str, message: &str| json!([{ "status": 400, "body": { "__type": code, "message": message } }]);
    let denied = "User: x is not authorized to perform: ce:GetCostForecast";
    moto.answers("GetCostForecast", &refusal("AccessDeniedException", denied));
    let fault = |status: u16, code: &str| json!({ "status": status, "body": { "__type": code, "message": "says the test" } });
    moto.answers(
        "GetAnomalies",
        &json!([
            fault(400, "ThrottlingException"),
            fault(500, "InternalServerError"),
            anomalies(2.0)
        ]),
    );
    moto.answers(
        "GetSavingsPlansUtilization",
        &refusal("DataUnavailableException", "no plans"),
    );
    moto.answers(
        "GetSavingsPlansCoverage",
        &refusal("DataUnavailableException", "no plans"),
    );
    let opt_in = "Rightsizing EC2 recommendation is an opt-in only feature. You can enable this feature from the PAYER account";
    moto.answers(
        "GetRightsizingRecommendation",
        &refusal("AccessDeniedException", opt_in),
    );
    // What cannot be told of one part of an answer does not keep the others.
    moto.answers(
        "GetReservationCoverage",
        &refusal("ValidationException", "says the test"),
    );
    let world = World::new(&moto.url(), REPORTS);
    let mut skyherd = world.run();
    let all = counts(&[
        ("Anomaly Detected", 2),
        ("Commitment Report", 1),
        ("AWS Budgets Status", 1),
    ]);
    await_until("what can be told is told", DEADLINE, || {
        let whole = row(&world, "budgets").is_some_and(|row| row["last_success"].is_string());
        (whole && told(&world) == all).then_some(())
    });
    let forecast = row(&world, "forecast").unwrap();
    assert_eq!(forecast["last_success"], Value::Null);
    let why = forecast["errors"][0].as_str().unwrap();
    assert!(
        why.starts_with("ce:GetCostForecast: AccessDeniedException"),
        "{why}"
    );
    let reservations = row(&world, "reservations").unwrap();
    let why = reservations["errors"][0].as_str().unwrap();
    assert!(
        why.starts_with("ce:GetReservationCoverage: ValidationException"),
        "{why}"
    );
    for (source, count) in [("savings-plans", 2), ("rightsizing", 1)] {
        let row = row(&world, source).unwrap();
        assert_eq!(row["errors"], json!([]), "{source}");
        assert!(row["last_success"].is_string(), "{source}");
        assert_eq!(row["nothing"].as_array().unwrap().len(), count, "{source}");
    }
    assert_eq!(row(&world, "anomalies").unwrap()["errors"], json!([]));
    let shown = world.command(&["sources"]);
    assert!(
        shown
            .stdout
            .contains("rightsizing: nothing: ce:GetRightsizingRecommendation"),
        "{}",
        shown.stdout
    );
    skyherd.stop();
}

#[test]
fn no_month_costs_more_than_its_ceiling_over_rounds_and_a_restart_and_that_is_said() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    lay_down(&moto);
    let proxy = Proxy::bridged(&moto, |_| Act::Pass);
    let settings = REPORTS.replace("= 100000", "= 1");
    let world = World::new(&proxy.url(), &settings);
    let asked = || PAID.iter().map(|name| proxy.count(name)).sum::<usize>();
    let out = |world: &World| {
        let row = row(world, "forecast")?;
        let why = row["errors"][0].as_str()?;
        why.contains("monthly_usd_max").then_some(())
    };
    let mut skyherd = world.run();
    await_until("the month's money is spent", DEADLINE, || out(&world));
    // A dollar is a hundred pages; a page is kept for each week of costs that the month still has.
    let before = asked();
    assert!((90..=100).contains(&before), "{before}");
    skyherd.stop();
    let budgets = proxy.count("DescribeBudgets");
    let mut again = world.run();
    await_until("it is said again", DEADLINE, || out(&world));
    await_until("what is free goes on", DEADLINE, || {
        (proxy.count("DescribeBudgets") > budgets + 1).then_some(())
    });
    // Costs are worth it.
    assert_eq!(asked(), before + 1);
    again.stop();
}

#[test]
fn alarms_are_told_with_their_state_once_and_again_when_it_changed() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    moto.moto.python(
        r#"
cloudwatch = client("cloudwatch")
for name in ("high", "low"):
    cloudwatch.put_metric_alarm(AlarmName=name, Namespace="AWS/EC2", MetricName="CPUUtilization", Statistic="Average",
        Dimensions=[{"Name": "InstanceId", "Value": "i-0abc"}], Period=300, EvaluationPeriods=2, Threshold=90.0,
        ComparisonOperator="GreaterThanThreshold")
"#,
    );
    let rule = "ALARM(\"high\") OR ALARM(\"low\")";
    moto.answers(
        "CompositeAlarms",
        &json!([{
            "AlarmName": "both", "AlarmArn": format!("arn:aws:cloudwatch:eu-west-1:{HOME}:alarm:both"), "AlarmRule": rule,
            "StateValue": "OK", "StateReason": "says the test", "StateUpdatedTimestamp": "2026-11-20T12:00:00+00:00",
        }]),
    );
    let proxy = Proxy::bridged(&moto, |_| Act::Pass);
    let settings = "[sources]\nregions = ['eu-west-1']\ninventory_interval_ms = 0\n\
        [sources.alarms]\ninterval_ms = 1000\n[[accounts]]\nid = '123456789012'";
    let world = World::new(&proxy.url(), settings);
    let mut skyherd = world.run();
    let alarms = |world: &World| -> Vec<Value> {
        let events = world.records("aws.events").into_iter();
        events
            .filter(|event| event["detail-type"] == "CloudWatch Alarm State Change")
            .collect()
    };
    await_until("every alarm is told", DEADLINE, || {
        (alarms(&world).len() >= 3).then_some(())
    });
    moto.moto.python(
        r#"client("cloudwatch").set_alarm_state(AlarmName="high", StateValue="ALARM", StateReason="says the test")"#,
    );
    await_until("the change is told", DEADLINE, || {
        (alarms(&world).len() >= 4).then_some(())
    });
    skyherd.stop();
    let before = proxy.count("DescribeAlarms");
    let mut again = world.run();
    await_until("two more rounds", DEADLINE, || {
        // Two pages each.
        (proxy.count("DescribeAlarms") >= before + 4).then_some(())
    });
    let told = alarms(&world);
    assert_eq!(told.len(), 4, "{told:#?}");
    let mut names: Vec<&str> = told
        .iter()
        .map(|event| event["detail"]["alarmName"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["both", "high", "high", "low"]);
    let both = told
        .iter()
        .find(|event| event["detail"]["alarmName"] == "both");
    assert_eq!(both.unwrap()["detail"]["configuration"]["AlarmRule"], rule);
    let last = told.last().unwrap();
    assert_eq!(last["detail"]["state"]["value"], "ALARM");
    assert_eq!(last["region"], "eu-west-1");
    // Judged from outside: what boto3 reads of it.
    let read = moto.moto.python(
        r#"answer = client("cloudwatch").describe_alarms(AlarmNames=["high"])["MetricAlarms"][0]"#,
    );
    let shown = &last["detail"]["configuration"];
    for field in [
        "AlarmArn",
        "AlarmName",
        "StateValue",
        "StateReason",
        "MetricName",
        "Namespace",
        "Statistic",
        "Dimensions",
        "Period",
        "EvaluationPeriods",
        "Threshold",
        "ComparisonOperator",
    ] {
        assert_eq!(shown[field], read[field], "{field}");
    }
    again.stop();
}

#[test]
fn hours_are_asked_for_by_the_hour_and_told_as_hours() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    let metric = json!({ "Amount": "0.25", "Unit": "USD" });
    let group = json!({ "Keys": ["AmazonCloudWatch", "EU-Usage"], "Metrics": { "UnblendedCost": metric, "AmortizedCost": metric } });
    moto.answers(
        "GetCostAndUsage",
        &once(&json!({ "ResultsByTime": [{
            "TimePeriod": { "Start": "2026-11-22T05:00:00Z", "End": "2026-11-22T06:00:00Z" }, "Total": {}, "Estimated": true, "Groups": [group],
        }] })),
    );
    let asked = std::sync::Arc::new(parking_lot::Mutex::new(Vec::<Value>::new()));
    let kept = std::sync::Arc::clone(&asked);
    let proxy = Proxy::bridged(&moto, move |asked| {
        if asked.action == "GetCostAndUsage" {
            kept.lock().push(serde_json::from_str(&asked.body).unwrap());
        }
        Act::Pass
    });
    let settings = "[sources]\nregions = ['eu-west-1']\ninventory_interval_ms = 0\n[sources.costs]\nhourly = true\n\
        forecast = false\nanomalies = false\nreservations = false\nsavings_plans = false\nrightsizing = false\n\
        [[accounts]]\nid = '123456789012'";
    let world = World::new(&proxy.url(), settings);
    let mut skyherd = world.run();
    let rows = world.await_whole(1);
    assert_eq!(rows.len(), 1, "nothing else is asked for: {rows:#?}");
    let told = world.records("aws.billing");
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0]["ChargePeriodStart"], "2026-11-22T05:00:00Z");
    assert_eq!(told[0]["ChargePeriodEnd"], "2026-11-22T06:00:00Z");
    let asked = asked.lock().clone();
    let grains: Vec<&str> = asked
        .iter()
        .map(|body| body["Granularity"].as_str().unwrap())
        .collect();
    assert_eq!(grains, ["DAILY", "HOURLY"]);
    let hours = &asked[1]["TimePeriod"];
    assert_eq!(
        asked[0]["TimePeriod"]["End"]
            .as_str()
            .map(|day| format!("{day}T00:00:00Z"))
            .as_deref(),
        hours["Start"].as_str()
    );
    skyherd.stop();
}
