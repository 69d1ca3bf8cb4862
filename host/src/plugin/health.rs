//! How a library behaves: counters, and whether it may still be used.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde::Serialize;

use super::error::{PluginRefusal, RefusalCode};

/// How many instances of one library may be stuck before no more are made.
pub const MAX_ABANDONED: u64 = 16;

/// The counters of one library, measured by the host and so the same for every plugin.
#[derive(Debug, Default)]
pub(super) struct Health {
    calls: AtomicU64,
    errors: AtomicU64,
    panics: AtomicU64,
    timeouts: AtomicU64,
    late: AtomicU64,
    instances: AtomicU64,
    abandoned: AtomicU64,
    quarantine: OnceLock<String>,
}

/// A library's counters at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    /// Calls begun.
    pub calls: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Calls that the host stopped waiting for.
    pub timeouts: u64,
    /// Calls that ended after the host had stopped waiting.
    pub late: u64,
    /// Instances that are alive.
    pub instances: u64,
    /// Instances whose thread does not come back.
    pub abandoned: u64,
    /// Why the library is no longer used, if so.
    pub quarantined: Option<String>,
}

/// What is counted.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event {
    Call,
    Error,
    Panic,
    Timeout,
    Late,
}

impl Health {
    /// A new library's health, known under the number that its completions carry.
    pub(super) fn register() -> (u16, Arc<Health>) {
        let health = Arc::new(Health::default());
        let mut all = registry().lock().unwrap_or_else(PoisonError::into_inner);
        all.push(health.clone());
        // A process that loads more than 65,535 libraries would attribute contract breaks to the last of them.
        (u16::try_from(all.len() - 1).unwrap_or(u16::MAX), health)
    }

    /// The library of that number.
    pub(super) fn of(number: u16) -> Option<Arc<Health>> {
        registry()
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(usize::from(number))
            .cloned()
    }

    pub(super) fn count(&self, event: Event) {
        let counter = match event {
            Event::Call => &self.calls,
            Event::Error => &self.errors,
            Event::Panic => &self.panics,
            Event::Timeout => &self.timeouts,
            Event::Late => &self.late,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an instance in, unless the library may make no more.
    pub(super) fn admit_instance(&self, single: bool) -> Result<(), PluginRefusal> {
        self.usable()?;
        if self.abandoned.load(Ordering::Relaxed) >= MAX_ABANDONED {
            return Err(PluginRefusal::new(
                RefusalCode::TooManyAbandoned,
                format!("{MAX_ABANDONED} instances of the plugin do not return from a call"),
                "restart lakefeed, and report the hang to the plugin's vendor",
            ));
        }
        let before = self.instances.fetch_add(1, Ordering::Relaxed);
        if single && before > 0 {
            self.instances.fetch_sub(1, Ordering::Relaxed);
            return Err(PluginRefusal::new(
                RefusalCode::CreateFailed,
                "the plugin allows one instance, and one exists",
                "use it for one destination only",
            ));
        }
        Ok(())
    }

    pub(super) fn instance_gone(&self) {
        self.instances.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn abandon(&self) {
        self.abandoned.fetch_add(1, Ordering::Relaxed);
    }

    /// An abandoned instance's thread came back after all.
    pub(super) fn reclaim(&self) {
        self.abandoned.fetch_sub(1, Ordering::Relaxed);
    }

    /// Stops the use of the library for good; the first reason is kept.
    pub(super) fn quarantine(&self, reason: &str) {
        if self.quarantine.set(reason.to_owned()).is_ok() {
            tracing::error!(target: "lakefeed::plugin", reason, code = %RefusalCode::Quarantined, "plugin quarantined");
        }
    }

    pub(super) fn usable(&self) -> Result<(), PluginRefusal> {
        match self.quarantine.get() {
            None => Ok(()),
            Some(reason) => Err(PluginRefusal::new(
                RefusalCode::Quarantined,
                format!("the library broke the contract and is no longer used: {reason}"),
                "use another version, and report it to the plugin's vendor",
            )),
        }
    }

    pub(super) fn report(&self) -> HealthReport {
        HealthReport {
            calls: self.calls.load(Ordering::Relaxed),
            errors: self.errors.load(Ordering::Relaxed),
            panics: self.panics.load(Ordering::Relaxed),
            timeouts: self.timeouts.load(Ordering::Relaxed),
            late: self.late.load(Ordering::Relaxed),
            instances: self.instances.load(Ordering::Relaxed),
            abandoned: self.abandoned.load(Ordering::Relaxed),
            quarantined: self.quarantine.get().cloned(),
        }
    }
}

fn registry() -> &'static Mutex<Vec<Arc<Health>>> {
    static ALL: OnceLock<Mutex<Vec<Arc<Health>>>> = OnceLock::new();
    ALL.get_or_init(Mutex::default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_instance_is_made_past_the_limit_of_abandoned_ones() {
        let (_, health) = Health::register();
        for _ in 0..MAX_ABANDONED {
            health.admit_instance(false).unwrap();
            health.abandon();
        }
        assert_eq!(
            health.admit_instance(false).unwrap_err().code,
            RefusalCode::TooManyAbandoned
        );
        health.reclaim();
        health.admit_instance(false).unwrap();
    }

    #[test]
    fn a_single_instance_library_gets_one() {
        let (_, health) = Health::register();
        health.admit_instance(true).unwrap();
        assert!(health.admit_instance(true).is_err());
        health.instance_gone();
        health.admit_instance(true).unwrap();
    }

    #[test]
    fn a_quarantined_library_stays_so_with_its_first_reason() {
        let (_, health) = Health::register();
        health.quarantine("first");
        health.quarantine("second");
        assert_eq!(health.report().quarantined.as_deref(), Some("first"));
        assert_eq!(
            health.admit_instance(false).unwrap_err().code,
            RefusalCode::Quarantined
        );
    }
}
