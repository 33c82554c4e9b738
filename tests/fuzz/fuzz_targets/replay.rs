//! The reader of recorded files; the first byte chooses the file's name.
#![no_main]

use skyherd::sources::PAYLOAD_BYTES_MAX;
use skyherd::sources::replay::{Options, ReplayError, Summary, read};

/// Names that take different ways through the reader.
const NAMES: [&str; 3] = ["a.json", "ec2_network_in_1.csv", "b.json.gz"];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join(NAMES[usize::from(*first) % NAMES.len()]);
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    let mut summary = Summary::default();
    read(&[path], &Options::default(), |record| {
        assert!(record.payload.len() <= PAYLOAD_BYTES_MAX);
        let _ = summary.take(&record);
        Ok::<_, ReplayError>(())
    })
    .expect("a file that is there can be read");
    assert!(summary.holds());
});
