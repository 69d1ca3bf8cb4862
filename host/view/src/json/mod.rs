//! JSON as text: a strict check of what comes in, and the few operations on it that need no tree.
//!
//! [`check_resource`] reads a text once, builds nothing, and refuses what one JSON reader would understand
//! differently from another (a key written twice, half a surrogate pair) as well as what the stores behind cannot
//! show (`\u0000`). What it accepted may be scanned afterwards without checking again. [`top_level_members`] and
//! [`with_members`] look at and replace members of an object as text, so that a number stays written as it was.

mod check;
mod error;
mod keys;
mod members;
mod strings;

pub(crate) use check::shown as shown_key;
pub use check::{check_resource, check_value};
pub use error::{JsonError, JsonFault};
pub(crate) use members::value_end;
pub use members::{Member, Members, top_level_members, with_members};
pub use strings::{BadString, unescape_into};
pub(crate) use strings::{escape, plain_end};

/// What the check allows beyond the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many objects and arrays may lie within each other.
    pub max_depth: usize,
}

impl Default for Limits {
    /// Up to 64 levels: a questionnaire's answers nest by two to four a question, and may ask some twenty deep.
    fn default() -> Limits {
        Limits { max_depth: 64 }
    }
}
