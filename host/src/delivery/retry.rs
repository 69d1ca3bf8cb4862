//! What is done about a failed write: again, aside, or stop; pure.
//!
//! The plugin says what went wrong and what would help; this module decides, and the loop acts. Nothing here
//! sleeps, counts or writes.

use std::time::Duration;

use lakefeed_plugin_api::{Category, PluginError, Retry};

/// The pause between two failed attempts.
pub(crate) const BACKOFF: Duration = Duration::from_secs(1);

/// The longest pause between two starts of a crashed worker or of a broken plugin instance.
pub(crate) const LONGEST_RESTART: Duration = Duration::from_secs(60);

/// The longest pause that a target may ask for; one that asks for more is asked again after this.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// What was already tried for the write at hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    /// A fresh token was fetched.
    pub refreshed: bool,
    /// The table was brought up to the view.
    pub evolved: bool,
    /// How often the plugin instance was made anew without a write that succeeded since.
    pub recreated: u32,
}

/// What the loop does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Write the same again after a pause.
    Again(Duration),
    /// Drop the token and write the same again at once.
    RefreshAuth,
    /// Describe the table, plan, add columns, and write the same again at once.
    Evolve,
    /// Make the plugin instance anew after a pause and write the same again.
    Recreate(Duration),
    /// Halve the write between two changes.
    Halve,
    /// Cut the write around the changes that the target named.
    Isolate,
    /// The write holds one change and the target does not take it: set it aside.
    SetAside,
    /// An operator must act.
    Halt,
}

/// Decides what is done about a write of so many changes that failed.
pub(crate) fn decide(error: &PluginError, tried: Tried, changes: usize) -> Decision {
    if error.category == Category::DataRejected && error.retry == Retry::Never {
        return refused(error, changes);
    }
    match error.retry {
        Retry::Never | Retry::Quarantine => Decision::Halt,
        Retry::After => Decision::Again(asked(error.retry_after)),
        Retry::RefreshAuth if !tried.refreshed => Decision::RefreshAuth,
        Retry::EvolveThenRetry if !tried.evolved => Decision::Evolve,
        Retry::EvolveThenRetry => Decision::Halt,
        Retry::Split if changes > 1 => Decision::Halve,
        Retry::Split => Decision::SetAside,
        Retry::RecreateInstance => Decision::Recreate(recreation(error.category, tried.recreated)),
        _ => Decision::Again(BACKOFF),
    }
}

/// Whether the write may have taken effect although it failed.
pub(crate) fn is_outcome_unknown(error: &PluginError) -> bool {
    let ended_unseen = matches!(
        error.category,
        Category::PluginPanic | Category::PluginCrashed | Category::Deadline | Category::Cancelled
    );
    error.outcome_unknown || ended_unseen
}

/// The pause before the start that follows so many failed ones in a row: 1 s, doubling to 60 s.
pub(crate) fn restart_pause(failed: u32) -> Duration {
    let doubled = BACKOFF.saturating_mul(1 << failed.min(6));
    doubled.min(LONGEST_RESTART)
}

fn refused(error: &PluginError, changes: usize) -> Decision {
    match (changes, error.refused.is_empty()) {
        (0 | 1, _) => Decision::SetAside,
        (_, true) => Decision::Halve,
        (_, false) => Decision::Isolate,
    }
}

fn asked(wait: Option<Duration>) -> Duration {
    wait.unwrap_or(BACKOFF).clamp(BACKOFF, LONGEST_ASKED)
}

/// A child process that ended is replaced at once the first time; whatever else broke waits.
fn recreation(category: Category, recreated: u32) -> Duration {
    match (category, recreated) {
        (Category::PluginCrashed, 0) => Duration::ZERO,
        (Category::PluginCrashed, times) => restart_pause(times - 1),
        (_, times) => restart_pause(times),
    }
}

#[cfg(test)]
mod tests {
    use lakefeed_plugin_api::Refusal;

    use super::*;

    const FRESH: Tried = Tried {
        refreshed: false,
        evolved: false,
        recreated: 0,
    };

