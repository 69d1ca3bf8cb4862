//! Resources in, one `RecordBatch` out.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use crate::builder::ColumnBuilder;
use crate::error::{RowError, ViewError};
use crate::evaluate::{Flattener, Source};
use crate::output::{self, ColumnType, OutputType};
use crate::view::View;

/// What the store knows of a resource version that its JSON does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceMeta {
    /// When this version was written, in microseconds since 1970 (`getAidboxTs()`).
    pub ts: i64,
    /// When the resource was created, in microseconds since 1970 (`getAidboxCts()`).
    pub cts: i64,
    /// `created`, `updated`, `deleted` or `recreated` (`getAidboxStatus()`).
    pub status: String,
    /// The number of the change (`getAidboxTxid()`).
    pub txid: i64,
    /// Whether this version is the deletion; then every `forEach` is evaluated as `forEachOrNull`, so that a
    /// deleted resource keeps its marker row.
    pub deleted: bool,
}

/// What becomes of a date or dateTime without its day (`1970`, `1970-06`) in a typed column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartialDates {
    /// The start of its period; counted in [`RowBuilder::partial_dates`].
    #[default]
    Start,
    /// Null; counted as well.
    Null,
    /// The resource is refused.
    Refuse,
}

/// How rows are built.
#[derive(Debug, Clone)]
pub struct RowOptions {
    /// What becomes of partial dates.
    pub partial_dates: PartialDates,
    /// Whether a last column `is_deleted` (Int32, 0 or 1) is added from [`ResourceMeta::deleted`].
    pub is_deleted: bool,
    /// The most rows that one resource may give.
    pub max_rows_per_resource: usize,
    /// Whether resources are read with vector instructions where the machine has them. Without them everything is the
    /// same; only a comparison of the two has a use for that.
    pub vectors: bool,
}

impl Default for RowOptions {
    fn default() -> Self {
        Self {
            partial_dates: PartialDates::Start,
            is_deleted: false,
            max_rows_per_resource: 1_000_000,
            vectors: true,
        }
    }
}

/// Collects the rows of many resources into one `RecordBatch`.
///
/// All-or-nothing per resource: a refused one leaves the builder exactly as it was. Memory is reused from
/// resource to resource.
#[derive(Debug)]
pub struct RowBuilder {
    view: Arc<View>,
    types: Vec<ColumnType>,
    schema: SchemaRef,
    columns: Vec<ColumnBuilder>,
    is_deleted: Option<ColumnBuilder>,
    options: RowOptions,
    flattener: Flattener,
    rows: usize,
    partial_dates: u64,
}

impl RowBuilder {
    pub(crate) fn new(view: Arc<View>, types: &[ColumnType], options: RowOptions) -> Result<Self, ViewError> {
        let schema = output::schema(&view.columns, types, options.is_deleted)?;
        let deleted = ColumnType {
            output: OutputType::Int32,
            list: false,
        };
        Ok(Self {
            columns: types
                .iter()
                .map(|column_type| ColumnBuilder::new(*column_type))
                .collect(),
            is_deleted: options.is_deleted.then(|| ColumnBuilder::new(deleted)),
            flattener: Flattener::new(options.vectors),
            types: types.to_vec(),
            rows: 0,
            partial_dates: 0,
            view,
            schema,
            options,
        })
    }

    /// The schema of the batch, `is_deleted` included where asked for.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends the rows of one resource and answers how many they were.
    ///
    /// `resource` is JSON that was checked when it entered. A resource of another type, or one that the view's
    /// `where` excludes, gives 0 rows.
    ///
    /// # Errors
    /// The resource is refused, and the builder is as before. [`RowError::is_batch_full`] says that it is not the
    /// resource's fault: finish, and append it again.
    pub fn append(&mut self, resource: &[u8], meta: &ResourceMeta) -> Result<usize, RowError> {
        let source = Source {
            view: &self.view,
            types: &self.types,
            options: &self.options,
            meta,
        };
        let flat = self.flattener.flatten(source, resource)?;
        let most = flat.most_bytes();
        for (index, column) in self.columns.iter().enumerate() {
            let refuse = |error: RowError| error.at_column(&self.view.columns[index].name);
            column.check_room(&flat, index, most).map_err(refuse)?;
        }
        for (index, column) in self.columns.iter_mut().enumerate() {
            column.append(&flat, index);
        }
        if let Some(column) = &mut self.is_deleted {
            column.append_flag(meta.deleted, flat.rows());
        }
        self.rows += flat.rows();
        self.partial_dates += flat.partial_dates();
        Ok(flat.rows())
    }

