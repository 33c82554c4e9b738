//! A whole account, with faults in every API and a kill in the middle: complete, and nothing twice.

use std::time::Duration;

use serde_json::{Value, json};

use super::moto::{Act, Moto, Proxy};
use super::world::{World, ids};
use crate::harness::{DEADLINE, await_until};

/// Days of metrics and costs.
const DAYS: i64 = 14;
/// Each source once, and no more while the test runs.
const SETTINGS: &str = "[sources]\nregions = ['eu-west-1']\n\
    [sources.metrics]\ninterval_ms = 86400000\nperiod_seconds = 3600\nback_fill_hours = 340\ninclude = ['App']\n\
    [sources.costs]\ninterval_ms = 86400000\nback_fill_days = 14\n[[accounts]]\nid = '123456789012'";

/// Gives the points put: instance, milliseconds, value.
const SEED: &str = r#"
import datetime
ec2 = client("ec2")
image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
groups = [ec2.create_security_group(GroupName=f"g{n}", Description="of the estate")["GroupId"] for n in range(20)]
instances = []
for n in range(4):
    made = ec2.run_instances(ImageId=image, InstanceType="m5.large", MinCount=50, MaxCount=50, SecurityGroupIds=[groups[n]])
    instances += [i["InstanceId"] for i in made["Instances"]]
for n in range(30):
    ec2.create_volume(AvailabilityZone="eu-west-1a", Size=n + 1, VolumeType="gp3")
hour = datetime.datetime.now(datetime.timezone.utc).replace(minute=0, second=0, microsecond=0)
answer = []
for number, instance in enumerate(instances[:3]):
    data = []
    # Some hours have no data, which is not zero.
    for back in (b for b in range(1, 14 * 24 + 1) if (b + number) % 7):
        at = hour - datetime.timedelta(hours=back)
        value = float(number * 1000 + back)
        data.append({"MetricName": "Load", "Dimensions": [{"Name": "InstanceId", "Value": instance}], "Value": value,
            "Timestamp": at})
        answer.append([instance, int(at.timestamp() * 1000), value])
    client("cloudwatch").put_metric_data(Namespace="App", MetricData=data)
"#;

/// Costs of the days before today, as Cost Explorer says it.
fn costs(days: &[String]) -> Value {
    let each = days.windows(2).enumerate().map(|(number, pair)| {
        let group = |service: &str, cents: usize| {
            let metric = json!({ "Amount": format!("{number}.{cents:010}"), "Unit": "USD" });
            json!({ "Keys": [service, "EU-Usage"], "Metrics": { "UnblendedCost": metric, "AmortizedCost": metric } })
        };
        json!({ "TimePeriod": { "Start": pair[0], "End": pair[1] }, "Total": {}, "Estimated": false,
                "Groups": [group("Amazon Simple Storage Service", 7), group("AmazonCloudWatch", 1)] })
    });
    json!({ "results": [{ "ResultsByTime": each.collect::<Vec<_>>() }] })
}

/// What was published of metrics, as the seed tells it.
fn points(world: &World) -> Vec<(String, i64, i64)> {
    let point = |record: Value| {
        let instance = record["dimensions"]["InstanceId"].as_str().unwrap();
        let value = record["value"]["sum"].as_f64().unwrap() as i64;
        (
            instance.to_owned(),
            record["timestamp"].as_i64().unwrap(),
            value,
        )
    };
    let mut points: Vec<_> = world
        .records("aws.metrics")
        .into_iter()
        .map(point)
        .collect();
    points.sort();
    points
}

