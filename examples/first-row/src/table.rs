//! A Delta table as any reader sees it: the log says which Parquet files hold the rows.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::Failure;

/// All rows of a table as it is now.
pub(crate) struct Table {
    batches: Vec<RecordBatch>,
    /// How many data files hold them.
    pub(crate) files: usize,
    /// How many commits made it.
    pub(crate) commits: usize,
}

impl Table {
    /// Reads a table: every commit of its log in order, then the files that are left.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let commits = commits(&folder.join("_delta_log"))?;
        let mut files = BTreeSet::new();
        for commit in &commits {
            for line in fs::read_to_string(commit)?.lines() {
                let action: Value = serde_json::from_str(line)?;
                if let Some(path) = action["add"]["path"].as_str() {
                    files.insert(percent_decode_str(path).decode_utf8()?.into_owned());
                } else if let Some(path) = action["remove"]["path"].as_str() {
                    files.remove(percent_decode_str(path).decode_utf8()?.as_ref());
                }
            }
        }
        let mut batches = Vec::new();
        for file in &files {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(folder.join(file))?)?.build()?;
            batches.extend(reader.collect::<Result<Vec<_>, _>>()?);
        }
        Ok(Self {
            batches,
            files: files.len(),
            commits: commits.len(),
        })
    }

    /// How many rows there are.
    pub(crate) fn row_count(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// The rows as text, with these columns.
    pub(crate) fn rows(&self, columns: &[&str]) -> Result<Vec<Vec<String>>, Failure> {
        let options = FormatOptions::default()
            .with_null("")
            .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.6f"));
        let mut rows = Vec::new();
        for batch in &self.batches {
            let mut cells = Vec::new();
            for column in columns {
                let array = batch
                    .column_by_name(column)
                    .ok_or(format!("the table has no column {column}"))?;
                cells.push(ArrayFormatter::try_new(array, &options)?);
            }
            for row in 0..batch.num_rows() {
                rows.push(cells.iter().map(|cell| cell.value(row).to_string()).collect());
            }
        }
        Ok(rows)
    }
}

fn commits(log: &Path) -> Result<Vec<PathBuf>, Failure> {
    let entries = fs::read_dir(log)?.collect::<Result<Vec<_>, _>>()?;
    let is_commit = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let mut commits: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).filter(is_commit).collect();
    commits.sort();
    Ok(commits)
}
