//! The check of a resource against the table: elements that exist, as often as they may, each of the form of its type.
//!
//! [`check_resource`] reads the text once. That one pass, `pass`, judges the JSON grammar and the types together,
//! allocates next to nothing and answers only yes or no. When it says no, the text is read again at leisure: first by
//! the grammar's own check, then by `walk`, which finds every place that is wrong. A resource that is only unusual (keys
//! with escapes, nulls in arrays) takes that longer way and is accepted at its end, so the pass may refuse too much,
//! never too little; a test holds the two together.
//!
//! What is looked at: unknown elements, elements that are missing, arrays where one value belongs and the reverse, JSON
//! of the wrong sort, the forms of primitives, empty objects, arrays and strings, nulls, choices of two types, and the
//! same of resources inside (`contained`, the entries of a Bundle, parameters). What is not: invariants, bindings to
//! value sets, profiles, what references point at, and whether narratives are XHTML.

mod form;
mod issue;
mod pass;
mod remedy;
mod shape;
mod walk;

pub use issue::{Fault, Issue};

use std::borrow::Cow;

use crate::json::{self, JsonError, Limits, top_level_members, unescape_into};

/// The most issues that are reported of one resource; where there are as many, there may be more.
pub const MAX_ISSUES: usize = 20;

/// Why a text is no FHIR R4 resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not acceptable JSON.
    Json(JsonError),
    /// It is JSON, but not what R4 says of its type. At least one issue, at most [`MAX_ISSUES`], in the order of the
    /// text; what an object lacks is said at its end.
    R4(Vec<Issue>),
}

/// Checks a resource's text: the grammar as [`json::check_resource`] does, and its elements against R4.
///
/// A resource that does not say a type of R4 is checked for its grammar alone; so is one inside it whose type is among
/// `foreign`.
pub fn check_resource(bytes: &[u8], limits: Limits, foreign: &[&str]) -> Result<(), Unfit> {
    let Some(shape) = resource_type(bytes).and_then(|name| shape::shapes().resource(&name)) else {
        return json::check_resource(bytes, limits).map_err(Unfit::Json);
    };
    if pass::is_good(bytes, shape, limits) {
        return Ok(());
    }
    json::check_resource(bytes, limits).map_err(Unfit::Json)?;
    match walk::issues(bytes, shape, foreign) {
        none if none.is_empty() => Ok(()),
        issues => Err(Unfit::R4(issues)),
    }
}

/// What an object says is its type, also where it says so with escapes: whoever reads it later would see through them.
fn resource_type(object: &[u8]) -> Option<Cow<'_, str>> {
    const KEY: &str = "resourceType";
    let mut members = top_level_members(object);
    let said = members.find(|member| {
        member.raw_key == KEY.as_bytes() || (member.raw_key.contains(&b'\\') && member.key() == KEY)
    })?;
    if let Some(plain) = said.plain_string() {
        return Some(Cow::Borrowed(plain));
    }
    let inside = said.value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let mut name = String::new();
    unescape_into(inside, &mut name).ok()?;
    Some(Cow::Owned(name))
}

#[cfg(test)]
mod tests;
