//! `lakefeed status`

use std::process::ExitCode;

use serde_json::{Value, json};

use super::output::{Output, table};
use super::{Failure, existing_store};
use crate::config::Config;
use crate::log::{DestinationRecord, DestinationState, Look, Search};
use crate::sql_table;

/// Shows how far each destination is, as the store has it; a host may run on it.
pub(super) async fn status(
    config: Config,
    id: Option<String>,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let mut look = Look::at(&existing_store(&config)?).await?;
    let resources = read_all(&mut look, "AidboxTopicDestination").await?;
    let topics = read_all(&mut look, "AidboxSubscriptionTopic").await?;
    let views = read_all(&mut look, "ViewDefinition").await?;
    let mut shown = Vec::new();
    for record in look.destinations().await? {
        if id.as_ref().is_some_and(|id| *id != record.id) {
            continue;
        }
        let topic = match sql_table::view_of(&record.id) {
            Some(view) => topic_of_view(&views, view),
            None => topic_of(&resources, &topics, &record.id),
        };
        let waiting = match topic {
            Some(topic) => look.count_changes(record.offset, &topic).await?,
            None => 0,
        };
        shown.push((record, waiting));
    }
    look.close().await;
    if let Some(id) = id.filter(|_| shown.is_empty()) {
        return Err(format!("there is no destination `{id}`").into());
    }
    let document: Vec<Value> = shown
        .iter()
        .map(|(record, waiting)| document(record, *waiting))
        .collect();
    output.found(&json!(document), || text(&shown))?;
    Ok(ExitCode::SUCCESS)
}

/// The id of the topic that a destination takes the changes of.
fn topic_of(resources: &[Value], topics: &[Value], id: &str) -> Option<String> {
    let resource = resources.iter().find(|resource| resource["id"] == id)?;
    let topic = topics.iter().find(|topic| topic["url"] == resource["topic"])?;
    topic["id"].as_str().map(str::to_owned)
}

/// The id of the topic that a view's table takes the changes of.
fn topic_of_view(views: &[Value], name: &str) -> Option<String> {
    let view = views.iter().find(|view| view["name"] == name)?;
    view["resource"].as_str().map(sql_table::topic_id)
}

async fn read_all(look: &mut Look, resource_type: &str) -> Result<Vec<Value>, Failure> {
    let search = Search {
        resource_type: resource_type.to_owned(),
        count: 100_000,
        ..Search::default()
    };
    let found = look.search(&search).await?;
    Ok(found
        .iter()
        .filter_map(|version| serde_json::from_slice(&version.resource).ok())
        .collect())
}

fn state(record: &DestinationRecord) -> &'static str {
    match record.state {
        DestinationState::Active => "active",
        DestinationState::Paused => "paused",
        DestinationState::Halted { .. } => "halted",
    }
}

fn document(record: &DestinationRecord, waiting: u64) -> Value {
    json!({
        "id": record.id,
        "state": state(record),
        "waiting": waiting,
        "delivered": record.counters.delivered,
        "rows": record.counters.rows,
        "attempts": record.counters.attempts,
        "dead_letters": record.counters.dead_letters,
        "possible_duplicates": record.counters.possible_duplicates,
        "offset": record.offset.to_string(),
        "generation": record.generation,
        "acked_at": record.acked_at.map(|time| time.to_string()),
        "last_errors": record.last_errors,
        "halted": match &record.state {
            DestinationState::Halted { code, message } => json!({ "code": code, "message": message }),
            _ => Value::Null,
        },
    })
}

fn text(shown: &[(DestinationRecord, u64)]) -> String {
    if shown.is_empty() {
        return "no destinations".to_owned();
    }
    let row = |(record, waiting): &(DestinationRecord, u64)| {
        let error = record
            .last_errors
            .first()
            .map(|error| format!("{} {}", error.at, error.message));
        vec![
            record.id.clone(),
            state(record).to_owned(),
            waiting.to_string(),
            record.counters.delivered.to_string(),
            record.counters.rows.to_string(),
            record.counters.dead_letters.to_string(),
            error.unwrap_or_default(),
        ]
    };
    let header = [
        "destination",
        "state",
        "waiting",
        "delivered",
        "rows",
        "dead letters",
        "last error",
    ];
    table(&header, &shown.iter().map(row).collect::<Vec<_>>())
}
