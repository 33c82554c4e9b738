use super::*;

const MINUTE: i64 = 60_000;
const NOW: i64 = 10_000 * MINUTE;
const TIMES: Times = Times {
    now: NOW,
    horizon: 0,
    rest: 10 * MINUTE,
    settle: 0,
};

fn file(name: &str, version: u64, minutes_ago: i64) -> Entry {
    Entry {
        name: name.to_owned(),
        size: 1,
        version,
        tag: None,
        at_ms: NOW - minutes_ago * MINUTE,
    }
}

/// What is to be read: names of single files, or a delivery's period and files.
fn works(entries: &[Entry], manifests: &[(usize, &str)], taken: &Taken) -> Vec<String> {
    planned(entries, manifests, taken)
        .works
        .iter()
        .map(told)
        .collect()
}

fn told(work: &Work) -> String {
    match work {
        Work::Single(entry) => entry.name.clone(),
        Work::Delivery(found) => {
            let files: Vec<&str> = found.files.iter().map(|file| file.name.as_str()).collect();
            format!("{}: {}", found.of, files.join(" "))
        }
    }
}

fn planned(entries: &[Entry], manifests: &[(usize, &str)], taken: &Taken) -> Plan {
    let named: Vec<(usize, Vec<String>)> = manifests
        .iter()
        .map(|(at, text)| (*at, keys(text.as_bytes()).expect("a manifest")))
        .collect();
    let named: Vec<Named<'_>> = named
        .iter()
        .map(|(at, keys)| (&entries[*at], keys.as_slice()))
        .collect();
    let names = Names::of(entries);
    let covered = names.covered(&named);
    let bills = entries.iter().map(|entry| entry.name.as_str());
    let bills = bills.filter(|name| billed(name) != Some(false)).collect();
    plan(entries, &covered, &bills, taken, TIMES)
}

#[test]
fn a_manifest_s_files_are_one_delivery_and_wait_for_each_other() {
    let manifest = r#"{"reportKeys":["p/r/20261101-20261201/a1/r-1.csv.gz","p/r/20261101-20261201/a1/r-2.csv.gz"]}"#;
    let mut entries = vec![
        file("r/20261101-20261201/a1/r-Manifest.json", 1, 10),
        file("r/20261101-20261201/a1/r-1.csv.gz", 2, 2),
    ];
    let early = planned(&entries, &[(0, manifest)], &Taken::default());
    assert!(early.works.is_empty());
    assert!(
        early.waiting[0].contains("a1/r-2.csv.gz"),
        "{:?}",
        early.waiting
    );
    entries[0].at_ms = NOW;
    let at_once = planned(&entries, &[(0, manifest)], &Taken::default());
    assert!(
        at_once.works.is_empty() && at_once.waiting.is_empty(),
        "AWS is still writing"
    );
    entries.push(file("r/20261101-20261201/a1/r-2.csv.gz", 3, 2));
    let whole =
        "r/20261101-20261201: r/20261101-20261201/a1/r-1.csv.gz r/20261101-20261201/a1/r-2.csv.gz";
    assert_eq!(
        works(&entries, &[(0, manifest)], &Taken::default()),
        [whole]
    );
    // Data newer than its manifest is of a delivery that is being written.
    (entries[0].at_ms, entries[2].at_ms) = (NOW - MINUTE, NOW);
    assert!(works(&entries, &[(0, manifest)], &Taken::default()).is_empty());
}

#[test]
fn of_a_period_the_newest_delivery_counts_and_what_an_earlier_one_left_does_not() {
    let entries = vec![
        file("r/20261101-20261201/a1/r-1.csv", 1, 60),
        file("r/20261101-20261201/a2/r-1.csv", 2, 30),
        file("r/20261001-20261101/b/r-1.csv", 3, 90),
        file("e/data/BILLING_PERIOD=2026-11/e-1.parquet", 4, 80),
        file("e/data/BILLING_PERIOD=2026-11/e-2.parquet", 5, 200),
        file("e/metadata/BILLING_PERIOD=2026-11/e-Manifest.json", 6, 79),
    ];
    let manifest = r#"{"dataFiles":["s3://bucket/x/e/data/BILLING_PERIOD=2026-11/e-1.parquet"]}"#;
    let mut taken = Taken::default();
    let all = planned(&entries, &[(5, manifest)], &taken);
    assert_eq!(
        all.works.iter().map(told).collect::<Vec<_>>(),
        [
            "r/20261001-20261101: r/20261001-20261101/b/r-1.csv",
            "e/data/BILLING_PERIOD=2026-11: e/data/BILLING_PERIOD=2026-11/e-1.parquet",
            "r/20261101-20261201: r/20261101-20261201/a2/r-1.csv",
        ]
    );
    for work in &all.works {
        let Work::Delivery(found) = work else {
            continue;
        };
        taken.set(delivery_key(&found.of), found.id);
    }
    taken.keep(&all.live);
    assert!(works(&entries, &[(5, manifest)], &taken).is_empty());
    let mut again = entries.clone();
    again[3].version = 9;
    assert_eq!(
        works(&again, &[(5, manifest)], &taken).len(),
        1,
        "other content is delivered again"
    );
}

#[test]
fn files_copied_without_their_folders_are_found_beside_the_manifest_only() {
    let manifest = r#"{"reportKeys":["p/r/20261101-20261201/a1/r-1.csv.gz"]}"#;
    let entries = [
        file("here/m-Manifest.json", 1, 20),
        file("here/r-1.csv.gz", 1, 20),
    ];
    assert_eq!(
        works(&entries, &[(0, manifest)], &Taken::default()),
        ["here: here/r-1.csv.gz"]
    );
    let entries = [
        file("here/m-Manifest.json", 1, 20),
        file("r-1.csv.gz", 1, 5),
    ];
    assert!(
        works(&entries, &[(0, manifest)], &Taken::default()).is_empty(),
        "another's, and too fresh"
    );
    let deep = [
        file("x/bucket/p/m/a-Manifest.json", 1, 20),
        file("x/bucket/p/r/20261101-20261201/a1/r-1.csv.gz", 1, 20),
    ];
    assert_eq!(works(&deep, &[(0, manifest)], &Taken::default()).len(), 1);
}

#[test]
fn single_files_are_taken_once_and_again_when_they_change() {
    let entries = [
        file("AWSLogs/1/CloudTrail/a.json.gz", 1, 0),
        file("b.json", 2, 5),
    ];
    let mut taken = Taken::default();
    assert_eq!(
        works(&entries, &[], &taken),
        ["b.json", "AWSLogs/1/CloudTrail/a.json.gz"]
    );
    taken.set(file_key("b.json"), 2);
    taken.set(file_key("AWSLogs/1/CloudTrail/a.json.gz"), 0);
    assert_eq!(
        works(&entries, &[], &taken),
        ["AWSLogs/1/CloudTrail/a.json.gz"]
    );
}

#[test]
fn what_is_no_fact_is_passed_over() {
    for name in [
        "AWSLogs/1/CloudTrail-Digest/eu-west-1/x.json.gz",
        ".git/config",
        "r/20261101-20261201/a/r-RedshiftManifest.json",
        "r/20261101-20261201/r-create-table.sql",
        "a.csv.part",
    ] {
        assert!(!wanted(name, 1), "{name}");
    }
    assert!(wanted("AWSLogs/1/CloudTrail/eu-west-1/x.json.gz", 1));
    assert!(!wanted("folder", 0));
}
