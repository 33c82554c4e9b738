//! What AWS Backup has copies of, and since when the newest is.

use aws_sdk_backup::types::ProtectedResource;

use super::fields::Fields;
use super::{PAGE_ITEMS, Page, Wanted};
use crate::adapters::aws::{Aws, CallError, Place};
use crate::model::ItemKind;

const PROTECTED: &str = "backup:ListProtectedResources";

impl Aws {
    pub(super) async fn protected(
        &self,
        place: &Place,
        wanted: Wanted<'_>,
    ) -> Result<Page, CallError> {
        let client = self.backup(place).await?;
        let mut page = Page::default();
        page.turn(self, place, PROTECTED).await;
        let answer = client
            .list_protected_resources()
            .max_results(PAGE_ITEMS)
            .set_next_token(wanted.next.map(str::to_owned))
            .send()
            .await
            .map_err(|error| CallError::of(PROTECTED, &error))?;
        page.add(ItemKind::ProtectedResource, answer.results(), protected);
        page.then(answer.next_token());
        Ok(page)
    }
}

fn protected(item: &ProtectedResource) -> Fields {
    Fields::default()
        .text("ResourceArn", item.resource_arn())
        .text("ResourceType", item.resource_type())
        .text("ResourceName", item.resource_name())
        .time("LastBackupTime", item.last_backup_time())
        .text("LastBackupVaultArn", item.last_backup_vault_arn())
        .text("LastRecoveryPointArn", item.last_recovery_point_arn())
}
