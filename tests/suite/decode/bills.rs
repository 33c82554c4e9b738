//! Bills of every export: one row in one model, files in every packing, deliveries in whole.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use proptest::prelude::*;
use serde_json::{Value, json};
use skyherd::model::{
    ChargeKind, CommitmentKind, CommitmentPart, CostLine, FactBody, Ignored, Message, Topic,
};
use skyherd::sources::replay::{Counts, Options, RawRecord, ReplayError, Shape, Summary, read};
use skyherd::sources::{Decoded, decode};

use super::{facts, refused, samples};

fn line(row: &Value) -> CostLine {
    match facts(Topic::AwsBilling, &row.to_string()).remove(0).body {
        FactBody::Cost(line) => *line,
        other => panic!("{other:?}"),
    }
}

/// A row of a legacy report, with some cells changed.
fn legacy(cells: &Value) -> Value {
    let mut row = json!({
        "identity/LineItemId": "a1", "identity/TimeInterval": "2026-11-03T00:00:00Z/2026-11-04T00:00:00Z",
        "bill/PayerAccountId": "999900001111", "bill/BillingPeriodStartDate": "2026-11-01T00:00:00Z",
        "bill/BillingPeriodEndDate": "2026-12-01T00:00:00Z", "lineItem/UsageAccountId": "111122223333",
        "lineItem/LineItemType": "Usage", "lineItem/UsageStartDate": "2026-11-03T00:00:00Z",
        "lineItem/UsageEndDate": "2026-11-04T00:00:00Z", "lineItem/ProductCode": "AmazonEC2",
        "lineItem/UsageType": "EU-BoxUsage:m7g.large", "lineItem/Operation": "RunInstances",
        "lineItem/AvailabilityZone": "eu-west-1b", "lineItem/ResourceId": "i-0abc",
        "lineItem/CurrencyCode": "USD", "lineItem/UnblendedCost": "0.0816000001",
        "product/ProductName": "Amazon Elastic Compute Cloud"
    });
    for (name, cell) in cells.as_object().unwrap() {
        row[name] = cell.clone();
    }
    row
}

#[test]
fn a_row_of_a_legacy_report_says_who_what_where_and_how_much() {
    let line = line(&legacy(&json!({
        "resourceTags/user:team": "web", "resourceTags/aws:createdBy": "x", "resourceTags/user:none": "",
    })));
    assert_eq!(
        (&*line.account, &*line.region),
        ("111122223333", "eu-west-1")
    );
    assert_eq!(line.service, "Amazon Elastic Compute Cloud");
    assert_eq!(line.usage_type, "EU-BoxUsage:m7g.large");
    assert_eq!(line.resource.as_deref(), Some("i-0abc"));
    assert_eq!(line.billed.amount().to_string(), "0.0816000001");
    assert_eq!(
        (line.effective, line.kind),
        (line.billed, ChargeKind::Usage)
    );
    assert_eq!(line.start.to_string(), "2026-11-03T00:00:00Z");
    let tags: Vec<(&str, &str)> = line
        .tags
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(tags, [("aws:createdBy", "x"), ("team", "web")]);
    assert_eq!((line.commitment, line.place), (None, None));
}

