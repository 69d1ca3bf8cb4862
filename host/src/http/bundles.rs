//! `POST /fhir`: a Bundle of any type that asks for something.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use axum::response::Response;

use crate::config::ClientAccess;
use crate::intake::bundle::{self, At, Bundle, BundleRefusal, Kind};
use crate::intake::feed::notification::has_status;

use super::ask::Ask;
use super::batch::{self, Dispatch};
use super::entries::{self, Room};
use super::outcome::{Issue, Outcome};
use super::{App, ingest, rights, transaction};

/// Answers a Bundle. `max_entries` is the most that it may have.
pub(super) async fn answer(
    app: &Arc<App>,
    dispatch: &dyn Dispatch,
    ask: &Ask,
    max_entries: usize,
) -> Result<Response, Outcome> {
    if ask.method != Method::POST {
        return Err(Outcome::method_not_allowed("POST"));
    }
    ask.require_json()?;
    let Bundle { kind, entries } = parse(ask, max_entries).await?;
    let room = Room::default();
    match kind {
        Kind::Transaction => {
            let answers = transaction::transaction(app, dispatch, ask, entries, &room).await?;
            Ok(entries::bundle("transaction-response", &answers))
        }
        Kind::Batch => {
            let answers = batch::batch(dispatch, ask, &entries, &room).await;
            Ok(entries::bundle("batch-response", &answers))
        }
        Kind::Collection => {
            let puts: Vec<_> = entries.into_iter().map(bundle::put_of).collect();
            let answers = batch::batch(dispatch, ask, &puts, &room).await;
            Ok(entries::bundle("batch-response", &answers))
        }
        Kind::History | Kind::SubscriptionNotification if has_status(&entries) => {
            rights::require(ClientAccess::Resources, ask.access)?;
            let received = ingest::notification(app, ask, max_entries).await?;
            Ok(ingest::answer_of(&received))
        }
        Kind::History | Kind::SubscriptionNotification | Kind::Other => Err(At::of_kind().into()),
    }
}

/// Takes the Bundle apart, beside the threads that answer requests.
async fn parse(ask: &Ask, max_entries: usize) -> Result<Bundle, Outcome> {
    let text = ask.body.clone();
    let parsed = tokio::task::spawn_blocking(move || bundle::parse(&text, max_entries)).await;
    Ok(parsed.map_err(|_| Outcome::internal())??)
}

/// The answer to a refused Bundle or entry.
pub(super) fn refused(at: At) -> Outcome {
    let expression = at.expression();
    let outcome = match at.refusal {
        BundleRefusal::Resource(refusal) => Outcome::from(refusal),
        BundleRefusal::Query(error) => Outcome::from(error),
        BundleRefusal::Patch(refusal) => Outcome::from(refusal),
        refusal => {
            let (status, code) = status_of(&refusal);
            let issue = Issue::new(code, refusal.to_string()).at(expression);
            return Outcome::of(status, vec![issue]);
        }
    };
    match at.entry {
        Some(index) => outcome.below(&format!("Bundle.entry[{index}].{}", at.element)),
        None => outcome,
    }
}

fn status_of(refusal: &BundleRefusal) -> (StatusCode, &'static str) {
    use BundleRefusal as R;
    match refusal {
        R::Json(_) | R::Structure => (StatusCode::BAD_REQUEST, "structure"),
        R::Missing(_) => (StatusCode::BAD_REQUEST, "required"),
        R::Method | R::Url { .. } | R::Version(_) => (StatusCode::BAD_REQUEST, "value"),
        R::Criteria | R::PatchKind => (StatusCode::BAD_REQUEST, "not-supported"),
        R::TooManyEntries { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too-long"),
        R::NotABundle | R::NoStatus => (StatusCode::UNPROCESSABLE_ENTITY, "structure"),
        R::Kind | R::NotInTransaction => (StatusCode::UNPROCESSABLE_ENTITY, "not-supported"),
        R::Several => (StatusCode::PRECONDITION_FAILED, "multiple-matches"),
        R::NoTarget => (StatusCode::PRECONDITION_FAILED, "not-found"),
        R::OtherId => (StatusCode::BAD_REQUEST, "invalid"),
        R::Fixed => (StatusCode::METHOD_NOT_ALLOWED, "not-supported"),
        R::NothingToPatch => (StatusCode::NOT_FOUND, "not-found"),
        R::Query(_) | R::Patch(_) | R::Resource(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
    }
}
