//! A view in the types that the target wants, and the rows of changes in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use lakefeed_plugin_api::{self as api, MappedSchema, ScalarType, ViewColumn, ViewSchema};
use lakefeed_view::{
    ColumnInfo, ColumnType, CompileOptions, OutputType, PartialDates, ResourceMeta, RowBuilder, RowError,
    RowOptions, View, ViewDefinition, ViewError, ViewErrors,
};

use super::spec::Keeps;
use crate::change::{Body, Change, Interaction, Version};

/// The column that says whether a resource was deleted; the host adds it to every view's rows.
const IS_DELETED: &str = "is_deleted";

/// Compiles a materialised view.
pub(crate) fn compile(definition: &ViewDefinition) -> Result<Arc<View>, ViewErrors> {
    View::compile(definition, &CompileOptions::default()).map(Arc::new)
}

/// The view's columns as a schema mapper is asked for them; where the history is kept `is_deleted` is the last.
pub(crate) fn view_schema(name: &str, view: &View, keeps: Keeps) -> ViewSchema {
    let mut columns: Vec<ViewColumn> = view.columns().iter().map(view_column).collect();
    if keeps == Keeps::History {
        columns.push(ViewColumn {
            name: IS_DELETED.to_owned(),
            fhir_type: "integer".to_owned(),
            collection: false,
            tags: BTreeMap::new(),
        });
    }
    ViewSchema {
        view: name.to_owned(),
        columns,
    }
}

fn view_column(column: &ColumnInfo) -> ViewColumn {
    let tags = column
        .tags
        .iter()
        .map(|tag| (tag.name.clone(), tag.value.clone()))
        .collect();
    ViewColumn {
        name: column.name.clone(),
        fhir_type: column.fhir_type.clone(),
        collection: column.collection,
        tags,
    }
}

/// Why a mapper's answer cannot be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MappingError {
    /// The mapper answered other columns than it was asked for.
    #[error(
        "the schema mapper answered other columns than the view has; it breaks the contract [DELIVERY-006]"
    )]
    Columns,
    /// `is_deleted` must be an integer.
    #[error(
        "the schema mapper does not keep `is_deleted` a 32-bit integer; it breaks the contract [DELIVERY-006]"
    )]
    IsDeleted,
    /// The view engine does not build these types.
    #[error("{0}")]
    Types(#[from] ViewError),
}

/// Builds rows of one view in one target's types.
#[derive(Debug)]
pub(crate) struct Flattener {
    builder: RowBuilder,
    /// The batches' schema as the contract spells it.
    schema: SchemaRef,
}

/// What became of one change in the view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flattened {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
    pub(crate) partial_dates: u64,
}

impl Flattener {
    /// Readies a view for the types that the mapper chose.
    pub(crate) fn new(
        view: &Arc<View>,
        mapped: &MappedSchema,
        partial_dates: PartialDates,
        keeps: Keeps,
    ) -> Result<Self, MappingError> {
        let types = column_types(view, mapped, keeps)?;
        let options = RowOptions {
            partial_dates,
            is_deleted: keeps == Keeps::History,
            ..RowOptions::default()
        };
        Ok(Self {
            builder: view.rows(&types, options)?,
            schema: mapped.to_arrow(),
        })
    }

    /// The schema of the batches.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Appends a change's rows. A delete repeats the last content with `is_deleted = 1`.
    pub(crate) fn append(&mut self, change: &Change) -> Result<Flattened, RowError> {
        let is_delete = change.interaction() == Interaction::Delete;
        self.append_version(&change.version.resource, &meta(&change.version, is_delete))
    }

    /// Appends the marker of a change that left the view: the content of the version before, marked as deleted,
    /// with the leaving version's own number and time.
    pub(crate) fn append_marker(&mut self, before: &Version, change: &Change) -> Result<Flattened, RowError> {
        let version = &change.version;
        let stamped = Body::parse(&before.resource)
            .map(|body| body.stamped(&version.key, version.sequence, version.last_updated))
            .unwrap_or_else(|_| before.resource.clone());
        self.append_version(&stamped, &meta(version, true))
    }

    /// Ends the batch; the next one begins empty.
    pub(crate) fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let rows = self.builder.finish()?;
        let spelled = rows.columns().iter().zip(self.schema.fields());
        let columns = spelled
            .map(|(column, field)| respelled(column, field.data_type()))
            .collect::<Result<_, _>>()?;
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }

    fn append_version(&mut self, resource: &[u8], meta: &ResourceMeta) -> Result<Flattened, RowError> {
        let (bytes, partial_dates) = (self.builder.bytes(), self.builder.partial_dates());
        let rows = self.builder.append(resource, meta)?;
        Ok(Flattened {
            rows,
            bytes: self.builder.bytes().saturating_sub(bytes),
            partial_dates: self.builder.partial_dates() - partial_dates,
        })
    }
}

