//! One destination's loop: take, flatten, send, ack.
//!
//! # Nothing lost
//!
//! A destination is an offset into the log. The loop moves it in one place, the ack, and only over changes that are
//! *settled*: durable by the writer's own word, without rows in the view, not wanted by the topic, or kept as
//! dead letters in the very transaction that moves the offset. Whatever fails before the ack (the plugin, the
//! store, this process) leaves the offset where it was, and the next life begins there.
//!
//! # Nothing twice, for a writer that remembers numbers
//!
//! A writer that is asked to write a number again can answer from memory only if a number always means the same
//! rows. So each *physical* write has a number of its own, bound to exact bounds before it begins:
//!
//! 1. The bounds (the offset behind which the write begins, the offset of its last change, the number) are
//!    persisted, then the rows are written, then the ack moves the offset to the end of the bounds and retires the
//!    number in one transaction. The bounds of the write after it are persisted in that transaction too where they
//!    are known by then, else by `plan_batch`; no write begins before.
//! 2. While the end of a write is unknown (a crash, a timeout, a lost answer), its bounds stand: the same changes
//!    are written under the same number until the writer gives a certain answer. After a crash they are read from
//!    the record and taken again, with the view that they were planned with, whatever the batch limits or the
//!    target's limits have become.
//!    A writer that remembers looks the number up before it finds fault with the rows.
//! 3. Only a certain *nothing was written* (refused, too large) lets the loop cut the changes into smaller
//!    writes. The number is retired first, by an ack that does not move the offset; each smaller write is then
//!    planned as a batch of its own. A crash between the two leaves no plan and an offset before the changes,
//!    which are then simply collected anew.
//! 4. A durable prefix is an ack that ends early: it retires the number, and the rest is a new batch.
//!
//! Numbers only grow within a generation, and a rewind or a new record starts another, so no number is ever met
//! again with other rows. For a writer that does not remember numbers the same rules give *at least once*: what
//! was sent again after an unknown end is counted as a possible duplicate.
//!
//! # In order
//!
//! A batch is a contiguous stretch of the log, writes are cut between changes and follow one another, so that
//! the versions of a resource reach the target in the order in which they were made. While one batch is written the
//! next one is read and flattened, and no more than that: it has no number until its bounds are persisted, and is
//! thrown away when the view has changed meanwhile or the worker ends.
//!
//! # Who does what
//!
//! [`Deliveries`] starts and restarts workers; `worker` is the loop, `take` its first half and `write` its second; `retry`,
//! `bisect` and `brake` decide and do nothing else; `flatten` and `collect` make rows of changes; `drift` brings
//! tables up to views; `tail` reads the log for all; `target` is all that the loop knows of plugins and of the tables
//! that the host writes itself.
//!
//! # Codes
//!
//! | code | meaning | remedy |
//! |---|---|---|
//! | DELIVERY-001 | the view does not compile any more | mend and materialise it again |
//! | DELIVERY-002 | the table lacks columns and may not be changed | add them, or allow `autoEvolve` |
//! | DELIVERY-003 | the table differs in a way that only an operator may change | run the statement that the message names |
//! | DELIVERY-004 | a plugin did not answer in time | look at the target; raise `callTimeoutMs` |
//! | DELIVERY-005 | a writer's answer cannot be | report it to the plugin's vendor |
//! | DELIVERY-006 | a schema mapper's answer cannot be | report it to the plugin's vendor |
//! | DELIVERY-007 | a writer accepted rows and never made them durable | look at the target |
//! | DELIVERY-008 | the destination's topic is gone | create it again |
//! | DELIVERY-009 | a worker crashed and is started again | report it if it stays |
//! | DELIVERY-010 | too many refusals in a row: the target is at fault | mend the target, then resume |
//! | DELIVERY-011 | the table must change and no plugin administers it | change it by hand, or name an `admin` |
//! | DELIVERY-012 | a plugin could not be loaded | look at the log; `lakefeed plugins list` |
//! | DELIVERY-013 | a batch is written again with another view than it was planned with | rewind if the views differ |
//! | DELIVERY-014 | the plugin's own check of the destination fails | do what each line of the message says |

mod bisect;
mod bootstrap;
mod brake;
mod collect;
mod drift;
mod flatten;
mod interrupt;
mod letter;
mod plugin_target;
mod retry;
mod spec;
mod standard;
mod supervisor;
mod tail;
mod take;
mod target;
#[cfg(test)]
mod tests;
mod timed;
mod vending;
mod worker;
mod write;

pub use crate::status::{LiveState, LiveStatus};
pub use bootstrap::BootstrapError;
pub(crate) use collect::FlatChange;
pub(crate) use flatten::{compile, view_schema};
pub use spec::{
    DestinationSpec, Keeps, MaterializedView, OnLeave, OwnTargets, Place, PluginPlace, PluginUse, TargetSpec,
};
pub use supervisor::Deliveries;
pub(crate) use target::{Target, Targets};
