//! An import that goes on after it was answered: what it is to do and how far it is. Pure, and kept in the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::change::{ResourceKey, Timestamp};
use crate::intake::OnInvalid;
use crate::intake::ndjson::{BadLine, ImportSummary};

use super::LoadRefusal;

/// The most inputs of one import.
const MAX_INPUTS: usize = 1000;
/// The most refused lines that an input lists; all are counted.
pub(super) const LISTED_LINES: usize = 100;
/// How often an input is begun again after it could not be read, unless the request says it.
const RETRIES: u32 = 2;

/// An import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// How far it is.
    pub status: JobStatus,
    /// What is imported, in order.
    pub inputs: Vec<JobInput>,
    /// Whether topics are asked which of them want the changes.
    pub records_changes: bool,
    /// Whether resources are taken that are not valid FHIR R4.
    pub takes_invalid: bool,
    /// How often an input is begun again after it could not be read.
    pub retries: u32,
    /// When it was asked for.
    pub asked: String,
    /// When it ended.
    pub ended: Option<String>,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStatus {
    /// Others are before it.
    Waiting,
    /// It is under way. After a restart of the host it goes on where it was noted last.
    InProgress,
    /// It ended.
    Done,
    /// It ended, and an input could not be read to its end.
    Failed,
}

/// One source of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInput {
    /// The type of all its resources, if the request says one.
    pub resource_type: Option<String>,
    /// Where it is.
    pub url: String,
    /// Whether it was read to its end.
    pub is_done: bool,
    /// Lines that are done with.
    pub lines: u64,
    /// Resources that were stored, by type.
    pub stored: BTreeMap<String, u64>,
    /// Those that were stored although they are not valid FHIR R4.
    pub invalid: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// The first of them.
    pub bad_lines: Vec<ListedLine>,
    /// Why it was not read to its end.
    pub problem: Option<String>,
}

/// A refused line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLine {
    /// Its number, from 1.
    pub line: u64,
    /// Why; says nothing of what is in it.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    id: Option<String>,
    content_encoding: Option<String>,
    #[serde(default)]
    inputs: Vec<WrittenInput>,
    record_changes: Option<bool>,
    invalid: Option<String>,
    allowed_retry_count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenInput {
    resource_type: Option<String>,
    url: String,
}

impl Job {
    /// Reads what `$import` is asked. Members of Aidbox's that have no meaning here (`update`: every version is kept)
    /// are passed over.
    pub fn parse(text: &[u8], now: Timestamp) -> Result<Self, LoadRefusal> {
        let written: Written = serde_json::from_slice(text).map_err(|_| LoadRefusal::Form)?;
        if written.inputs.is_empty() || written.inputs.len() > MAX_INPUTS {
            return Err(LoadRefusal::Inputs { most: MAX_INPUTS });
        }
        check_encoding(written.content_encoding.as_deref())?;
        let id = written.id.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        if !ResourceKey::is_id(&id) {
            return Err(LoadRefusal::Id);
        }
        let input = |input: WrittenInput| JobInput {
            resource_type: input.resource_type,
            url: input.url,
            ..JobInput::default()
        };
        Ok(Self {
            id,
            status: JobStatus::Waiting,
            inputs: written.inputs.into_iter().map(input).collect(),
            records_changes: written.record_changes.unwrap_or(true),
            takes_invalid: on_invalid(written.invalid.as_deref())? == OnInvalid::Report,
            retries: written.allowed_retry_count.unwrap_or(RETRIES).min(10),
            asked: now.to_string(),
            ended: None,
        })
    }

    /// Whether nothing is left to do.
    pub fn is_over(&self) -> bool {
        matches!(self.status, JobStatus::Done | JobStatus::Failed)
    }

    /// The next input that is to be read.
    pub(super) fn next(&self) -> Option<usize> {
        self.inputs
            .iter()
            .position(|input| !input.is_done && input.problem.is_none())
    }

    /// Ends the import.
    pub(super) fn end(&mut self, now: Timestamp) {
        let is_failed = self.inputs.iter().any(|input| input.problem.is_some());
        self.status = match is_failed {
            true => JobStatus::Failed,
            false => JobStatus::Done,
        };
        self.ended = Some(now.to_string());
    }

    /// As it is answered: Aidbox's members, then the counts.
    pub fn to_json(&self) -> Value {
        let (status, outcome) = match self.status {
            JobStatus::Waiting => ("waiting", None),
            JobStatus::InProgress => ("in-progress", None),
            JobStatus::Done => ("done", Some("succeeded")),
            JobStatus::Failed => ("done", Some("failed")),
        };
        let mut answer = json!({
            "resourceType": "BulkImportStatus",
            "id": self.id,
            "status": status,
            "type": "fhir",
            "inputs": self.inputs.iter().map(|input| input.to_json(self.status)).collect::<Vec<_>>(),
            "requestTime": self.asked,
        });
        if let Some(outcome) = outcome {
            answer["outcome"] = outcome.into();
            answer["transactionTime"] = self.ended.clone().into();
        }
        answer
    }
}