#[test]
fn amortised_cost_gives_what_is_covered_its_share_and_fees_what_nobody_used() {
    let plan = "arn:aws:savingsplans::111122223333:savingsplan/s1";
    let reserved = "arn:aws:ec2:eu-west-1:111122223333:reserved-instances/r1";
    let cases = [
        (
            "SavingsPlanCoveredUsage",
            json!({"savingsPlan/SavingsPlanARN": plan,
            "savingsPlan/SavingsPlanEffectiveCost": "0.05"}),
            "0.05",
            CommitmentPart::Covered,
        ),
        (
            "SavingsPlanNegation",
            json!({"savingsPlan/SavingsPlanARN": plan}),
            "0",
            CommitmentPart::Fee,
        ),
        (
            "SavingsPlanRecurringFee",
            json!({"savingsPlan/SavingsPlanARN": plan,
            "savingsPlan/TotalCommitmentToDate": "2.50", "savingsPlan/UsedCommitment": "2.2"}),
            "0.30",
            CommitmentPart::Fee,
        ),
        (
            "DiscountedUsage",
            json!({"reservation/ReservationARN": reserved,
            "reservation/EffectiveCost": "0.04"}),
            "0.04",
            CommitmentPart::Covered,
        ),
        (
            "RIFee",
            json!({"reservation/ReservationARN": reserved,
            "reservation/UnusedAmortizedUpfrontFeeForBillingPeriod": "1.5",
            "reservation/UnusedRecurringFee": "0.25"}),
            "1.75",
            CommitmentPart::Fee,
        ),
        (
            "Fee",
            json!({"reservation/ReservationARN": reserved}),
            "0",
            CommitmentPart::Fee,
        ),
    ];
    for (kind, mut cells, effective, part) in cases {
        cells["lineItem/LineItemType"] = kind.into();
        let line = line(&legacy(&cells));
        assert_eq!(line.effective.amount().to_string(), effective, "{kind}");
        assert_eq!(line.billed.amount().to_string(), "0.0816000001", "{kind}");
        let commitment = line.commitment.unwrap();
        let what = if cells.get("reservation/ReservationARN").is_some() {
            CommitmentKind::Reservation
        } else {
            CommitmentKind::SavingsPlan
        };
        assert_eq!((commitment.part, commitment.kind), (part, what), "{kind}");
    }
    // A support plan's fee is no commitment's.
    let fee = line(&legacy(&json!({"lineItem/LineItemType": "Fee"})));
    assert_eq!(
        (fee.effective, fee.kind),
        (fee.billed, ChargeKind::Purchase)
    );
}

#[test]
fn the_same_line_of_both_reports_is_the_same_fact() {
    let old = line(&legacy(&json!({"resourceTags/user:team": "web"})));
    for product in [
        json!({"product_name": "Amazon Elastic Compute Cloud"}),
        json!("{\"product_name\":\"Amazon Elastic Compute Cloud\"}"),
    ] {
        let new = line(&json!({
            "identity_line_item_id": "another", "identity_time_interval": "2026-11-03T00:00:00Z/2026-11-04T00:00:00Z",
            "bill_payer_account_id": "999900001111", "bill_billing_period_start_date": "2026-11-01T00:00:00.000Z",
            "line_item_usage_account_id": "111122223333", "line_item_line_item_type": "Usage",
            "line_item_usage_start_date": "2026-11-03T00:00:00.000Z",
            "line_item_usage_end_date": "2026-11-04T00:00:00.000Z", "line_item_product_code": "AmazonEC2",
            "line_item_usage_type": "EU-BoxUsage:m7g.large", "line_item_operation": "RunInstances",
            "line_item_availability_zone": "eu-west-1b", "line_item_resource_id": "i-0abc",
            "line_item_currency_code": "USD", "line_item_unblended_cost": 0.081_600_000_1,
            "product": product, "resource_tags": "{\"user_team\": \"web\"}",
        }));
        assert_eq!(
            CostLine { row: 0, ..new },
            CostLine {
                row: 0,
                ..old.clone()
            }
        );
    }
}

#[test]
fn a_row_that_lacks_an_amount_a_time_or_an_owner_names_the_column() {
    for (column, name) in [
        ("lineItem/UnblendedCost", "lineItem/UnblendedCost"),
        ("lineItem/ProductCode", "lineItem/ProductCode"),
        ("lineItem/UsageAccountId", "lineItem/UsageAccountId"),
        ("lineItem/UsageEndDate", "lineItem/UsageEndDate"),
    ] {
        let mut row = legacy(&json!({"bill/PayerAccountId": null, "product/ProductName": null}));
        row.as_object_mut().unwrap().remove(column);
        let reason = refused(Topic::AwsBilling, &row.to_string());
        assert!(reason.contains(name), "{reason}");
    }
    let reason = refused(
        Topic::AwsBilling,
        &legacy(&json!({"lineItem/UnblendedCost": "ten"})).to_string(),
    );
    assert!(
        reason.contains("lineItem/UnblendedCost is \"ten\""),
        "{reason}"
    );
}

