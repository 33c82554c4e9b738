//! The producer of a consumer's process.

use std::sync::Arc;
use std::time::Duration;

use super::fault::After;
use super::state::Producer;
use super::{Caller, SimWorld};
use crate::ports::{Appender, Outgoing, PortError, PortResult};

/// Ends the producer with its last handle: some of what it held arrives.
pub(super) struct ProducerHandle {
    world: SimWorld,
    id: u64,
}

impl ProducerHandle {
    pub(super) fn new(world: &SimWorld, caller: Caller) -> Self {
        let mut state = world.0.lock();
        let id = state.next_id();
        let producer = Producer {
            process: caller.process,
            ..Producer::default()
        };
        state.producers.insert(id, producer);
        Self {
            world: world.clone(),
            id,
        }
    }
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for ProducerHandle {
    fn drop(&mut self) {
        let mut state = self.world.0.lock();
        state.abandon(self.id);
        state.producers.remove(&self.id);
    }
}

/// The producer of a simulated consumer's process. Records become visible between the append
/// and the settle.
#[derive(Clone)]
pub struct SimAppender {
    handle: Arc<ProducerHandle>,
    caller: Caller,
}

impl SimAppender {
    pub(super) fn new(handle: Arc<ProducerHandle>, caller: Caller) -> Self {
        Self { handle, caller }
    }
}

impl Appender for SimAppender {
    fn atomic(&self) -> bool {
        false
    }

    /// Keeps the promise that a transient failure took nothing.
    fn append(&self, _batch: u64, record: &Outgoing) -> PortResult<()> {
        let mut state = self.handle.world.0.lock();
        let After(failure) = state.call(self.caller)?;
        if let Some(transient @ PortError::Transient(_)) = failure {
            return Err(transient);
        }
        state.check_partition(record.partition)?;
        let queue_max = state.options.queue_max;
        let Some(producer) = state.producers.get_mut(&self.handle.id) else {
            return Err(PortError::Fatal("this producer has ended".into()));
        };
        if producer.pending.len() >= queue_max {
            let full = format!("the producer holds {queue_max} records");
            state.send_some(self.handle.id);
            return Err(PortError::Transient(full));
        }
        producer.pending.push_back(record.clone());
        if state.rng.one_in(4) {
            state.send_some(self.handle.id);
        }
        After(failure).then(())
    }

    /// A loss is a record that failed for good: what was before it arrives, the rest does not.
    fn settle(&self, _batch: u64, _within: Duration) -> PortResult<()> {
        let mut state = self.handle.world.0.lock();
        let After(failure) = state.call(self.caller)?;
        match failure {
            Some(PortError::Lost(_)) => state.abandon(self.handle.id),
            _ => state.send(self.handle.id, usize::MAX),
        }
        After(failure).then(())
    }
}
