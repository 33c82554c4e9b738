//! The decoders of our own messages; the first byte chooses the topic.
#![no_main]

use skyherd::model::Topic;

mod check;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    if let Some((first, payload)) = input.split_first() {
        check::check(Topic::ALL[usize::from(*first) % Topic::ALL.len()], payload);
    }
});
