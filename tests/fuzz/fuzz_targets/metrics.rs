//! The decoder of `aws.metrics`.
#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    check::check(skyherd::model::Topic::AwsMetrics, payload);
});
