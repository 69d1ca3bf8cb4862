//! Transactions: all entries or none, in one write of the log.
//!
//! Topics and views in it pass their own checks before anything is written, and are in use once all of it is; the
//! changes of the same transaction are matched by the topics as they were before it. Reads are answered after the
//! commit, each with a status of its own: one that finds nothing undoes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::change::{Interaction, ResourceKey, Sequence, Timestamp, Version};
use crate::intake;
use crate::intake::bundle::request::{Address, address};
use crate::intake::bundle::transaction::{self, Around, Decided, Step, Undecided};
use crate::intake::bundle::{At, Entry};
use crate::log::{Action, Refused, Write, WriteError, Written};
use crate::topic::Topic;

use super::ask::Ask;
use super::batch::{self, Dispatch};
use super::conditional::{ATTEMPTS, contended};
use super::entries::{Answered, Room};
use super::outcome::{Issue, Outcome};
use super::topic::{TOPIC, refuse_in_use};
use super::view::{self, VIEW};
use super::{App, rights, whole};

/// Commits all entries, and answers them in their order.
pub(super) async fn transaction(
    app: &Arc<App>,
    dispatch: &dyn Dispatch,
    ask: &Ask,
    entries: Vec<Entry>,
    room: &Room,
) -> Result<Vec<Answered>, Outcome> {
    refuse_beyond(ask, &entries)?;
    let entries = Arc::new(entries);
    let committing = commit(Arc::clone(app), ask.clone(), Arc::clone(&entries));
    let (steps, written) = whole(committing).await?;
    let mut answers = Vec::with_capacity(steps.len());
    for (index, step) in steps.into_iter().enumerate() {
        answers.push(match step {
            Step::Write(write) => of_written(&written[write], ask, room),
            Step::Kept(key, version) => match version.as_ref().or_else(|| last(&written, &key)) {
                Some(version) => Answered::version(StatusCode::OK, version, ask, room),
                None => Answered::empty(StatusCode::OK),
            },
            Step::Nothing => Answered::empty(StatusCode::NO_CONTENT),
            Step::Read => batch::one(dispatch, ask, index, &entries[index], room).await,
        });
    }
    Ok(answers)
}

fn of_written(written: &Written, ask: &Ask, room: &Room) -> Answered {
    match written {
        Written::Version { version, interaction } => {
            let status = match interaction {
                Interaction::Create => StatusCode::CREATED,
                Interaction::Update | Interaction::Delete => StatusCode::OK,
            };
            Answered::version(status, version, ask, room)
        }
        Written::Unchanged(version) => Answered::version(StatusCode::OK, version, ask, room),
        Written::Nothing => Answered::empty(StatusCode::NO_CONTENT),
    }
}

/// The last version that the transaction made of a resource.
fn last<'w>(written: &'w [Written], key: &ResourceKey) -> Option<&'w Version> {
    written.iter().rev().find_map(|written| match written {
        Written::Version { version, .. } if version.key == *key => Some(version),
        _ => None,
    })
}

/// Refuses all where the client may not do one.
fn refuse_beyond(ask: &Ask, entries: &[Entry]) -> Result<(), Outcome> {
    for (index, entry) in entries.iter().enumerate() {
        let Some(request) = &entry.request else { continue };
        let method = Method::from_bytes(request.method.as_bytes());
        // What cannot be read is refused for that.
        if let (Ok(method), Some((route, _))) = (method, batch::address(request, &ask.base)) {
            rights::check(&route, &method, ask.access)
                .map_err(|outcome| outcome.below(&format!("Bundle.entry[{index}].request")))?;
        }
    }
    Ok(())
}