fn told(paths: &[&Path]) -> (Vec<RawRecord>, Summary) {
    let (mut records, mut summary) = (Vec::new(), Summary::default());
    let paths: Vec<_> = paths.iter().map(|path| path.to_path_buf()).collect();
    read(&paths, &Options::default(), |record| {
        let _ = summary.take(&record);
        records.push(record);
        Ok::<_, ReplayError>(())
    })
    .unwrap();
    assert!(summary.holds(), "{summary:?}");
    (records, summary)
}

/// A legacy report in CSV with a row a day, of one account each.
pub(crate) fn report(accounts: &[&str], days: u32, cost: impl Fn(u32) -> String) -> String {
    use std::fmt::Write as _;

    let mut text = "identity/LineItemId,bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,\
                    lineItem/UsageAccountId,lineItem/LineItemType,lineItem/UsageStartDate,\
                    lineItem/UsageEndDate,lineItem/ProductCode,lineItem/UsageType,\
                    lineItem/UnblendedCost,product/region,resourceTags/user:team\n"
        .to_owned();
    for account in accounts {
        for day in 1..=days {
            let (start, end) = (
                format!("2026-10-{day:02}"),
                format!("2026-10-{:02}", day + 1),
            );
            let _ = writeln!(
                text,
                "x{day},2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,{account},Usage,{start}T00:00:00Z,\
                 {end}T00:00:00Z,AmazonS3,\"EU-Requests,Tier1\",{},eu-west-1,web",
                cost(day)
            );
        }
    }
    text
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    archive.start_file("report-1.csv", options).unwrap();
    archive.write_all(bytes).unwrap();
    archive.finish().unwrap().into_inner()
}

/// What rows say, without what names their delivery.
fn content(records: &[RawRecord]) -> Vec<Value> {
    records
        .iter()
        .map(|record| {
            let mut row: Value = serde_json::from_slice(&record.payload).unwrap();
            row.as_object_mut().unwrap().remove("x_skyherd_row");
            row.as_object_mut().unwrap().remove("x_skyherd_delivered");
            row
        })
        .collect()
}

#[test]
fn a_report_reads_alike_as_it_lies_gzipped_and_zipped_and_ends_for_every_account() {
    let text = report(&["111122223333", "444455556666"], 3, |day| {
        format!("1.{day}")
    });
    let folder = tempfile::tempdir().unwrap();
    let mut before: Option<Vec<Value>> = None;
    for (name, bytes) in [
        ("a.csv", text.clone().into_bytes()),
        ("b.csv.gz", gzipped(text.as_bytes())),
        ("c.csv.zip", zipped(text.as_bytes())),
        (
            "d.csv",
            [b"\xef\xbb\xbf", text.replace('\n', "\r\n").as_bytes()].concat(),
        ),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let (records, summary) = told(&[&path]);
        assert_eq!(
            (summary.total.read, summary.total.decoded),
            (6, 6),
            "{name}: {summary:?}"
        );
        assert_eq!(summary.deliveries.decoded, 2);
        let ends: Vec<_> = records
            .iter()
            .filter(|record| record.what == Shape::Delivery)
            .collect();
        let accounts: Vec<_> = ends
            .iter()
            .map(|record| record.account.as_deref().unwrap())
            .collect();
        assert_eq!(accounts, ["111122223333", "444455556666"]);
        assert!(
            records
                .iter()
                .all(|record| record.topic == Topic::AwsBilling)
        );
        assert_eq!(summary.kinds["cur"].decoded, 6);
        let told = content(&records);
        assert_eq!(before.get_or_insert_with(|| told.clone()), &told, "{name}");
    }
}

