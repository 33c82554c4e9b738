//! Decoders against the program's real input, and against anything at all.

use std::path::{Path, PathBuf};

use skyherd::model::{Event, Fact, FactBody, Message, Topic, Undecodable};
use skyherd::sources::{Decoded, decode};

mod corpus;

/// The public samples; `None`, said clearly, where the machine has none.
fn samples(folder: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(folder);
    if path.exists() {
        return Some(path);
    }
    println!("NOT RUN: the samples {} are absent", path.display());
    None
}

/// The facts of a record that must decode.
fn facts(topic: Topic, payload: &str) -> Vec<Fact> {
    match decode(topic, None, Some(payload.as_bytes())) {
        Ok(Decoded::Message(Message::Facts(facts))) => facts.into_vec(),
        other => panic!("{topic}: expected facts, got {other:?} from {payload}"),
    }
}

/// Why a record that must not decode does not.
fn refused(topic: Topic, payload: &str) -> String {
    match decode(topic, None, Some(payload.as_bytes())) {
        Err(Undecodable(reason)) => reason,
        other => panic!("{topic}: expected a refusal, got {other:?} from {payload}"),
    }
}

fn event(fact: &Fact) -> &Event {
    match &fact.body {
        FactBody::Event(event) => event,
        other => panic!("expected an event, got {other:?}"),
    }
}
