//! What changed lately, numbered, so that a reader who comes back misses nothing and hears
//! nothing twice.
//!
//! Bounded: who stays away for longer than the feed reaches back is told so.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Most events kept.
pub const EVENTS_MAX: usize = 10_000;
/// Most bytes of events kept.
pub(super) const EVENT_BYTES_MAX: usize = 32 << 20;

/// Something that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `recommendation`, `finding` or `request`.
    pub kind: &'static str,
    /// Accounts it is about; a reader must reach them all.
    pub accounts: Vec<String>,
    /// The row, one line of JSON.
    pub data: Arc<str>,
}

/// A position in the feed of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which life of the feed: when the process began, in milliseconds since the epoch.
    pub epoch: u64,
    /// Events so far.
    pub seq: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)
    }
}

impl Position {
    /// Reads what [`Display`](std::fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, seq) = text.split_once('-')?;
        Some(Self {
            epoch: epoch.parse().ok()?,
            seq: seq.parse().ok()?,
        })
    }
}

/// What follows a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// These, each with its position.
    Changes(Vec<(Position, Change)>),
    /// The feed does not reach back so far, or the position is of another process.
    TooOld,
}

#[derive(Default)]
struct Ring {
    changes: VecDeque<Change>,
    /// Events dropped so far: the number of the first one kept.
    first: u64,
    bytes: usize,
}

/// The feed of one process.
pub struct Feed {
    epoch: u64,
    ring: Mutex<Ring>,
    end: watch::Sender<End>,
}

/// Where a feed ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It tells nothing yet: what is written now may be taken for the past.
    Waiting,
    /// Events so far.
    At(u64),
    /// The process is about to stop.
    Over,
}

impl Feed {
    /// An empty feed; `epoch` tells it from those of other processes.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ring: Mutex::default(),
            end: watch::Sender::new(End::Waiting),
        }
    }

    /// From here on everything that changes is told.
    pub fn begin(&self) {
        self.end.send_if_modified(|end| {
            let begins = *end == End::Waiting;
            if begins {
                *end = End::At(0);
            }
            begins
        });
    }

    /// Adds events, in order.
    pub fn push(&self, changes: impl IntoIterator<Item = Change>) {
        let mut ring = self.ring.lock();
        for change in changes {
            ring.bytes += change.data.len();
            ring.changes.push_back(change);
            while ring.changes.len() > EVENTS_MAX || ring.bytes > EVENT_BYTES_MAX {
                let Some(oldest) = ring.changes.pop_front() else {
                    break;
                };
                ring.bytes -= oldest.data.len();
                ring.first += 1;
            }
        }
        let seq = ring.first + ring.changes.len() as u64;
        self.end.send_if_modified(|end| {
            let moved = *end != End::Over && *end != End::At(seq);
            if moved {
                *end = End::At(seq);
            }
            moved
        });
    }

    /// Where the feed ends.
    pub fn position(&self) -> Position {
        let ring = self.ring.lock();
        Position {
            epoch: self.epoch,
            seq: ring.first + ring.changes.len() as u64,
        }
    }

    /// At most `max` events after `position`.
    pub fn since(&self, position: Position, max: usize) -> Since {
        let ring = self.ring.lock();
        let end = ring.first + ring.changes.len() as u64;
        if position.epoch != self.epoch || !(ring.first..=end).contains(&position.seq) {
            return Since::TooOld;
        }
        let skipped = (position.seq - ring.first) as usize;
        let after = ring.changes.iter().skip(skipped).take(max);
        Since::Changes(
            after
                .zip(position.seq + 1..)
                .map(|(change, seq)| {
                    let epoch = self.epoch;
                    (Position { epoch, seq }, change.clone())
                })
                .collect(),
        )
    }

    /// Tells when the feed begins, moves, and is over.
    pub(super) fn watch(&self) -> watch::Receiver<End> {
        self.end.subscribe()
    }

    /// Ends every stream that reads it; the process is about to stop.
    pub fn end(&self) {
        self.end.send_replace(End::Over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: usize) -> Change {
        Change {
            kind: "finding",
            accounts: Vec::new(),
            data: number.to_string().into(),
        }
    }

    fn after(feed: &Feed, seq: u64) -> Option<Vec<u64>> {
        match feed.since(Position { epoch: 7, seq }, usize::MAX) {
            Since::TooOld => None,
            Since::Changes(changes) => Some(changes.iter().map(|(at, _)| at.seq).collect()),
        }
    }

    #[test]
    fn a_position_leads_on_without_loss_or_repetition() {
        let feed = Feed::new(7);
        feed.push((0..5).map(change));
        assert_eq!(after(&feed, 0), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(after(&feed, 3), Some(vec![4, 5]));
        assert_eq!(after(&feed, 5), Some(Vec::new()));
        assert_eq!(after(&feed, 6), None, "ahead of the feed: another process");
        let elsewhere = Position { epoch: 8, seq: 3 };
        assert_eq!(feed.since(elsewhere, 9), Since::TooOld);
        assert_eq!(Position::parse("7-5"), Some(feed.position()));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_gone_is_told() {
        let feed = Feed::new(7);
        feed.push((0..EVENTS_MAX + 10).map(change));
        assert_eq!(after(&feed, 9), None);
        assert_eq!(after(&feed, 10).map(|seqs| seqs.len()), Some(EVENTS_MAX));
        let large: Arc<str> = "x".repeat(EVENT_BYTES_MAX / 4).into();
        feed.push((0..9).map(|_| Change {
            data: Arc::clone(&large),
            ..change(0)
        }));
        let end = feed.position().seq;
        assert_eq!(after(&feed, end - 5), None);
        assert_eq!(after(&feed, end - 4).map(|seqs| seqs.len()), Some(4));
    }
}
