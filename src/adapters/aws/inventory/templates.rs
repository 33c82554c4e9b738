//! What instances are launched from: templates of EC2, configurations of Auto Scaling.
//!
//! Of user data only the kinds of secrets in it are told: it holds whatever somebody once pasted
//! there, passwords too, and a topic is read by more people than DescribeLaunchTemplateVersions is.

use std::collections::BTreeMap;

use aws_sdk_autoscaling::types::LaunchConfiguration;
use aws_sdk_ec2::types::{LaunchTemplate, LaunchTemplateVersion, ResponseLaunchTemplateData};

use super::ec2::tag;
use super::fields::Fields;
use super::user_data;
use super::{Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const TEMPLATES: &str = "ec2:DescribeLaunchTemplates";
const VERSIONS: &str = "ec2:DescribeLaunchTemplateVersions";
/// The most that either call gives at once.
const PAGE: i32 = 200;
/// Most pages of versions; AWS allows 5,000 templates in a region, each with two of interest.
const PAGES_MAX: usize = 500;
/// The versions that instances come from.
const WANTED: [&str; 2] = ["$Default", "$Latest"];

/// Versions by template, each once.
type Versions = BTreeMap<String, BTreeMap<i64, LaunchTemplateVersion>>;

impl Aws {
    /// Templates with their default and latest version. Versions are listed for all templates at
    /// once, so all templates come in one page; a template asked for by id takes a call for its own.
    pub(super) async fn templates(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.ec2(place).await?;
        let mut page = Page::default();
        let (mut templates, mut next) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            page.turn(self, place, TEMPLATES).await;
            let call = client.describe_launch_templates();
            // Ids and a page's size exclude each other.
            let call = match wanted.ids {
                Some(ids) => call.set_launch_template_ids(Some(ids.to_vec())),
                None => call.max_results(PAGE).set_next_token(next),
            };
            let answer = call.send().await;
            let answer = answer.map_err(|error| CallError::of(TEMPLATES, &error))?;
            templates.extend(answer.launch_templates().iter().cloned());
            next = answer.next_token().map(str::to_owned);
            if next.as_deref().is_none_or(str::is_empty) {
                break;
            }
        }
        let mut versions = Versions::new();
        if wanted.ids.is_none() {
            self.versions(place, None, &mut page, &mut versions).await?;
        } else {
            for id in templates
                .iter()
                .filter_map(LaunchTemplate::launch_template_id)
            {
                self.versions(place, Some(id), &mut page, &mut versions)
                    .await?;
            }
        }
        page.add(ItemKind::LaunchTemplate, &templates, |item| {
            template(item, &versions)
        });
        Ok(page)
    }

    async fn versions(
        &self,
        place: &Place,
        id: Option<&str>,
        page: &mut Page,
        versions: &mut Versions,
    ) -> Result<(), CallError> {
        let client = self.ec2(place).await?;
        let mut next = None::<String>;
        for _ in 0..PAGES_MAX {
            page.turn(self, place, VERSIONS).await;
            let answer = client
                .describe_launch_template_versions()
                .set_launch_template_id(id.map(str::to_owned))
                .set_versions(Some(WANTED.map(str::to_owned).to_vec()))
                .max_results(PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| CallError::of(VERSIONS, &error))?;
            for version in answer.launch_template_versions() {
                let of = version.launch_template_id().unwrap_or_default().to_owned();
                let number = version.version_number().unwrap_or_default();
                let known = versions.entry(of).or_default();
                known.insert(number, version.clone());
            }
            next = answer.next_token().map(str::to_owned);
            if next.as_deref().is_none_or(str::is_empty) {
                return Ok(());
            }
        }
        Err(CallError::Failed(format!(
            "{VERSIONS}: more pages than can be; the API repeats itself"
        )))
    }
}

fn template(item: &LaunchTemplate, versions: &Versions) -> Fields {
    let own = item.launch_template_id().and_then(|id| versions.get(id));
    let own: Vec<&LaunchTemplateVersion> = own.into_iter().flat_map(BTreeMap::values).collect();
    Fields::default()
        .text("LaunchTemplateId", item.launch_template_id())
        .text("LaunchTemplateName", item.launch_template_name())
        .time("CreateTime", item.create_time())
        .text("CreatedBy", item.created_by())
        .set("DefaultVersionNumber", item.default_version_number())
        .set("LatestVersionNumber", item.latest_version_number())
        .list("LaunchTemplateVersions", &own, |version| {
            Fields::default()
                .set("VersionNumber", version.version_number())
                .set("DefaultVersion", version.default_version())
                .text("VersionDescription", version.version_description())
                .time("CreateTime", version.create_time())
                .part("LaunchTemplateData", version.launch_template_data(), data)
        })
        .list("Tags", item.tags(), tag)
}

