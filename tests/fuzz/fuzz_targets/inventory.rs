//! The decoder of `aws.inventory`.
#![no_main]

mod check;

libfuzzer_sys::fuzz_target!(|payload: &[u8]| {
    check::check(skyherd::model::Topic::AwsInventory, payload);
});
