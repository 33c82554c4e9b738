//! Configuration → the accounts and regions that are pulled.

use std::collections::BTreeMap;

use crate::adapters::aws::{Access, Aws, CallError, Organization, Place};
use crate::config::{self, Config, Secret};
use crate::model::ItemKind;

/// What stands for the region of what belongs to none.
pub(super) const GLOBAL: &str = "global";

/// One account in one region, or what it has outside regions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    /// The account's id.
    pub(super) account: String,
    /// The region, or [`GLOBAL`].
    pub(super) region: String,
    /// How it is reached; what belongs to no region is asked for from the account's first one.
    pub(super) place: Place,
}

impl Target {
    /// Whether this is what the account has outside regions.
    pub(super) fn global(&self) -> bool {
        self.region == GLOBAL
    }

    /// The kinds of resource it has.
    pub(super) fn kinds(&self) -> impl Iterator<Item = ItemKind> + use<> {
        let global = self.global();
        let kinds = ItemKind::ALL.into_iter();
        kinds.filter(move |kind| kind.global() == global)
    }

    /// Of them, those that a sweep asks for.
    pub(super) fn swept(&self) -> impl Iterator<Item = ItemKind> + use<> {
        self.kinds().filter(|kind| !kind.apart())
    }
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Every account and region that answers; an account that is configured twice counts once.
    pub(super) targets: BTreeMap<(String, String), Target>,
    /// Accounts that do not, with the reason.
    pub(super) refused: Vec<(String, CallError)>,
}

fn access(account: &config::Account) -> Access {
    Access {
        profile: account.profile.clone(),
        role: account.role_arn(),
        external_id: account.external_id.as_ref().map(exposed),
    }
}

fn exposed(secret: &Secret) -> String {
    secret.expose().to_owned()
}

/// How an account is called before its id is known.
fn name(account: &config::Account) -> String {
    let named = [&account.id, &account.role, &account.profile];
    let name = named.into_iter().flatten().next();
    name.cloned()
        .unwrap_or_else(|| "the account of the environment's credentials".to_owned())
}

/// The configured accounts and those of the organization, each with how it is reached.
async fn listed(aws: &Aws, config: &Config, found: &mut Found) -> Vec<config::Account> {
    let mut accounts = config.accounts.clone();
    let Some(organization) = &config.sources.organization else {
        return accounts;
    };
    let asked = Organization {
        access: Access {
            profile: organization.profile.clone(),
            role: organization.list_role.clone(),
            external_id: None,
        },
        include: organization.include.clone(),
        exclude: organization.exclude.clone(),
    };
    match aws.members(&asked).await {
        Ok(members) => accounts.extend(members.into_iter().map(|member| config::Account {
            id: Some(member.id),
            profile: organization.profile.clone(),
            role: Some(organization.role.clone()),
            external_id: organization.external_id.clone(),
            regions: Vec::new(),
        })),
        Err(error) => found.refused.push(("the organization".to_owned(), error)),
    }
    accounts
}

/// Looks for accounts and regions. What does not answer is named and the rest goes on.
pub(super) async fn look(aws: &Aws, config: &Config) -> Found {
    let mut found = Found::default();
    for account in listed(aws, config, &mut found).await {
        match targets(aws, config, &account).await {
            Ok(targets) => {
                for target in targets {
                    let key = (target.account.clone(), target.region.clone());
                    // What is written out wins over what was discovered.
                    found.targets.entry(key).or_insert(target);
                }
            }
            Err(error) => found.refused.push((name(&account), error)),
        }
    }
    found
}

async fn targets(
    aws: &Aws,
    config: &Config,
    account: &config::Account,
) -> Result<Vec<Target>, CallError> {
    let access = access(account);
    let id = match &account.id {
        Some(id) => {
            aws.reaches(&access).await?;
            id.clone()
        }
        None => aws.caller(&access).await?.account,
    };
    let regions = if !account.regions.is_empty() {
        account.regions.clone()
    } else if !config.sources.regions.is_empty() {
        config.sources.regions.clone()
    } else {
        aws.regions(&access).await?
    };
    let target = |region: &str, asked: &str| Target {
        account: id.clone(),
        region: region.to_owned(),
        place: Place {
            access: access.clone(),
            region: asked.to_owned(),
        },
    };
    let global = regions.first().map(|first| target(GLOBAL, first));
    let regions = regions.iter().map(|region| target(region, region));
    Ok(regions.chain(global).collect())
}
