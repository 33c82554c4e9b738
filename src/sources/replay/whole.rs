//! Files that are opened whole, and what is known of a file from outside.

use std::io::Read;
use std::path::Path;

use super::{Options, Sink, Stop, stem};
use crate::sources::{Fate, Hints, UNPACKED_BYTES_MAX, open};

/// What is known of a file's answers of APIs, which often do not say whose they are.
pub(super) fn hints(path: &Path, options: &Options) -> Hints {
    let series = stem::series(path, options);
    let text = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Hints {
        account: Some(series.account),
        region: Some(series.region),
        at: None,
        namespace: options.namespace.clone().or_else(|| Some("Replay".into())),
        name: options.name.clone(),
        dimensions: series
            .dimensions
            .into_iter()
            .map(|(name, value)| (name, text(value)))
            .collect(),
    }
}

/// OpenTelemetry metrics, or a text such as a budget's: opened whole. What is neither is left to
/// be given as it lies.
pub(super) fn read_whole<E>(reader: impl Read, sink: &mut Sink<'_, E>) -> Result<(), Stop<E>> {
    let mut bytes = Vec::new();
    reader
        .take(UNPACKED_BYTES_MAX as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > UNPACKED_BYTES_MAX {
        return Ok(());
    }
    let known = open(&bytes, &sink.hints)
        .iter()
        .any(|part| !matches!(part.fate, Fate::Refused(_)));
    if known { sink.open(&bytes) } else { Ok(()) }
}

/// Whether a YAML file is a Sigma rule: it says where to look and what for.
pub(super) fn is_detection(text: &[u8]) -> bool {
    let begins = |name: &[u8]| {
        text.split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(name))
    };
    begins(b"logsource:") && begins(b"detection:")
}
