//! Requests answered lately, so that one delivered again is not stored again.

use std::collections::{HashMap, VecDeque};

use parking_lot::Mutex;

/// Request ids kept; the oldest go first. Firehose tries for two hours at most.
const REQUESTS_MAX: usize = 20_000;

/// What is known of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing: it is the caller's now.
    New,
    /// Another attempt is under way.
    UnderWay,
    /// It is durable.
    Done,
}

/// Ids of requests, and whether each is durable.
#[derive(Default)]
pub(in crate::http) struct Remembered(Mutex<Ids>);

#[derive(Default)]
struct Ids {
    done: HashMap<String, bool>,
    order: VecDeque<String>,
}

impl Remembered {
    /// Whether a request is durable.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.0.lock().done.get(id) == Some(&true)
    }

    /// Asks for a request, and takes it when it is new.
    pub(super) fn begin(&self, id: &str) -> Seen {
        let mut ids = self.0.lock();
        match ids.done.get(id) {
            Some(true) => Seen::Done,
            Some(false) => Seen::UnderWay,
            None => {
                ids.done.insert(id.to_owned(), false);
                Seen::New
            }
        }
    }

    /// Says what became of a request taken: kept when durable, else free to be tried again.
    pub(super) fn end(&self, id: &str, durable: bool) {
        let mut ids = self.0.lock();
        if !durable {
            ids.done.remove(id);
            return;
        }
        ids.done.insert(id.to_owned(), true);
        ids.order.push_back(id.to_owned());
        while ids.order.len() > REQUESTS_MAX {
            if let Some(oldest) = ids.order.pop_front() {
                ids.done.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_new_once_and_again_after_it_failed() {
        let ids = Remembered::default();
        assert_eq!(ids.begin("a"), Seen::New);
        assert_eq!(ids.begin("a"), Seen::UnderWay);
        ids.end("a", false);
        assert_eq!(ids.begin("a"), Seen::New);
        ids.end("a", true);
        assert_eq!(ids.begin("a"), Seen::Done);
    }

    #[test]
    fn what_is_remembered_stays_within_its_bound() {
        let ids = Remembered::default();
        for number in 0..REQUESTS_MAX + 10 {
            let id = number.to_string();
            assert_eq!(ids.begin(&id), Seen::New);
            ids.end(&id, true);
        }
        assert_eq!(ids.0.lock().done.len(), REQUESTS_MAX);
        assert_eq!(ids.begin("0"), Seen::New);
        assert_eq!(ids.begin(&REQUESTS_MAX.to_string()), Seen::Done);
    }
}
