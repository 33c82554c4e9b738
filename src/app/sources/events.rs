//! Events name resources; what they name is asked for at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::Sender;

use super::accounts::GLOBAL;
use crate::adapters::aws::whole;
use crate::app::Handle;
use crate::model::{ApiCall, Event, EventKind, FactBody, ItemKind, Message, OWN_ACCOUNT, Topic};
use crate::ports::PortResult;
use crate::sources::{Decoded, decode};

/// Resources waiting to be asked for; beyond it the next sweep has to do.
pub(super) const QUEUE_MAX: usize = 10_000;
/// Records taken at once.
const BATCH: usize = 1_000;
/// Longest wait for the next record, and for the answer to a stop.
const WAIT: Duration = Duration::from_millis(200);
/// Pause after the log could not be followed.
const REST: Duration = Duration::from_secs(2);

/// What is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// A resource by its id.
    One(ItemKind, String),
    /// Every resource of a kind, as no single one of it can be asked for.
    All(ItemKind),
}

/// What an event named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) account: String,
    /// The region, or [`GLOBAL`].
    pub(super) region: String,
    pub(super) asked: Asked,
}

/// Calls that change what can be asked for only as a whole, or that name it by something else than
/// its id: the service, how the call's name begins, and how it ends.
#[rustfmt::skip] // A call a line reads as the table it is.
const CHANGES: &[(&str, &[&str], &[&str], ItemKind)] = &[
    ("iam", &["Create", "Delete", "Update", "Put", "Attach", "Detach", "Tag", "Untag", "Add", "Remove", "Enable", "Deactivate"],
        &["User", "UserPolicy", "UserToGroup", "UserFromGroup", "UserPermissionsBoundary", "LoginProfile", "AccessKey", "MFADevice"], ItemKind::IamUser),
    ("iam", &["Create", "Delete", "Update", "Put", "Attach", "Detach", "Tag", "Untag"],
        &["Role", "RolePolicy", "RolePermissionsBoundary", "RoleDescription", "ServiceLinkedRole"], ItemKind::IamRole),
    ("iam", &["Create", "Delete", "Update", "Put", "Attach", "Detach"], &["Group", "GroupPolicy"], ItemKind::IamGroup),
    ("iam", &["CreatePolicy", "DeletePolicy", "SetDefaultPolicyVersion", "TagPolicy", "UntagPolicy"], &[""], ItemKind::IamPolicy),
    ("iam", &["Create", "Delete", "Add", "Remove", "Tag", "Untag"], &["InstanceProfile"], ItemKind::InstanceProfile),
    ("iam", &["Update", "Delete"], &["AccountPasswordPolicy"], ItemKind::AccountSummary),
    ("cloudtrail", &["Create", "Update", "Delete", "Start", "Stop", "Put"], &["Trail", "Logging", "Selectors"], ItemKind::Trail),
    ("autoscaling", &["PutScalingPolicy", "DeletePolicy"], &[""], ItemKind::ScalingPolicy),
    ("ec2", &["Enable", "Disable"], &["EncryptionByDefault", "BlockPublicAccess", "SerialConsoleAccess"], ItemKind::RegionSettings),
    ("ec2", &["ModifyInstanceMetadataDefaults"], &[""], ItemKind::RegionSettings),
    ("ec2", &["Create", "Delete"], &["FlowLogs"], ItemKind::VpcFlowLog),
    ("ec2", &["Create", "Delete", "Import"], &["KeyPair"], ItemKind::KeyPair),
    ("ec2", &["Create", "Delete", "Modify"], &["VpnConnection", "VpnConnectionRoute", "VpnTunnelOptions"], ItemKind::VpnConnection),
    ("ec2", &["Create", "Delete", "Modify"], &["VpcEndpoint", "VpcEndpoints"], ItemKind::VpcEndpoint),
    ("ec2", &["Create", "Delete", "Modify"], &["LaunchTemplate", "LaunchTemplateVersion", "LaunchTemplateVersions"], ItemKind::LaunchTemplate),
    ("ec2", &["Create", "Delete", "Modify"], &["TransitGateway"], ItemKind::TransitGateway),
    ("ec2", &["Disassociate", "Replace"], &["RouteTable", "RouteTableAssociation"], ItemKind::RouteTable),
    ("ec2", &["Replace"], &["NetworkAclAssociation"], ItemKind::NetworkAcl),
    ("ssm", &["Register", "Deregister", "Update"], &["ManagedInstance", "ManagedInstanceRole"], ItemKind::ManagedInstance),
];

