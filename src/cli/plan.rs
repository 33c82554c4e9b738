//! `skyherd sources plan`: what pulling would take a month, before it starts.

use super::output::Output;
use super::progress::Progress;
use super::{Ended, table};
use crate::app::{Plan, PlannedAccount};
use crate::config::Config;

/// Where the prices are from; those of us-east-1.
const PRICES: &str = "prices: GetMetricData $0.01 for 1,000 statistics of series, a metric stream $0.003 for 1,000 updates \
(aws.amazon.com/cloudwatch/pricing, where up to five statistics of a series count once: a quarter of what is said here); \
Cost Explorer $0.01 a page, a round being one page at the least (aws.amazon.com/aws-cost-management/aws-cost-explorer/pricing); \
a list call of S3 $0.005 for 1,000, reading $0.0004 for 1,000 on top (aws.amazon.com/s3/pricing); other calls free. A month is 730 hours.";

pub(super) fn plan(json: bool, config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let mut progress = Progress::new("resources", true);
    let plan = crate::app::plan(config, &mut |resources| progress.at(resources))?;
    drop(progress);
    if json {
        output.json(&plan)?;
    } else if plan.accounts.is_empty() && plan.unreachable.is_empty() && plan.files.is_empty() {
        output.line(
            "nothing would be pulled; name accounts or buckets in the configuration, see README.md",
        )?;
    } else {
        show(&plan, output)?;
    }
    let counted = plan
        .accounts
        .iter()
        .all(|account| account.errors.is_empty());
    let listed = plan.files.iter().all(|files| files.error.is_none());
    let whole = counted && listed && plan.unreachable.is_empty();
    Ok(if whole { Ended::Well } else { Ended::Wanting })
}

/// US dollars with cents; what is not nothing is not shown as nothing.
fn usd(micro_usd: u64) -> String {
    let cents = micro_usd.div_ceil(10_000);
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn show(plan: &Plan, output: &mut Output) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    for account in &plan.accounts {
        for row in &account.sources {
            lines.push(vec![
                account.account.clone(),
                row.source.to_owned(),
                what(account, row.source),
                row.calls.to_string(),
                usd(row.micro_usd),
            ]);
        }
    }
    for files in plan.files.iter().filter(|files| files.error.is_none()) {
        lines.push(vec![
            "-".to_owned(),
            "files".to_owned(),
            format!("looks at {} objects of {}", files.objects, files.from),
            files.calls.to_string(),
            usd(files.micro_usd),
        ]);
    }
    let header = ["account", "source", "of", "calls a month", "USD a month"];
    output.line(&table::plain(output, &header, lines))?;
    for account in &plan.accounts {
        for error in &account.errors {
            output.line(&format!("{} {error}: not in the plan", account.account))?;
        }
    }
    for (account, error) in &plan.unreachable {
        output.line(&format!("{account}: {error}: not in the plan"))?;
    }
    for (files, error) in plan
        .files
        .iter()
        .filter_map(|files| Some((files, files.error.as_ref()?)))
    {
        output.line(&format!("{}: {error}: not in the plan", files.from))?;
    }
    output.line("")?;
    let rows = plan.accounts.iter().flat_map(|account| &account.sources);
    let total: u64 = rows.map(|row| row.micro_usd).sum();
    output.line(&format!(
        "{} USD a month at most, of the {} that sources.monthly_usd_max allows",
        usd(total),
        plan.monthly_usd_max
    ))?;
    if !plan.files.is_empty() {
        let total = plan.files.iter().map(|files| files.micro_usd).sum();
        output.line(&format!(
            "{} USD a month for looking into buckets, beside that",
            usd(total)
        ))?;
    }
    let sum = |of: fn(&PlannedAccount) -> u64| plan.accounts.iter().map(of).sum::<u64>();
    let series = sum(|account| account.series);
    if series > 0 {
        let polling = sum(|account| account.polling_micro_usd);
        let stream = sum(|account| account.stream_micro_usd);
        let paid_for = sum(|account| account.series_paid_for);
        output.line(&format!(
            "all {series} series polled: {} USD a month at most, of them {paid_for} within the ceiling; \
             as a metric stream with an update a minute: {} USD and Firehose, without a delay",
            usd(polling),
            usd(stream)
        ))?;
    }
    output.line(PRICES)?;
    Ok(())
}

/// What a source's calls are about.
fn what(account: &PlannedAccount, source: &str) -> String {
    match source {
        "inventory" => format!(
            "{} resources in {} regions",
            account.resources,
            account.regions.len()
        ),
        "attributes" => "termination protection and user data of instances".to_owned(),
        "metrics" => format!("{} of {} series", account.series_paid_for, account.series),
        "costs" => "days by service and usage type".to_owned(),
        "forecast" => "the rest of the month".to_owned(),
        "anomalies" => "what Cost Anomaly Detection found".to_owned(),
        "reservations" | "savings-plans" => "use and coverage by day".to_owned(),
        "rightsizing" => "instances AWS would make smaller".to_owned(),
        "budgets" => "budgets and what is spent of them".to_owned(),
        "alarms" => "alarms and their states".to_owned(),
        _ => "credentials, an hour each".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::usd;

    #[test]
    fn cents_are_rounded_up_so_that_something_is_never_nothing() {
        let shown = [0, 1, 10_000, 10_001, 1_234_567_890].map(usd);
        assert_eq!(shown, ["0.00", "0.01", "0.01", "0.02", "1234.57"]);
    }
}
