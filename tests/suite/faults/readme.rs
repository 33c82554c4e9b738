//! The README's Python, copied out of the README, against real Kafka and a running service.

use std::path::Path;
use std::process::Command;

use skyherd::model::partition_of;

use super::{World, WorldOptions};
use crate::harness::{DEADLINE, Service, await_until, require_tools};

/// What the README's examples say a local Kafka is.
const BOOTSTRAP: &str = "127.0.0.1:19092";

/// The code block after a marker.
fn block(marker: &str, language: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(path).expect("the README can be read");
    let (_, rest) = readme
        .split_once(marker)
        .unwrap_or_else(|| panic!("the README has no {marker}"));
    let open = format!("```{language}\n");
    let (between, rest) = rest.split_once(&open).expect("a block follows");
    assert!(
        between.trim().is_empty(),
        "{marker} is not followed by its block"
    );
    rest.split_once("```").expect("the block ends").0.to_owned()
}

/// The README's program with nothing changed but where Kafka is.
fn program(marker: &str, bootstrap: &str) -> String {
    let code = block(marker, "python");
    assert!(code.contains(BOOTSTRAP), "{marker} names no {BOOTSTRAP}");
    code.replace(BOOTSTRAP, bootstrap)
}

#[test]
fn the_readmes_python_publishes_and_subscribes() {
    let Some(tools) = require_tools() else {
        return;
    };
    let Some(mut world) = World::start(WorldOptions::default()) else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let python = tools.join("python3");
    let publish = folder.path().join("publish.py");
    std::fs::write(
        &publish,
        program("<!-- python: publish -->", &world.kafka.bootstrap),
    )
    .expect("the folder can be written");
    let output = Command::new(&python)
        .arg(&publish)
        .output()
        .expect("Python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // The record of the inventory that the README publishes by the command line.
    let record = block("<!-- record of: aws.inventory -->", "json");
    let file = folder.path().join("volume.json");
    std::fs::write(&file, record.replace('\n', " ")).expect("the folder can be written");
    let published = world.command(
        &["publish", "aws.inventory", &file.to_string_lossy()],
        |config| config,
    );
    assert_eq!(
        published.code,
        Some(0),
        "{}{}",
        published.stdout,
        published.stderr
    );
    world.run("a", None);
    world.await_quiesced();

    // On a loaded machine Kafka's own consumer may give up before it has joined.
    let records = await_until("Kafka's consumer reads it", DEADLINE, || {
        let records = world.kafka.console_consumer("aws.events");
        (!records.is_empty()).then_some(records)
    });
    let [record] = records.as_slice() else {
        panic!("not one record: {records:?}");
    };
    let account = "111122223333";
    assert_eq!(record.key.as_deref(), Some(account.as_bytes()));
    let partition = partition_of(account, WorldOptions::default().partitions);
    assert_eq!(
        record.partition, partition as i32,
        "murmur2_random is our partitioner"
    );
    assert_eq!(world.metric("a", "skyherd_records_misplaced_total"), 0);
    assert_eq!(world.metric("a", "skyherd_dead_letters_total"), 0);

    let subscribe = folder.path().join("subscribe.py");
    std::fs::write(
        &subscribe,
        program("<!-- python: subscribe -->", &world.kafka.bootstrap),
    )
    .expect("the folder can be written");
    let mut command = Command::new(&python);
    command.arg("-u").arg(&subscribe);
    let mut reader = Service::spawn(
        "the README's consumer",
        command,
        &folder.path().join("subscribe.log"),
    );
    reader.await_line("open ");
    let said = reader.log();
    let row = said
        .lines()
        .find(|line| line.starts_with("open "))
        .expect("it was awaited");
    assert!(
        row.contains("111122223333/eu-west-1/volume/vol-0abc upgrade"),
        "{said}"
    );
    reader.kill();
    world.stop("a");
}
