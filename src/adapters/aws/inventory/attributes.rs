//! What AWS tells of an instance only when asked for it alone: whether it is protected from being
//! terminated, and its user data.

use aws_sdk_ec2::operation::describe_instance_attribute::DescribeInstanceAttributeOutput;
use aws_sdk_ec2::types::{AttributeBooleanValue, AttributeValue, Instance, InstanceAttributeName};

use super::fields::Fields;
use super::user_data;
use super::{PAGE_ITEMS, Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const ATTRIBUTE: &str = "ec2:DescribeInstanceAttribute";
/// Instances of a page of all, each of which takes two calls: few, so that it is told as it goes.
const PAGE: i32 = 10;
/// Instances that are there; of others AWS no longer tells attributes.
const THERE: [&str; 4] = ["pending", "running", "stopping", "stopped"];

impl Aws {
    pub(super) async fn attributes(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let most = wanted.ids.map_or(PAGE, |_| PAGE_ITEMS);
        let (mut page, found) = self.reserved(place, wanted, most).await?;
        for id in found.iter().filter_map(there) {
            let termination = InstanceAttributeName::DisableApiTermination;
            let termination = self.attribute(place, id, termination, &mut page).await?;
            let data = InstanceAttributeName::UserData;
            let data = self.attribute(place, id, data, &mut page).await?;
            // Terminated in between, if either is missing.
            if let Some((termination, data)) = termination.zip(data) {
                page.add(ItemKind::InstanceAttributes, &[id], |id| {
                    attributes(id, &termination, &data)
                });
            }
        }
        Ok(page)
    }

    async fn attribute(
        &self,
        place: &Place,
        id: &str,
        name: InstanceAttributeName,
        page: &mut Page,
    ) -> Result<Option<DescribeInstanceAttributeOutput>, CallError> {
        page.turn(self, place, ATTRIBUTE).await;
        let client = self.ec2(place).await?;
        let call = client.describe_instance_attribute();
        let answer = call.instance_id(id).attribute(name).send().await;
        match answer.map_err(|error| CallError::of(ATTRIBUTE, &error)) {
            Err(CallError::Missing(_)) => Ok(None),
            answer => answer.map(Some),
        }
    }
}

/// The id of an instance that is there.
fn there(instance: &Instance) -> Option<&str> {
    let state = instance.state()?.name()?.as_str();
    instance.instance_id().filter(|_| THERE.contains(&state))
}

fn attributes(
    id: &str,
    termination: &DescribeInstanceAttributeOutput,
    data: &DescribeInstanceAttributeOutput,
) -> Fields {
    let protected = termination.disable_api_termination();
    let data = data.user_data().and_then(AttributeValue::value);
    Fields::default()
        .text("InstanceId", Some(id))
        .set(
            "DisableApiTermination",
            protected.and_then(AttributeBooleanValue::value),
        )
        .part(
            "UserData",
            data.filter(|data| !data.is_empty()),
            user_data::marks,
        )
}