impl JobInput {
    /// Adds what one reading of it came to.
    pub(super) fn add(&mut self, summary: &ImportSummary) {
        for (name, count) in &summary.by_type {
            *self.stored.entry(name.clone()).or_default() += count;
        }
        self.lines = self.lines.max(summary.progress.lines);
        self.invalid += summary.progress.invalid;
        self.refused += summary.progress.refused;
        let room = LISTED_LINES.saturating_sub(self.bad_lines.len());
        let listed = summary.bad_lines.iter().take(room);
        self.bad_lines.extend(listed.map(ListedLine::of));
    }

    fn to_json(&self, status: JobStatus) -> Value {
        let status = match (&self.problem, self.is_done, status) {
            (Some(_), ..) => "failed",
            (None, true, _) => "done",
            (None, false, JobStatus::InProgress) if self.lines > 0 => "in-progress",
            _ => "waiting",
        };
        let mut answer = json!({
            "url": self.url,
            "status": status,
            "total": self.stored.values().sum::<u64>(),
            "stored": self.stored,
            "refused": self.refused,
        });
        if let Some(name) = &self.resource_type {
            answer["resourceType"] = name.as_str().into();
        }
        if self.invalid > 0 {
            answer["invalid"] = self.invalid.into();
        }
        if !self.bad_lines.is_empty() {
            answer["lines"] = json!(self.bad_lines);
        }
        if let Some(problem) = &self.problem {
            answer["problem"] = problem.as_str().into();
        }
        answer
    }
}

impl ListedLine {
    /// A bad line as it is listed.
    pub fn of(bad: &BadLine) -> Self {
        Self {
            line: bad.line,
            problem: bad.refusal.to_string(),
        }
    }
}

/// What becomes of invalid resources: `refuse` unless it says `report`.
pub fn on_invalid(word: Option<&str>) -> Result<OnInvalid, LoadRefusal> {
    match word {
        None | Some("refuse") => Ok(OnInvalid::Refuse),
        Some("report") => Ok(OnInvalid::Report),
        Some(_) => Err(LoadRefusal::Invalid),
    }
}

/// What is compressed is seen by its first bytes, so that this is only looked at for what cannot be read at all.
fn check_encoding(word: Option<&str>) -> Result<(), LoadRefusal> {
    match word {
        None | Some("gzip" | "plain") => Ok(()),
        Some(_) => Err(LoadRefusal::Encoding),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let parsed = Job::parse(text.as_bytes(), Timestamp(0));
        let answer = parsed.map_or_else(
            |refusal| refusal.to_string(),
            |job| format!("{} {} {}", job.id, job.inputs.len(), job.records_changes),
        );
        assert!(answer.contains(expect), "{answer}");
    }

    #[test]
    fn an_import_is_read_or_refused_with_what_to_write() {
        let input = r#""inputs":[{"resourceType":"Patient","url":"http://h/p.gz"}]"#;
        check(
            &format!(r#"{{"id":"a","contentEncoding":"gzip",{input},"update":true}}"#),
            "a 1 true",
        );
        check(
            &format!(r#"{{"id":"a",{input},"recordChanges":false}}"#),
            "a 1 false",
        );
        check(r#"{"id":"a"}"#, "INTAKE-061");
        check("[]", "INTAKE-060");
        check(&format!(r#"{{"id":"a b",{input}}}"#), "INTAKE-062");
        check(&format!(r#"{{"contentEncoding":"br",{input}}}"#), "INTAKE-063");
        check(&format!(r#"{{"invalid":"ignore",{input}}}"#), "INTAKE-064");
    }

    #[test]
    fn an_import_with_an_input_that_failed_has_failed() {
        let text = r#"{"id":"a","inputs":[{"url":"a"},{"url":"b"}]}"#;
        let mut job = Job::parse(text.as_bytes(), Timestamp(0)).unwrap();
        assert_eq!(job.next(), Some(0));
        job.inputs[0].is_done = true;
        job.inputs[1].problem = Some("gone".to_owned());
        assert_eq!(job.next(), None);
        job.end(Timestamp(0));
        let answer = job.to_json();
        assert_eq!(
            (&answer["status"], &answer["outcome"]),
            (&json!("done"), &json!("failed"))
        );
        assert_eq!(answer["inputs"][1]["status"], "failed");
    }
}
