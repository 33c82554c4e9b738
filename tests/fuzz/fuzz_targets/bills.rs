//! The reader of bills in text; the Parquet library gives up in panics, which the reader catches and this
//! program would not. The first byte chooses what the file is taken for.
#![no_main]

use skyherd::sources::PAYLOAD_BYTES_MAX;
use skyherd::sources::replay::{Options, ReplayError, Summary, read};

/// What files of each export begin with.
const HEADS: [&[u8]; 4] = [
    b"lineItem/UsageAccountId,lineItem/UnblendedCost,lineItem/UsageStartDate,resourceTags/user:a\n",
    b"line_item_usage_account_id,line_item_unblended_cost,bill_billing_period_start_date,product\n",
    b"SubAccountId,BilledCost,ChargePeriodStart,ProviderName,Tags,BillingPeriodStart\n",
    b"PK\x03\x04",
];

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("bill");
    let head = HEADS[usize::from(*first) % HEADS.len()];
    std::fs::write(&path, [head, bytes].concat()).expect("a temporary file can be written");
    let mut summary = Summary::default();
    read(&[path], &Options::default(), |record| {
        assert!(record.payload.len() <= PAYLOAD_BYTES_MAX);
        let _ = summary.take(&record);
        Ok::<_, ReplayError>(())
    })
    .expect("a file that is there can be read");
    assert!(summary.holds());
});