#[test]
fn two_hundred_instances_two_weeks_of_metrics_and_costs_are_complete_over_faults_and_a_kill() {
    let Some(moto) = Moto::start().map(Moto::with_cloudwatch) else {
        return;
    };
    let seeded = moto.moto.python(SEED);
    let mut expected: Vec<(String, i64, i64)> = seeded
        .as_array()
        .unwrap()
        .iter()
        .map(|point| {
            let instance = point[0].as_str().unwrap().to_owned();
            (
                instance,
                point[1].as_i64().unwrap(),
                point[2].as_f64().unwrap() as i64,
            )
        })
        .collect();
    expected.sort();
    let days = moto.moto.python(&format!(
        "import datetime\ntoday = datetime.datetime.now(datetime.timezone.utc).date()\n\
         answer = [str(today - datetime.timedelta(days=back)) for back in range({DAYS}, -1, -1)]"
    ));
    let days: Vec<String> = serde_json::from_value(days).unwrap();
    // One answer for each time it is asked: the one that a kill may cut off, and the one after it.
    let mut answers = costs(&days);
    let again = answers["results"][0].clone();
    answers["results"].as_array_mut().unwrap().push(again);
    let url = format!(
        "{}/moto-api/static/ce/cost-and-usage-results",
        moto.moto.url()
    );
    let sent = ureq::post(&url)
        .content_type("application/json")
        .send(answers.to_string());
    assert!(sent.unwrap().status().is_success());

    // The first request of every kind fails in one of four ways, and the points hang. Not more of
    // them: the client slows down for good once it is put off again and again.
    let fault = |before: usize, action: &str| match (before, action.len() % 4) {
        (0, 0) => Act::Refuse(503, "RequestLimitExceeded"),
        (0, 1) => Act::Reset,
        (0, 2) => Act::Refuse(500, "InternalError"),
        (0, _) => Act::Slow(Duration::from_millis(300)),
        _ => Act::Pass,
    };
    let proxy = Proxy::bridged(&moto, move |asked| match asked.action.as_str() {
        "GetMetricData" => Act::Slow(Duration::from_mins(10)),
        action => fault(asked.before, action),
    });
    let world = World::new(&proxy.url(), SETTINGS);
    let mut skyherd = world.run();
    await_until("points are asked for", DEADLINE, || {
        (proxy.count("GetMetricData") > 0).then_some(())
    });
    skyherd.kill();
    proxy.set(move |asked| match asked.action.as_str() {
        "GetMetricData" => fault(asked.before - 1, &asked.action),
        action => fault(asked.before, action),
    });
    let mut again = world.run();
    // Inventory of the region and outside it, attributes of instances, metrics, costs, and five
    // reports that there is nothing of.
    let rows = world.await_whole(10);
    assert_eq!(rows.len(), 10, "{rows:?}");
    assert!(
        rows.iter().all(|row| row["errors"] == json!([])),
        "{rows:?}"
    );

    let present = world.present();
    let truth = moto.moto.python(
        r#"
ec2 = client("ec2")
answer = {
  "instance": [i["InstanceId"] for r in ec2.describe_instances()["Reservations"] for i in r["Instances"]],
  "volume": [v["VolumeId"] for v in ec2.describe_volumes()["Volumes"]],
  "security-group": [g["GroupId"] for g in ec2.describe_security_groups()["SecurityGroups"]],
}
"#,
    );
    for (kind, count) in [("instance", 200), ("volume", 230), ("security-group", 21)] {
        let theirs: std::collections::BTreeSet<String> =
            serde_json::from_value(truth[kind].clone()).unwrap();
        assert_eq!(ids(&present, kind), theirs, "{kind}");
        assert!(theirs.len() >= count, "{kind}: {}", theirs.len());
    }
    assert_eq!(
        ids(&present, "instance-attributes"),
        ids(&present, "instance")
    );
    assert_eq!(points(&world), expected);
    let mut told: Vec<(String, String)> = world
        .records("aws.billing")
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (
                text("ChargePeriodStart")[..10].to_owned(),
                text("BilledCost"),
            )
        })
        .collect();
    told.sort();
    let amounts = |number: usize| {
        [
            format!("{number}.0000000001"),
            format!("{number}.0000000007"),
        ]
    };
    let whole: Vec<(String, String)> = days[..DAYS as usize]
        .iter()
        .enumerate()
        .flat_map(|(number, day)| amounts(number).map(|amount| (day.clone(), amount)))
        .collect();
    assert_eq!(told, whole);
    // Two processes asked once, and one of the two was put off once.
    for action in [
        "DescribeVolumes",
        "DescribeSecurityGroups",
        "ListMetrics",
        "GetMetricData",
        "GetCostAndUsage",
    ] {
        let calls = proxy.count(action);
        assert!((1..=3).contains(&calls), "{action}: {calls}");
    }
    // Two of each instance, and one of twenty, of which the process that was killed asked some.
    let calls = proxy.count("DescribeInstanceAttribute");
    assert!((400..=802).contains(&calls), "{calls}");
    let calls = proxy.count("DescribeInstances");
    assert!((11..=23).contains(&calls), "{calls}");
    again.stop();
}
