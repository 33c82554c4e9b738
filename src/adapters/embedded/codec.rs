//! Keys and values on disk. Every number in a key is big-endian, so that keys sort as numbers do.

use smallvec::SmallVec;

use crate::model::{AgentName, Subject, Topic};
use crate::ports::{Outgoing, TaskId};

/// First byte of every stored record and row.
const FORM: u8 = 1;
const HAS_TIME: u8 = 1;
const HAS_KEY: u8 = 2;
const HAS_PAYLOAD: u8 = 4;

/// The headers of one record, borrowed from it.
pub(super) type Headers<'a> = SmallVec<[(&'a str, &'a [u8]); 8]>;

/// The number a topic has on disk: for life, never reused.
fn topic_code(topic: Topic) -> u8 {
    match topic {
        Topic::AwsMetrics => 1,
        Topic::AwsEvents => 2,
        Topic::AwsInventory => 3,
        Topic::AwsBilling => 4,
        Topic::FindingsResource => 5,
        Topic::FindingsCost => 6,
        Topic::FindingsSecurity => 7,
        Topic::FindingsPerformance => 8,
        Topic::Requests => 9,
        Topic::Approvals => 10,
        Topic::Recommendations => 11,
        Topic::Tasks => 12,
        Topic::Results => 13,
        Topic::Actions => 14,
        Topic::Outcomes => 15,
        Topic::Workflows => 16,
        Topic::Memory => 17,
        Topic::Audit => 18,
        Topic::DeadLetters => 19,
    }
}

/// The number an agent has on disk: for life, never reused.
fn agent_code(agent: AgentName) -> u8 {
    match agent {
        AgentName::Resource => 1,
        AgentName::Cost => 2,
        AgentName::Security => 3,
        AgentName::Performance => 4,
        AgentName::Coordinator => 5,
    }
}

