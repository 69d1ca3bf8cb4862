//! FHIRPath patches: Parameters whose operations name places by paths.
//!
//! - `read` takes the operations out of the Parameters, and `given` the values in them.
//! - `typing` holds a path to the table of R4, so that a misspelt name is refused even where nothing is there.
//! - `locate` walks a path through the resource to what it selects; `condition` answers its `where(…)`.
//! - `target` says which member of an object an element is, by the table of R4: its key, and whether it is a list.
//! - `change` writes there, and keeps what stands beside a primitive (`_birthDate`, `_given`) in step with it.
//!
//! Every operation sees what those before it have made. What all of them look at and move is counted ([`Work`]), so
//! that a thousand searching paths over a large resource end in a refusal.

use lakefeed_view::place::Path;
use serde_json::Value;

use super::PatchRefusal;

mod change;
mod condition;
mod fault;
mod given;
mod locate;
mod read;
mod target;
mod typing;
mod work;

pub use fault::Fault;
use given::Given;
pub(super) use read::read;
use work::Work;

/// One operation, its path read.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A new element below what the path selects; in a list, the last.
    Add { path: Path, name: String, value: Given },
    /// A new element at a position of a list.
    Insert { list: List, index: usize, value: Given },
    /// What the path selects goes, if there is anything.
    Delete { path: Path },
    /// Another value for what the path selects.
    Replace { path: Path, value: Given },
    /// An element of a list gets another position.
    Move {
        list: List,
        source: usize,
        destination: usize,
    },
}

/// A list: its name below the one element that a path selects. It may have no elements yet.
#[derive(Clone, Debug)]
pub(super) struct List {
    owner: Path,
    name: String,
}

/// Applies the operations in their order.
pub(super) fn apply(operations: &[Operation], resource: &mut Value) -> Result<(), PatchRefusal> {
    let mut work = Work::default();
    for (index, operation) in operations.iter().enumerate() {
        let done = apply_one(operation, resource, &mut work);
        done.map_err(|fault| PatchRefusal::FhirPath { index, fault })?;
    }
    Ok(())
}

fn apply_one(operation: &Operation, resource: &mut Value, work: &mut Work) -> Result<(), Fault> {
    match operation {
        Operation::Add { path, name, value } => {
            let owner = locate::one(resource, path, work)?;
            change::add(resource, &owner, name, value)
        }
        Operation::Insert { list, index, value } => {
            let owner = locate::one(resource, &list.owner, work)?;
            change::insert(resource, &owner, (&list.name, *index), value, work)
        }
        Operation::Delete { path } => match locate::at_most_one(resource, path, work)? {
            Some(place) => change::delete(resource, &place, work),
            None => Ok(()),
        },
        Operation::Replace { path, value } => {
            let place = locate::one(resource, path, work)?;
            change::replace(resource, &place, value, work)
        }
        Operation::Move {
            list,
            source,
            destination,
        } => {
            let owner = locate::one(resource, &list.owner, work)?;
            change::reorder(resource, &owner, &list.name, (*source, *destination), work)
        }
    }
}

#[cfg(test)]
mod tests;