/// The same values with the time zone spelled as the contract does; nothing is copied.
fn respelled(column: &ArrayRef, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
    match data_type {
        same if same == column.data_type() => Ok(Arc::clone(column)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let times = column.as_primitive::<TimestampMicrosecondType>().clone();
            Ok(Arc::new(times.with_timezone_opt(zone.clone())))
        }
        DataType::List(item) => {
            let list = column.as_list::<i32>();
            let values = respelled(list.values(), item.data_type())?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?))
        }
        _ => Ok(Arc::clone(column)),
    }
}

fn meta(version: &Version, deleted: bool) -> ResourceMeta {
    ResourceMeta {
        ts: version.last_updated.0,
        cts: version.created_at.0,
        status: version.status.as_str().to_owned(),
        txid: i64::try_from(version.sequence.0).unwrap_or(i64::MAX),
        deleted,
    }
}

/// The view engine's types for the view's own columns. `is_deleted` is built by the engine beside them.
fn column_types(view: &View, mapped: &MappedSchema, keeps: Keeps) -> Result<Vec<ColumnType>, MappingError> {
    let names = view
        .columns()
        .iter()
        .map(|column| column.name.as_str())
        .chain((keeps == Keeps::History).then_some(IS_DELETED));
    if !names.eq(mapped.columns.iter().map(|column| column.name.as_str())) {
        return Err(MappingError::Columns);
    }
    let mut types: Vec<ColumnType> = mapped
        .columns
        .iter()
        .map(|column| column_type(column.column_type))
        .collect();
    if keeps == Keeps::Newest {
        return Ok(types);
    }
    match types.pop() {
        Some(ColumnType {
            output: OutputType::Int32,
            list: false,
        }) => Ok(types),
        _ => Err(MappingError::IsDeleted),
    }
}

fn column_type(mapped: api::ColumnType) -> ColumnType {
    match mapped {
        api::ColumnType::Scalar(scalar) => ColumnType {
            output: output_type(scalar),
            list: false,
        },
        api::ColumnType::List(scalar) => ColumnType {
            output: output_type(scalar),
            list: true,
        },
    }
}

fn output_type(scalar: ScalarType) -> OutputType {
    match scalar {
        ScalarType::Utf8 => OutputType::Utf8,
        ScalarType::Date32 => OutputType::Date32,
        ScalarType::TimestampMicrosUtc => OutputType::TimestampMicros,
        ScalarType::Int32 => OutputType::Int32,
        ScalarType::Int64 => OutputType::Int64,
        ScalarType::Float64 => OutputType::Float64,
        ScalarType::Boolean => OutputType::Boolean,
        ScalarType::Binary => OutputType::Binary,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Matched, Offset, ResourceKey, Sequence, Timestamp, VersionStatus};
    use crate::delivery::standard;

    fn change(status: VersionStatus, resource: &str) -> Change {
        let version = Version {
            key: ResourceKey::new("Patient", "p").unwrap(),
            sequence: Sequence(1),
            status,
            last_updated: Timestamp(1_000_000),
            created_at: Timestamp(0),
            resource: resource.to_owned().into(),
            source: None,
        };
        Change {
            offset: Offset::START,
            version,
            matched: Matched::default(),
            previous: None,
        }
    }

    /// The rows of one change in the standard's types, as JSON.
    fn rows(columns: &str, change: &Change) -> String {
        let text = format!(
            r#"{{"resourceType":"ViewDefinition","name":"v","resource":"Patient","select":[{{"column":[{columns}]}}]}}"#
        );
        let view = compile(&ViewDefinition::parse(text.as_bytes()).unwrap()).unwrap();
        let mapped = standard::map(&view_schema("v", &view, Keeps::History));
        let mut flattener = Flattener::new(&view, &mapped, PartialDates::Start, Keeps::History).unwrap();
        flattener.append(change).unwrap();
        let rows = flattener.finish().unwrap();
        assert_eq!(rows.schema(), flattener.schema());
        let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
        writer.write(&rows).unwrap();
        String::from_utf8(writer.into_inner()).unwrap().trim().to_owned()
    }

    #[test]
    fn columns_come_in_the_types_and_the_spelling_that_the_target_was_opened_with() {
        let columns = r#"{"name":"at","path":"meta.lastUpdated"},{"name":"born","path":"birthDate"},
            {"name":"given","path":"name.given","collection":true}"#;
        let resource = r#"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2026-01-02T03:04:05.000006Z"},
            "birthDate":"1970-01-02","name":[{"given":["A","B"]}]}"#;
        assert_eq!(
            rows(columns, &change(VersionStatus::Created, resource)),
            r#"{"at":"2026-01-02T03:04:05.000006Z","born":"1970-01-02","given":["A","B"],"is_deleted":0}"#
        );
    }

    #[test]
    fn a_delete_repeats_the_last_values_as_deleted() {
        let deleted = change(VersionStatus::Deleted, r#"{"resourceType":"Patient","id":"p"}"#);
        assert_eq!(
            rows(r#"{"name":"id","path":"id"}"#, &deleted),
            r#"{"id":"p","is_deleted":1}"#
        );
    }
}