/// The kinds that a call changes and that are asked for as a whole.
fn changed(event: &Event) -> impl Iterator<Item = ItemKind> {
    let call = ApiCall::of(&event.detail);
    let failed = event.kind != EventKind::ApiCall || call.error_code().is_some();
    let service = event.source.strip_prefix("aws.").unwrap_or_default();
    let name = call.name();
    let changes = CHANGES.iter().filter(move |(of, begins, ends, _)| {
        !failed
            && *of == service
            && begins.iter().any(|begin| name.starts_with(begin))
            && ends.iter().any(|end| name.ends_with(end))
    });
    changes.map(|(.., kind)| *kind)
}

/// Kinds that tell of a resource what its own does not, under the same id.
fn besides(kind: ItemKind, event: EventKind) -> Option<ItemKind> {
    match (kind, event) {
        (ItemKind::Instance, EventKind::Health) => Some(ItemKind::InstanceStatus),
        (ItemKind::Instance, EventKind::ApiCall) => Some(ItemKind::InstanceAttributes),
        (ItemKind::Snapshot, EventKind::ApiCall) => Some(ItemKind::PublicSnapshot),
        _ => None,
    }
}

/// What a record of `aws.events` says to ask for.
fn named(payload: &[u8]) -> Vec<Named> {
    let Ok(Decoded::Message(Message::Facts(facts))) = decode(Topic::AwsEvents, None, Some(payload))
    else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for fact in &facts {
        let (FactBody::Event(event), subject) = (&fact.body, &fact.subject) else {
            continue;
        };
        if subject.account() == OWN_ACCOUNT {
            continue;
        }
        let kind = ItemKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == subject.kind() && !whole(*kind));
        let kinds = kind.into_iter().flat_map(|kind| {
            let besides = besides(kind, event.kind);
            std::iter::once(kind).chain(besides)
        });
        let one = kinds.map(|kind| Asked::One(kind, subject.id().to_owned()));
        for asked in one.chain(changed(event).map(Asked::All)) {
            let (Asked::One(kind, _) | Asked::All(kind)) = &asked;
            all.push(Named {
                account: subject.account().to_owned(),
                region: if kind.global() {
                    GLOBAL.to_owned()
                } else if matches!(asked, Asked::All(_)) {
                    // The subject may be the caller, who belongs to no region.
                    region_of(event, subject.region())
                } else {
                    subject.region().to_owned()
                },
                asked,
            });
        }
    }
    all
}

/// Where a call was made.
fn region_of(event: &Event, or: &str) -> String {
    let region = event.detail.get("awsRegion").and_then(Value::as_str);
    region.unwrap_or(or).to_owned()
}

/// Follows `aws.events` from now on until told to stop.
pub(super) fn listen(handle: &Arc<Handle>, queue: &Sender<Named>, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        if follow(handle, queue, stop).is_err() {
            std::thread::park_timeout(REST);
        }
    }
}

