//! What a statement answers, as manifest and chunks.

use serde_json::{Value, json};

use crate::types::SqlType;

/// How many rows a chunk has at most.
const CHUNK: usize = 5_000;

/// Rows that a statement answers with.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    pub(super) columns: Vec<(String, SqlType)>,
    pub(super) rows: Vec<Vec<Option<String>>>,
    pub(super) truncated: bool,
}

impl Output {
    /// What a statement that defines something answers.
    pub(super) fn nothing() -> Self {
        Self::default()
    }

    /// One row of counts.
    pub(super) fn counts(counts: &[(&str, usize)]) -> Self {
        Self {
            columns: counts
                .iter()
                .map(|(name, _)| ((*name).to_owned(), SqlType::BigInt))
                .collect(),
            rows: vec![counts.iter().map(|(_, count)| Some(count.to_string())).collect()],
            truncated: false,
        }
    }

    /// Rows of texts.
    pub(super) fn texts(names: &[&str], rows: Vec<Vec<Option<String>>>) -> Self {
        Self {
            columns: names
                .iter()
                .map(|name| ((*name).to_owned(), SqlType::String))
                .collect(),
            rows,
            truncated: false,
        }
    }

    /// Cuts to so many rows, and to so many bytes of text.
    pub(super) fn limit(&mut self, rows: Option<usize>, bytes: Option<usize>) {
        let mut keep = rows.map_or(self.rows.len(), |rows| rows.min(self.rows.len()));
        if let Some(bytes) = bytes {
            let mut left = bytes;
            let fit = self.rows.iter().take_while(|row| {
                let size = row.iter().flatten().map(String::len).sum();
                let fits = size <= left;
                left = left.saturating_sub(size);
                fits
            });
            keep = keep.min(fit.count());
        }
        self.truncated = keep < self.rows.len() || rows == Some(0);
        self.rows.truncate(keep);
    }

    /// How much text there is.
    pub(super) fn bytes(&self) -> usize {
        self.rows
            .iter()
            .flatten()
            .flatten()
            .map(|text| text.len() + 3)
            .sum()
    }

    fn chunk_count(&self) -> usize {
        self.rows.len().div_ceil(CHUNK)
    }

    pub(super) fn manifest(&self) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .enumerate()
            .map(|(position, (name, sql_type))| {
                let mut column = json!({
                    "name": name,
                    "type_text": sql_type.sql(),
                    "type_name": sql_type.type_name(),
                    "position": position,
                });
                if let SqlType::Decimal(precision, scale) = sql_type {
                    column["type_precision"] = json!(precision);
                    column["type_scale"] = json!(scale);
                }
                column
            })
            .collect();
        let mut schema = json!({ "column_count": columns.len() });
        if !columns.is_empty() {
            schema["columns"] = json!(columns);
        }
        let mut manifest = json!({
            "format": "JSON_ARRAY",
            "schema": schema,
            "total_chunk_count": self.chunk_count(),
        });
        if self.chunk_count() > 0 {
            let chunks: Vec<Value> = (0..self.chunk_count())
                .map(|index| {
                    json!({
                        "chunk_index": index,
                        "row_offset": index * CHUNK,
                        "row_count": self.chunk_rows(index).len(),
                    })
                })
                .collect();
            manifest["chunks"] = json!(chunks);
        }
        manifest["total_row_count"] = json!(self.rows.len());
        manifest["truncated"] = json!(self.truncated);
        manifest
    }

    fn chunk_rows(&self, index: usize) -> &[Vec<Option<String>>] {
        let start = (index * CHUNK).min(self.rows.len());
        let end = (start + CHUNK).min(self.rows.len());
        &self.rows[start..end]
    }

    /// A chunk; none if there are fewer. The first of no rows is an empty object.
    pub(super) fn chunk(&self, statement_id: &str, index: usize) -> Option<Value> {
        if index == 0 && self.rows.is_empty() {
            return Some(json!({}));
        }
        if index >= self.chunk_count() {
            return None;
        }
        let rows = self.chunk_rows(index);
        let mut chunk = json!({
            "chunk_index": index,
            "row_offset": index * CHUNK,
            "row_count": rows.len(),
        });
        if index + 1 < self.chunk_count() {
            let (next, offset) = (index + 1, (index + 1) * CHUNK);
            chunk["next_chunk_index"] = json!(next);
            chunk["next_chunk_internal_link"] = json!(format!(
                "/api/2.0/sql/statements/{statement_id}/result/chunks/{next}?row_offset={offset}"
            ));
        }
        chunk["data_array"] = json!(rows);
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(rows: usize) -> Output {
        Output::texts(&["a"], (0..rows).map(|row| vec![Some(row.to_string())]).collect())
    }

    #[test]
    fn rows_come_in_chunks_that_name_the_next() {
        let output = output(CHUNK + 1);
        assert_eq!(output.manifest()["total_chunk_count"], 2);
        let first = output.chunk("s", 0).unwrap();
        assert_eq!(first["next_chunk_index"], 1);
        let second = output.chunk("s", 1).unwrap();
        assert_eq!(second["data_array"], json!([["5000"]]));
        assert!(second.get("next_chunk_index").is_none());
        assert!(output.chunk("s", 2).is_none());
    }

    #[test]
    fn no_rows_have_columns_and_no_chunk() {
        let manifest = output(0).manifest();
        assert_eq!(manifest["total_chunk_count"], 0);
        assert!(manifest.get("chunks").is_none());
        assert_eq!(manifest["schema"]["column_count"], 1);
        assert_eq!(output(0).chunk("s", 0), Some(json!({})));
        let nothing = Output::nothing().manifest();
        assert_eq!(nothing["schema"], json!({"column_count": 0}));
    }

    #[test]
    fn a_limit_of_rows_truncates() {
        let mut cut = output(3);
        cut.limit(Some(2), None);
        assert!(cut.truncated && cut.rows.len() == 2);
        let mut whole = output(3);
        whole.limit(Some(3), None);
        assert!(!whole.truncated);
        let mut none = output(3);
        none.limit(Some(0), None);
        assert!(none.truncated && none.rows.is_empty());
    }
}
