//! How things stand in a region: the status of instances with what is planned for them, snapshots
//! that everybody may copy, and what is set for the region as a whole.

use aws_sdk_ec2::types::{
    Filter, InstanceStatus, InstanceStatusEvent, InstanceStatusSummary, SnapshotAttributeName,
};

use super::fields::Fields;
use super::{PAGE_ITEMS, Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const STATUS: &str = "ec2:DescribeInstanceStatus";
const WHO: &str = "sts:GetCallerIdentity";
const SNAPSHOTS: &str = "ec2:DescribeSnapshots";
const PERMISSIONS: &str = "ec2:DescribeSnapshotAttribute";
const ENCRYPTION: &str = "ec2:GetEbsEncryptionByDefault";
const SNAPSHOT_BLOCK: &str = "ec2:GetSnapshotBlockPublicAccessState";
const IMAGE_BLOCK: &str = "ec2:GetImageBlockPublicAccessState";
const CONSOLE: &str = "ec2:GetSerialConsoleAccessStatus";
const METADATA: &str = "ec2:GetInstanceMetadataDefaults";
/// What is asked for the settings of a region, in this order.
pub(super) const SETTINGS: [&str; 5] = [ENCRYPTION, SNAPSHOT_BLOCK, IMAGE_BLOCK, CONSOLE, METADATA];
/// Whom a public snapshot is for.
const EVERYBODY: &str = "all";
/// Snapshots of a page, each of which takes a call: few, so that a sweep tells as it goes.
const SNAPSHOTS_PAGE: i32 = 50;

impl Aws {
    pub(super) async fn statuses(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let mut page = Page::default();
        page.turn(self, place, STATUS).await;
        // Stopped instances too: they may be planned for retirement, and have not gone.
        let call = self.ec2(place).await?.describe_instance_status();
        let call = call.include_all_instances(true);
        let call = match wanted.ids {
            // Ids and a page's size exclude each other.
            Some(ids) => call.set_instance_ids(Some(ids.to_vec())),
            None => call
                .max_results(PAGE_ITEMS)
                .set_next_token(wanted.next.map(str::to_owned)),
        };
        let answer = call.send().await;
        let answer = answer.map_err(|error| CallError::of(STATUS, &error))?;
        page.add(ItemKind::InstanceStatus, answer.instance_statuses(), status);
        page.then(answer.next_token());
        Ok(page)
    }

    /// Own snapshots that everybody may copy. AWS lists just them; each is then looked at, for what
    /// it allows whom. Those shared with single accounts would take a call for every snapshot.
    pub(super) async fn public_snapshots(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.ec2(place).await?;
        let mut page = Page::default();
        page.turn(self, place, WHO).await;
        let account = self.caller(&place.access).await?.account;
        let own = Filter::builder().name("owner-id").values(account).build();
        let mut filters = wanted.filters("snapshot-id").unwrap_or_default();
        filters.push(own);
        page.turn(self, place, SNAPSHOTS).await;
        let answer = client
            .describe_snapshots()
            .restorable_by_user_ids(EVERYBODY)
            .set_filters(Some(filters))
            .max_results(SNAPSHOTS_PAGE)
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(SNAPSHOTS, &error))?;
        for snapshot in answer.snapshots() {
            let Some(id) = snapshot.snapshot_id() else {
                continue;
            };
            page.turn(self, place, PERMISSIONS).await;
            let looked = client
                .describe_snapshot_attribute()
                .snapshot_id(id)
                .attribute(SnapshotAttributeName::CreateVolumePermission)
                .send()
                .await
                .map_err(|error| CallError::of(PERMISSIONS, &error));
            let looked = match looked {
                // Deleted in between.
                Err(CallError::Missing(_)) => continue,
                looked => looked?,
            };
            let permissions = looked.create_volume_permissions();
            let public = permissions
                .iter()
                .any(|to| to.group().is_some_and(|group| group.as_str() == EVERYBODY));
            if public {
                page.add(ItemKind::PublicSnapshot, &[id], |id| {
                    let fields = Fields::default().text("SnapshotId", Some(id));
                    fields.list("CreateVolumePermissions", permissions, |to| {
                        Fields::default()
                            .text("Group", to.group())
                            .text("UserId", to.user_id())
                    })
                });
            }
        }
        page.then(answer.next_token());
        Ok(page)
    }

    /// One item: what is set for all of EC2 in the region.
    pub(super) async fn region_settings(&self, place: &Place) -> Result<Page, CallError> {
        let client = self.ec2(place).await?;
        let mut page = Page::default();
        page.turn(self, place, ENCRYPTION).await;
        let encryption = client.get_ebs_encryption_by_default().send().await;
        let encryption = encryption.map_err(|error| CallError::of(ENCRYPTION, &error))?;
        page.turn(self, place, SNAPSHOT_BLOCK).await;
        let snapshots = client.get_snapshot_block_public_access_state().send().await;
        let snapshots = snapshots.map_err(|error| CallError::of(SNAPSHOT_BLOCK, &error))?;
        page.turn(self, place, IMAGE_BLOCK).await;
        let images = client.get_image_block_public_access_state().send().await;
        let images = images.map_err(|error| CallError::of(IMAGE_BLOCK, &error))?;
        page.turn(self, place, CONSOLE).await;
        let console = client.get_serial_console_access_status().send().await;
        let console = console.map_err(|error| CallError::of(CONSOLE, &error))?;
        page.turn(self, place, METADATA).await;
        let metadata = client.get_instance_metadata_defaults().send().await;
        let metadata = metadata.map_err(|error| CallError::of(METADATA, &error))?;
        page.add(ItemKind::RegionSettings, &[place], |place| {
            Fields::default()
                .text("Region", Some(&place.region))
                .set(
                    "EbsEncryptionByDefault",
                    encryption.ebs_encryption_by_default(),
                )
                .text("SnapshotBlockPublicAccessState", snapshots.state())
                .text(
                    "ImageBlockPublicAccessState",
                    images.image_block_public_access_state(),
                )
                .set(
                    "SerialConsoleAccessEnabled",
                    console.serial_console_access_enabled(),
                )
                .part(
                    "InstanceMetadataDefaults",
                    metadata.account_level(),
                    |set| {
                        Fields::default()
                            .text("HttpTokens", set.http_tokens())
                            .set("HttpPutResponseHopLimit", set.http_put_response_hop_limit())
                            .text("HttpEndpoint", set.http_endpoint())
                            .text("InstanceMetadataTags", set.instance_metadata_tags())
                    },
                )
        });
        Ok(page)
    }
}