/// topic, partition
pub(super) fn partition_key(topic: Topic, partition: u32) -> [u8; 5] {
    let mut key = [0; 5];
    key[0] = topic_code(topic);
    key[1..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// topic, partition, offset
pub(super) fn record_key(topic: Topic, partition: u32, offset: u64) -> [u8; 13] {
    let mut key = [0; 13];
    key[..5].copy_from_slice(&partition_key(topic, partition));
    key[5..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The offset in a record's key.
pub(super) fn offset_of(key: &[u8]) -> Option<u64> {
    key.get(5..13)?.try_into().ok().map(u64::from_be_bytes)
}

/// agent, partition
pub(super) fn task_key(task: TaskId) -> [u8; 5] {
    let mut key = [0; 5];
    key[0] = agent_code(task.agent);
    key[1..].copy_from_slice(&task.partition.to_be_bytes());
    key
}

/// agent, partition, subject
pub(super) fn subject_key(task: TaskId, subject: &Subject) -> Vec<u8> {
    let mut key = Vec::with_capacity(5 + subject.as_str().len());
    key.extend_from_slice(&task_key(task));
    key.extend_from_slice(subject.as_str().as_bytes());
    key
}

/// The subject in such a key.
pub(super) fn subject_of(key: &[u8]) -> Option<Subject> {
    let text = std::str::from_utf8(key.get(5..)?).ok()?;
    Subject::parse(text).ok()
}

/// Where a topic partition begins and ends, as far as its records do not say it themselves.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    /// The first offset that may be read.
    pub start: u64,
    /// The next offset is at least this.
    pub end_floor: u64,
}

pub(super) fn encode_mark(mark: Mark) -> [u8; 17] {
    let mut value = [FORM; 17];
    value[1..9].copy_from_slice(&mark.start.to_le_bytes());
    value[9..].copy_from_slice(&mark.end_floor.to_le_bytes());
    value
}

pub(super) fn decode_mark(value: &[u8]) -> Option<Mark> {
    let mut reader = Reader::new(value)?;
    Some(Mark {
        start: reader.u64()?,
        end_floor: reader.u64()?,
    })
}

/// A task's epoch and meta value.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct TaskRow {
    /// 0 before the first owner.
    pub epoch: u64,
    /// As last committed.
    pub meta: Option<Vec<u8>>,
}

pub(super) fn encode_task(epoch: u64, meta: Option<&[u8]>) -> Vec<u8> {
    let mut value = Vec::with_capacity(10 + meta.map_or(0, <[u8]>::len));
    value.push(FORM);
    value.extend_from_slice(&epoch.to_le_bytes());
    value.push(u8::from(meta.is_some()));
    value.extend_from_slice(meta.unwrap_or_default());
    value
}

pub(super) fn decode_task(value: &[u8]) -> Option<TaskRow> {
    let mut reader = Reader::new(value)?;
    let epoch = reader.u64()?;
    let has_meta = reader.byte()? == 1;
    Some(TaskRow {
        epoch,
        meta: has_meta.then(|| reader.rest.to_vec()),
    })
}

/// A record as it is stored, borrowed.
pub(super) struct Stored<'a> {
    pub key: Option<&'a [u8]>,
    pub payload: Option<&'a [u8]>,
    pub timestamp_ms: Option<i64>,
}

/// form, flags, time?, key?, header count, (name, value)*, payload to the end; `at_ms` is its time.
pub(super) fn encode_record(record: &Outgoing, at_ms: i64) -> Vec<u8> {
    let payload = record.payload.as_deref();
    let head = 32 + record.key.as_ref().map_or(0, Vec::len);
    let headers = record.headers.iter().map(|(k, v)| k.len() + v.len() + 4);
    let mut value =
        Vec::with_capacity(head + headers.sum::<usize>() + payload.map_or(0, <[u8]>::len));
    value.push(FORM);
    value.push(
        HAS_TIME
            | if record.key.is_some() { HAS_KEY } else { 0 }
            | if payload.is_some() { HAS_PAYLOAD } else { 0 },
    );
    value.extend_from_slice(&at_ms.to_le_bytes());
    if let Some(key) = &record.key {
        put_bytes(&mut value, key);
    }
    put_varint(&mut value, record.headers.len() as u64);
    for (name, header) in &record.headers {
        put_bytes(&mut value, name.as_bytes());
        put_bytes(&mut value, header);
    }
    value.extend_from_slice(payload.unwrap_or_default());
    value
}

/// Reads a stored record; its headers go to `headers`. `None` when it is damaged.
pub(super) fn decode_record<'a>(value: &'a [u8], headers: &mut Headers<'a>) -> Option<Stored<'a>> {
    let mut reader = Reader::new(value)?;
    let flags = reader.byte()?;
    let timestamp_ms = if flags & HAS_TIME == 0 {
        None
    } else {
        Some(reader.u64()? as i64)
    };
    let key = if flags & HAS_KEY == 0 {
        None
    } else {
        Some(reader.bytes()?)
    };
    headers.clear();
    for _ in 0..reader.varint()? {
        let name = std::str::from_utf8(reader.bytes()?).ok()?;
        headers.push((name, reader.bytes()?));
    }
    Some(Stored {
        key,
        payload: (flags & HAS_PAYLOAD != 0).then_some(reader.rest),
        timestamp_ms,
    })
}

/// A list of byte strings.
pub(super) fn encode_list<T: AsRef<[u8]>>(out: &mut Vec<u8>, items: &[T]) {
    put_varint(out, items.len() as u64);
    for item in items {
        put_bytes(out, item.as_ref());
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Starts a value of the present form.
pub(super) fn begin() -> Vec<u8> {
    vec![FORM]
}

/// Takes a stored value apart; `None` wherever it ends too early.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// After checking the form.
    pub(super) fn new(value: &'a [u8]) -> Option<Self> {
        let (form, rest) = value.split_first()?;
        (*form == FORM).then_some(Self { rest })
    }
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(head)
    }
    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }
    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
    fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        self.take(len)
    }
    pub(super) fn list(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut items = Vec::new();
        for _ in 0..self.varint()? {
            items.push(self.bytes()?.to_vec());
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_comes_back_as_it_was(
            key in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            payload in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            headers in proptest::collection::vec((".{0,20}", proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
            at_ms in any::<i64>(),
        ) {
            let record = Outgoing { topic: Topic::Audit, partition: 3, key, payload, headers, timestamp_ms: None };
            let value = encode_record(&record, at_ms);
            let mut read = Headers::new();
            let stored = decode_record(&value, &mut read).expect("whole");
            prop_assert_eq!(stored.key, record.key.as_deref());
            prop_assert_eq!(stored.payload, record.payload.as_deref());
            prop_assert_eq!(stored.timestamp_ms, Some(at_ms));
            prop_assert_eq!(read.len(), record.headers.len());
            for (a, b) in read.iter().zip(&record.headers) {
                prop_assert_eq!(a.0, b.0.as_str());
                prop_assert_eq!(a.1, b.1.as_slice());
            }
        }

        #[test]
        fn a_damaged_record_is_no_record_and_no_panic(value in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_record(&value, &mut Headers::new());
            let _ = decode_task(&value);
            let _ = decode_mark(&value);
        }
    }

    #[test]
    fn no_two_topics_share_a_code() {
        let codes: std::collections::BTreeSet<u8> =
            Topic::ALL.into_iter().map(topic_code).collect();
        assert_eq!(codes.len(), Topic::ALL.len());
    }
}
