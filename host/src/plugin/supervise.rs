//! An instance that is made again when it is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use lakefeed_plugin_api::PluginError;
use serde_json::Value;
use tokio::sync::Mutex;

use super::instance::{Instance, InstanceContext};
use super::load::LoadedPlugin;
use super::thread::InstanceState;

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// An instance that lasted this long was sound; the next failure waits the first wait again.
const SOUND_AFTER: Duration = Duration::from_secs(120);

/// When an instance may be made again: after 1 s, doubling to 60 s while it keeps failing. Pure; time is a parameter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    failures: u32,
    not_before: Option<Instant>,
}

impl Backoff {
    /// Notes a failure of something that had lasted `lasted`.
    pub fn failed(&mut self, now: Instant, lasted: Duration) {
        if lasted >= SOUND_AFTER {
            self.failures = 0;
        }
        let wait = FIRST_WAIT
            .saturating_mul(1 << self.failures.min(6))
            .min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.not_before = now.checked_add(wait);
    }

    /// How long is left until the next attempt is due.
    pub fn wait(&self, now: Instant) -> Duration {
        self.not_before
            .map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }
}

/// One destination's instance of a plugin, replaced when it panicked or got stuck.
///
/// The replacement is a new instance: what was opened must be opened again. [`Instance::id`] tells.
pub struct SupervisedInstance {
    plugin: Arc<LoadedPlugin>,
    config: Value,
    context: InstanceContext,
    current: Mutex<Current>,
}

#[derive(Default)]
struct Current {
    instance: Option<(Arc<Instance>, Instant)>,
    backoff: Backoff,
    restarts: u64,
}

impl SupervisedInstance {
    /// Makes none yet; the first call of [`SupervisedInstance::ready`] does.
    pub fn new(plugin: Arc<LoadedPlugin>, config: Value, context: InstanceContext) -> SupervisedInstance {
        SupervisedInstance {
            plugin,
            config,
            context,
            current: Mutex::default(),
        }
    }

    /// An instance that is ready, made now if there is none; waits until the next attempt is due.
    ///
    /// # Errors
    ///
    /// What [`Instance::create`] answers; the next call waits longer.
    pub async fn ready(&self) -> Result<Arc<Instance>, PluginError> {
        let mut current = self.current.lock().await;
        if let Some((instance, since)) = &current.instance {
            if instance.state() == InstanceState::Ready {
                return Ok(instance.clone());
            }
            let lasted = since.elapsed();
            current.instance = None;
            current.restarts += 1;
            current.backoff.failed(Instant::now(), lasted);
        }
        tokio::time::sleep(current.backoff.wait(Instant::now())).await;
        match Instance::create(&self.plugin, &self.config, self.context.clone()).await {
            Ok(instance) => {
                let instance = Arc::new(instance);
                current.instance = Some((instance.clone(), Instant::now()));
                Ok(instance)
            }
            Err(error) => {
                current.backoff.failed(Instant::now(), Duration::ZERO);
                Err(error)
            }
        }
    }

    /// How often an instance was replaced.
    pub async fn restarts(&self) -> u64 {
        self.current.lock().await.restarts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_one_second_to_sixty_and_starts_again_after_a_sound_life() {
        let now = Instant::now();
        let mut backoff = Backoff::default();
        assert_eq!(backoff.wait(now), Duration::ZERO);
        let waits: Vec<u64> = (0..8)
            .map(|_| {
                backoff.failed(now, Duration::ZERO);
                backoff.wait(now).as_secs()
            })
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.failed(now, SOUND_AFTER);
        assert_eq!(backoff.wait(now).as_secs(), 1);
        assert_eq!(backoff.wait(now + Duration::from_secs(5)), Duration::ZERO);
    }
}
