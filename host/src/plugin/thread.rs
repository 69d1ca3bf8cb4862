//! The one thread of an instance.
//!
//! Every function of an instance is called here, one after the other, so that a function that does not return holds
//! up this instance and no other. The host waits for the *end* of calls elsewhere (see [`instance`](super::instance)),
//! and stops waiting when it wants; this thread then stays behind with the plugin, counted as abandoned.
#![expect(unsafe_code, reason = "calls the functions of a plugin")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use lakefeed_plugin_api::abi::{AbiCompletion, AbiInstance, AbiOp};

use super::answer::{Address, Lent};
use super::completion::{arm, disarm};
use super::health::{Event, Health};
use super::load::Tables;
use super::services::HostSide;

/// How long an instance may take to end before its thread leaves it behind.
const DESTROY_WITHIN: Duration = Duration::from_secs(30);

/// Functions return within a millisecond, by contract. One that is given up after this long is stuck.
const OWN_GRACE: Duration = Duration::from_millis(20);
/// A call that waits behind another's function is patient: that one has a deadline of its own.
const OTHERS_GRACE: Duration = Duration::from_secs(1);

/// What a call does on the instance's thread.
pub(super) type Enter = Box<dyn FnOnce(&Entered<'_>, AbiCompletion) -> *mut AbiOp + Send>;

/// What a call finds there.
pub(super) struct Entered<'a> {
    /// The plugin's functions.
    pub(super) tables: &'a Tables,
    /// The instance; null while it is being created.
    pub(super) instance: *mut AbiInstance,
    /// What the plugin may ask of the host.
    pub(super) host: &'a HostSide,
}

/// What the thread is asked to do.
pub(super) enum Job {
    /// Begin a call.
    Enter {
        id: u64,
        unwanted: Arc<AtomicBool>,
        completion: AbiCompletion,
        enter: Enter,
    },
    /// The instance exists now.
    Created(Address),
    /// Ask a call to end soon.
    Cancel(u64),
    /// A call has ended: free its handle.
    Finished(u64),
    /// Destroy the instance and end.
    Destroy,
}

/// What an instance is fit for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstanceState {
    /// Calls may be made.
    Ready,
    /// It panicked or broke the contract, and is asked nothing any more.
    Poisoned,
    /// Its thread did not return from a call.
    Stuck,
}

/// What the thread and the instance's handle both know.
#[derive(Debug)]
pub(super) struct Shared {
    state: AtomicU8,
    /// The call whose function is running now; 0 for none.
    inside: AtomicU64,
    /// Since when, by [`clock_ms`].
    since_ms: AtomicU64,
    health: Arc<Health>,
}

impl Shared {
    pub(super) fn new(health: Arc<Health>) -> Shared {
        Shared {
            state: AtomicU8::new(0),
            inside: AtomicU64::new(0),
            since_ms: AtomicU64::new(0),
            health,
        }
    }

    pub(super) fn state(&self) -> InstanceState {
        match self.state.load(Ordering::Acquire) {
            0 => InstanceState::Ready,
            1 => InstanceState::Poisoned,
            _ => InstanceState::Stuck,
        }
    }

