//! What is checked of a destination while its creation waits for an answer.

use lakefeed_plugin_api::{Category, PluginError};

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
        parameter: &'static str,
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
    pub fn parameter(&self) -> &'static str {
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
    target.close().await;
    opened
        .map(drop)
        .map_err(|error| refused(&error, spec, table_parameter(spec)))
}

fn refused(error: &PluginError, spec: &DestinationSpec, otherwise: &'static str) -> BootstrapError {
    let parameter = match error.category {
        Category::PluginPanic | Category::PluginCrashed | Category::PluginContract => "writeMode",
        Category::SchemaMismatch | Category::SchemaIncompatible => table_parameter(spec),
        _ => otherwise,
    };
    BootstrapError::Target {
        parameter,
        code: error.code.clone(),
        message: words(error),
        is_retryable: matches!(
            error.category,
            Category::Throttled | Category::RemoteUnavailable | Category::Deadline | Category::Cancelled
        ),
    }
}

fn table_parameter(spec: &DestinationSpec) -> &'static str {
    match &spec.target.place {
        Place::Plugins(place) if !place.table.name.is_empty() => "tableName",
        _ => "tablePath",
    }
}
