//! Who may do what: users, roles, groups, policies and instance profiles of IAM, and what an account
//! has set for all of them. IAM knows no regions.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_iam::types::{
    AttachedPermissionsBoundary, AttachedPolicy, EntityType, GroupDetail, InstanceProfile,
    ManagedPolicyDetail, PasswordPolicy, PolicyDetail, ReportStateType, RoleDetail, Tag,
    UserDetail,
};
use serde_json::{Map, Value};

use super::fields::Fields;
use super::{PAGE_ITEMS, Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const DETAILS: &str = "iam:GetAccountAuthorizationDetails";
const PROFILES: &str = "iam:ListInstanceProfiles";
const GENERATE: &str = "iam:GenerateCredentialReport";
const REPORT: &str = "iam:GetCredentialReport";
const SUMMARY: &str = "iam:GetAccountSummary";
const PASSWORDS: &str = "iam:GetAccountPasswordPolicy";
const WHO: &str = "sts:GetCallerIdentity";
/// Looks at whether the credential report is there; IAM makes one within seconds, and keeps it for
/// four hours.
const REPORT_TRIES: usize = 30;
/// Pause between two of them.
const REPORT_REST: Duration = Duration::from_secs(2);

/// The credential report: each user's row by ARN.
type Report = BTreeMap<String, Map<String, Value>>;

impl Aws {
    /// Users, roles, groups or the account's own policies, with everything attached to them.
    pub(super) async fn principals(
        &self,
        place: &Place,
        kind: ItemKind,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.iam(place).await?;
        let mut page = Page::default();
        let report = match kind {
            ItemKind::IamUser => self.credential_report(place, &mut page).await?,
            _ => Report::new(),
        };
        page.turn(self, place, DETAILS).await;
        let answer = client
            .get_account_authorization_details()
            .filter(match kind {
                ItemKind::IamRole => EntityType::Role,
                ItemKind::IamGroup => EntityType::Group,
                ItemKind::IamPolicy => EntityType::LocalManagedPolicy,
                _ => EntityType::User,
            })
            .max_items(PAGE_ITEMS)
            .set_marker(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(DETAILS, &error))?;
        match kind {
            ItemKind::IamRole => page.add(kind, answer.role_detail_list(), role),
            ItemKind::IamGroup => page.add(kind, answer.group_detail_list(), group),
            ItemKind::IamPolicy => page.add(kind, answer.policies(), policy),
            _ => {
                page.add(kind, answer.user_detail_list(), |item| user(item, &report));
                // The root user is in the report alone.
                let root = report.iter().filter(|(arn, _)| arn.ends_with(":root"));
                if wanted.next.is_none() {
                    let root: Vec<_> = root.collect();
                    page.add(kind, &root, |(arn, row)| {
                        Fields::default()
                            .text("Arn", Some(arn))
                            .text("UserName", Some("<root_account>"))
                            .set("CredentialReport", Some((*row).clone()))
                    });
                }
            }
        }
        page.then(answer.marker().filter(|_| answer.is_truncated()));
        Ok(page)
    }

    /// Asks for the report to be made, waits until it is, and reads it.
    async fn credential_report(&self, place: &Place, page: &mut Page) -> Result<Report, CallError> {
        let client = self.iam(place).await?;
        for tried in 1..=REPORT_TRIES {
            page.turn(self, place, GENERATE).await;
            let answer = client.generate_credential_report().send().await;
            let answer = answer.map_err(|error| CallError::of(GENERATE, &error))?;
            if answer.state() == Some(&ReportStateType::Complete) {
                break;
            }
            if tried == REPORT_TRIES {
                return Err(CallError::Failed(format!(
                    "{GENERATE}: the report is not made after {REPORT_TRIES} looks"
                )));
            }
            tokio::time::sleep(REPORT_REST).await;
        }
        page.turn(self, place, REPORT).await;
        let answer = client.get_credential_report().send().await;
        let answer = answer.map_err(|error| CallError::of(REPORT, &error))?;
        let content = answer.content().map_or(&[][..], |blob| blob.as_ref());
        Ok(rows(&String::from_utf8_lossy(content)))
    }

    pub(super) async fn profiles(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let mut page = Page::default();
        page.turn(self, place, PROFILES).await;
        let answer = self
            .iam(place)
            .await?
            .list_instance_profiles()
            .max_items(PAGE_ITEMS)
            .set_marker(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(PROFILES, &error))?;
        page.add(
            ItemKind::InstanceProfile,
            answer.instance_profiles(),
            profile,
        );
        page.then(answer.marker().filter(|_| answer.is_truncated()));
        Ok(page)
    }

    /// One item: what there is in the account, whether its root user has keys and a second factor,
    /// and what passwords must be like.
    pub(super) async fn account_summary(&self, place: &Place) -> Result<Page, CallError> {
        let client = self.iam(place).await?;
        let mut page = Page::default();
        page.turn(self, place, WHO).await;
        let account = self.caller(&place.access).await?.account;
        page.turn(self, place, SUMMARY).await;
        let answer = client.get_account_summary().send().await;
        let answer = answer.map_err(|error| CallError::of(SUMMARY, &error))?;
        let counts = answer.summary_map().into_iter().flatten();
        // In order, so that what does not change looks the same.
        let counts: BTreeMap<String, i32> = counts
            .map(|(name, count)| (name.as_str().to_owned(), *count))
            .collect();
        let counts = counts.into_iter().map(|(name, count)| (name, count.into()));
        let counts: Map<String, Value> = counts.collect();
        page.turn(self, place, PASSWORDS).await;
        let passwords = client.get_account_password_policy().send().await;
        let passwords = match passwords.map_err(|error| CallError::of(PASSWORDS, &error)) {
            // Nothing is set, so anything goes.
            Err(CallError::Missing(_)) => None,
            answer => answer?.password_policy,
        };
        page.add(ItemKind::AccountSummary, &[account], |account| {
            Fields::default()
                .text("AccountId", Some(account))
                .set("SummaryMap", Some(counts.clone()))
                .part("PasswordPolicy", passwords.as_ref(), password_policy)
        });
        Ok(page)
    }
}

/// Rows of the report by their `arn`, without what `UserDetailList` says better.
fn rows(text: &str) -> Report {
    let mut lines = text.lines().map(cells);
    let names = lines.next().unwrap_or_default();
    let row = |cells: Vec<String>| {
        let row = names
            .iter()
            .cloned()
            .zip(cells.into_iter().map(Value::from));
        let mut row: Map<String, Value> = row.collect();
        let arn = row.remove("arn")?.as_str()?.to_owned();
        row.remove("user");
        Some((arn, row))
    };
    lines.filter_map(row).collect()
}

/// The cells of a line: names may hold commas, which are then quoted.
fn cells(line: &str) -> Vec<String> {
    let (mut cells, mut quoted) = (vec![String::new()], false);
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            letter => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(letter);
                }
            }
        }
    }
    cells
}