    /// How many rows are held.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes the rows hold, for splitting batches.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.columns
            .iter()
            .chain(&self.is_deleted)
            .map(ColumnBuilder::bytes)
            .sum()
    }

    /// How many partial dates were filled up or made null since the builder was made.
    #[must_use]
    pub fn partial_dates(&self) -> u64 {
        self.partial_dates
    }

    /// Ends the batch and begins an empty one.
    ///
    /// # Errors
    /// Arrow refuses the columns, which would be a mistake of this crate.
    pub fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let columns = self
            .columns
            .iter_mut()
            .chain(&mut self.is_deleted)
            .map(ColumnBuilder::finish);
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{compiled, deletion, rows_with};
    use crate::{Code, print};

    const NAMES: &str = r#"{"resource":"Patient","select":[
        {"column":[{"name":"id","path":"id"}]},
        {"forEach":"name","column":[{"name":"nr","path":"%rowIndex"},{"name":"family","path":"family"},
                                    {"name":"fixed","path":"'x'"},{"name":"given","path":"given","collection":true}]}]}"#;
    const TWO: &str =
        r#"{"resourceType":"Patient","id":"a","name":[{"family":"A","given":["x","y"]},{"family":"B"}]}"#;
    const NONE: &str = r#"{"resourceType":"Patient","id":"b"}"#;

    fn live(view: &str, resource: &str) -> String {
        rows_with(view, resource, &ResourceMeta::default())
    }

    #[test]
    fn each_item_gives_a_row_and_nothing_gives_none() {
        let expected = r#"{"id":"a","nr":0,"family":"A","fixed":"x","given":["x","y"]}
{"id":"a","nr":1,"family":"B","fixed":"x","given":[]}"#;
        assert_eq!(live(NAMES, TWO), expected);
        assert_eq!(live(NAMES, NONE), "");
        assert_eq!(live(NAMES, r#"{"resourceType":"Group","id":"g","name":"x"}"#), "");
    }

    #[test]
    fn a_deleted_resource_keeps_a_row_where_for_each_finds_nothing() {
        let expected = r#"{"id":"b","nr":0,"family":null,"fixed":null,"given":[]}"#;
        assert_eq!(rows_with(NAMES, NONE, &deletion()), expected);
        let filtered = NAMES.replacen("\"select\"", "\"where\":[{\"path\":\"active\"}],\"select\"", 1);
        assert_eq!(rows_with(&filtered, NONE, &deletion()), "");
    }

    #[test]
    fn the_row_of_nothing_is_one_row_of_nulls_however_it_is_nested() {
        let view = r#"{"resource":"Patient","select":[{"column":[{"name":"id","path":"id"}]},
            {"forEachOrNull":"contact","column":[{"name":"nr","path":"%rowIndex"}],
             "select":[{"forEach":"telecom","column":[{"name":"tel","path":"value"},{"name":"t","path":"%rowIndex"}]}],
             "unionAll":[{"column":[{"name":"u","path":"'a'"}]},{"column":[{"name":"u","path":"'b'"}]}]}]}"#;
        assert_eq!(
            live(view, NONE),
            r#"{"id":"b","nr":0,"tel":null,"t":null,"u":null}"#
        );
    }

    #[test]
    fn a_refused_resource_leaves_the_builder_as_it_was() {
        let view = r#"{"resource":"Patient","select":[{"column":[{"name":"id","path":"id"},
            {"name":"family","path":"name.family"}]}]}"#;
        let view = compiled(view).unwrap();
        let mut rows = view.rows(&view.default_types(), RowOptions::default()).unwrap();
        rows.append(NONE.as_bytes(), &ResourceMeta::default()).unwrap();
        let before = (rows.rows(), rows.bytes());
        let error = rows.append(TWO.as_bytes(), &ResourceMeta::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "column `family` of row 0: several values in a column that holds one [VIEW-102]"
        );
        assert_eq!((rows.rows(), rows.bytes()), before);
        rows.append(NONE.as_bytes(), &ResourceMeta::default()).unwrap();
        let batch = rows.finish().unwrap();
        assert_eq!(batch.num_rows(), 2);
        assert_eq!((rows.rows(), rows.bytes()), (0, 0));
        assert_eq!(rows.finish().unwrap().num_rows(), 0);
    }

    #[test]
    fn broken_json_is_refused_wherever_it_breaks() {
        let view = compiled(NAMES).unwrap();
        let mut rows = view.rows(&view.default_types(), RowOptions::default()).unwrap();
        for end in 0..TWO.len() {
            let error = rows
                .append(&TWO.as_bytes()[..end], &ResourceMeta::default())
                .unwrap_err();
            assert_eq!(error.code, Code::MalformedResource, "{end}");
        }
        let deep = format!(r#"{{"resourceType":"Patient","name":{}"#, "[".repeat(100_000));
        assert_eq!(
            rows.append(deep.as_bytes(), &ResourceMeta::default())
                .unwrap_err()
                .code,
            Code::TooDeep
        );
        assert_eq!(rows.rows(), 0);
    }

    #[test]
    fn deletions_are_marked_in_a_last_column() {
        let view = compiled(NAMES).unwrap();
        let options = RowOptions {
            is_deleted: true,
            ..RowOptions::default()
        };
        let mut rows = view.rows(&view.default_types(), options).unwrap();
        rows.append(TWO.as_bytes(), &ResourceMeta::default()).unwrap();
        rows.append(NONE.as_bytes(), &deletion()).unwrap();
        let mut text = Vec::new();
        print::csv(&rows.finish().unwrap(), &mut text).unwrap();
        let expected = "a,0,A,x,\"[\"\"x\"\",\"\"y\"\"]\",0\na,1,B,x,[],0\nb,0,,,[],1\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn rows_that_multiply_are_bounded() {
        let view = r#"{"resource":"Patient","select":[{"forEach":"name","column":[{"name":"a","path":"family"}]},
            {"forEach":"name","column":[{"name":"b","path":"family"}]}]}"#;
        let view = compiled(view).unwrap();
        let options = RowOptions {
            max_rows_per_resource: 3,
            ..RowOptions::default()
        };
        let mut rows = view.rows(&view.default_types(), options).unwrap();
        let error = rows.append(TWO.as_bytes(), &ResourceMeta::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the resource gives more than 3 rows [VIEW-108]"
        );
    }

    #[test]
    fn repeat_ends_even_where_a_path_stays_in_place() {
        let view = |path: &str| {
            format!(
                r#"{{"resource":"Questionnaire","select":[{{"repeat":["{path}"],"column":[
                {{"name":"nr","path":"%rowIndex"}},{{"name":"link","path":"linkId"}}]}}]}}"#
            )
        };
        let resource = r#"{"resourceType":"Questionnaire","item":[{"linkId":"1","item":[{"item":[{"linkId":"1.1.1"}],
            "linkId":"1.1"}]},{"linkId":"2"}]}"#;
        let links = ["1", "1.1", "1.1.1", "2"].iter().enumerate();
        let expected: Vec<String> = links
            .map(|(nr, link)| format!(r#"{{"nr":{nr},"link":"{link}"}}"#))
            .collect();
        assert_eq!(live(&view("item"), resource), expected.join("\n"));
        assert_eq!(live(&view("$this.item"), resource), expected.join("\n"));
        let stuck = r#"{"resource":"Questionnaire","select":[{"repeat":["$this"],"column":[{"name":"id","path":"id"}]}]}"#;
        assert_eq!(
            live(stuck, r#"{"resourceType":"Questionnaire","id":"q"}"#),
            r#"{"id":"q"}"#
        );
    }

    #[test]
    fn output_types_must_fit_the_columns() {
        let view = compiled(NAMES).unwrap();
        let mut types = view.default_types();
        assert_eq!(view.schema(&types).unwrap().fields().len(), 5);
        types[0].list = true;
        let error = view.rows(&types, RowOptions::default()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "ViewDefinition.select[0].column[0]: column `id` is no collection, its output type is a list; use a list exactly \
             where `collection` is true [VIEW-040]"
        );
        assert!(view.schema(&types[1..]).is_err());
    }
}
