//! The replay reader on files made for the purpose.

use std::io::Write;
use std::path::{Path, PathBuf};

use skyherd::model::Topic;
use skyherd::sources::PAYLOAD_BYTES_MAX;
use skyherd::sources::replay::{Options, RawRecord, ReplayError, Shape, Summary, read};

use super::valid_records;

fn replay(path: &Path) -> (Vec<RawRecord>, Summary) {
    let (mut records, mut summary) = (Vec::new(), Summary::default());
    read(&[path.to_owned()], &Options::default(), |record| {
        let _ = summary.take(&record);
        records.push(record);
        Ok::<_, ReplayError>(())
    })
    .unwrap();
    assert!(summary.holds());
    (records, summary)
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn event(id: &str) -> String {
    let (_, mut event, _) = valid_records().remove(1);
    event["id"] = id.into();
    event.to_string()
}

#[test]
fn one_object_an_array_lines_and_a_run_of_objects_read_alike_packed_or_not() {
    let (one, two) = (event("1"), event("2"));
    let pretty = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        serde_json::to_string_pretty(&value).unwrap()
    };
    for text in [
        format!("{one}\n{two}\n"),
        format!("\u{feff}{one}\r\n\r\n{two}"),
        format!("[{one},{two}]"),
        format!("[\n  {} ,\n  {}\n]\n", pretty(&one), pretty(&two)),
        format!("{}\n{}", pretty(&one), pretty(&two)),
        format!("{one}{two}"),
    ] {
        for packing in [false, true] {
            let bytes = if packing {
                packed(text.as_bytes())
            } else {
                text.clone().into_bytes()
            };
            let name = if packing { "e.json.gz" } else { "e.json" };
            let (_folder, path) = written(name, &bytes);
            let (records, summary) = replay(&path);
            assert_eq!((records.len(), summary.total.decoded), (2, 2), "{text}");
            for record in records {
                assert_eq!(record.topic, Topic::AwsEvents);
                assert_eq!(record.account.as_deref(), Some("111122223333"));
            }
        }
    }
}

#[test]
fn every_shape_is_recognised_and_goes_to_its_topic() {
    let lines: Vec<String> = valid_records()
        .into_iter()
        .map(|(_, record, _)| record.to_string())
        .collect();
    let (_folder, path) = written("mixed.ndjson", lines.join("\n").as_bytes());
    let (records, summary) = replay(&path);
    let shapes: Vec<_> = records.iter().map(|record| record.what).collect();
    assert_eq!(
        shapes,
        [
            Shape::MetricStream,
            Shape::Eventbridge,
            Shape::Inventory,
            Shape::Focus
        ]
    );
    assert!(
        records
            .iter()
            .all(|record| record.account.as_deref() == Some("111122223333"))
    );
    assert_eq!(summary.total.decoded, 4);
}

#[test]
fn what_cannot_be_parsed_is_one_record_of_the_original_bytes() {
    let broken = "  {\n \"detail-type\": \"x\",\n source\": \"aws.dlm\"}\n{\"a\": 1}";
    let half = &packed(event("1").as_bytes())[..40];
    for (name, bytes) in [
        ("a.json", broken.as_bytes()),
        ("b.json", &b"{\"detail\": {<finding content>}}"[..]),
        ("c.json.txt", &b"[1, 2"[..]),
        ("d.md", &b"# Not data\n"[..]),
        ("e.parquet", &b"PAR1\x00\xff"[..]),
        ("f.json", &b""[..]),
        ("g.json", &b" \n"[..]),
        ("h.json", &b"[]"[..]),
        ("i.csv.gz", half),
        ("j.json.gz", &b"never packed"[..]),
    ] {
        let (_folder, path) = written(name, bytes);
        let (records, summary) = replay(&path);
        assert_eq!(records.len(), 1, "{name}");
        assert_eq!(records[0].payload, bytes, "{name}");
        assert_eq!(summary.total.dead_lettered, 1, "{name}");
        assert_eq!(summary.files, 1, "{name}");
    }
}

/// A log file of CloudTrail as S3 has it: one object, so many calls.
fn trail(calls: usize) -> String {
    let call = |number: usize| {
        serde_json::json!({
            "eventVersion": "1.09", "eventID": format!("e-{number}"), "eventTime": "2026-11-01T00:00:00Z",
            "eventSource": "ec2.amazonaws.com", "eventName": "StopInstances", "awsRegion": "eu-west-1",
            "eventType": "AwsApiCall", "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "arn": "a]}\"[{"},
            "requestParameters": {"instancesSet": {"items": [{"instanceId": format!("i-{number:017x}")}]}},
            "responseElements": null,
        })
    };
    let records: Vec<_> = (0..calls).map(call).collect();
    serde_json::json!({ "Records": records }).to_string()
}

