//! The embedded adapter: the common laws, and what only a data directory promises.

use skyherd::adapters::embedded::{Embedded, EmbeddedOptions, Keep, OpenError};
use skyherd::ports::{Committed, PortError, RECENT_CAPACITY};
use tempfile::TempDir;

use std::time::Instant;

use super::*;

struct EmbeddedWorld {
    dir: TempDir,
    open: Option<Embedded>,
}

fn options(partitions: u32) -> EmbeddedOptions {
    EmbeddedOptions {
        partitions,
        ..EmbeddedOptions::default()
    }
}

impl EmbeddedWorld {
    fn db(&mut self) -> Embedded {
        let dir = self.dir.path();
        let open = || Embedded::open(dir, options(PARTITIONS)).unwrap();
        self.open.get_or_insert_with(open).clone()
    }
}

impl World for EmbeddedWorld {
    fn fresh() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            open: None,
        }
    }
    fn log(&mut self, reads: &[Topic]) -> Box<dyn Log> {
        Box::new(self.db().log(AGENT, reads))
    }
    fn store(&mut self) -> Arc<dyn Store> {
        Arc::new(self.db())
    }
    fn reopen(&mut self) {
        self.open = None;
    }
    fn trim(&mut self, topic: Topic, partition: u32, before: u64) {
        self.db().trim(topic, partition, before).unwrap();
    }
}

conforms!(embedded_conforms, super::EmbeddedWorld);

/// Set for the child process that is killed: the directory it works in.
const VICTIM: &str = "SKYHERD_TEST_VICTIM_DIR";
/// How often a child is killed, each time at another phase of a checkpoint.
const KILLS: u32 = 12;
/// Checkpoints before that, the last two of which tell how long one takes.
const WARM: usize = 5;
/// Bytes of state a checkpoint, so many that a kill nearly always comes in the middle of one.
const BALLAST_BYTES: usize = 2_000_000;

fn opened(dir: &TempDir) -> Embedded {
    Embedded::open(dir.path(), options(PARTITIONS)).unwrap()
}

