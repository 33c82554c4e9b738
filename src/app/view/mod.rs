//! What the API shows: rows of the topics, materialised in every process without a group, and
//! brought up to date as they are written.
//!
//! One thread follows the topics; readers share what it made. A reader waits until the view has
//! reached the ends the topics had when it asked, so what was durable before is seen.

mod asks;
mod flow;
mod letters;
mod news;
mod rows;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};

use crate::http::{
    Change, DeadLetterRow, Feed, FindingStory, HistoryStep, RecommendationStory, RequestRow,
};
use crate::model::{AgentName, Finding, Recommendation, Subject, Topic};
use crate::ports::{Clock as _, PortError, PortResult, RecordView};
use crate::runtime::SystemClock;

use super::Backend;
use super::backend::Follower;

pub(super) use letters::{Letter, read_letter};
use news::News;
pub use news::{HEADER_MARK, HEADER_REPLAYED};
use rows::Rows;

/// Topics followed, what findings lead to before findings: who reads them in this order, to their
/// ends, has the finding at hand when it has what came of it.
pub(super) const TOPICS: [Topic; 9] = [
    Topic::Recommendations,
    Topic::FindingsResource,
    Topic::FindingsCost,
    Topic::FindingsSecurity,
    Topic::FindingsPerformance,
    Topic::Requests,
    Topic::Tasks,
    Topic::Results,
    Topic::DeadLetters,
];
/// Records of a partition read back, of topics that are not compacted.
const READ_BACK: u64 = 10_000;
/// Records taken at once.
const TAKEN_MAX: usize = 2_000;
/// Longest wait for a record before looking whether to stop.
const WAIT: Duration = Duration::from_millis(100);
/// Rest after a fault of the log.
const FAULT_REST: Duration = Duration::from_secs(1);
/// Longest a reader waits for the view to catch up.
const FRESH_WITHIN: Duration = Duration::from_secs(10);
/// Where topics end is asked of a broker at most this often.
const ENDS_FOR: Duration = Duration::from_millis(100);

/// The view of one process.
pub(super) struct View {
    rows: RwLock<Rows>,
    reached: Mutex<Reached>,
    moved: Condvar,
    ends: Mutex<Option<(Instant, Arc<Vec<u64>>)>>,
    feed: Feed,
    clock: SystemClock,
}

#[derive(Default)]
struct Reached {
    /// The next offset of each topic partition.
    next: Vec<u64>,
    /// Why the topics could not be followed, when they could not.
    fault: Option<String>,
}

