//! The API before the real agents on an embedded log: what is published comes out of every view.

mod flow;
mod ingest;
mod letters;
mod load;
mod stream;
mod subjects;
pub(crate) mod world;
