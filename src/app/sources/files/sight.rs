//! What must be looked into before anybody can say what belongs together: manifests, and the
//! beginnings of CSV files.

use std::collections::{BTreeMap, BTreeSet};

use super::Trouble;
use super::place::{HEAD_BYTES, Place, blocking};
use super::plan::{self, Entry, Names, Plan, Times};
use super::taken::Taken;
use crate::sources::replay::{Options, Probed, probe};

/// What was seen of a place; as long as a file does not change it is not looked into again.
#[derive(Default)]
pub(super) struct Sight {
    /// Keys that manifests name, by the manifest's name, with its version.
    manifests: BTreeMap<String, (u64, Vec<String>)>,
    /// Whether files hold rows of bills, where only their content tells, with their version.
    bills: BTreeMap<String, (u64, bool)>,
}

impl Sight {
    /// Looks at `entries`, in order of name, and says what is to be read. What cannot be looked
    /// into is named in `errors`.
    pub(super) async fn plan(
        &mut self,
        (place, options): (&Place, &Options),
        entries: &[Entry],
        taken: &Taken,
        times: Times,
        errors: &mut Vec<String>,
    ) -> Plan {
        let known = |name: &str| {
            let found = entries.binary_search_by(|entry| entry.name.as_str().cmp(name));
            found.is_ok()
        };
        self.bills.retain(|name, _| known(name));
        self.manifests.retain(|name, _| known(name));
        self.read_manifests(place, entries, times, errors).await;
        let manifests: Vec<(&Entry, Vec<String>)> = entries
            .iter()
            .filter_map(|entry| Some((entry, self.manifests.get(&entry.name)?.1.clone())))
            .collect();
        let manifests: Vec<plan::Named<'_>> = manifests
            .iter()
            .map(|(entry, keys)| (*entry, keys.as_slice()))
            .collect();
        let covered = Names::of(entries).covered(&manifests);
        let named: BTreeSet<&str> = covered
            .iter()
            .flat_map(|set| &set.files)
            .map(|file| file.name.as_str())
            .collect();
        let mut bills = BTreeSet::new();
        for entry in entries {
            let name = entry.name.as_str();
            let bill = match plan::billed(name) {
                _ if named.contains(name) => false,
                Some(bill) => bill,
                None if entry.at_ms < times.horizon => false,
                None if taken.has(plan::file_key(name), entry.version) => false,
                None => self.probed((place, options), entry, errors).await,
            };
            if bill {
                bills.insert(name);
            }
        }
        plan::plan(entries, &covered, &bills, taken, times)
    }

    async fn read_manifests(
        &mut self,
        place: &Place,
        entries: &[Entry],
        times: Times,
        errors: &mut Vec<String>,
    ) {
        let due = |entry: &&Entry| plan::is_manifest(&entry.name) && entry.at_ms >= times.horizon;
        for entry in entries.iter().filter(due) {
            let known = self.manifests.get(&entry.name);
            if known.is_some_and(|(version, _)| *version == entry.version) {
                continue;
            }
            match place.text(entry).await {
                Ok(bytes) => {
                    let keys = plan::keys(&bytes).unwrap_or_default();
                    let seen = (entry.version, keys);
                    self.manifests.insert(entry.name.clone(), seen);
                }
                Err(trouble) => errors.push(trouble.about(&entry.name)),
            }
        }
    }

    /// Whether a CSV file holds rows of a bill.
    async fn probed(
        &mut self,
        (place, options): (&Place, &Options),
        entry: &Entry,
        errors: &mut Vec<String>,
    ) -> bool {
        if let Some((version, bill)) = self.bills.get(&entry.name)
            && *version == entry.version
        {
            return *bill;
        }
        let probed: Result<Probed, Trouble> = match place.fetch(entry, HEAD_BYTES).await {
            Ok(fetched) => {
                let options = options.clone();
                blocking(move || Ok(probe(&fetched.path, &options)?)).await
            }
            Err(trouble) => Err(trouble),
        };
        match probed {
            Ok(what) => {
                let bill = what == Probed::Bill;
                self.bills.insert(entry.name.clone(), (entry.version, bill));
                bill
            }
            Err(trouble) => {
                errors.push(trouble.about(&entry.name));
                // Taken for one until it can be read: so half a bill is never read by itself.
                true
            }
        }
    }
}