impl View {
    pub(super) fn new() -> Self {
        let clock = SystemClock::default();
        Self {
            rows: RwLock::default(),
            reached: Mutex::default(),
            moved: Condvar::new(),
            ends: Mutex::default(),
            feed: Feed::new(clock.now().ms() as u64),
            clock,
        }
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Follows the topics until told to stop.
    pub(super) fn follow(&self, backend: &dyn Backend, stop: &AtomicBool) {
        let mut past = None;
        while !stop.load(Ordering::Acquire) {
            match self.keep_up(backend, stop, &mut past) {
                Ok(()) => {}
                Err(error) => {
                    tracing::warn!(%error, "the topics cannot be followed; trying again");
                    self.reached.lock().fault = Some(error.to_string());
                    std::thread::park_timeout(FAULT_REST);
                }
            }
        }
    }

    /// Follows until told to stop or the log fails. Rows of the past are no news: told is what
    /// comes after the ends found here first, whatever fails later.
    fn keep_up(
        &self,
        backend: &dyn Backend,
        stop: &AtomicBool,
        past: &mut Option<Vec<u64>>,
    ) -> PortResult<()> {
        let mut follower = self.begin(backend)?;
        let past: &[u64] = match past {
            Some(known) => known,
            None => past.insert(ends(backend)?),
        };
        self.feed.begin();
        while !stop.load(Ordering::Acquire) {
            self.turn(&mut *follower, WAIT, Some(past))?;
        }
        Ok(())
    }

    /// Reads everything there is, once, on the caller's thread.
    pub(super) fn read_once(&self, backend: &dyn Backend) -> PortResult<()> {
        let mut follower = self.begin(backend)?;
        let end = ends(backend)?;
        while !covers(&self.reached.lock().next, &end) {
            self.turn(&mut *follower, WAIT, None)?;
        }
        Ok(())
    }

    /// A follower from where the view is, or where there is something to read.
    fn begin(&self, backend: &dyn Backend) -> PortResult<Box<dyn Follower>> {
        let bounds = backend.all_bounds(&TOPICS)?;
        let known = self.reached.lock().next.clone();
        let partitions = backend.partitions() as usize;
        let next = bounds.iter().enumerate().map(|(index, (start, end))| {
            let topic = TOPICS[index / partitions];
            let from = match known.get(index) {
                Some(next) => *next,
                None if topic.compacted() => 0,
                None => end.saturating_sub(READ_BACK),
            };
            from.max(*start)
        });
        backend.follow(&TOPICS, next.collect())
    }

    /// Takes what there is; what stands at or after the ends of the `past` is told.
    fn turn(
        &self,
        follower: &mut dyn Follower,
        wait: Duration,
        past: Option<&[u64]>,
    ) -> PortResult<()> {
        let mut news = Vec::new();
        follower.poll(TAKEN_MAX, wait, &mut |record| {
            let told = past.is_some_and(|past| !before(past, &record));
            news.extend(News::of(&record).map(|news| (news, told)));
        })?;
        let mut changes: Vec<Change> = Vec::new();
        if !news.is_empty() {
            let now = self.clock.now();
            let mut rows = self.rows.write();
            for (news, told) in news {
                let change = rows.take(news, now);
                changes.extend(change.filter(|_| told));
            }
        }
        let mut reached = self.reached.lock();
        reached.fault = None;
        reached.next.clear();
        reached.next.extend_from_slice(follower.next());
        drop(reached);
        self.moved.notify_all();
        if !changes.is_empty() {
            // Causes first, as far as topics read beside each other can tell.
            changes.sort_by_key(|change| change.kind != "finding");
            self.feed.push(changes);
        }
        Ok(())
    }

    /// Waits until everything that was durable before the call is in the view.
    pub(super) fn fresh(&self, backend: &dyn Backend) -> PortResult<()> {
        let wanted = self.ends(backend)?;
        let deadline = Instant::now() + FRESH_WITHIN;
        let mut reached = self.reached.lock();
        while !covers(&reached.next, &wanted) {
            if self.moved.wait_until(&mut reached, deadline).timed_out() {
                let fault = reached.fault.clone();
                return Err(PortError::Transient(fault.unwrap_or_else(|| {
                    "the rows are still being read; ask again in a moment".to_owned()
                })));
            }
        }
        Ok(())
    }

    fn ends(&self, backend: &dyn Backend) -> PortResult<Arc<Vec<u64>>> {
        if backend.embedded().is_some() {
            return Ok(Arc::new(ends(backend)?));
        }
        let mut known = self.ends.lock();
        if let Some((asked, ends)) = &*known
            && asked.elapsed() < ENDS_FOR
        {
            return Ok(Arc::clone(ends));
        }
        let asked = Instant::now();
        let found = Arc::new(ends(backend)?);
        *known = Some((asked, Arc::clone(&found)));
        Ok(found)
    }

    pub(super) fn recommendations(&self) -> Vec<Arc<Recommendation>> {
        self.rows.read().recommendations()
    }

    pub(super) fn findings(&self) -> Vec<Arc<Finding>> {
        self.rows.read().findings()
    }

    pub(super) fn open_findings(&self, agent: AgentName) -> u64 {
        self.rows.read().open_findings(agent)
    }

    pub(super) fn recommendation(
        &self,
        backend: &dyn Backend,
        id: &str,
    ) -> PortResult<Option<RecommendationStory>> {
        let found = self.rows.read().recommendation(id);
        found
            .map(|(story, steps)| {
                let flow = flow::of_recommendation(backend, &story, &steps)?;
                Ok(RecommendationStory { flow, ..story })
            })
            .transpose()
    }

    pub(super) fn finding(
        &self,
        backend: &dyn Backend,
        id: &str,
    ) -> PortResult<Option<FindingStory>> {
        let found = self.rows.read().finding(id);
        found
            .map(|(story, steps)| {
                let flow = flow::of_finding(backend, id, &steps)?;
                Ok(FindingStory { flow, ..story })
            })
            .transpose()
    }

    pub(super) fn history(&self, subject: &Subject) -> Vec<HistoryStep> {
        self.rows.read().history(subject)
    }

    pub(super) fn dead_letters(&self) -> Vec<Arc<DeadLetterRow>> {
        self.rows.read().letters.listed()
    }

    /// Marks and replays of a letter, as far as the view reaches back.
    pub(super) fn letter(&self, partition: u32, offset: u64) -> Option<Letter> {
        self.rows.read().letters.get(partition, offset)
    }

    pub(super) fn requests(&self) -> Vec<Arc<RequestRow>> {
        self.rows.read().asks.rows(self.clock.now())
    }

    pub(super) fn request(&self, id: &str) -> Option<Arc<RequestRow>> {
        self.rows.read().asks.row(id, self.clock.now())
    }
}

/// Where every followed topic partition ends.
fn ends(backend: &dyn Backend) -> PortResult<Vec<u64>> {
    let bounds = backend.all_bounds(&TOPICS)?;
    Ok(bounds.into_iter().map(|(_, end)| end).collect())
}

/// Whether a record stands before these ends.
fn before(ends: &[u64], record: &RecordView<'_>) -> bool {
    let partitions = ends.len() / TOPICS.len();
    let topic = TOPICS.iter().position(|topic| *topic == record.topic);
    let index = topic.map(|topic| topic * partitions + record.partition as usize);
    index
        .and_then(|index| ends.get(index))
        .is_some_and(|end| record.offset < *end)
}

fn covers(next: &[u64], wanted: &[u64]) -> bool {
    next.len() == wanted.len() && next.iter().zip(wanted).all(|(next, wanted)| next >= wanted)
}
