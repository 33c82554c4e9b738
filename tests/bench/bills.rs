//! How fast the rows of a bill are read and decoded, beside the same file through the csv crate
//! alone, and how much memory that takes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use serde_json::json;
use skyherd::sources::replay::{Options, ReplayError, Summary, read};

use crate::report::{Report, Row, thousands};

/// Rows of the bill.
pub(crate) const ROWS: u64 = 1_000_000;
/// Accounts it is of.
const ACCOUNTS: u64 = 200;
/// Columns of a legacy report that are empty in most rows.
const EMPTY: usize = 60;
/// Bytes of a mebibyte.
const MIB: f64 = 1_048_576.0;

/// Reads a generated legacy report both ways.
pub(crate) fn measure(rows: u64, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("report-1.csv");
    write(&path, rows)?;
    let megabytes = std::fs::metadata(&path)?.len() as f64 / 1e6;
    eprintln!("bench: a report of {rows} rows, {megabytes:.0} MB");
    let began = Instant::now();
    let (mut bare, mut cells) = (0_u64, 0_usize);
    let mut record = csv::ByteRecord::new();
    let mut reader = csv::Reader::from_path(&path)?;
    while reader.read_byte_record(&mut record)? {
        bare += 1;
        cells += record.len();
    }
    let bare_seconds = began.elapsed().as_secs_f64();
    anyhow::ensure!(bare == rows && cells > 0, "the csv crate read {bare} rows");
    // From here on the kernel keeps the peak of what follows.
    std::fs::write("/proc/self/clear_refs", "5")?;
    let before = kibibytes("VmRSS:")?;
    let began = Instant::now();
    let mut summary = Summary::default();
    read(&[path], &Options::default(), |record| {
        let _ = summary.take(&record);
        Ok::<_, ReplayError>(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let peak = kibibytes("VmHWM:")?;
    anyhow::ensure!(
        summary.kinds["cur"].decoded == rows && summary.total.dead_lettered == 0,
        "not every row was decoded: {:?}",
        summary.total
    );
    let (rate, bare_rate) = (rows as f64 / seconds, rows as f64 / bare_seconds);
    let (peak, more) = (peak * 1_024.0 / MIB, (peak - before) * 1_024.0 / MIB);
    report.add(Row {
        what: format!("a legacy report of {} rows, read and decoded", thousands(rows as f64)),
        figure: format!(
            "{} rows/s, {:.0} MB/s, {:.2} of bare; peak memory {peak:.0} MiB, {more:.1} more than before",
            thousands(rate),
            megabytes / seconds,
            rate / bare_rate
        ),
        baseline: format!("{} rows/s through the csv crate alone", thousands(bare_rate)),
        goal: String::new(),
        numbers: json!({
            "rows_per_second": rate, "bare_rows_per_second": bare_rate, "ratio": rate / bare_rate,
            "peak_mib": peak, "more_mib": more,
        }),
    });
    Ok(())
}

/// A field of this process' status.
fn kibibytes(field: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let digits = line.unwrap_or_default().trim().trim_end_matches(" kB");
    Ok(digits.parse()?)
}

fn write(path: &Path, rows: u64) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let columns = "identity/LineItemId,identity/TimeInterval,bill/PayerAccountId,\
                   bill/BillingPeriodStartDate,bill/BillingPeriodEndDate,lineItem/UsageAccountId,\
                   lineItem/LineItemType,lineItem/UsageStartDate,lineItem/UsageEndDate,\
                   lineItem/ProductCode,lineItem/UsageType,lineItem/Operation,\
                   lineItem/AvailabilityZone,lineItem/ResourceId,lineItem/UsageAmount,\
                   lineItem/CurrencyCode,lineItem/UnblendedRate,lineItem/UnblendedCost,\
                   lineItem/LineItemDescription,product/ProductName,product/region,\
                   product/instanceType,product/sku,pricing/publicOnDemandCost,pricing/term,\
                   pricing/unit,resourceTags/user:team,resourceTags/user:environment";
    write!(file, "{columns}")?;
    for column in 0..EMPTY {
        write!(file, ",product/attribute{column}")?;
    }
    let commas = ",".repeat(EMPTY);
    for row in 0..rows {
        let (account, day, hour) = (row % ACCOUNTS, row % 28 + 1, row % 23);
        let (time, next) = (format!("2026-10-{day:02}T{hour:02}:00:00Z"), hour + 1);
        write!(
            file,
            "\n{row:052},{time}/2026-10-{day:02}T{next:02}:00:00Z,999900001111,\
             2026-10-01T00:00:00Z,2026-11-01T00:00:00Z,{account:012},Usage,{time},\
             2026-10-{day:02}T{next:02}:00:00Z,AmazonEC2,EU-BoxUsage:m7g.{},RunInstances,\
             eu-west-1{},i-{row:017x},1.0000000000,USD,0.0816000000,0.0{row},\
             \"$0.0816 per On Demand Linux m7g.large, Instance Hour\",Amazon Elastic Compute Cloud,\
             eu-west-1,m7g.large,ABCDEFGH12345678,0.0816000000,OnDemand,Hrs,team-{},production{commas}",
            ["medium", "large", "xlarge", "2xlarge"][(row % 4) as usize],
            ["a", "b", "c"][(row % 3) as usize],
            row % 31,
        )?;
    }
    writeln!(file)?;
    file.flush()?;
    Ok(())
}
