//! What is checked of a destination while its creation waits for an answer.

use lakefeed_plugin_api::{Category, CheckItem, CheckLevel, CheckReport, PluginError, Verdict};

use super::drift::{self, Shape};
use super::flatten::{self, Flattener};
use super::interrupt::words;
use super::spec::{DestinationSpec, Place};
use super::target::{Target, Targets};
use super::timed::Timed;

/// Why a destination cannot be created. Says which parameter to look at; holds no data and no secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// The view does not compile, or not in the types that the target wants.
    #[error("{message} [{code}]")]
    View {
        /// A stable code.
        code: String,
        /// What is wrong and what to write instead; one line for each mistake.
        message: String,
    },
    /// A plugin refused the parameters, or a table that does not fit.
    #[error("{message} [{code}]")]
    Target {
        /// The parameter to look at.
        parameter: String,
        /// A stable code; the plugin's own where it has one.
        code: String,
        /// What is wrong and what to do.
        message: String,
        /// Whether the same request may succeed later unchanged.
        is_retryable: bool,
    },
}

impl BootstrapError {
    /// The destination parameter to look at.
    pub fn parameter(&self) -> &str {
        match self {
            Self::View { .. } => "viewDefinition",
            Self::Target { parameter, .. } => parameter,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        match self {
            Self::View { code, .. } | Self::Target { code, .. } => code,
        }
    }
}

/// Walks the way to the first row without writing one.
pub(crate) async fn check(targets: &dyn Targets, spec: &DestinationSpec) -> Result<(), BootstrapError> {
    let view = std::sync::Arc::clone(&spec.view.borrow());
    let compiled = flatten::compile(&view.definition).map_err(|errors| BootstrapError::View {
        code: errors
            .errors
            .first()
            .map_or_else(String::new, |error| error.code.to_string()),
        message: errors.to_string(),
    })?;
    let mut target = Timed::new(targets.target(spec), spec.target.call_timeout);
    let mapped = target
        .map(&flatten::view_schema(&view.name, &compiled, spec.target.keeps))
        .await
        .map_err(|error| refused(&error, spec, "viewDefinition"))?;
    let flattener = Flattener::new(&compiled, &mapped, spec.target.partial_dates, spec.target.keeps)
        .map_err(|error| BootstrapError::View {
            code: "DELIVERY-006".to_owned(),
            message: error.to_string(),
        })?;
    let shape = Shape {
        mapped,
        schema: flattener.schema(),
        schema_id: 1,
    };
    let opened = drift::open(&mut target, &shape, spec.target.auto_evolve).await;
    let checked = match &opened {
        Err(error) if error.category != Category::AuthDenied => Ok(CheckReport::default()),
        // What was refused may have a line that says which grant to give.
        _ => target.check(CheckLevel::Permissions).await,
    };
    target.close().await;
    let lines = |report: &CheckReport, verdicts: &[Verdict]| {
        let told = report
            .items
            .iter()
            .filter(|item| verdicts.contains(&item.verdict));
        told.map(line).collect::<Vec<_>>()
    };
    match (opened, checked) {
        (Err(error), checked) => {
            let mut refused = refused(&error, spec, table_parameter(spec));
            if let (BootstrapError::Target { message, .. }, Ok(report)) = (&mut refused, checked) {
                let lines = lines(&report, &[Verdict::Failed, Verdict::Warning]);
                message.extend(lines.into_iter().map(|line| format!("; {line}")));
            }
            Err(refused)
        }
        (Ok(_), Err(error)) => Err(refused(&error, spec, table_parameter(spec))),
        (Ok(_), Ok(report)) if report.is_good() => Ok(()),
        (Ok(_), Ok(report)) => {
            let message = lines(&report, &[Verdict::Failed]).join("; ");
            Err(BootstrapError::Target {
                parameter: named_parameter(&message, spec, table_parameter(spec)),
                code: "DELIVERY-014".to_owned(),
                message,
                is_retryable: false,
            })
        }
    }
}

/// Asks a destination's writer whether it works, and changes nothing.
pub(crate) async fn preflight(
    targets: &dyn Targets,
    spec: &DestinationSpec,
) -> Result<CheckReport, PluginError> {
    let mut target = Timed::new(targets.target(spec), spec.target.call_timeout);
    let report = target.check(CheckLevel::Permissions).await;
    target.close().await;
    report
}

fn line(item: &CheckItem) -> String {
    match item.hint.is_empty() {
        true => format!("{}: {} [{}]", item.name, item.message, item.code),
        false => format!("{}: {} ({}) [{}]", item.name, item.message, item.hint, item.code),
    }
}

fn refused(error: &PluginError, spec: &DestinationSpec, otherwise: &'static str) -> BootstrapError {
    let parameter = match error.category {
        Category::PluginPanic | Category::PluginCrashed | Category::PluginContract => "writeMode",
        Category::SchemaMismatch | Category::SchemaIncompatible => table_parameter(spec),
        _ => otherwise,
    };
    let message = words(error);
    BootstrapError::Target {
        parameter: named_parameter(&message, spec, parameter),
        code: error.code.clone(),
        message,
        is_retryable: matches!(
            error.category,
            Category::Throttled | Category::RemoteUnavailable | Category::Deadline | Category::Cancelled
        ),
    }
}

/// The parameter that a plugin's words name first between backquotes.
fn named_parameter(words: &str, spec: &DestinationSpec, otherwise: &str) -> String {
    let Place::Plugins(place) = &spec.target.place else {
        return otherwise.to_owned();
    };
    let quoted = words.split('`').skip(1).step_by(2);
    let named = quoted
        .into_iter()
        .find(|name| place.writer.config.get(name).is_some());
    named.unwrap_or(otherwise).to_owned()
}

fn table_parameter(spec: &DestinationSpec) -> &'static str {
    match &spec.target.place {
        Place::Plugins(place) if !place.table.name.is_empty() => "tableName",
        _ => "tablePath",
    }
}
