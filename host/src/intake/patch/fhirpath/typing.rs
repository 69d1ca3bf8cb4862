//! Whether a path's names are elements of the types that it comes by, whatever the resource has of them.

use lakefeed_view::place::{Condition, Operand, Step};
use lakefeed_view::r4::{Element, Lookup, TypeInfo};

use super::{Fault, Work, target};

/// A type that may be at a place; none where nothing is known of its elements.
type Type = Option<&'static TypeInfo>;

/// Checks the steps from a place of a type.
pub(super) fn check(steps: &[Step], start: Type, work: &mut Work) -> Result<(), Fault> {
    follow(steps, vec![start], work).map(drop)
}

/// The element that a name means below a type. `resourceType` is none, but resources can be told by it.
pub(super) fn element(owner: Type, name: &str) -> Result<Option<&'static Element>, Fault> {
    match is_resource(owner) && name == "resourceType" {
        true => Ok(None),
        false => target::element(owner, name),
    }
}

/// Whether a name means anything below a type. That it does not is said faster than why not.
pub(super) fn has(owner: Type, name: &str) -> bool {
    (is_resource(owner) && name == "resourceType")
        || owner.is_none_or(|info| info.is_open() || !matches!(info.lookup(name), Lookup::Unknown))
}

fn is_resource(owner: Type) -> bool {
    owner.is_some_and(|info| info.is_resource() || info.is_open())
}

fn follow(steps: &[Step], mut types: Vec<Type>, work: &mut Work) -> Result<Vec<Type>, Fault> {
    for step in steps {
        work.look(types.len() + 1)?;
        types = match step {
            Step::Member(name) => members(&types, name)?,
            Step::Extension(_) => members(&types, "extension")?,
            Step::OfType(wanted) => of_type(&types, wanted),
            Step::Where(condition) => {
                asked(condition, &types, work)?;
                types
            }
            Step::At(_) | Step::First | Step::Last | Step::Single => types,
        };
    }
    Ok(types)
}

/// The types of the elements of a name. Not all types need to have one, but where none has it is misspelt.
fn members(types: &[Type], name: &str) -> Result<Vec<Type>, Fault> {
    let mut owners: Vec<Type> = types.iter().copied().filter(|owner| has(*owner, name)).collect();
    if owners.is_empty() {
        // The first says what is wrong.
        owners.extend(types.first());
    }
    let mut found = Vec::new();
    for owner in owners {
        match element(owner, name)? {
            Some(element) => {
                let allowed = element.types().iter().map(|allowed| Some(allowed.type_info()));
                allowed.for_each(|info| insert(&mut found, info));
            }
            None => insert(&mut found, None),
        }
    }
    Ok(found)
}

fn insert(types: &mut Vec<Type>, new: Type) {
    let is_new = |known: &Type| match (known, new) {
        (Some(known), Some(new)) => !std::ptr::eq(*known, new),
        (known, new) => known.is_some() || new.is_some(),
    };
    if types.iter().all(is_new) {
        types.push(new);
    }
}

fn of_type(types: &[Type], wanted: &'static TypeInfo) -> Vec<Type> {
    let narrowed = types.iter().filter_map(|info| match info {
        Some(info) if info.is_open() => Some(Some(wanted)),
        Some(info) if !info.is_a(wanted.name()) => None,
        info => Some(*info),
    });
    narrowed.collect()
}

fn asked(condition: &Condition, types: &[Type], work: &mut Work) -> Result<(), Fault> {
    match condition {
        Condition::Both(two) | Condition::Either(two) => {
            two.iter().try_for_each(|one| asked(one, types, work))
        }
        Condition::Not(inner) => asked(inner, types, work),
        Condition::Exists(path) => follow(&path.steps, types.to_vec(), work).map(drop),
        Condition::Same(left, right) => {
            operand(left, types, work)?;
            operand(right, types, work)
        }
        Condition::Holds(alone) => operand(alone, types, work),
    }
}

fn operand(operand: &Operand, types: &[Type], work: &mut Work) -> Result<(), Fault> {
    match operand {
        Operand::Path(path) => follow(&path.steps, types.to_vec(), work).map(drop),
        Operand::Boolean(_) | Operand::Text(_) | Operand::Number(_) => Ok(()),
    }
}
