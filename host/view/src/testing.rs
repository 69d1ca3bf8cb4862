//! Data in, text out: what the unit tests of this crate share.

use std::sync::Arc;

use crate::{
    ColumnType, CompileOptions, Criterion, OutputType, PartialDates, Referenced, ResourceMeta, RowOptions,
    Verdict, Versions, View, ViewDefinition, print,
};

/// A deleted version.
pub(crate) fn deletion() -> ResourceMeta {
    ResourceMeta {
        deleted: true,
        status: "deleted".to_owned(),
        ..ResourceMeta::default()
    }
}

/// Compiles a definition, or says what is wrong with it.
pub(crate) fn compiled(view: &str) -> Result<Arc<View>, String> {
    ViewDefinition::parse(view.as_bytes())
        .and_then(|definition| View::compile(&definition, &CompileOptions::default()))
        .map(Arc::new)
        .map_err(|errors| errors.to_string())
}

/// The rows of one resource as NDJSON, or the error.
pub(crate) fn rows_with(view: &str, resource: &str, meta: &ResourceMeta) -> String {
    let view = match compiled(view) {
        Ok(view) => view,
        Err(errors) => return errors,
    };
    let mut rows = view.rows(&view.text_types(), RowOptions::default()).unwrap();
    if let Err(error) = rows.append(resource.as_bytes(), meta) {
        assert_eq!(rows.rows(), 0);
        return error.to_string();
    }
    let mut text = Vec::new();
    print::ndjson(&rows.finish().unwrap(), &mut text).unwrap();
    String::from_utf8(text).unwrap().trim_end().to_owned()
}

/// The value of one expression over a resource, as the JSON of a collection; or the error.
pub(crate) fn value(resource: &str, path: &str) -> String {
    let view = serde_json::json!({
        "resource": kind(resource),
        "select": [{"column": [{"name": "v", "path": path, "collection": true}]}],
    });
    let meta = ResourceMeta {
        ts: 1_700_000_000_123_456,
        cts: 0,
        status: "created".to_owned(),
        txid: 7,
        deleted: false,
    };
    let row = rows_with(&view.to_string(), resource, &meta);
    let inner = row
        .strip_prefix("{\"v\":")
        .and_then(|rest| rest.strip_suffix('}'));
    inner.map_or_else(
        || row.replace("view without a name: ViewDefinition.select[0].column[0]", ""),
        str::to_owned,
    )
}

/// One value put into a column of an output type, printed; or the error, and how many partial dates there were.
pub(crate) fn coerced(resource: &str, path: &str, output: OutputType, partial_dates: PartialDates) -> String {
    let view = serde_json::json!({
        "resource": kind(resource), "select": [{"column": [{"name": "v", "path": path}]}],
    });
    let view = compiled(&view.to_string()).unwrap();
    let options = RowOptions {
        partial_dates,
        ..RowOptions::default()
    };
    let mut rows = view.rows(&[ColumnType { output, list: false }], options).unwrap();
    if let Err(error) = rows.append(resource.as_bytes(), &ResourceMeta::default()) {
        return error.to_string();
    }
    let partials = rows.partial_dates();
    let mut text = Vec::new();
    print::csv(&rows.finish().unwrap(), &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let counted = if partials > 0 {
        format!(" ({partials} partial)")
    } else {
        String::new()
    };
    format!("{}{counted}", text.trim_end())
}

/// Whether a criterion fires for a change of a Patient; or why it does not compile.
pub(crate) fn fires(criterion: &str, current: Option<&str>, previous: Option<&str>) -> String {
    fires_among(criterion, current, previous, &[])
}

/// The same for a change of any resource among others. One that stands there with `?` before it is not at hand.
pub(crate) fn fires_among(
    criterion: &str,
    current: Option<&str>,
    previous: Option<&str>,
    others: &[&str],
) -> String {
    let context = current.or(previous).unwrap();
    let criterion = match Criterion::compile(criterion, kind(context)) {
        Ok(criterion) => criterion,
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            return errors.join("\n");
        }
    };
    let versions = Versions {
        current: current.map(str::as_bytes),
        previous: previous.map(str::as_bytes),
        context: context.as_bytes(),
    };
    let find = |resource_type: &str, id: &str| {
        let start = format!(r#"{{"resourceType":"{resource_type}","id":"{id}""#);
        let found = others
            .iter()
            .find(|other| other.trim_start_matches('?').starts_with(&start));
        match found {
            None => Referenced::Nothing,
            Some(other) if other.starts_with('?') => Referenced::NotAtHand,
            Some(other) => Referenced::Resource(other.as_bytes()),
        }
    };
    match criterion.matches(versions, &ResourceMeta::default(), &find) {
        Ok(Verdict::Fires) => "true".to_owned(),
        Ok(Verdict::Silent) => "false".to_owned(),
        Ok(Verdict::Unknown) => "unknown".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// The type of a resource, also of one that serde would refuse.
fn kind(resource: &str) -> &str {
    let (_, rest) = resource.split_once("\"resourceType\":\"").unwrap();
    rest.split('"').next().unwrap()
}