#[test]
fn a_delivery_ends_only_when_all_that_its_manifest_names_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = json!({
        "assemblyId": "a", "billingPeriod": {"start": "20261001T000000.000Z", "end": "20261101T000000.000Z"},
        "reportKeys": ["p/r/20261001-20261101/a/r-1.csv.gz", "p/r/20261001-20261101/a/r-2.csv.gz"],
    });
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("r-Manifest.json", manifest.to_string().as_bytes());
    let part = gzipped(report(&["111122223333"], 2, |_| "1".into()).as_bytes());
    write("r-1.csv.gz", &part);
    let (_, summary) = told(&[folder.path()]);
    let reasons = |counts: &Counts| -> Vec<String> {
        let reasons = counts.ignored_reasons.keys();
        reasons.cloned().collect()
    };
    assert_eq!(reasons(&summary.total), ["manifest of a bill's delivery"]);
    assert_eq!(
        reasons(&summary.deliveries),
        ["a delivery that is not whole: r-2.csv.gz is missing"]
    );
    assert_eq!((summary.total.decoded, summary.total.dead_lettered), (2, 0));
    assert_eq!((summary.files, summary.total.read), (2, 3));
    // Cut off in the middle: some of its rows were read, and nobody may take them for all.
    write("r-2.csv.gz", &part[..part.len() - 20]);
    let (_, summary) = told(&[folder.path()]);
    assert_eq!(
        reasons(&summary.deliveries),
        ["a delivery that is not whole: r-2.csv.gz is broken"]
    );
    assert_eq!(summary.total.dead_lettered, 1);
    write("r-2.csv.gz", &part);
    let (records, summary) = told(&[folder.path()]);
    assert_eq!((summary.total.decoded, summary.total.dead_lettered), (4, 0));
    assert_eq!(summary.deliveries.decoded, 1);
    assert_eq!(records.last().unwrap().what, Shape::Delivery);
}

#[test]
fn a_delivery_ends_for_whom_the_one_before_had_rows_of_and_for_no_other_bill() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (["111122223333", "444455556666"], ["111122223333"]);
    for (name, accounts) in [
        ("a/20261001-20261101/1", &first[..]),
        ("a/20261001-20261101/2", &second[..]),
        ("b/20261001-20261101/1", &second[..]),
    ] {
        let below = folder.path().join(name);
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(below.join("r.csv"), report(accounts, 1, |_| "1".into())).unwrap();
    }
    let (records, summary) = told(&[folder.path()]);
    let ended: Vec<(&str, &str)> = records
        .iter()
        .filter(|record| record.what == Shape::Delivery)
        .map(|record| {
            let bill = record.folder.split_once('/').unwrap().1;
            (bill, record.account.as_deref().unwrap())
        })
        .collect();
    assert_eq!(
        ended,
        [
            ("a/20261001-20261101/1", first[0]),
            ("a/20261001-20261101/1", first[1]),
            ("a/20261001-20261101/2", first[0]),
            ("a/20261001-20261101/2", first[1]),
            ("b/20261001-20261101/1", first[0]),
        ]
    );
    assert_eq!(summary.deliveries.decoded, 5);
}

#[test]
fn focus_of_every_version_is_read_by_the_names_of_its_columns() {
    let files = [
        // 1.0, with columns of AWS's own, and one that nobody knows.
        "ProviderName,SubAccountId,ServiceName,x_UsageType,BilledCost,ChargePeriodStart,ChargePeriodEnd,New\n\
         AWS,1,S3,T,0.00000080000,2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,?\n",
        // 1.2, in other capitals, in another order, with a byte order mark.
        "\u{feff}chargeperiodstart,ChargePeriodEnd,EffectiveCost,BilledCost,InvoiceId,PricingCurrency,\
         SkuMeter,SkuPriceid,SkuId,ProviderName,BillingAccountId,SubAccountId,ServiceName,Tags\n\
         2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,0.1,8e-7,,USD,m,p,s,AWS,9,1,S3,\"{\"\"user:team\"\":\"\"web\"\"}\"\n",
        // A scenario of the specification: neither whose nor what.
        "ChargePeriodStart,ChargePeriodEnd,ChargeCategory,BilledCost,EffectiveCost,CommitmentDiscountId,\
         CommitmentDiscountStatus\n2026-10-01T00:00:00Z,2026-10-02T00:00:00Z,Usage,0.00,1.00,c-1,Unused\n",
    ];
    for (number, text) in files.iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("any-name.txt");
        std::fs::write(&path, text).unwrap();
        let (records, summary) = told(&[&path]);
        assert_eq!(
            (summary.total.decoded, summary.total.read),
            (1, 1),
            "{text}: {summary:?}"
        );
        assert_eq!(summary.deliveries.decoded, 1);
        let row: Value = serde_json::from_slice(&records[0].payload).unwrap();
        let line = line(&row);
        assert_eq!(line.start.to_string(), "2026-10-01T00:00:00Z");
        match number {
            0 => assert_eq!(line.billed.amount().to_string(), "0.00000080000"),
            1 => assert_eq!(line.tags, [("team".into(), "web".into())]),
            _ => {
                assert_eq!(line.account, Options::default().account);
                assert_eq!(line.commitment.unwrap().part, CommitmentPart::Unused);
            }
        }
    }
}

