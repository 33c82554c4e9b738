//! One sweep of one kind of resource in one place: page by page, told as it comes, gone only when
//! every page was there.

use serde_json::json;

use super::known::{Known, print};
use super::{Fault, Shared, Target};
use crate::adapters::aws::{Wanted, action};
use crate::model::{ItemKind, Presence, Timestamp, Topic};
use crate::ports::Outgoing;
use crate::sources::RawInventory;

/// Most pages of one answer; beyond it the API is taken to repeat itself.
pub(super) const PAGES_MAX: usize = 10_000;
/// Records published at once.
const BATCH: usize = 500;

/// One kind of one target.
#[derive(Clone, Copy)]
pub(super) struct Sweep<'a> {
    pub(super) shared: &'a Shared,
    pub(super) target: &'a Target,
    pub(super) kind: ItemKind,
}

impl Sweep<'_> {
    /// Asks for every resource of the kind; how many records went out.
    pub(super) async fn whole(&self, known: &mut Known) -> Result<u64, Fault> {
        let began = self.shared.now();
        let mut published = self.pages(known, None, began).await?;
        let gone = known.missing(began);
        published += self.gone(known, gone).await?;
        self.save(known).await?;
        Ok(published)
    }

    /// Asks for these resources alone; those that are known and missing in the answer are gone.
    pub(super) async fn named(&self, known: &mut Known, ids: &[String]) -> Result<u64, Fault> {
        let began = self.shared.now();
        let mut published = self.pages(known, Some(ids), began).await?;
        let missing = known.missing(began);
        let gone = ids
            .iter()
            .filter(|id| known.has(id) && missing.contains(id))
            .cloned()
            .collect();
        published += self.gone(known, gone).await?;
        self.save(known).await?;
        Ok(published)
    }

    async fn pages(
        &self,
        known: &mut Known,
        ids: Option<&[String]>,
        began: Timestamp,
    ) -> Result<u64, Fault> {
        let (mut published, mut next) = (0, None::<String>);
        for _ in 0..PAGES_MAX {
            let wanted = Wanted {
                ids,
                next: next.as_deref(),
            };
            let page = self
                .shared
                .aws
                .page(&self.target.place, self.kind, wanted)
                .await?;
            let now = self.shared.now();
            let (mut records, mut told) = (Vec::new(), Vec::new());
            for (id, item) in page.items {
                let print = print(&item);
                if known.see(&id, print, began, now) {
                    records.push(self.record(item, Presence::Present, now)?);
                    told.push((id, print));
                }
            }
            // Known before it is told: what is told and then lost with this process must still be
            // found gone.
            self.save(known).await?;
            self.publish(records).await?;
            published += told.len() as u64;
            for (id, print) in told {
                known.told(&id, print, now);
            }
            if page.next.is_none() {
                return Ok(published);
            }
            next = page.next;
        }
        Err(Fault::Endless(action(self.kind)))
    }

    async fn gone(&self, known: &mut Known, ids: Vec<String>) -> Result<u64, Fault> {
        let now = self.shared.now();
        let field = self.kind.id_field();
        let records = ids
            .iter()
            .map(|id| self.record(json!({ field: id }), Presence::Gone, now))
            .collect::<Result<Vec<_>, _>>()?;
        self.publish(records).await?;
        for id in &ids {
            known.forget(id);
        }
        Ok(ids.len() as u64)
    }

    fn record(
        &self,
        item: serde_json::Value,
        presence: Presence,
        observed_at: Timestamp,
    ) -> Result<Outgoing, Fault> {
        let account = self.target.account.as_str();
        let raw = RawInventory {
            account: account.into(),
            region: self.target.region.as_str().into(),
            kind: self.kind,
            observed_at,
            presence,
            item,
        };
        let payload = serde_json::to_vec(&raw).map_err(|error| Fault::Shape(error.to_string()))?;
        Ok(self
            .shared
            .outgoing(Topic::AwsInventory, account, account, payload))
    }

    async fn publish(&self, records: Vec<Outgoing>) -> Result<(), Fault> {
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let batch = records.by_ref().take(BATCH).collect();
            self.shared.publish(batch).await?;
        }
        Ok(())
    }

    async fn save(&self, known: &mut Known) -> Result<(), Fault> {
        let account = self.target.account.as_str();
        let place = format!("{account}/{}", self.target.region);
        let rows: Vec<Outgoing> = known
            .changes(&place, self.kind)
            .into_iter()
            .map(|(key, payload)| self.shared.outgoing(Topic::Memory, account, &key, payload))
            .collect();
        self.publish(rows).await
    }
}
