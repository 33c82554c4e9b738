//! Clients kept for use again: one per account, service and region, the least used dropped first.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::{Place, Tally};

#[derive(Debug)]
struct Kept<C> {
    client: C,
    used: u64,
}

#[derive(Debug)]
struct Inner<C> {
    clients: BTreeMap<Place, Kept<C>>,
    turn: u64,
}

/// The clients of one service.
#[derive(Debug)]
pub(super) struct Shelf<C> {
    capacity: usize,
    inner: Mutex<Inner<C>>,
}

impl<C: Clone> Shelf<C> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            inner: Mutex::new(Inner {
                clients: BTreeMap::new(),
                turn: 0,
            }),
        }
    }

    /// The client for a place, when it is at hand.
    pub(super) fn get(&self, place: &Place, tally: &Tally) -> Option<C> {
        let mut inner = self.inner.lock();
        inner.turn += 1;
        let turn = inner.turn;
        let found = inner.clients.get_mut(place).map(|kept| {
            kept.used = turn;
            kept.client.clone()
        });
        tally.client(found.is_some());
        found
    }

    /// Keeps a client; when the shelf is full the one asked longest ago goes.
    pub(super) fn put(&self, place: &Place, client: C) -> C {
        let mut inner = self.inner.lock();
        inner.turn += 1;
        let used = inner.turn;
        if inner.clients.len() >= self.capacity && !inner.clients.contains_key(place) {
            let oldest = inner.clients.iter().min_by_key(|(_, kept)| kept.used);
            if let Some(place) = oldest.map(|(place, _)| place.clone()) {
                inner.clients.remove(&place);
            }
        }
        let kept = Kept {
            client: client.clone(),
            used,
        };
        inner.clients.insert(place.clone(), kept);
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::aws::Access;

    #[test]
    fn a_full_shelf_drops_the_client_asked_longest_ago() {
        let place = |region: &str| Place {
            access: Access::default(),
            region: region.to_owned(),
        };
        let (shelf, tally) = (Shelf::new(2), Tally::default());
        shelf.put(&place("a"), 'a');
        shelf.put(&place("b"), 'b');
        assert_eq!(shelf.get(&place("a"), &tally), Some('a'));
        shelf.put(&place("c"), 'c');
        let left = ["a", "b", "c"].map(|region| shelf.get(&place(region), &tally));
        assert_eq!(left, [Some('a'), None, Some('c')]);
        assert_eq!(tally.clients(), (3, 1));
    }
}