#[test]
fn every_row_of_the_sampled_bills_is_decoded_or_of_another_provider() {
    let kinds = [
        ("cur-legacy-csv", "cur", 6 * 127),
        ("focus-1.2-scenarios", "focus", 4),
        ("focus-1.0-csv", "focus", 500),
        ("cur2-parquet", "cur-2.0", 5 * 127),
        ("focus-parquet", "focus", 400),
    ];
    for (folder, kind, least) in kinds {
        let Some(path) = samples(&format!("events/{folder}")) else {
            return;
        };
        let (records, summary) = told(&[&path]);
        let counts = &summary.kinds[kind];
        assert_eq!(
            summary.total.dead_lettered, 0,
            "{folder}: {:?}",
            summary.total
        );
        assert!(counts.decoded >= least, "{folder}: {counts:?}");
        for reason in summary.total.ignored_reasons.keys() {
            assert!(reason.starts_with("provider "), "{folder}: {reason}");
        }
        for record in records {
            if let Ok(Decoded::Message(Message::Facts(facts))) =
                decode(record.topic, None, Some(&record.payload))
            {
                assert_eq!(
                    Some(facts[0].subject.account()),
                    record.account.as_deref(),
                    "{folder}"
                );
            }
        }
    }
}

/// The facts of the bills of a folder, without the hash that one export's columns make.
fn sampled(folder: &str, files: &[&str]) -> Option<Vec<CostLine>> {
    let path = samples(&format!("events/{folder}"))?;
    let paths: Vec<_> = files.iter().map(|file| path.join(file)).collect();
    let paths: Vec<&Path> = paths.iter().map(|path| &**path).collect();
    let (records, _) = told(&paths);
    let mut lines = Vec::new();
    for record in records
        .iter()
        .filter(|record| record.what != Shape::Delivery)
    {
        if let Ok(Decoded::Message(Message::Facts(facts))) =
            decode(record.topic, None, Some(&record.payload))
            && let FactBody::Cost(line) = facts[0].body.clone()
        {
            lines.push(CostLine {
                row: 0,
                place: None,
                ..*line
            });
        }
    }
    Some(lines)
}

#[test]
fn parquet_says_what_the_csv_it_was_made_from_says() {
    let pairs = [
        (
            "cur-legacy-csv",
            "focus_converters_aws_part00.csv.gz",
            "cur2-parquet",
            "cur2_part00.gz.parquet",
        ),
        (
            "cur-legacy-csv",
            "focus_converters_aws_part01.csv.gz",
            "cur2-parquet",
            "cur2_part01.snappy.parquet",
        ),
        (
            "focus-1.0-csv",
            "focus_sample_part00.csv.gz",
            "focus-parquet",
            "focus_part00.parquet",
        ),
    ];
    for (text, csv, folder, parquet) in pairs {
        let (Some(text), Some(columns)) = (sampled(text, &[csv]), sampled(folder, &[parquet]))
        else {
            return;
        };
        assert!(text.len() > 90, "{csv}: {}", text.len());
        for (text, columns) in text.iter().zip(&columns) {
            assert_eq!(text, columns, "{parquet}");
        }
        assert_eq!(text.len(), columns.len(), "{parquet}");
    }
}