async fn commit(
    app: Arc<App>,
    ask: Ask,
    entries: Arc<Vec<Entry>>,
) -> Result<(Vec<Step>, Vec<Written>), Outcome> {
    let has_definitions = entries.iter().any(|entry| is_of_a_definition(entry, &ask.base));
    let _turn = match has_definitions {
        true => Some(app.definition_turn.lock().await),
        false => None,
    };
    let around = Around {
        log: &*app.log,
        intake: &app.intake,
        base: &ask.base,
    };
    for _ in 0..ATTEMPTS {
        let decided = transaction::decide(&around, &entries).await?;
        // Whatever way an address was read, nothing is written beyond what the client may write.
        for write in &decided.writes {
            rights::require(rights::to_write(write.key.resource_type()), ask.access)?;
        }
        let taken = check_definitions(&app, &decided).await?;
        let Decided {
            writes,
            entry_of,
            steps,
        } = decided;
        if writes.is_empty() {
            return Ok((steps, Vec::new()));
        }
        match app.log.write(writes.clone()).await {
            Ok(written) => {
                take_up(&app, taken, &written);
                return Ok((steps, written));
            }
            Err(WriteError::Refused { index, refused }) => {
                let entry = entry_of[index];
                if !transaction::is_outrun(&writes[index], &entries[entry], refused) {
                    return Err(refused_entry(entry, &writes[index], refused));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended())
}

fn is_of_a_definition(entry: &Entry, base: &str) -> bool {
    let path = entry.request.as_ref().and_then(|request| request.path(base));
    match path.map(address) {
        Some(Address::Type(name) | Address::Search(name, _) | Address::Instance(name, _)) => {
            intake::is_own_type(&name)
        }
        _ => false,
    }
}

fn refused_entry(entry: usize, write: &Write, refused: Refused) -> Outcome {
    let (status, element) = match refused {
        Refused::Exists(_) => (StatusCode::CONFLICT, "resource.id"),
        Refused::Crowded => (StatusCode::PRECONDITION_FAILED, "request"),
        _ => (StatusCode::PRECONDITION_FAILED, "request.ifMatch"),
    };
    let text = format!("{}: {refused}; nothing was written", write.key);
    let issue = Issue::new("conflict", text).at(format!("Bundle.entry[{entry}].{element}"));
    Outcome::of(status, vec![issue])
}

/// A topic that is to be taken up once the transaction is committed.
enum Taken {
    Stored(usize, Topic),
    Deleted(String),
}

/// Checks the topics and views that would be written.
async fn check_definitions(app: &App, decided: &Decided) -> Result<Vec<Taken>, Outcome> {
    let mut taken = Vec::new();
    let mut urls: HashMap<String, String> = HashMap::new();
    for (index, write) in decided.writes.iter().enumerate() {
        let within = |outcome: Outcome| outcome.within(decided.entry_of[index]);
        match (write.key.resource_type(), &write.action) {
            (VIEW, Action::Put(_)) => {
                let found = view::Found {
                    resource: resource(write)?,
                    place: VIEW.to_owned(),
                };
                view::compile(&found).map_err(within)?;
            }
            (TOPIC, Action::Put(_)) => {
                let topic = check_topic(app, write).await.map_err(within)?;
                let owner = urls.insert(topic.url.clone(), topic.id.clone());
                if owner.is_some_and(|owner| owner != topic.id) {
                    let issue = Issue::new("conflict", "two topics of the bundle have this url");
                    let issue = issue.at("AidboxSubscriptionTopic.url");
                    return Err(within(Outcome::of(StatusCode::UNPROCESSABLE_ENTITY, vec![issue])));
                }
                taken.push(Taken::Stored(index, topic));
            }
            (TOPIC, Action::Delete) => {
                let id = write.key.id().to_owned();
                if let Some(topic) = app.definitions.topics().by_id(&id) {
                    let users = app.definitions.destinations_of_topic(&topic.url).await?;
                    refuse_in_use(&users).map_err(within)?;
                }
                taken.push(Taken::Deleted(id));
            }
            _ => {}
        }
    }
    Ok(taken)
}

async fn check_topic(app: &App, write: &Write) -> Result<Topic, Outcome> {
    let topic = app.definitions.check_topic(&resource(write)?)?;
    let old = app.definitions.topics().by_id(&topic.id);
    if let Some(old) = old.filter(|old| old.url != topic.url) {
        // Destinations name a topic by its url.
        refuse_in_use(&app.definitions.destinations_of_topic(&old.url).await?)?;
    }
    Ok(topic)
}

/// What a write would store, but for its version.
fn resource(write: &Write) -> Result<Value, Outcome> {
    let Action::Put(body) = &write.action else {
        return Err(Outcome::internal());
    };
    let text = body.stamped(&write.key, Sequence(0), Timestamp::default());
    serde_json::from_slice(&text).map_err(|_| Outcome::internal())
}

fn take_up(app: &App, taken: Vec<Taken>, written: &[Written]) {
    for taken in taken {
        match taken {
            Taken::Deleted(id) => app.definitions.topic_deleted(&id),
            Taken::Stored(index, topic) => {
                if let Some(Written::Version { version, interaction }) = written.get(index) {
                    let is_new = *interaction == Interaction::Create;
                    let (id, number) = (version.key.id(), version.sequence.0);
                    app.definitions.topic_stored(topic, id, number, is_new);
                }
            }
        }
    }
}

impl From<Undecided> for Outcome {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Refused(at) => Outcome::from(at),
            Undecided::Log(error) => error.into(),
        }
    }
}

impl From<At> for Outcome {
    fn from(at: At) -> Self {
        super::bundles::refused(at)
    }
}
