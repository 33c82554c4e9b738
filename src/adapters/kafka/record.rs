//! A librdkafka message as the port shows it, nothing copied.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};
use smallvec::SmallVec;

use crate::model::Topic;
use crate::ports::RecordView;

/// Shows `message` to `sink`.
pub(super) fn show(
    message: &BorrowedMessage<'_>,
    topic: Topic,
    sink: &mut dyn FnMut(RecordView<'_>),
) {
    let mut headers = SmallVec::<[(&str, &[u8]); 8]>::new();
    if let Some(all) = message.headers() {
        for index in 0..all.count() {
            // The library panics on a name that is not UTF-8; such a header is left out.
            let header = catch_unwind(AssertUnwindSafe(|| all.try_get(index)));
            if let Ok(Some(header)) = header {
                headers.push((header.key, header.value.unwrap_or_default()));
            }
        }
    }
    sink(RecordView {
        topic,
        partition: message.partition() as u32,
        offset: message.offset() as u64,
        key: message.key(),
        payload: message.payload(),
        headers: &headers,
        timestamp_ms: message.timestamp().to_millis(),
    });
}