/// The report of [`report`] as a Parquet file.
fn columns_of(text: &str, packing: Compression) -> Vec<u8> {
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let names: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    // Columns of CUR 2.0 are named without slashes and capitals.
    let fields = names.iter().map(|name| {
        let (group, rest) = name.split_once('/').unwrap();
        let rest = rest.replace("user:", "user_");
        let mut plain = group
            .replace("lineItem", "line_item")
            .replace("resourceTags", "resource_tags");
        for letter in format!("_{rest}").chars() {
            if letter.is_ascii_uppercase() {
                plain.push('_');
            }
            plain.push(letter.to_ascii_lowercase());
        }
        format!("required binary {} (utf8);", plain.replace("__", "_"))
    });
    let schema = format!("message report {{ {} }}", fields.collect::<String>());
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let properties = WriterProperties::builder().set_compression(packing).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties)).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut at = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        let cells: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(&row[at])).collect();
        let typed = column.typed::<ByteArrayType>();
        typed.write_batch(&cells, None, None).unwrap();
        column.close().unwrap();
        at += 1;
    }
    group.close().unwrap();
    file.into_inner().unwrap()
}

#[test]
fn parquet_is_read_in_every_packing() {
    let text = report(&["111122223333"], 3, |day| format!("1.{day}"));
    let folder = tempfile::tempdir().unwrap();
    let mut before: Option<Vec<Value>> = None;
    for packing in [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
        Compression::BROTLI(BrotliLevel::default()),
    ] {
        let path = folder.path().join("r.parquet");
        std::fs::write(&path, columns_of(&text, packing)).unwrap();
        let (records, summary) = told(&[&path]);
        assert_eq!(
            (summary.total.read, summary.total.decoded),
            (3, 3),
            "{packing}: {summary:?}"
        );
        let rows = content(&records);
        assert_eq!(
            before.get_or_insert_with(|| rows.clone()),
            &rows,
            "{packing}"
        );
    }
}

#[test]
fn a_broken_parquet_file_is_one_dead_letter_and_ends_nothing() {
    let Some(path) = samples("events/focus-parquet/focus_part00.parquet") else {
        return;
    };
    let whole = std::fs::read(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.parquet");
    let told = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        told(&[&file]).1
    };
    let ended = |summary: &Summary| summary.deliveries.decoded > 0;
    let cut = told(&whole[..whole.len() - 9]);
    assert_eq!((cut.total.dead_lettered, ended(&cut)), (1, false));
    // The library notices, gives up in a panic, or reads other values: no checksum guards them.
    for from in (4..whole.len() - 8).step_by(701) {
        let mut bytes = whole.clone();
        for byte in &mut bytes[from..(from + 40).min(whole.len() - 8)] {
            *byte ^= 0x55;
        }
        let summary = told(&bytes);
        let broken = summary.kinds.contains_key("unrecognised");
        assert!(!(broken && ended(&summary)), "{from}: {:?}", summary.total);
    }
}

#[test]
fn a_manifest_on_the_topic_is_ignored_by_name() {
    let manifest = json!({"assemblyId": "a", "reportKeys": []}).to_string();
    let Ok(Decoded::Ignored(Ignored(reason))) =
        decode(Topic::AwsBilling, None, Some(manifest.as_bytes()))
    else {
        panic!("taken");
    };
    assert_eq!(reason, "manifest of a bill's delivery");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_a_bills_file_holds_every_row_is_accounted_for(
        header in prop_oneof![
            Just("lineItem/UsageAccountId,lineItem/UnblendedCost,lineItem/UsageStartDate,lineItem/ProductCode"),
            Just("line_item_usage_account_id,line_item_unblended_cost,bill_billing_period_start_date,product"),
            Just("SubAccountId,BilledCost,ChargePeriodStart,ProviderName,Tags"),
        ],
        rows in prop::collection::vec("[a-z0-9,.\"\\-T:Z{} \u{e9}\n]{0,80}", 0..20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bill.csv");
        std::fs::write(&path, format!("{header}\n{}\n", rows.join("\n"))).unwrap();
        let (records, summary) = told(&[&path]);
        prop_assert!(summary.holds());
        for record in records {
            let once = decode(record.topic, None, Some(&record.payload));
            prop_assert_eq!(once, decode(record.topic, None, Some(&record.payload)));
        }
    }
}
