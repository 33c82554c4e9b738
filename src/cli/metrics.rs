//! `skyherd metrics`: the closed list as a table.

use super::Ended;
use super::output::Output;
use super::table::plain;
use crate::telemetry::SPECS;

pub(super) fn metrics(output: &mut Output) -> anyhow::Result<Ended> {
    let rows = SPECS.iter().map(|spec| {
        vec![
            spec.name.to_owned(),
            spec.kind.as_str().to_owned(),
            spec.labels.join(", "),
            spec.help.to_owned(),
        ]
    });
    let table = plain(output, &["metric", "kind", "labels", "says"], rows);
    output.line(&table)?;
    Ok(Ended::Well)
}
