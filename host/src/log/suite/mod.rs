//! What every store must keep, as tests that each store runs.
//!
//! A store brings [`Stores`], which opens it, and calls [`log_suite`]; each promise of [`Log`] then is a test under its
//! own name. Nothing here knows which store it runs on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

use super::{Action, Clock, HistoryPage, Log, Matcher, Precondition, ReadBound, Write, Written};
use crate::change::{Body, Change, Matched, Offset, ResourceKey, Sequence, Timestamp, Version};

pub(crate) mod changes;
pub(crate) mod crashes;
pub(crate) mod destinations;
pub(crate) mod history;
pub(crate) mod others;
pub(crate) mod resources;
pub(crate) mod search;

/// One store of one test.
#[async_trait]
pub(crate) trait Stores: Send + Sync {
    /// Opens it: empty at first, then as it was left. The one opened before must have been closed or dropped; after
    /// a drop this waits until that is over.
    async fn open(&self, clock: Clock) -> Arc<dyn Log>;
}

/// Makes a test of each promise for a store; takes an expression that makes its [`Stores`].
macro_rules! log_suite {
    ($stores:expr) => {
        $crate::log::suite::log_suite!(@ $stores;
            resources: a_version_is_read_as_it_was_answered,
            resources: statuses_tell_the_first_version_from_a_further_and_a_revived_one,
            resources: a_delete_repeats_the_last_content_under_its_own_version,
            resources: deleting_what_is_not_there_writes_nothing,
            resources: a_precondition_that_does_not_hold_is_refused_with_what_is_there,
            resources: a_refused_write_takes_all_writes_of_its_call_with_it,
            resources: one_call_makes_several_versions_of_one_resource_in_order,
            resources: last_updated_grows_while_the_clock_stands_still_or_goes_back,
            resources: of_two_callers_that_create_one_id_one_is_refused,
            resources: history_is_paged_from_the_newest_to_the_first,
            resources: a_source_keeps_what_it_called_the_version,
            resources: what_a_source_sends_late_or_again_changes_nothing,
            resources: a_matcher_sees_the_version_before_and_one_that_panics_fails_its_call_alone,
            others: a_matcher_sees_other_resources_as_they_are,
            others: a_matcher_sees_what_its_own_call_writes_in_whichever_order,
            others: what_a_matcher_asks_for_step_by_step_is_read_step_by_step,
            others: many_writes_that_look_at_many_others_are_matched_in_one_call,
            others: while_the_other_changes_each_write_is_matched_by_one_of_its_states,
            others: a_write_that_looks_at_more_than_may_be_read_leaves_that_to_the_read,
            search: search_finds_the_living_by_id_and_pages,
            search: search_by_update_gives_each_once_in_order_over_its_pages,
            search: a_types_history_holds_all_its_versions_newest_first,
            history: a_version_is_current_from_when_it_was_made_until_the_next_one_is,
            history: what_was_current_in_a_period_is_paged_in_both_histories,
            history: a_page_of_a_period_stops_where_it_has_looked_at_enough,
            history: a_history_finds_the_version_of_a_number,
            search: a_lookup_finds_the_living_by_the_tokens_of_their_newest_version,
            search: a_write_that_was_decided_by_a_lookup_is_refused_when_it_finds_others,
            search: of_callers_that_found_nothing_and_create_one_succeeds,
            search: by_a_token_that_very_many_bear_no_write_is_decided,
            changes: changes_come_in_order_each_once_under_sixteen_writers,
            changes: a_read_stops_at_its_bounds_but_gives_at_least_one_change,
            changes: a_types_changes_come_in_order_each_once_and_no_others,
            changes: a_read_of_a_types_changes_says_how_far_it_looked,
            changes: a_count_is_exact_for_each_topic_and_offset,
            changes: the_head_wakes_with_a_commit_and_names_its_newest_change,
            destinations: a_destination_begins_at_its_start_and_is_made_once,
            destinations: an_earlier_fence_changes_nothing,
            destinations: a_fence_of_a_dropped_destination_does_not_hold_the_next_one,
            destinations: a_planned_batch_is_there_after_reopening,
            destinations: an_ack_moves_offset_counters_and_dead_letters_together,
            destinations: a_refused_ack_leaves_no_dead_letter,
            destinations: counters_state_and_the_newest_five_errors_survive_reopening,
            destinations: only_an_active_destination_halts,
            destinations: a_rewind_starts_a_generation_and_fences_the_holder,
            destinations: dead_letters_are_paged_and_go_with_their_destination,
            destinations: what_is_kept_is_replaced_listed_by_name_and_forgotten,
            crashes: what_was_acknowledged_is_there_after_a_drop_without_close,
            crashes: a_dropped_call_takes_effect_whole_or_not_at_all,
            crashes: sequences_and_order_go_on_after_reopening,
            crashes: a_closed_store_answers_that_it_is_closed,
        );
    };
    (@ $stores:expr; $($module:ident : $name:ident,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $crate::log::suite::$module::$name(&$stores).await;
            }
        )*
    };
}
pub(crate) use log_suite;

/// A clock that moves by hand.
#[derive(Clone, Default)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn at(micros: i64) -> Self {
        let hands = Self::default();
        hands.set(micros);
        hands
    }

    pub(crate) fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.clone();
        Arc::new(move || Timestamp(hands.0.load(Ordering::SeqCst)))
    }
}

/// A clock that stands still.
pub(crate) fn still() -> Clock {
    Hands::at(1_000_000).clock()
}

pub(crate) fn key(id: &str) -> ResourceKey {
    ResourceKey::new("Patient", id).unwrap()
}

/// A Patient with one member that tells contents apart.
pub(crate) fn body(content: &str) -> Action {
    let text = format!(r#"{{"resourceType":"Patient","language":"{content}"}}"#);
    Action::Put(Arc::new(Body::parse(text.as_bytes()).unwrap()))
}

/// A matcher that answers the same topics for every change.
pub(crate) fn topics(topics: &[&str]) -> Matcher {
    let matched = Matched {
        topics_known: 3,
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
    };
    Arc::new(move |_, _, _| matched.clone())
}

pub(crate) fn put(id: &str, content: &str) -> Write {
    Write {
        key: key(id),
        precondition: Precondition::None,
        action: body(content),
        matcher: topics(&[]),
        source: None,
        tokens: Vec::new(),
        finding: None,
    }
}

pub(crate) fn delete(id: &str) -> Write {
    Write {
        action: Action::Delete,
        ..put(id, "")
    }
}

/// Writes one version and answers it.
pub(crate) async fn version(log: &dyn Log, write: Write) -> Version {
    match log.write(vec![write]).await.unwrap().remove(0) {
        Written::Version { version, .. } => version,
        Written::Nothing | Written::Unchanged(_) => panic!("nothing was written"),
    }
}

/// The content that [`body`] was given.
pub(crate) fn content(version: &Version) -> String {
    let resource: serde_json::Value = serde_json::from_slice(&version.resource).unwrap();
    resource["language"].as_str().unwrap().to_owned()
}

/// All changes after an offset.
pub(crate) async fn all_changes(log: &dyn Log, after: Offset) -> Vec<Change> {
    log.changes(after, bound(usize::MAX, usize::MAX)).await.unwrap()
}

pub(crate) fn page(before: Option<Sequence>, count: usize) -> HistoryPage {
    HistoryPage {
        before,
        count,
        ..HistoryPage::default()
    }
}

pub(crate) fn bound(changes: usize, bytes: usize) -> ReadBound {
    ReadBound {
        changes,
        bytes,
        through: None,
    }
}