fn summary(item: &InstanceStatusSummary) -> Fields {
    Fields::default()
        .text("Status", item.status())
        .list("Details", item.details(), |detail| {
            Fields::default()
                .text("Name", detail.name())
                .text("Status", detail.status())
                .time("ImpairedSince", detail.impaired_since())
        })
}

fn planned(item: &InstanceStatusEvent) -> Fields {
    Fields::default()
        .text("InstanceEventId", item.instance_event_id())
        .text("Code", item.code())
        .text("Description", item.description())
        .time("NotBefore", item.not_before())
        .time("NotAfter", item.not_after())
        .time("NotBeforeDeadline", item.not_before_deadline())
}

fn status(item: &InstanceStatus) -> Fields {
    Fields::default()
        .text("InstanceId", item.instance_id())
        .text("AvailabilityZone", item.availability_zone())
        .part("InstanceState", item.instance_state(), |state| {
            Fields::default()
                .set("Code", state.code())
                .text("Name", state.name())
        })
        .part("InstanceStatus", item.instance_status(), summary)
        .part("SystemStatus", item.system_status(), summary)
        .part("AttachedEbsStatus", item.attached_ebs_status(), |ebs| {
            Fields::default().text("Status", ebs.status()).list(
                "Details",
                ebs.details(),
                |detail| {
                    Fields::default()
                        .text("Name", detail.name())
                        .text("Status", detail.status())
                        .time("ImpairedSince", detail.impaired_since())
                },
            )
        })
        .list("Events", item.events(), planned)
}
