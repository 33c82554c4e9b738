//! One fsync for everybody who waits for one.
//!
//! A sync covers what was written before it began. Who comes while one is under way needs the
//! next, and shares it with all who came meanwhile: a hundred publishers cost no more than two.

use parking_lot::{Condvar, Mutex};

use crate::ports::PortResult;

#[derive(Default)]
struct Counts {
    /// Syncs begun.
    begun: u64,
    /// The latest sync that went well.
    done: u64,
    running: bool,
    /// Callers that wait for another's sync.
    #[cfg(test)]
    waiting: u64,
}

/// Syncs of one journal.
#[derive(Default)]
pub(super) struct Syncs {
    counts: Mutex<Counts>,
    ended: Condvar,
}

impl Syncs {
    /// Returns once a sync that began after this call has ended well: `sync` run here, or
    /// another caller's. One that fails fails its own caller; the others try for themselves.
    pub(super) fn after_now(&self, sync: impl Fn() -> PortResult<()>) -> PortResult<()> {
        let mut counts = self.counts.lock();
        let wanted = counts.begun + 1;
        while counts.done < wanted {
            if counts.running {
                #[cfg(test)]
                {
                    counts.waiting += 1;
                }
                self.ended.wait(&mut counts);
                continue;
            }
            counts.begun += 1;
            counts.running = true;
            let mine = counts.begun;
            drop(counts);
            let result = sync();
            counts = self.counts.lock();
            counts.running = false;
            if result.is_ok() {
                counts.done = mine;
            }
            self.ended.notify_all();
            result?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::PortError;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, mpsc};

    #[test]
    fn those_who_come_during_a_sync_share_the_next_and_never_the_one_under_way() {
        const OTHERS: u64 = 8;
        let syncs = Arc::new(Syncs::default());
        let ran = Arc::new(AtomicU64::new(0));
        let (begun, begins) = mpsc::channel();
        let (go, goes) = mpsc::channel::<()>();
        let first = {
            let (syncs, ran) = (Arc::clone(&syncs), Arc::clone(&ran));
            std::thread::spawn(move || {
                syncs.after_now(|| {
                    ran.fetch_add(1, Ordering::SeqCst);
                    begun.send(()).unwrap();
                    goes.recv().unwrap();
                    Ok(())
                })
            })
        };
        begins.recv().unwrap();
        let others: Vec<_> = (0..OTHERS)
            .map(|_| {
                let (syncs, ran) = (Arc::clone(&syncs), Arc::clone(&ran));
                std::thread::spawn(move || {
                    syncs.after_now(|| {
                        ran.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                })
            })
            .collect();
        while syncs.counts.lock().waiting < OTHERS {
            std::thread::yield_now();
        }
        go.send(()).unwrap();
        first.join().unwrap().unwrap();
        for other in others {
            other.join().unwrap().unwrap();
        }
        assert_eq!(ran.load(Ordering::SeqCst), 2);
        // Nothing is left over for who comes later.
        let late = AtomicU64::new(0);
        let count = || {
            late.fetch_add(1, Ordering::SeqCst);
            Ok(())
        };
        syncs.after_now(count).unwrap();
        assert_eq!(late.into_inner(), 1);
    }

    #[test]
    fn a_sync_that_fails_is_nobodys_success() {
        let syncs = Syncs::default();
        let broken = || Err(PortError::Fatal("no disk".to_owned()));
        assert!(syncs.after_now(broken).is_err());
        assert!(syncs.after_now(broken).is_err());
        assert!(syncs.after_now(|| Ok(())).is_ok());
    }
}
