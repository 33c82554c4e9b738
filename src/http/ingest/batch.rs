//! The body of a Firehose delivery, read as a stream: one record's base64 at a time is in memory.

use std::fmt;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Most records in a delivery.
const RECORDS_MAX: usize = 100_000;

/// What stands beside the records.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Beside {
    pub(super) id: Option<String>,
    pub(super) timestamp_ms: Option<i64>,
    /// Whether there was a list of records at all.
    pub(super) records: bool,
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// More than may be.
    TooLarge(String),
    /// None of Firehose's.
    Malformed(String),
}

/// Reads a body of at most `bytes_max`, and hands each record's bytes to `each`, until that says
/// that it wants no more; of a record whose data is no base64, the data as it stood. What stands
/// beside the records is in `beside`, as far as it was read, even where the rest fails.
pub(super) fn read(
    reader: impl Read,
    bytes_max: u64,
    beside: &mut Beside,
    each: &mut dyn FnMut(Result<Vec<u8>, Vec<u8>>) -> bool,
) -> Result<(), Failed> {
    let mut limited = Limited {
        reader,
        left: bytes_max,
        over: false,
    };
    let mut body = Body {
        beside,
        count: 0,
        each,
    };
    let mut deserializer =
        serde_json::Deserializer::from_reader(std::io::BufReader::new(&mut limited));
    let read = (&mut body)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end());
    drop(deserializer);
    let count = body.count;
    if limited.over {
        return Err(Failed::TooLarge(format!(
            "the body unpacks to more than {bytes_max} bytes; lower the stream's buffer size"
        )));
    }
    if count > RECORDS_MAX {
        return Err(Failed::TooLarge(format!(
            "more than {RECORDS_MAX} records; lower the stream's buffer size"
        )));
    }
    read.map_err(|error| Failed::Malformed(error.to_string()))?;
    if !beside.records {
        return Err(Failed::Malformed("missing field `records`".into()));
    }
    Ok(())
}

/// A reader that ends with an error where too much was read.
struct Limited<R> {
    reader: R,
    left: u64,
    over: bool,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(into)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.over = true;
            return Err(std::io::Error::other("too large"));
        };
        self.left = left;
        Ok(read)
    }
}

struct Body<'a> {
    beside: &'a mut Beside,
    count: usize,
    each: &'a mut dyn FnMut(Result<Vec<u8>, Vec<u8>>) -> bool,
}

impl<'de> DeserializeSeed<'de> for &mut Body<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Body<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `requestId`, `timestamp` and `records`")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "requestId" => self.beside.id = Some(map.next_value()?),
                "timestamp" => self.beside.timestamp_ms = Some(map.next_value()?),
                "records" => {
                    self.beside.records = true;
                    map.next_value_seed(Records(self))?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

struct Records<'b, 'a>(&'b mut Body<'a>);

impl<'de> DeserializeSeed<'de> for Records<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

/// One record of the body.
#[derive(serde::Deserialize)]
struct Record {
    data: String,
}

impl<'de> Visitor<'de> for Records<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects with `data`")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(Record { data }) = records.next_element()? {
            self.0.count += 1;
            if self.0.count > RECORDS_MAX {
                return Err(serde::de::Error::custom("too many records"));
            }
            let decoded = STANDARD.decode(&data);
            if !(self.0.each)(decoded.map_err(|_| data.into_bytes())) {
                return Err(serde::de::Error::custom("no more is wanted"));
            }
        }
        Ok(())
    }
}
