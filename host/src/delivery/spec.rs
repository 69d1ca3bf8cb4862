//! What a destination asks for, checked: the input of this module.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lakefeed_plugin_api::TableRef;
use lakefeed_view::{PartialDates, ViewDefinition};
use tokio::sync::watch;

use super::target::Targets;
use crate::batch::BatchLimits;

/// A destination as it is to be delivered to.
#[derive(Clone, Debug)]
pub struct DestinationSpec {
    /// The destination's id; its record in the store has the same.
    pub id: String,
    /// The id of the topic whose changes it gets.
    pub topic: String,
    /// When a batch is closed.
    pub batch: BatchLimits,
    /// The view, as it was last materialised. A newer one is taken up at the next batch boundary.
    pub view: watch::Receiver<Arc<MaterializedView>>,
    /// Where the rows end.
    pub target: TargetSpec,
}

/// A view as it was materialised; later edits of the definition do not show here.
#[derive(Clone, Debug)]
pub struct MaterializedView {
    /// The view's name.
    pub name: String,
    /// Grows with each `$materialize`.
    pub version: u64,
    /// The definition at that time.
    pub definition: ViewDefinition,
    /// What it was materialised as the time before; a batch that was planned with that is written again with it.
    /// One step back only: this one's own `previous` is none.
    pub previous: Option<Arc<MaterializedView>>,
}

impl MaterializedView {
    /// This view as it was in a version; none if that was neither this one nor the one before.
    pub(crate) fn in_version(self: &Arc<Self>, version: u64) -> Option<Arc<Self>> {
        let is_it = |view: &&Arc<Self>| view.version == version;
        std::iter::once(self).chain(&self.previous).find(is_it).cloned()
    }
}

/// Where a destination's rows end, and what is done on the way.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    /// The table and who writes it.
    pub place: Place,
    /// Which rows the table holds.
    pub keeps: Keeps,
    /// Whether missing columns may be added to the table.
    pub auto_evolve: bool,
    /// What an update that leaves the view writes.
    pub on_leave: OnLeave,
    /// What becomes of a date without its day.
    pub partial_dates: PartialDates,
    /// After so many refusals in a row with one code the destination halts; zero for never.
    pub max_consecutive_refusals: usize,
    /// How long one call of a plugin may take.
    pub call_timeout: Duration,
}

/// The table that rows end in, and who writes it.
#[derive(Clone, Debug)]
pub enum Place {
    /// A table that plugins write.
    Plugins(Box<PluginPlace>),
    /// A table that a part of the host writes.
    Own(OwnTargets),
}

/// A table and the plugins that write it.
#[derive(Clone, Debug)]
pub struct PluginPlace {
    /// The table.
    pub table: TableRef,
    /// Who writes rows.
    pub writer: PluginUse,
    /// Who describes and changes the table; without one the table must fit as it is.
    pub admin: Option<PluginUse>,
    /// Who chooses the columns' types.
    pub mapper: PluginUse,
    /// Who vends credentials for storage to the others; none if nobody does.
    pub credentials: Option<PluginUse>,
}

/// A part of the host that makes targets.
#[derive(Clone)]
pub struct OwnTargets(pub(crate) Arc<dyn Targets>);

impl fmt::Debug for OwnTargets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OwnTargets").finish_non_exhaustive()
    }
}

/// Which rows a table holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keeps {
    /// Those of every version, one after the other; each says in `is_deleted` whether its version is a delete.
    #[default]
    History,
    /// Those of each living resource's newest version. The target is told of every change, also of one without
    /// rows and of one that the view refuses, since what it held of that resource has to go.
    Newest,
}

/// A plugin and the parameters that an instance of it is made with.
///
/// Two uses that are equal share one instance.
#[derive(Clone, PartialEq)]
pub struct PluginUse {
    /// The plugin's name.
    pub plugin: String,
    /// The versions that will do, as a semver range; any when absent.
    pub version: Option<String>,
    /// The parameters of the instance; secrets are references.
    pub config: serde_json::Value,
}

impl fmt::Debug for PluginUse {
    /// Leaves the parameters out: they are the user's and may hold what should not be printed.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PluginUse")
            .field("plugin", &self.plugin)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What an update that leaves the view (its `where` turns false) writes to a table that keeps the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLeave {
    /// Nothing: the rows of the version before stay the latest.
    #[default]
    Nothing,
    /// The rows of the version before with `is_deleted = 1`.
    DeleteRow,
}
