//! A merge whose future holds something that is bound to its thread.
use std::rc::Rc;

use lakefeed_plugin_api::{Merge, MergeSpec, MergeStats, PluginError, StagedSet};

struct Bound;

impl Merge for Bound {
    async fn merge(&self, _: &StagedSet, _: &MergeSpec) -> Result<MergeStats, PluginError> {
        let count = Rc::new(1);
        std::future::ready(()).await;
        Ok(MergeStats { inserted: *count, ..MergeStats::default() })
    }
}

fn main() {}
