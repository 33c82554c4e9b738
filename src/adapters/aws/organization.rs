//! The accounts of an organization, and which of them are wanted.

use std::collections::VecDeque;

use aws_sdk_organizations::types::{Account, AccountStatus};

use super::tally::Api;
use super::{Access, Aws, CallError};

/// Most accounts taken from an organization; AWS's own default limit is far below.
const MEMBERS_MAX: usize = 10_000;
/// Most organizational units walked through; AWS allows 2,000.
const UNITS_MAX: usize = 4_000;

/// Which accounts of an organization are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Organization {
    /// Credentials of the management account or of a delegated administrator.
    pub access: Access,
    /// Ids of organizational units and accounts; all when empty.
    pub include: Vec<String>,
    /// Ids of organizational units and accounts; stronger than `include`.
    pub exclude: Vec<String>,
}

/// An account of the organization.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// What an account is worth by the units above it and its own id, nearest last.
fn wanted(organization: &Organization, path: &[String]) -> bool {
    let named = |list: &[String]| path.iter().any(|unit| list.contains(unit));
    (organization.include.is_empty() || named(&organization.include))
        && !named(&organization.exclude)
}

impl Aws {
    /// The active accounts that are wanted, by id.
    ///
    /// # Errors
    /// [`CallError`] when any page is missing: half an organization would make the rest look gone.
    pub async fn members(&self, organization: &Organization) -> Result<Vec<Member>, CallError> {
        let settings = self.settings(&organization.access, None).await?;
        let config = aws_sdk_organizations::config::Builder::from(&settings)
            .interceptor(self.meter(Api::Organizations))
            .build();
        let client = aws_sdk_organizations::Client::from_conf(config);
        let roots = client.list_roots().send().await;
        let roots = roots.map_err(|error| CallError::of("organizations:ListRoots", &error))?;
        let mut units: VecDeque<Vec<String>> = roots
            .roots()
            .iter()
            .filter_map(|root| Some(vec![root.id()?.to_owned()]))
            .collect();
        let (mut members, mut walked) = (Vec::new(), 0);
        while let Some(path) = units.pop_front() {
            walked += 1;
            let unit = path.last().cloned().unwrap_or_default();
            for account in accounts(&client, &unit).await? {
                members.extend(member(organization, &path, &account));
            }
            for below in units_below(&client, &unit).await? {
                units.push_back([path.as_slice(), &[below]].concat());
            }
            if walked + units.len() > UNITS_MAX || members.len() > MEMBERS_MAX {
                return Err(CallError::Failed(format!(
                    "the organization has more than {MEMBERS_MAX} accounts or {UNITS_MAX} units; name fewer in include"
                )));
            }
        }
        members.sort();
        Ok(members)
    }
}

fn member(organization: &Organization, path: &[String], account: &Account) -> Option<Member> {
    let id = account.id()?.to_owned();
    let path = [path, std::slice::from_ref(&id)].concat();
    #[allow(
        deprecated,
        reason = "moto and older partitions do not send the field that follows it"
    )]
    let active = account
        .status()
        .is_none_or(|status| *status == AccountStatus::Active);
    (active && wanted(organization, &path)).then(|| Member {
        name: account.name().unwrap_or_default().to_owned(),
        id,
    })
}

async fn accounts(
    client: &aws_sdk_organizations::Client,
    unit: &str,
) -> Result<Vec<Account>, CallError> {
    let mut accounts = Vec::new();
    let mut pages = client
        .list_accounts_for_parent()
        .parent_id(unit)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page =
            page.map_err(|error| CallError::of("organizations:ListAccountsForParent", &error))?;
        accounts.extend(page.accounts().iter().cloned());
    }
    Ok(accounts)
}

async fn units_below(
    client: &aws_sdk_organizations::Client,
    unit: &str,
) -> Result<Vec<String>, CallError> {
    let mut units = Vec::new();
    let mut pages = client
        .list_organizational_units_for_parent()
        .parent_id(unit)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| {
            CallError::of("organizations:ListOrganizationalUnitsForParent", &error)
        })?;
        let ids = page.organizational_units().iter();
        units.extend(ids.filter_map(|unit| unit.id().map(str::to_owned)));
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_counts_for_every_account_below_it_and_an_exclusion_wins() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let path: Vec<String> = texts(&["r-1", "ou-prod", "ou-web", "111122223333"]);
        for (include, exclude, expected) in [
            (vec![], vec![], true),
            (vec!["ou-prod"], vec![], true),
            (vec!["111122223333"], vec![], true),
            (vec!["ou-test"], vec![], false),
            (vec!["ou-prod"], vec!["ou-web"], false),
            (vec![], vec!["111122223333"], false),
        ] {
            let organization = Organization {
                access: Access::default(),
                include: texts(&include),
                exclude: texts(&exclude),
            };
            assert_eq!(
                wanted(&organization, &path),
                expected,
                "{include:?} {exclude:?}"
            );
        }
    }
}