    fn error(category: Category) -> PluginError {
        PluginError::new(category, "T-001", "made up")
    }

    fn named() -> PluginError {
        error(Category::DataRejected).refused(vec![Refusal {
            change: 1,
            row: None,
            column: String::new(),
            code: "T-002".into(),
            message: String::new(),
        }])
    }

    #[test]
    fn every_failure_has_one_answer() {
        let once = Tried {
            refreshed: true,
            evolved: true,
            recreated: 1,
        };
        let seconds = |seconds| Decision::Again(Duration::from_secs(seconds));
        let recreate = |seconds| Decision::Recreate(Duration::from_secs(seconds));
        let after = |seconds| error(Category::Throttled).after(Duration::from_secs(seconds));
        let cases = [
            (error(Category::ConfigInvalid), FRESH, 5, Decision::Halt),
            (error(Category::AuthExpired), FRESH, 5, Decision::RefreshAuth),
            (error(Category::AuthExpired), once, 5, seconds(1)),
            (error(Category::AuthDenied), FRESH, 5, Decision::Halt),
            (error(Category::SchemaMismatch), FRESH, 5, Decision::Evolve),
            (error(Category::SchemaMismatch), once, 5, Decision::Halt),
            (error(Category::SchemaIncompatible), FRESH, 5, Decision::Halt),
            (error(Category::DataRejected), FRESH, 5, Decision::Halve),
            (error(Category::DataRejected), FRESH, 1, Decision::SetAside),
            (named(), FRESH, 5, Decision::Isolate),
            (named(), FRESH, 1, Decision::SetAside),
            (error(Category::PayloadTooLarge), FRESH, 2, Decision::Halve),
            (error(Category::PayloadTooLarge), FRESH, 1, Decision::SetAside),
            (after(7), FRESH, 5, seconds(7)),
            (after(0), FRESH, 5, seconds(1)),
            (after(86_400), FRESH, 5, seconds(600)),
            (error(Category::RemoteUnavailable), FRESH, 5, seconds(1)),
            (error(Category::TargetUnsupported), FRESH, 5, Decision::Halt),
            (error(Category::StagingConflict), FRESH, 5, seconds(1)),
            (error(Category::Cancelled), FRESH, 5, seconds(1)),
            (error(Category::Deadline), FRESH, 5, seconds(1)),
            (error(Category::PluginPanic), FRESH, 5, recreate(1)),
            (error(Category::PluginPanic), once, 5, recreate(2)),
            (error(Category::PluginCrashed), FRESH, 5, recreate(0)),
            (error(Category::PluginCrashed), once, 5, recreate(1)),
            (error(Category::PluginContract), FRESH, 5, Decision::Halt),
            (error(Category::Internal), FRESH, 5, seconds(1)),
        ];
        for (error, tried, changes, expected) in cases {
            let decision = decide(&error, tried, changes);
            assert_eq!(
                decision,
                expected,
                "{} {tried:?} {changes}",
                error.category.name()
            );
        }
    }

    #[test]
    fn a_plugins_own_word_wins_over_its_category() {
        let throttled = error(Category::DataRejected).retry(Retry::Backoff);
        assert_eq!(decide(&throttled, FRESH, 5), Decision::Again(BACKOFF));
        let fatal = error(Category::RemoteUnavailable).retry(Retry::Never);
        assert_eq!(decide(&fatal, FRESH, 5), Decision::Halt);
    }

    #[test]
    fn a_restart_waits_a_second_doubling_to_a_minute() {
        let pauses: Vec<u64> = (0..9).map(|failed| restart_pause(failed).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn an_end_that_nobody_saw_is_unknown() {
        assert!(is_outcome_unknown(
            &error(Category::RemoteUnavailable).outcome_unknown()
        ));
        assert!(is_outcome_unknown(&error(Category::PluginPanic)));
        assert!(is_outcome_unknown(&error(Category::Deadline)));
        assert!(!is_outcome_unknown(&error(Category::Throttled)));
        assert!(!is_outcome_unknown(&error(Category::DataRejected)));
    }
}
