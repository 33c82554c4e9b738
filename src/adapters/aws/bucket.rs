//! Token buckets: how often one API of one account and region may be called.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Access, Place};

/// Buckets kept; full ones are forgotten first, which loses nothing.
const BUCKETS_MAX: usize = 16_384;

/// Which calls share a bucket.
type Key = (Access, String, &'static str);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// Every bucket of the process; each holds one second's worth.
#[derive(Debug)]
pub(super) struct Buckets {
    per_second: f64,
    all: Mutex<BTreeMap<Key, Bucket>>,
}

impl Buckets {
    pub(super) fn new(per_second: f64) -> Self {
        Self {
            per_second,
            all: Mutex::default(),
        }
    }

    /// Waits until a call of `api` may be made. Those who wait go in the order they came.
    pub(super) async fn take(&self, place: &Place, api: &'static str) {
        let wait = self.reserve(place, api, Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes a token, perhaps one that is yet to come; how long until it is there.
    fn reserve(&self, place: &Place, api: &'static str, now: Instant) -> Duration {
        let mut all = self.all.lock();
        if all.len() >= BUCKETS_MAX {
            let full = self.per_second;
            all.retain(|_, bucket| {
                bucket.tokens + now.duration_since(bucket.at).as_secs_f64() * full < full
            });
        }
        let key = (place.access.clone(), place.region.clone(), api);
        let bucket = all.entry(key).or_insert(Bucket {
            tokens: self.per_second,
            at: now,
        });
        let gained = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + gained).min(self.per_second) - 1.0;
        bucket.at = now;
        if bucket.tokens >= 0.0 {
            Duration::ZERO
        } else {
            Duration::from_secs_f64(-bucket.tokens / self.per_second)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(region: &str) -> Place {
        Place {
            access: Access::default(),
            region: region.to_owned(),
        }
    }

    #[test]
    fn calls_beyond_a_second_s_worth_wait_their_turn_and_no_other_region_s() {
        let buckets = Buckets::new(2.0);
        let now = Instant::now();
        let mut waits = Vec::new();
        for _ in 0..4 {
            waits.push(buckets.reserve(&place("eu-west-1"), "ec2", now).as_millis());
        }
        assert_eq!(waits, [0, 0, 500, 1_000]);
        assert!(buckets.reserve(&place("eu-west-2"), "ec2", now).is_zero());
        assert!(buckets.reserve(&place("eu-west-1"), "elb", now).is_zero());
        let later = now + Duration::from_mins(1);
        assert!(buckets.reserve(&place("eu-west-1"), "ec2", later).is_zero());
    }
}
