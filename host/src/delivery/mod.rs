//! One destination's loop: take, flatten, send, ack.

mod bisect;
mod brake;
mod live;
mod retry;
mod spec;

pub use live::{LiveState, LiveStatus};
pub use spec::{DestinationSpec, MaterializedView, OnLeave, PluginUse, TargetSpec};