fn data(item: &ResponseLaunchTemplateData) -> Fields {
    let fields = Fields::default()
        .text("ImageId", item.image_id())
        .text("InstanceType", item.instance_type())
        .text("KeyName", item.key_name())
        .set("EbsOptimized", item.ebs_optimized())
        .set("DisableApiTermination", item.disable_api_termination())
        .part("UserData", item.user_data(), user_data::marks)
        .texts("SecurityGroupIds", item.security_group_ids())
        .texts("SecurityGroups", item.security_groups())
        .part(
            "IamInstanceProfile",
            item.iam_instance_profile(),
            |profile| {
                Fields::default()
                    .text("Arn", profile.arn())
                    .text("Name", profile.name())
            },
        )
        .part("Monitoring", item.monitoring(), |monitoring| {
            Fields::default().set("Enabled", monitoring.enabled())
        })
        .part("EnclaveOptions", item.enclave_options(), |options| {
            Fields::default().set("Enabled", options.enabled())
        })
        .part("MetadataOptions", item.metadata_options(), |options| {
            Fields::default()
                .text("HttpTokens", options.http_tokens())
                .set(
                    "HttpPutResponseHopLimit",
                    options.http_put_response_hop_limit(),
                )
                .text("HttpEndpoint", options.http_endpoint())
                .text("InstanceMetadataTags", options.instance_metadata_tags())
        });
    parts(fields, item)
}

/// What is attached to an instance from the start.
fn parts(fields: Fields, item: &ResponseLaunchTemplateData) -> Fields {
    fields
        .list(
            "NetworkInterfaces",
            item.network_interfaces(),
            |interface| {
                Fields::default()
                    .set("DeviceIndex", interface.device_index())
                    .set(
                        "AssociatePublicIpAddress",
                        interface.associate_public_ip_address(),
                    )
                    .text("InterfaceType", interface.interface_type())
                    .text("NetworkInterfaceId", interface.network_interface_id())
                    .text("SubnetId", interface.subnet_id())
                    .texts("Groups", interface.groups())
            },
        )
        .list(
            "BlockDeviceMappings",
            item.block_device_mappings(),
            |mapping| {
                Fields::default()
                    .text("DeviceName", mapping.device_name())
                    .part("Ebs", mapping.ebs(), |ebs| {
                        Fields::default()
                            .set("Encrypted", ebs.encrypted())
                            .set("DeleteOnTermination", ebs.delete_on_termination())
                            .text("SnapshotId", ebs.snapshot_id())
                            .text("VolumeType", ebs.volume_type())
                            .set("VolumeSize", ebs.volume_size())
                            .set("Iops", ebs.iops())
                            .set("Throughput", ebs.throughput())
                    })
            },
        )
        .list(
            "TagSpecifications",
            item.tag_specifications(),
            |specification| {
                Fields::default()
                    .text("ResourceType", specification.resource_type())
                    .list("Tags", specification.tags(), tag)
            },
        )
}

pub(super) fn configuration(item: &LaunchConfiguration) -> Fields {
    Fields::default()
        .text("LaunchConfigurationName", item.launch_configuration_name())
        .text("LaunchConfigurationARN", item.launch_configuration_arn())
        .text("ImageId", item.image_id())
        .text("InstanceType", item.instance_type())
        .text("KeyName", item.key_name())
        .texts("SecurityGroups", item.security_groups())
        .text("IamInstanceProfile", item.iam_instance_profile())
        .part("UserData", item.user_data(), user_data::marks)
        .text("SpotPrice", item.spot_price())
        .text("PlacementTenancy", item.placement_tenancy())
        .set("EbsOptimized", item.ebs_optimized())
        .set(
            "AssociatePublicIpAddress",
            item.associate_public_ip_address(),
        )
        .time("CreatedTime", item.created_time())
        .part(
            "InstanceMonitoring",
            item.instance_monitoring(),
            |monitoring| Fields::default().set("Enabled", monitoring.enabled()),
        )
        .part("MetadataOptions", item.metadata_options(), |options| {
            Fields::default()
                .text("HttpTokens", options.http_tokens())
                .set(
                    "HttpPutResponseHopLimit",
                    options.http_put_response_hop_limit(),
                )
                .text("HttpEndpoint", options.http_endpoint())
        })
        .list(
            "BlockDeviceMappings",
            item.block_device_mappings(),
            |mapping| {
                Fields::default()
                    .text("DeviceName", mapping.device_name())
                    .text("VirtualName", mapping.virtual_name())
                    .part("Ebs", mapping.ebs(), |ebs| {
                        Fields::default()
                            .text("SnapshotId", ebs.snapshot_id())
                            .text("VolumeType", ebs.volume_type())
                            .set("VolumeSize", ebs.volume_size())
                            .set("Encrypted", ebs.encrypted())
                            .set("Iops", ebs.iops())
                            .set("Throughput", ebs.throughput())
                            .set("DeleteOnTermination", ebs.delete_on_termination())
                    })
            },
        )
}