#[test]
fn a_log_file_of_cloudtrail_gives_every_call_however_long_it_is() {
    for calls in [1, 5, 5_000] {
        let text = trail(calls);
        assert!(calls < 5_000 || text.len() > PAYLOAD_BYTES_MAX);
        let (_folder, path) = written("log.json.gz", &packed(text.as_bytes()));
        let (records, summary) = replay(&path);
        assert_eq!(
            (summary.total.read, summary.total.decoded),
            (calls as u64, calls as u64)
        );
        assert!(
            records
                .iter()
                .all(|record| record.topic == Topic::AwsEvents)
        );
        assert!(
            records
                .iter()
                .all(|record| record.account.as_deref() == Some("111122223333"))
        );
    }
    // Cut off in the middle: what was read of it counts, and the rest is put aside.
    let text = trail(5_000);
    let (_folder, path) = written("log.json", &text.as_bytes()[..text.len() - 50]);
    let (_, summary) = replay(&path);
    assert_eq!(
        (summary.total.decoded, summary.total.dead_lettered),
        (4_999, 1)
    );
}

#[test]
fn a_broken_line_leaves_its_neighbours_whole() {
    let text = format!("{}\n{{\"half\": \n{}\n", event("1"), event("2"));
    let (_folder, path) = written("e.ndjson", text.as_bytes());
    let (records, summary) = replay(&path);
    assert_eq!(summary.total.decoded, 2);
    assert_eq!(summary.total.dead_lettered, 1);
    assert_eq!(records[1].payload, b"{\"half\": \n");
}

#[test]
fn a_value_longer_than_a_record_is_cut_refused_and_followed_by_the_next() {
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(PAYLOAD_BYTES_MAX));
    let text = format!("{}\n{long}\n{}\n", event("1"), event("2"));
    let (_folder, path) = written("e.ndjson", text.as_bytes());
    let (records, summary) = replay(&path);
    assert_eq!((summary.total.decoded, summary.total.dead_lettered), (2, 1));
    assert_eq!(records[1].payload.len(), PAYLOAD_BYTES_MAX);
}

#[test]
fn a_metric_file_keeps_its_bad_rows_as_they_stand() {
    let text = "timestamp,value\r\n2026-01-31 12:00:00,1.5\r\nnever,2\n2026-01-31 12:05:00,NaN\n";
    let (_folder, path) = written("ec2_network_in_0a.csv", text.as_bytes());
    let (records, summary) = replay(&path);
    assert_eq!((summary.total.decoded, summary.total.dead_lettered), (1, 2));
    assert_eq!(records[1].payload, b"never,2");
    assert_eq!(records[2].payload, b"2026-01-31 12:05:00,NaN");
    let fact = &super::facts(
        Topic::AwsMetrics,
        std::str::from_utf8(&records[0].payload).unwrap(),
    )[0];
    assert_eq!(
        fact.subject.as_str(),
        "000000000000/us-east-1/instance/i-0a"
    );
    assert_eq!(fact.at.to_string(), "2026-01-31T12:00:00Z");
}

#[test]
fn a_cost_file_reads_quoted_line_ends_and_keeps_rows_of_another_width() {
    let header =
        "ProviderName,SubAccountId,ServiceName,SkuId,BilledCost,ChargePeriodStart,ChargePeriodEnd";
    let row = "AWS,1,\"Elastic,\n\"\"Compute\"\"\",S,0.00000080000,2026-01-31 00:00:00,2026-02-01 00:00:00";
    let text = format!("{header}\n{row}\nAWS,1,short\n{row}\n");
    let (_folder, path) = written("focus.csv", text.as_bytes());
    let (records, summary) = replay(&path);
    let rows = &summary.kinds["focus"];
    assert_eq!((rows.decoded, rows.dead_lettered), (2, 1));
    assert_eq!(records[1].payload, b"AWS,1,short");
    assert!(
        records[0]
            .payload
            .windows(13)
            .any(|part| part == b"0.00000080000")
    );
}

#[test]
fn folders_are_read_in_order_and_counted_apart() {
    let folder = tempfile::tempdir().unwrap();
    for (name, id) in [("b/2.json", "2"), ("a/1.json", "1"), ("a/.hidden", "3")] {
        let path = folder.path().join("top").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, event(id)).unwrap();
    }
    let (records, summary) = replay(&folder.path().join("top"));
    let folders: Vec<_> = records
        .iter()
        .map(|record| record.folder.as_str())
        .collect();
    assert_eq!(folders, ["top/a", "top/b"]);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["folders"]["top/a"]["read"], 1);
    assert_eq!(json["kinds"]["eventbridge"]["decoded"], 2);
    assert_eq!(json["read"], 2);
}

#[test]
fn a_path_that_is_not_there_is_an_error_naming_it() {
    let missing = PathBuf::from("/nowhere/at/all");
    let error = read(
        &[missing],
        &Options::default(),
        |_| Ok::<_, ReplayError>(()),
    )
    .unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"));
}