fn follow(handle: &Handle, queue: &Sender<Named>, stop: &AtomicBool) -> PortResult<()> {
    let topics = [Topic::AwsEvents];
    let bounds = handle.backend.all_bounds(&topics)?;
    let ends = bounds.into_iter().map(|(_, end)| end).collect();
    let mut follower = handle.backend.follow(&topics, ends)?;
    while !stop.load(Ordering::Acquire) {
        follower.poll(BATCH, WAIT, &mut |record| {
            for named in record.payload.map(named).unwrap_or_default() {
                // A full queue means more changes than single calls can follow.
                let _ = queue.try_send(named);
            }
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(source: &str, detail_type: &str, detail: &str) -> Vec<u8> {
        let text = format!(
            r#"{{"version":"0","id":"1","detail-type":"{detail_type}","source":"{source}","account":"111122223333","time":"2026-11-01T00:00:00Z","region":"eu-west-1","resources":[],"detail":{detail}}}"#
        );
        text.into_bytes()
    }

    fn asked(payload: &[u8]) -> Vec<(String, Asked)> {
        let named = named(payload).into_iter();
        named.map(|named| (named.region, named.asked)).collect()
    }

    fn call(service: &str, name: &str, rest: &str) -> Vec<(String, Asked)> {
        let detail = format!(
            r#"{{"eventID":"e","eventName":"{name}","eventSource":"{service}.amazonaws.com","awsRegion":"eu-west-1","recipientAccountId":"111122223333","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/ann"}}{rest}}}"#
        );
        let source = format!("aws.{service}");
        asked(&event(&source, "AWS API Call via CloudTrail", &detail))
    }

    #[test]
    fn an_event_names_the_resource_it_is_about() {
        let state = event(
            "aws.ec2",
            "EC2 Instance State-change Notification",
            r#"{"instance-id":"i-0abc","state":"stopped"}"#,
        );
        let one = |kind, id: &str| ("eu-west-1".to_owned(), Asked::One(kind, id.to_owned()));
        assert_eq!(asked(&state), [one(ItemKind::Instance, "i-0abc")]);
        let route = r#","requestParameters":{"routeTableId":"rtb-1"}"#;
        assert_eq!(
            call("ec2", "CreateRoute", route),
            [one(ItemKind::RouteTable, "rtb-1")]
        );
        let shared = r#","requestParameters":{"snapshotId":"snap-1"}"#;
        assert_eq!(
            call("ec2", "ModifySnapshotAttribute", shared),
            [
                one(ItemKind::Snapshot, "snap-1"),
                one(ItemKind::PublicSnapshot, "snap-1")
            ]
        );
        let protected = r#","requestParameters":{"instanceId":"i-0abc"}"#;
        assert_eq!(
            call("ec2", "ModifyInstanceAttribute", protected),
            [
                one(ItemKind::Instance, "i-0abc"),
                one(ItemKind::InstanceAttributes, "i-0abc")
            ]
        );
        assert_eq!(named(b"no event"), []);
    }

    #[test]
    fn what_has_no_call_of_its_own_is_asked_for_as_a_whole_where_it_belongs() {
        for (service, name, region, kind) in [
            ("iam", "AttachRolePolicy", GLOBAL, ItemKind::IamRole),
            ("iam", "UpdateAssumeRolePolicy", GLOBAL, ItemKind::IamRole),
            ("iam", "CreateAccessKey", GLOBAL, ItemKind::IamUser),
            ("iam", "DeactivateMFADevice", GLOBAL, ItemKind::IamUser),
            ("iam", "CreatePolicyVersion", GLOBAL, ItemKind::IamPolicy),
            ("iam", "DeletePolicy", GLOBAL, ItemKind::IamPolicy),
            ("iam", "PutGroupPolicy", GLOBAL, ItemKind::IamGroup),
            (
                "iam",
                "UpdateAccountPasswordPolicy",
                GLOBAL,
                ItemKind::AccountSummary,
            ),
            ("cloudtrail", "StopLogging", GLOBAL, ItemKind::Trail),
            (
                "autoscaling",
                "DeletePolicy",
                "eu-west-1",
                ItemKind::ScalingPolicy,
            ),
            (
                "ec2",
                "DisableEbsEncryptionByDefault",
                "eu-west-1",
                ItemKind::RegionSettings,
            ),
            (
                "ec2",
                "ModifyInstanceMetadataDefaults",
                "eu-west-1",
                ItemKind::RegionSettings,
            ),
            ("ec2", "DeleteFlowLogs", "eu-west-1", ItemKind::VpcFlowLog),
        ] {
            let found = call(service, name, "");
            let all = (region.to_owned(), Asked::All(kind));
            assert!(found.contains(&all), "{name}: {found:?}");
            let refused = call(service, name, r#","errorCode":"AccessDenied""#);
            assert!(!refused.contains(&all), "nothing changed: {name}");
        }
        assert_eq!(call("iam", "ListRoles", ""), []);
        assert_eq!(call("iam", "PutRolePolicy", "").len(), 1, "of roles alone");
    }
}
