//! Trails of CloudTrail, each once: a trail over all regions shows in every one of them, so trails
//! are listed for the account, and each is asked for where it lives.

use std::collections::BTreeMap;

use aws_sdk_cloudtrail::operation::get_trail_status::GetTrailStatusOutput;
use aws_sdk_cloudtrail::types::Trail;

use super::fields::Fields;
use super::{Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const LIST: &str = "cloudtrail:ListTrails";
const DESCRIBE: &str = "cloudtrail:DescribeTrails";
const STATUS: &str = "cloudtrail:GetTrailStatus";

impl Aws {
    pub(super) async fn trails(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let mut page = Page::default();
        page.turn(self, place, LIST).await;
        let answer = self
            .cloudtrail(place)
            .await?
            .list_trails()
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(LIST, &error))?;
        let mut homes = BTreeMap::<&str, Vec<String>>::new();
        for trail in answer.trails() {
            let home = trail.home_region().unwrap_or(&place.region);
            let arns = homes.entry(home).or_default();
            arns.extend(trail.trail_arn().map(str::to_owned));
        }
        for (home, arns) in homes {
            let home = Place {
                access: place.access.clone(),
                region: home.to_owned(),
            };
            self.trails_of(&home, arns, &mut page).await?;
        }
        page.then(answer.next_token());
        Ok(page)
    }

    async fn trails_of(
        &self,
        home: &Place,
        arns: Vec<String>,
        page: &mut Page,
    ) -> Result<(), CallError> {
        let client = self.cloudtrail(home).await?;
        page.turn(self, home, DESCRIBE).await;
        let answer = client
            .describe_trails()
            .set_trail_name_list(Some(arns))
            .send()
            .await
            .map_err(|error| CallError::of(DESCRIBE, &error))?;
        for trail in answer.trail_list() {
            page.turn(self, home, STATUS).await;
            let status = client
                .get_trail_status()
                .set_name(trail.trail_arn().map(str::to_owned))
                .send()
                .await
                .map_err(|error| CallError::of(STATUS, &error));
            let status = match status {
                // Deleted in between.
                Err(CallError::Missing(_)) => continue,
                status => status?,
            };
            page.add(ItemKind::Trail, &[trail], |item| described(item, &status));
        }
        Ok(())
    }
}

/// Without the times of deliveries, which change all the time and say nothing that an error does not.
fn described(item: &Trail, status: &GetTrailStatusOutput) -> Fields {
    Fields::default()
        .text("TrailARN", item.trail_arn())
        .text("Name", item.name())
        .text("HomeRegion", item.home_region())
        .set("IsMultiRegionTrail", item.is_multi_region_trail())
        .set("IsOrganizationTrail", item.is_organization_trail())
        .set(
            "IncludeGlobalServiceEvents",
            item.include_global_service_events(),
        )
        .set(
            "LogFileValidationEnabled",
            item.log_file_validation_enabled(),
        )
        .set("HasCustomEventSelectors", item.has_custom_event_selectors())
        .text("KmsKeyId", item.kms_key_id())
        .text("S3BucketName", item.s3_bucket_name())
        .text(
            "CloudWatchLogsLogGroupArn",
            item.cloud_watch_logs_log_group_arn(),
        )
        .part("TrailStatus", Some(status), |status| {
            Fields::default()
                .set("IsLogging", status.is_logging())
                .text("LatestDeliveryError", status.latest_delivery_error())
                .time("StartLoggingTime", status.start_logging_time())
                .time("StopLoggingTime", status.stop_logging_time())
        })
}