    pub(super) fn poison(&self) {
        // A stuck instance stays stuck.
        let _was = self
            .state
            .compare_exchange(0, 1, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Called when the host gives up waiting for call `id`; answers whether the instance's thread is stuck.
    ///
    /// It is, if the call's own function has not returned, or if the thread is long inside another's: then this call was
    /// never begun, and no later one would be.
    pub(super) fn give_up(&self, id: u64) -> bool {
        let (inside, for_long) = self.inside();
        let grace = if inside == id { OWN_GRACE } else { OTHERS_GRACE };
        let stuck = inside != 0 && for_long >= grace;
        if stuck && self.state.swap(2, Ordering::AcqRel) != 2 {
            self.health.abandon();
            tracing::warn!(target: "lakefeed::plugin", call = id, "a plugin's function does not return; instance abandoned");
        }
        stuck
    }

    /// The call whose function is running, and for how long.
    fn inside(&self) -> (u64, Duration) {
        let inside = self.inside.load(Ordering::Acquire);
        let since = self.since_ms.load(Ordering::Acquire);
        (inside, Duration::from_millis(clock_ms().saturating_sub(since)))
    }

    fn enter(&self, id: u64) {
        self.since_ms.store(clock_ms(), Ordering::Release);
        self.inside.store(id, Ordering::Release);
    }

    fn leave(&self) {
        self.inside.store(0, Ordering::Release);
    }
}

/// Milliseconds of a clock that never goes back; its zero has no meaning.
fn clock_ms() -> u64 {
    static ZERO: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(ZERO.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Starts the thread of an instance.
pub(super) fn start(name: &str, worker: Worker, jobs: Receiver<Job>) -> std::io::Result<()> {
    // The system keeps 15 bytes of a thread's name.
    let name: String = format!("plugin {name}").chars().take(15).collect();
    std::thread::Builder::new()
        .name(name)
        .spawn(move || worker.run(&jobs))
        .map(drop)
}

/// What the thread owns.
pub(super) struct Worker {
    pub(super) tables: Arc<Tables>,
    pub(super) host: HostSide,
    pub(super) shared: Arc<Shared>,
    pub(super) library: u16,
}

/// An operation's handle, between the call that made it and the one that frees it.
struct Handles {
    tables: Arc<Tables>,
    open: HashMap<u64, *mut AbiOp>,
}

impl Handles {
    fn keep(&mut self, id: u64, op: *mut AbiOp) {
        if !op.is_null() {
            self.open.insert(id, op);
        }
    }

    fn cancel(&self, id: u64) {
        if let (Some(op), Some(cancel)) = (self.open.get(&id), self.tables.instance.cancel) {
            // SAFETY: the handle is in the map, so it was made by this plugin and is not freed yet.
            unsafe { cancel(*op) };
        }
    }

    fn free(&mut self, id: u64) {
        if let (Some(op), Some(op_free)) = (self.open.remove(&id), self.tables.instance.op_free) {
            // SAFETY: the handle was made by this plugin; out of the map, it is freed this once.
            unsafe { op_free(op) };
        }
    }

    /// Cancels and frees all that is under way.
    fn clear(&mut self) {
        let ids: Vec<u64> = self.open.keys().copied().collect();
        for id in ids {
            self.cancel(id);
            self.free(id);
        }
    }
}

impl Worker {
    fn run(self, jobs: &Receiver<Job>) {
        let mut instance = std::ptr::null_mut();
        let mut handles = Handles {
            tables: self.tables.clone(),
            open: HashMap::new(),
        };
        while let Ok(job) = jobs.recv() {
            match job {
                Job::Enter {
                    unwanted, completion, ..
                } if unwanted.load(Ordering::Acquire) => disarm(&completion),
                Job::Enter {
                    id,
                    completion,
                    enter,
                    ..
                } => {
                    let op = self.inside(id, || {
                        enter(
                            &Entered {
                                tables: &self.tables,
                                instance,
                                host: &self.host,
                            },
                            completion,
                        )
                    });
                    handles.keep(id, op);
                }
                Job::Created(address) => instance = address.0,
                Job::Cancel(id) => self.inside(id, || handles.cancel(id)),
                Job::Finished(id) => self.inside(id, || handles.free(id)),
                Job::Destroy => break,
            }
        }
        // What was asked after the end: calls are not begun, and an instance that came late is destroyed too.
        for job in jobs.try_iter() {
            match job {
                Job::Enter { completion, .. } => disarm(&completion),
                Job::Created(address) => instance = address.0,
                Job::Cancel(_) | Job::Finished(_) | Job::Destroy => {}
            }
        }
        self.inside(u64::MAX, || handles.clear());
        self.destroy(instance);
    }

    /// Marks the time that a function of the plugin runs.
    fn inside<R>(&self, id: u64, act: impl FnOnce() -> R) -> R {
        self.shared.enter(id);
        let result = act();
        self.shared.leave();
        result
    }

    fn destroy(self, instance: *mut AbiInstance) {
        let health = self.shared.health.clone();
        let ended = instance.is_null() || self.destroy_within(instance);
        if self.shared.state() == InstanceState::Stuck {
            health.reclaim();
        }
        if ended {
            health.instance_gone();
        } else {
            // The plugin may still use its host: what it was lent must stay where it is.
            std::mem::forget(self.host);
            health.abandon();
        }
    }

    fn destroy_within(&self, instance: *mut AbiInstance) -> bool {
        let Some(destroy) = self.tables.instance.destroy else {
            return true;
        };
        let (sender, receiver): (Sender<()>, _) = channel();
        let completion = arm(self.library, Lent::nothing, move |_| {
            // Nobody listens once the time is over.
            let _late = sender.send(());
        });
        // SAFETY: the instance was made by this plugin, this is its last call, and its handles are freed.
        unsafe { destroy(instance, completion) };
        let ended = receiver.recv_timeout(DESTROY_WITHIN).is_ok();
        if !ended {
            self.shared.health.count(Event::Timeout);
        }
        ended
    }
}
