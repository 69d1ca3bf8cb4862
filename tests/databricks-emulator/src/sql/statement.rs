//! A statement that was submitted: its state, and waiting for it.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::error::SqlError;
use super::output::Output;
use crate::sync::lock;

/// Where a statement is.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// The warehouse starts.
    Pending,
    Running,
    Succeeded(Box<Output>),
    Failed(SqlError),
    Canceled,
    Closed,
}

impl State {
    fn name(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded(_) => "SUCCEEDED",
            Self::Failed(_) => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Closed => "CLOSED",
        }
    }

    pub(super) fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A statement by its id.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: String,
    /// Whose it is: nobody else finds it.
    pub(super) principal: String,
    state: watch::Sender<State>,
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

impl Running {
    pub(super) fn new(principal: &str) -> Self {
        let random = uuid::Uuid::new_v4().to_string();
        Self {
            // Of the form of version 1, as the service's are.
            id: format!("01f1{}1{}", &random[4..14], &random[15..]),
            principal: principal.to_owned(),
            state: watch::channel(State::Pending).0,
            task: Mutex::new(None),
        }
    }

    /// Remembers what runs it, so that it can be cancelled.
    pub(super) fn is_run_by(&self, task: tokio::task::AbortHandle) {
        *lock(&self.task) = Some(task);
    }

    pub(super) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Goes on to a state, unless the statement has ended.
    pub(super) fn go(&self, state: State) {
        self.state.send_if_modified(|current| {
            let goes = !current.is_final();
            if goes {
                *current = state;
            }
            goes
        });
    }

    /// Ends it where it is.
    pub(super) fn cancel(&self) {
        self.go(State::Canceled);
        if let Some(task) = lock(&self.task).take() {
            task.abort();
        }
    }

    /// Waits until the statement has ended, at most so long.
    pub(super) async fn wait(&self, at_most: Duration) {
        let mut state = self.state.subscribe();
        // Whether it ended or the time is over, the state says.
        drop(tokio::time::timeout(at_most, state.wait_for(State::is_final)).await);
    }

    /// The statement as the API tells it.
    pub(super) fn told(&self) -> Value {
        let state = self.state();
        let mut told = json!({"statement_id": self.id, "status": {"state": state.name()}});
        match &state {
            State::Failed(error) => {
                told["status"]["error"] = json!({"error_code": "BAD_REQUEST", "message": error.text()});
                told["status"]["sql_state"] = json!(error.sql_state);
            }
            State::Succeeded(output) => {
                told["manifest"] = output.manifest();
                told["result"] = output.chunk(&self.id, 0).unwrap_or_else(|| json!({}));
            }
            _ => {}
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_statement_stays_as_it_ended() {
        let running = Running::new("p");
        assert!(
            running.id.starts_with("01f1") && running.id.len() == 36,
            "{}",
            running.id
        );
        running.cancel();
        running.go(State::Running);
        assert_eq!(running.told()["status"], json!({"state": "CANCELED"}));
    }

    #[test]
    fn a_failed_statement_has_its_class_in_the_message_only() {
        let running = Running::new("p");
        running.go(State::Failed(SqlError::no_table("c.s.t")));
        let told = running.told();
        assert_eq!(told["status"]["error"]["error_code"], "BAD_REQUEST");
        assert_eq!(told["status"]["sql_state"], "42P01");
        let message = told["status"]["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("[TABLE_OR_VIEW_NOT_FOUND] "), "{message}");
        assert!(told.get("manifest").is_none());
    }
}