/// A policy's text, which comes percent-encoded; kept as it is when it is no JSON.
fn document(text: Option<&str>) -> Option<Value> {
    let text = decoded(text?);
    Some(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn decoded(text: &str) -> String {
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn tag(tag: &Tag) -> Fields {
    Fields::default()
        .text("Key", Some(tag.key()))
        .text("Value", Some(tag.value()))
}

fn attached(item: &AttachedPolicy) -> Fields {
    Fields::default()
        .text("PolicyName", item.policy_name())
        .text("PolicyArn", item.policy_arn())
}

fn inline(item: &PolicyDetail) -> Fields {
    Fields::default()
        .text("PolicyName", item.policy_name())
        .set("PolicyDocument", document(item.policy_document()))
}

fn boundary(item: &AttachedPermissionsBoundary) -> Fields {
    Fields::default()
        .text("PermissionsBoundaryType", item.permissions_boundary_type())
        .text("PermissionsBoundaryArn", item.permissions_boundary_arn())
}

fn user(item: &UserDetail, report: &Report) -> Fields {
    Fields::default()
        .text("Arn", item.arn())
        .text("UserName", item.user_name())
        .text("UserId", item.user_id())
        .text("Path", item.path())
        .time("CreateDate", item.create_date())
        .texts("GroupList", item.group_list())
        .list("UserPolicyList", item.user_policy_list(), inline)
        .list(
            "AttachedManagedPolicies",
            item.attached_managed_policies(),
            attached,
        )
        .part("PermissionsBoundary", item.permissions_boundary(), boundary)
        .set(
            "CredentialReport",
            item.arn().and_then(|arn| report.get(arn)).cloned(),
        )
        .list("Tags", item.tags(), tag)
}

fn role(item: &RoleDetail) -> Fields {
    Fields::default()
        .text("Arn", item.arn())
        .text("RoleName", item.role_name())
        .text("RoleId", item.role_id())
        .text("Path", item.path())
        .time("CreateDate", item.create_date())
        .set(
            "AssumeRolePolicyDocument",
            document(item.assume_role_policy_document()),
        )
        .list("RolePolicyList", item.role_policy_list(), inline)
        .list(
            "AttachedManagedPolicies",
            item.attached_managed_policies(),
            attached,
        )
        .part("PermissionsBoundary", item.permissions_boundary(), boundary)
        .list(
            "InstanceProfileList",
            item.instance_profile_list(),
            |profile| {
                Fields::default()
                    .text("Arn", Some(profile.arn()))
                    .text("InstanceProfileName", Some(profile.instance_profile_name()))
            },
        )
        .list("Tags", item.tags(), tag)
}

fn group(item: &GroupDetail) -> Fields {
    Fields::default()
        .text("Arn", item.arn())
        .text("GroupName", item.group_name())
        .text("GroupId", item.group_id())
        .text("Path", item.path())
        .time("CreateDate", item.create_date())
        .list("GroupPolicyList", item.group_policy_list(), inline)
        .list(
            "AttachedManagedPolicies",
            item.attached_managed_policies(),
            attached,
        )
}

/// Of its versions the one that holds.
fn policy(item: &ManagedPolicyDetail) -> Fields {
    let versions = item.policy_version_list().iter();
    let holds: Vec<_> = versions
        .filter(|version| version.is_default_version())
        .collect();
    Fields::default()
        .text("Arn", item.arn())
        .text("PolicyName", item.policy_name())
        .text("PolicyId", item.policy_id())
        .text("Path", item.path())
        .text("DefaultVersionId", item.default_version_id())
        .set("AttachmentCount", item.attachment_count())
        .set(
            "PermissionsBoundaryUsageCount",
            item.permissions_boundary_usage_count(),
        )
        .time("CreateDate", item.create_date())
        .time("UpdateDate", item.update_date())
        .list("PolicyVersionList", &holds, |version| {
            Fields::default()
                .text("VersionId", version.version_id())
                .set("IsDefaultVersion", Some(version.is_default_version()))
                .set("Document", document(version.document()))
                .time("CreateDate", version.create_date())
        })
}

fn profile(item: &InstanceProfile) -> Fields {
    Fields::default()
        .text("Arn", Some(item.arn()))
        .text("InstanceProfileName", Some(item.instance_profile_name()))
        .text("InstanceProfileId", Some(item.instance_profile_id()))
        .text("Path", Some(item.path()))
        .time("CreateDate", Some(item.create_date()))
        .list("Roles", item.roles(), |role| {
            Fields::default()
                .text("Arn", Some(role.arn()))
                .text("RoleName", Some(role.role_name()))
        })
        .list("Tags", item.tags(), tag)
}

fn password_policy(item: &PasswordPolicy) -> Fields {
    Fields::default()
        .set("MinimumPasswordLength", item.minimum_password_length())
        .set("RequireSymbols", Some(item.require_symbols()))
        .set("RequireNumbers", Some(item.require_numbers()))
        .set(
            "RequireUppercaseCharacters",
            Some(item.require_uppercase_characters()),
        )
        .set(
            "RequireLowercaseCharacters",
            Some(item.require_lowercase_characters()),
        )
        .set("ExpirePasswords", Some(item.expire_passwords()))
        .set("MaxPasswordAge", item.max_password_age())
        .set("PasswordReusePrevention", item.password_reuse_prevention())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_the_report_is_found_by_its_arn_whatever_the_name_holds() {
        let report = rows(
            "user,arn,password_enabled,mfa_active\n<root_account>,arn:aws:iam::1:root,not_supported,true\n\"a,b\",\"arn:aws:iam::1:user/a,b\",true,false\nshort\n",
        );
        assert_eq!(report.len(), 2);
        assert_eq!(report["arn:aws:iam::1:root"]["mfa_active"], "true");
        assert_eq!(
            report["arn:aws:iam::1:user/a,b"]["password_enabled"],
            "true"
        );
        assert_eq!(report["arn:aws:iam::1:user/a,b"].get("user"), None);
        assert_eq!(rows("").len(), 0);
    }

    #[test]
    fn a_policy_s_text_is_read_however_it_is_escaped() {
        let read = document(Some(
            "%7B%22Action%22%3A%22s3%3A*%22%2C%22x%22:%22a+b%22%7D",
        ));
        let read = read.expect("there is a text");
        assert_eq!(
            (&read["Action"], &read["x"]),
            (&"s3:*".into(), &"a+b".into())
        );
        assert_eq!(
            document(Some("50% of %C3%A4%zz%")),
            Some("50% of ä%zz%".into())
        );
        assert_eq!(document(None), None);
    }
}
