//! Instances that Systems Manager manages, with what they lack in patches.

use std::collections::BTreeMap;

use aws_sdk_ssm::types::{InstanceInformation, InstancePatchState};

use super::fields::Fields;
use super::{Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const INSTANCES: &str = "ssm:DescribeInstanceInformation";
const PATCHES: &str = "ssm:DescribeInstancePatchStates";
/// The most instances that either call takes or gives at once.
const PAGE: i32 = 50;

impl Aws {
    pub(super) async fn managed_instances(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.ssm(place).await?;
        let mut page = Page::default();
        page.turn(self, place, INSTANCES).await;
        let answer = client
            .describe_instance_information()
            .max_results(PAGE)
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(INSTANCES, &error))?;
        let instances = answer.instance_information_list();
        let ids: Vec<String> = instances
            .iter()
            .filter_map(|instance| instance.instance_id().map(str::to_owned))
            .collect();
        let mut patches = BTreeMap::new();
        if !ids.is_empty() {
            page.turn(self, place, PATCHES).await;
            let answer = client
                .describe_instance_patch_states()
                .set_instance_ids(Some(ids))
                .max_results(PAGE)
                .send()
                .await
                .map_err(|error| CallError::of(PATCHES, &error))?;
            for state in answer.instance_patch_states() {
                patches.insert(state.instance_id().to_owned(), state.clone());
            }
        }
        page.add(ItemKind::ManagedInstance, instances, |item| {
            let patched = item.instance_id().and_then(|id| patches.get(id));
            instance(item).part("InstancePatchState", patched, patch_state)
        });
        page.then(answer.next_token());
        Ok(page)
    }
}

/// Without the time of its last ping, which changes every five minutes.
fn instance(item: &InstanceInformation) -> Fields {
    Fields::default()
        .text("InstanceId", item.instance_id())
        .text("PingStatus", item.ping_status())
        .text("AgentVersion", item.agent_version())
        .set("IsLatestVersion", item.is_latest_version())
        .text("PlatformType", item.platform_type())
        .text("PlatformName", item.platform_name())
        .text("PlatformVersion", item.platform_version())
        .text("ResourceType", item.resource_type())
        .text("ComputerName", item.computer_name())
        .text("IPAddress", item.ip_address())
        .text("IamRole", item.iam_role())
        .text("AssociationStatus", item.association_status())
}

fn patch_state(item: &InstancePatchState) -> Fields {
    Fields::default()
        .text("PatchGroup", Some(item.patch_group()))
        .text("BaselineId", Some(item.baseline_id()))
        .text("Operation", Some(item.operation()))
        .time("OperationEndTime", Some(item.operation_end_time()))
        .set("InstalledCount", Some(item.installed_count()))
        .set("MissingCount", Some(item.missing_count()))
        .set("FailedCount", Some(item.failed_count()))
        .set(
            "InstalledPendingRebootCount",
            item.installed_pending_reboot_count(),
        )
        .set(
            "CriticalNonCompliantCount",
            item.critical_non_compliant_count(),
        )
        .set(
            "SecurityNonCompliantCount",
            item.security_non_compliant_count(),
        )
        .set("OtherNonCompliantCount", item.other_non_compliant_count())
}