fn refusal(result: Result<Embedded, OpenError>) -> String {
    match result {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

fn keyed(key: &str, payload: Option<&str>, ms: i64) -> Outgoing {
    Outgoing {
        topic: Topic::FindingsResource,
        partition: 0,
        key: Some(key.into()),
        payload: payload.map(Into::into),
        headers: Vec::new(),
        timestamp_ms: Some(ms),
    }
}

/// Offsets and payloads of partition 0 of the resource agent's findings.
fn findings(db: &Embedded) -> Vec<(u64, Option<String>)> {
    let mut found = Vec::new();
    db.read(Topic::FindingsResource, 0, 0, &mut |view| {
        let payload = view.payload.map(|p| String::from_utf8(p.to_vec()).unwrap());
        found.push((view.offset, payload));
    })
    .unwrap();
    found
}

/// Checkpoint after checkpoint, each with one output, one state, one observation and one wake
/// that all say the same number; prints a number when its checkpoint was acknowledged.
fn work_until_killed(dir: &str) {
    use std::io::Write as _;
    let db = Embedded::open(dir, options(PARTITIONS)).unwrap();
    let mut owner = db.acquire(task(0), 0).unwrap();
    // Incompressible, or the journal would hardly have to write it.
    let mut hash = blake3::Hasher::new().finalize_xof();
    let mut ballast = vec![0; BALLAST_BYTES];
    hash.fill(&mut ballast);
    for n in 0_i64.. {
        let mut next = checkpoint(task(0), &owner, &n.to_string());
        let text = n.to_string();
        next.outputs = vec![record(Topic::FindingsResource, 0, &text)];
        next.states = vec![
            (subject("number"), Some(text.clone().into_bytes())),
            (subject("ballast"), Some(ballast.clone())),
        ];
        next.recent = vec![(subject("number"), vec![text.into_bytes()])];
        next.wakes = vec![(subject("number"), Some(at(n)))];
        assert_eq!(db.commit(&next).unwrap(), Committed::Committed);
        owner.meta = Some(next.meta);
        // In one write, so that a kill leaves a whole line or none.
        let line = format!("acknowledged {n}\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
}

#[test]
fn a_killed_process_leaves_every_acknowledged_checkpoint_whole() {
    use std::io::BufRead as _;
    if let Ok(dir) = std::env::var(VICTIM) {
        return work_until_killed(&dir);
    }
    let dir = tempfile::tempdir().unwrap();
    for kill in 1..=KILLS {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "--nocapture",
                "conformance::embedded::a_killed_process_leaves_every_acknowledged_checkpoint_whole",
            ])
            .env(VICTIM, dir.path())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = lines.map_while(Result::ok);
        let mut acknowledged = None;
        let mut times = Vec::new();
        for line in said.by_ref().take(WARM) {
            acknowledged = Some(line);
            times.push(Instant::now());
        }
        let phase = (times[WARM - 1] - times[WARM - 2]) * kill / KILLS;
        while times[WARM - 1].elapsed() < phase {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        let last = said.last().or(acknowledged).unwrap();
        child.wait().unwrap();
        let last: usize = last.strip_prefix("acknowledged ").unwrap().parse().unwrap();

        let db = opened(&dir);
        let meta = db.acquire(task(0), 0).unwrap();
        let number = String::from_utf8(meta.meta.unwrap()).unwrap();
        let count: usize = number.parse().unwrap();
        assert!(count >= last, "{last} was acknowledged, {count} is there");
        let outputs = findings(&db);
        assert_eq!(outputs.last().unwrap().1, Some(number.clone()));
        let state = db.load(task(0), &[subject("number")]).unwrap().value;
        assert_eq!(state, [Some(number.clone().into_bytes())]);
        assert_eq!(meta.wakes, [(at(count as i64), subject("number"))]);
        let newest = db.recent(task(0), &subject("number"), 500).unwrap();
        assert_eq!(newest[0], number.into_bytes());
        assert_eq!(newest.len(), outputs.len().min(RECENT_CAPACITY));
        // The next child begins at 0 again, in an empty memory and a fresh topic partition.
        drop(db);
        std::fs::remove_dir_all(dir.path()).unwrap();
    }
}

#[test]
fn a_directory_in_use_is_refused_naming_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    let error = refusal(Embedded::open(dir.path(), options(PARTITIONS)));
    assert!(error.contains("in use"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    drop(db);
    opened(&dir);
}

#[test]
fn another_number_of_partitions_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(opened(&dir));
    let error = refusal(Embedded::open(dir.path(), options(8)));
    assert!(error.contains("has 4 partitions"), "{error}");
    assert!(error.contains("not 8"), "{error}");
    for impossible in [0, 100_000] {
        let dir = tempfile::tempdir().unwrap();
        let error = refusal(Embedded::open(dir.path(), options(impossible)));
        assert!(error.contains(&impossible.to_string()), "{error}");
    }
}

#[test]
fn a_directory_of_a_newer_layout_is_refused_with_a_hint() {
    let dir = tempfile::tempdir().unwrap();
    drop(opened(&dir));
    let db = fjall::Database::builder(dir.path().join("db"))
        .open()
        .unwrap();
    let meta = db
        .keyspace("meta", fjall::KeyspaceCreateOptions::default)
        .unwrap();
    meta.insert("format", 9_u32.to_be_bytes()).unwrap();
    drop((meta, db));
    let error = refusal(Embedded::open(dir.path(), options(PARTITIONS)));
    assert!(error.contains("layout 9"), "{error}");
    assert!(error.contains("newer"), "{error}");
}

#[test]
fn a_partition_that_does_not_exist_is_refused_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    let good = record(Topic::AwsEvents, 0, "good");
    let bad = record(Topic::AwsEvents, PARTITIONS, "bad");
    assert!(matches!(
        db.append_many([&good, &bad]),
        Err(PortError::Fatal(_))
    ));
    assert_eq!(db.bounds(Topic::AwsEvents, 0), Some((0, 0)));
    assert!(db.acquire(task(PARTITIONS), 0).is_err());
}

#[test]
fn offsets_are_never_given_twice_even_when_everything_was_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    db.append_many(&[keyed("a", Some("0"), 1), keyed("b", Some("1"), 2)])
        .unwrap();
    let trimmed = db.trim(Topic::FindingsResource, 0, 99).unwrap();
    assert_eq!((trimmed.start, trimmed.removed), (2, 2));
    drop(db);
    let db = opened(&dir);
    assert_eq!(db.bounds(Topic::FindingsResource, 0), Some((2, 2)));
    db.append_many(&[keyed("a", Some("2"), 3)]).unwrap();
    assert_eq!(findings(&db), [(2, Some("2".into()))]);
}

#[test]
fn retention_by_age_and_size_stops_at_what_is_needed() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    let records: Vec<Outgoing> = (0..10)
        .map(|n| keyed("k", Some("payload"), n * 100))
        .collect();
    db.append_many(&records).unwrap();
    let retain = |keep| db.retain(Topic::FindingsResource, 0, keep).unwrap().start;
    assert_eq!(retain(Keep::default()), 0);
    let young = Keep {
        since: Some(at(250)),
        ..Keep::default()
    };
    let needed = Keep {
        needed_from: Some(1),
        ..young
    };
    assert_eq!(retain(needed), 1);
    assert_eq!(retain(young), 3);
    let small = |bytes| Keep {
        bytes: Some(bytes),
        ..Keep::default()
    };
    assert_eq!(retain(small(1_000_000)), 3);
    let start = retain(small(60));
    assert!((7..10).contains(&start), "{start}");
    assert_eq!(retain(small(0)), 10);
}

