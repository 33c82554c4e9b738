//! The decoder of `aws.billing`.
#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    check::check(skyherd::model::Topic::AwsBilling, payload);
});
