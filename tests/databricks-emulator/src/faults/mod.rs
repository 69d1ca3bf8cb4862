//! The switches: what goes wrong, where and how often.
//!
//! A switch is named ([`Fault`]) and carries a [`Setting`]. Those with `times` wear off; the others stay until they are
//! cleared. All can be set from a test through [`Faults`] and from anywhere over HTTP (`http.rs`).

mod fault;
pub(crate) mod http;
mod setting;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

pub use fault::Fault;
pub use setting::{Setting, Surface};

use crate::sync::lock;

/// All switches that are on.
#[derive(Debug, Default)]
pub struct Faults {
    on: Mutex<BTreeMap<Fault, Setting>>,
}

impl Faults {
    /// Turns a switch on, or gives it another setting.
    pub fn set(&self, fault: Fault, setting: Setting) {
        lock(&self.on).insert(fault, setting);
    }

    /// Turns a switch off.
    pub fn clear(&self, fault: Fault) {
        lock(&self.on).remove(&fault);
    }

    /// Turns all switches off.
    pub fn clear_all(&self) {
        lock(&self.on).clear();
    }

    /// What is on.
    pub fn all(&self) -> BTreeMap<Fault, Setting> {
        lock(&self.on).clone()
    }

    /// The setting of a switch that is on, without wearing it off.
    pub fn peek(&self, fault: Fault) -> Option<Setting> {
        lock(&self.on).get(&fault).cloned()
    }

    /// How long a switch of a delay says; none if it is off.
    pub fn delay(&self, fault: Fault) -> Option<Duration> {
        self.peek(fault)
            .map(|setting| Duration::from_millis(setting.milliseconds.unwrap_or(0)))
    }

    /// Whether a switch is on. One that was set with `enabled: false` is off.
    pub fn is_on(&self, fault: Fault) -> bool {
        self.peek(fault)
            .is_some_and(|setting| setting.enabled.unwrap_or(true))
    }

    /// The setting if the switch is on for this request, and one time less is left of it.
    pub fn take(&self, fault: Fault, surface: Surface, path: &str) -> Option<Setting> {
        let mut on = lock(&self.on);
        let setting = on.get_mut(&fault)?;
        if !setting.is_meant(surface, path) {
            return None;
        }
        if let Some(skip) = setting.after.filter(|skip| *skip > 0) {
            setting.after = Some(skip - 1);
            return None;
        }
        let taken = setting.clone();
        match setting.times {
            Some(0 | 1) => {
                on.remove(&fault);
            }
            Some(times) => setting.times = Some(times - 1),
            None => {}
        }
        (taken.times != Some(0)).then_some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn once(surface: Surface) -> Setting {
        Setting {
            surface: Some(surface),
            times: Some(1),
            ..Setting::default()
        }
    }

    #[test]
    fn a_switch_with_times_wears_off() {
        let faults = Faults::default();
        faults.set(Fault::Unauthorized, once(Surface::Zerobus));
        assert!(faults.take(Fault::Unauthorized, Surface::Sql, "/").is_none());
        assert!(faults.take(Fault::Unauthorized, Surface::Zerobus, "/").is_some());
        assert!(faults.take(Fault::Unauthorized, Surface::Zerobus, "/").is_none());
    }

    #[test]
    fn a_switch_with_after_lets_the_first_pass() {
        let faults = Faults::default();
        let setting = Setting {
            after: Some(1),
            ..once(Surface::Sql)
        };
        faults.set(Fault::ServerError, setting);
        assert!(faults.take(Fault::ServerError, Surface::Sql, "/").is_none());
        assert!(faults.take(Fault::ServerError, Surface::Sql, "/").is_some());
    }

    #[test]
    fn a_switch_without_times_stays() {
        let faults = Faults::default();
        faults.set(Fault::Throttled, Setting::default());
        for _ in 0..3 {
            assert!(faults.take(Fault::Throttled, Surface::Token, "/").is_some());
        }
        faults.clear_all();
        assert!(faults.peek(Fault::Throttled).is_none());
    }
}
