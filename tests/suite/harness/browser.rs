//! Scripts of `tests/browser`, which drive Chromium, as child processes that ask for things.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running script. Dropping it kills it; Chromium ends with it.
struct Script(Child);

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `tests/browser/<script>` to its end and returns its output.
///
/// A line `@word` of the script is a request: `answer` is called with the word, and the script goes on once it has
/// returned. The script ends when this process does, for its standard input ends then.
///
/// # Panics
/// With the script's words when it fails.
pub(crate) fn drive(script: &str, args: &[&str], mut answer: impl FnMut(&str)) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/browser")
        .join(script);
    let complaints = tempfile::NamedTempFile::new().expect("a temporary file can be made");
    let child = Command::new("node")
        .arg(path)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(complaints.reopen().expect("the file can be shared"))
        .process_group(0)
        .spawn()
        .expect("node can be started; ./dev test installs it");
    let mut script = Script(child);
    let mut words = script.0.stdin.take().expect("its input is a pipe");
    let lines = BufReader::new(script.0.stdout.take().expect("its output is a pipe"));
    let mut output = String::new();
    for line in lines.lines() {
        let line = line.expect("its output is text");
        if let Some(word) = line.strip_prefix('@') {
            answer(word);
            // A script that has failed meanwhile says so below.
            let _ = words.write_all(b"done\n");
        } else {
            output += &line;
            output.push('\n');
        }
    }
    let status = script.0.wait().expect("a child can be waited for");
    if !status.success() {
        let mut said = String::new();
        let _ = complaints
            .reopen()
            .and_then(|mut file| file.read_to_string(&mut said));
        panic!("the script ended ({status}) after\n{output}\n{said}");
    }
    output
}
