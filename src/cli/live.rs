//! `skyherd check --live`: whose the credentials are, what AWS allows, which rules go blind.

use super::output::Output;
use super::{Ended, table};
use crate::app::{LiveAccount, LivePermission};
use crate::config::Config;

pub(super) fn live(config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let live = crate::app::check_live(config)?;
    if live.accounts.is_empty() {
        output.line("no accounts or files are configured, so there is nothing to ask AWS")?;
        return Ok(Ended::Well);
    }
    for account in &live.accounts {
        output.line("")?;
        show(account, output)?;
    }
    if live.micro_usd > 0 {
        let cents = live.micro_usd / 10_000;
        output.line(&format!("\nasking cost {cents} US cents"))?;
    }
    Ok(if live.well() {
        Ended::Well
    } else {
        Ended::Wanting
    })
}

fn show(account: &LiveAccount, output: &mut Output) -> anyhow::Result<()> {
    let name = &account.account;
    if let Some(error) = &account.error {
        output.line(&format!("{name}: {error}"))?;
        let hint = if name.starts_with('/') {
            "nothing of this folder is read; let the process read it"
        } else {
            "nothing of this account is pulled, so no rule sees it; let its role trust the caller, and the caller do what deploy/iam/roles.json says"
        };
        output.line(&format!("  hint: {hint}"))?;
        return Ok(());
    }
    let caller = account.caller.as_deref().unwrap_or_default();
    // A folder has neither caller nor regions, a bucket no regions.
    let caller = if caller.is_empty() {
        String::new()
    } else {
        format!(" as {caller}")
    };
    let regions = account.regions.join(", ");
    let regions = if regions.is_empty() {
        regions
    } else {
        format!(", in {regions}")
    };
    output.line(&format!("{name}{caller}{regions}"))?;
    if account.permissions.is_empty() {
        return Ok(());
    }
    let lines = account.permissions.iter().map(|permission| {
        vec![
            permission.action.to_owned(),
            answer(permission),
            needed(permission),
        ]
    });
    let header = ["action", "answer", "rules that need it"];
    output.line(&table::plain(output, &header, lines))?;
    for permission in &account.permissions {
        let action = permission.action;
        for (region, why) in &permission.refused {
            output.line(&format!("{action} is refused{}: {why}", within(region)))?;
            output.line(&format!(
                "  hint: allow it with deploy/iam/{}.json; rules lost: {}",
                permission.policy,
                needed(permission)
            ))?;
        }
        for (region, why) in &permission.unclear {
            output.line(&format!(
                "{action} could not be told{}: {why}",
                within(region)
            ))?;
            output.line("  hint: this is no refusal; try again")?;
        }
    }
    Ok(())
}

/// Where, unless that goes without saying.
fn within(region: &str) -> String {
    match region {
        "-" => String::new(),
        region => format!(" in {region}"),
    }
}

/// The rules that need it; where none does, what is not known without it.
fn needed(permission: &LivePermission) -> String {
    match (permission.rules.as_slice(), permission.ability) {
        ([], "") => "none".to_owned(),
        ([], ability) => format!("none, but {ability}"),
        (rules, _) => rules.join(", "),
    }
}

fn answer(permission: &LivePermission) -> String {
    match (permission.refused.len(), permission.unclear.len()) {
        (0, 0) => "allowed".to_owned(),
        (0, _) => "unclear".to_owned(),
        _ => "refused".to_owned(),
    }
}
