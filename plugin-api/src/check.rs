//! A preflight: does this destination work, and if not, what is missing?

use std::future::Future;

use serde::{Deserialize, Serialize};

/// How far a check may go. Each level contains those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckLevel {
    /// Look at the parameters only: no I/O.
    Config,
    /// Reach the target and sign in.
    Connect,
    /// Ask the target for the rights that delivery needs.
    Permissions,
    /// Write something harmless and remove it.
    WriteProbe,
}

/// How one question was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// It works, and the operator should know something.
    Warning,
    /// Delivery would fail.
    Failed,
    /// Not asked, because an earlier answer made it pointless or it cannot be asked.
    Skipped,
}

/// One question and its answer. May be logged: no row values, no secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckItem {
    /// What was asked, such as `the folder can be written`.
    pub name: String,
    /// The answer.
    pub verdict: Verdict,
    /// A stable code; empty when passed.
    #[serde(default)]
    pub code: String,
    /// What is wrong.
    #[serde(default)]
    pub message: String,
    /// What to do.
    #[serde(default)]
    pub hint: String,
}

/// All questions and answers, in the order in which they were asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// The items.
    pub items: Vec<CheckItem>,
}

impl CheckReport {
    /// Whether nothing failed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.items.iter().all(|item| item.verdict != Verdict::Failed)
    }

    /// Adds something that is as it should be.
    pub fn passed(&mut self, name: impl Into<String>) {
        self.add(name.into(), Verdict::Passed, "", String::new(), "");
    }

    /// Adds a failure, with its remedy.
    pub fn failed(&mut self, name: impl Into<String>, code: &str, message: impl Into<String>, hint: &str) {
        self.add(name.into(), Verdict::Failed, code, message.into(), hint);
    }

    /// Adds a warning, with its remedy.
    pub fn warning(&mut self, name: impl Into<String>, code: &str, message: impl Into<String>, hint: &str) {
        self.add(name.into(), Verdict::Warning, code, message.into(), hint);
    }

    fn add(&mut self, name: String, verdict: Verdict, code: &str, message: String, hint: &str) {
        self.items.push(CheckItem {
            name,
            verdict,
            code: code.into(),
            message,
            hint: hint.into(),
        });
    }
}

/// A preflight (interface `lakefeed.check/0`). May run before `open` and beside writes; leaves nothing behind.
pub trait Check: Send + Sync + 'static {
    /// Answers every question up to the level. A failure is an item of the report, so there is no error.
    fn check(&self, level: CheckLevel) -> impl Future<Output = CheckReport> + Send;
}
