//! Which metric a `timestamp,value` file holds, by its name.
//!
//! | file stem | metric | dimension |
//! |---|---|---|
//! | `ec2_cpu_utilization_<id>` | `AWS/EC2 CPUUtilization` | `InstanceId=i-<id>` |
//! | `ec2_disk_write_bytes_<id>` | `AWS/EC2 DiskWriteBytes` | `InstanceId=i-<id>` |
//! | `ec2_network_in_<id>` | `AWS/EC2 NetworkIn` | `InstanceId=i-<id>` |
//! | `rds_cpu_utilization_<id>` | `AWS/RDS CPUUtilization` | `DBInstanceIdentifier=<id>` |
//! | `elb_request_count_<id>` | `AWS/ELB RequestCount` | `LoadBalancerName=<id>` |
//! | `<any>_<region>_i-<id>_<Metric>` | `AWS/EC2 <Metric>` | `InstanceId=i-<id>` |
//! | any with `asg` among its words | `AWS/EC2 CPUUtilization` | `AutoScalingGroupName=<stem>` |
//! | any other | `Replay <stem>` | `Series=<stem>` |
//!
//! These are the names of the Numenta Anomaly Benchmark's AWS series. An option given wins over
//! the table, column by column.

use std::path::Path;

use serde_json::{Map, Value};

use super::Options;

/// Prefix of the stem, namespace, metric, dimension, what precedes the id in the dimension.
const STEMS: &[(&str, &str, &str, &str, &str)] = &[
    (
        "ec2_cpu_utilization_",
        "AWS/EC2",
        "CPUUtilization",
        "InstanceId",
        "i-",
    ),
    (
        "ec2_disk_write_bytes_",
        "AWS/EC2",
        "DiskWriteBytes",
        "InstanceId",
        "i-",
    ),
    (
        "ec2_network_in_",
        "AWS/EC2",
        "NetworkIn",
        "InstanceId",
        "i-",
    ),
    (
        "rds_cpu_utilization_",
        "AWS/RDS",
        "CPUUtilization",
        "DBInstanceIdentifier",
        "",
    ),
    (
        "elb_request_count_",
        "AWS/ELB",
        "RequestCount",
        "LoadBalancerName",
        "",
    ),
];

/// One metric of one thing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) dimensions: Map<String, Value>,
    pub(super) unit: &'static str,
}

/// What the table says of a stem.
struct Inferred<'a> {
    region: Option<&'a str>,
    namespace: &'a str,
    name: &'a str,
    dimension: (&'a str, String),
}

/// The series of a file: what the options say, else what its name says.
pub(super) fn series(path: &Path, options: &Options) -> Series {
    let stem = stem_of(path);
    let inferred = infer(&stem);
    let dimensions = if options.dimensions.is_empty() {
        vec![(
            inferred.dimension.0.to_owned(),
            inferred.dimension.1.clone(),
        )]
    } else {
        options.dimensions.clone()
    };
    let or = |given: &Option<String>, inferred: &str| {
        given.clone().unwrap_or_else(|| inferred.to_owned())
    };
    let name = or(&options.name, inferred.name);
    Series {
        account: options.account.clone(),
        region: or(&options.region, inferred.region.unwrap_or("us-east-1")),
        namespace: or(&options.namespace, inferred.namespace),
        unit: unit_of(&name),
        name,
        dimensions: dimensions
            .into_iter()
            .map(|(name, value)| (name, Value::String(value)))
            .collect(),
    }
}

/// The file's name without `.gz` and `.csv`.
fn stem_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = name.strip_suffix(".csv").unwrap_or(name);
    if stem.is_empty() { "series" } else { stem }.to_owned()
}

fn infer(stem: &str) -> Inferred<'_> {
    for (prefix, namespace, name, dimension, before) in STEMS {
        if let Some(id) = stem.strip_prefix(prefix).filter(|id| !id.is_empty()) {
            return Inferred {
                region: None,
                namespace,
                name,
                dimension: (dimension, format!("{before}{id}")),
            };
        }
    }
    let words: Vec<&str> = stem.split('_').collect();
    if let [_, region, id, name] = words.as_slice()
        && id.starts_with("i-")
        && region.contains('-')
    {
        return Inferred {
            region: Some(region),
            namespace: "AWS/EC2",
            name,
            dimension: ("InstanceId", (*id).to_owned()),
        };
    }
    let (namespace, name, dimension) = if words.contains(&"asg") {
        ("AWS/EC2", "CPUUtilization", "AutoScalingGroupName")
    } else {
        ("Replay", stem, "Series")
    };
    Inferred {
        region: None,
        namespace,
        name,
        dimension: (dimension, stem.to_owned()),
    }
}

fn unit_of(metric: &str) -> &'static str {
    match metric {
        "CPUUtilization" => "Percent",
        "DiskWriteBytes" | "NetworkIn" => "Bytes",
        "RequestCount" => "Count",
        _ => "None",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_its_metric_and_an_option_wins_over_it() {
        let plain = Options::default();
        let of = |name: &str, options: &Options| {
            let series = series(Path::new(name), options);
            let (key, value) = series.dimensions.iter().next().expect("one dimension");
            format!(
                "{} {} {} {key}={}",
                series.region,
                series.namespace,
                series.name,
                value.as_str().unwrap_or_default()
            )
        };
        for (name, expected) in [
            (
                "a/ec2_network_in_1.csv",
                "us-east-1 AWS/EC2 NetworkIn InstanceId=i-1",
            ),
            (
                "iio_eu-west-1_i-2_NetworkIn.csv.gz",
                "eu-west-1 AWS/EC2 NetworkIn InstanceId=i-2",
            ),
            (
                "x_asg_y.csv",
                "us-east-1 AWS/EC2 CPUUtilization AutoScalingGroupName=x_asg_y",
            ),
            ("nyc.csv", "us-east-1 Replay nyc Series=nyc"),
        ] {
            assert_eq!(of(name, &plain), expected);
        }
        let given = Options {
            name: Some("Latency".into()),
            dimensions: vec![("Service".into(), "web".into())],
            ..plain
        };
        assert_eq!(
            of("nyc.csv", &given),
            "us-east-1 Replay Latency Service=web"
        );
    }
}