#[test]
fn compaction_keeps_the_last_record_of_each_key_and_drops_old_tombstones() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    db.append_many(&[
        keyed("a", Some("old"), 1),
        keyed("gone", Some("row"), 2),
        keyed("b", Some("only"), 3),
        keyed("a", Some("new"), 4),
        keyed("gone", None, 5),
        keyed("fresh tombstone", None, 50),
        keyed("last", None, 6),
    ])
    .unwrap();
    assert_eq!(db.compact(Topic::FindingsResource, 0, at(10)).unwrap(), 4);
    let left = [(2, Some("only".into())), (3, Some("new".into())), (5, None)];
    assert_eq!(findings(&db), left);
    drop(db);
    let db = opened(&dir);
    assert_eq!(findings(&db), left);
    db.append_many(&[keyed("next", Some("x"), 60)]).unwrap();
    assert_eq!(findings(&db)[3].0, 7);
}

#[test]
fn a_waiting_poll_is_woken_by_an_append() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    let mut log = db.log(AGENT, &[Topic::AwsEvents]);
    own(&mut log, &BTreeMap::new());
    let (tell, told) = std::sync::mpsc::channel();
    let waiting = std::thread::spawn(move || {
        tell.send(()).unwrap();
        let mut taken = Vec::new();
        // Far longer than any test may take: only the append ends it.
        log.poll(1, Duration::from_hours(1), &mut |view| {
            taken.push(copy(view));
        })
        .unwrap();
        payloads(&taken)
    });
    told.recv().unwrap();
    db.append_many(&[record(Topic::AwsEvents, 1, "now")])
        .unwrap();
    assert_eq!(waiting.join().unwrap(), ["now"]);
}

#[test]
fn appends_from_many_threads_leave_no_hole() {
    let dir = tempfile::tempdir().unwrap();
    let db = opened(&dir);
    let together = std::sync::Barrier::new(4);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (db, together) = (&db, &together);
            scope.spawn(move || {
                together.wait();
                for n in 0..1_000 {
                    let one = keyed("k", Some(&format!("{writer} {n}")), n);
                    db.append_many([&one, &one]).unwrap();
                }
            });
        }
    });
    let found = findings(&db);
    assert!(found.iter().map(|(offset, _)| *offset).eq(0..8_000));
    for pair in found.chunks(2) {
        assert_eq!(pair[0].1, pair[1].1);
    }
}

#[test]
fn a_smaller_capacity_shows_and_keeps_fewer_observations() {
    let dir = tempfile::tempdir().unwrap();
    let small = EmbeddedOptions {
        recent_capacity: 20,
        ..options(PARTITIONS)
    };
    for (options, shown) in [(options(PARTITIONS), 100), (small, 20)] {
        let db = Embedded::open(dir.path(), options).unwrap();
        let owner = db.acquire(task(0), 0).unwrap();
        let mut next = checkpoint(task(0), &owner, &shown.to_string());
        next.recent = vec![(subject("a"), vec![b"x".to_vec(); 150])];
        assert_eq!(db.commit(&next).unwrap(), Committed::Committed);
        let newest = db.recent(task(0), &subject("a"), 500).unwrap();
        assert_eq!(newest.len(), shown);
    }
}
