//! `skyherd check --live`: whose the credentials are, what AWS allows, which rules go blind.

use super::output::Output;
use super::{Ended, table};
use crate::app::{LiveAccount, LivePermission};
use crate::config::Config;

pub(super) fn live(config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let live = crate::app::check_live(config)?;
    if live.accounts.is_empty() {
        output.line("no accounts are configured, so there is nothing to ask AWS")?;
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
        output.line("  hint: nothing of this account is pulled, so no rule sees it; let its role trust the caller, and the caller do what deploy/iam/roles.json says")?;
        return Ok(());
    }
    let caller = account.caller.as_deref().unwrap_or_default();
    let regions = account.regions.join(", ");
    output.line(&format!("{name} as {caller}, in {regions}"))?;
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
            output.line(&format!("{action} is refused in {region}: {why}"))?;
            output.line(&format!(
                "  hint: allow it with deploy/iam/{}.json; rules lost: {}",
                permission.policy,
                needed(permission)
            ))?;
        }
        for (region, why) in &permission.unclear {
            output.line(&format!("{action} could not be told in {region}: {why}"))?;
            output.line("  hint: this is no refusal; try again")?;
        }
    }
    Ok(())
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
