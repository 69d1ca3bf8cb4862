//! The changes themselves: what an operation does to the object that it has found.
//!
//! What belongs to a primitive stands beside it in JSON, under its key with `_` before it: its id, its extensions, of
//! a list those of each element at the same position. Whatever happens to a primitive happens to both.

use lakefeed_view::json::Limits;
use serde_json::{Map, Value};

use super::super::measure;
use super::given::{Given, Json};
use super::locate::{Place, Segment, beside};
use super::target::{self, Target};
use super::{Fault, Work};

type Object = Map<String, Value>;

/// Adds an element below an owner: the last of a list, or the only one.
pub(super) fn add(resource: &mut Value, owner: &Place, name: &str, given: &Given) -> Result<(), Fault> {
    let target = target::of(owner.info, name, given)?;
    let json = given.json(target.info)?;
    let way = owner.inside();
    check_depth(&way, &json)?;
    put(object_at(resource, &way)?, &target, json)
}

/// Inserts an element into a list of an owner, which may have none yet.
pub(super) fn insert(
    resource: &mut Value,
    owner: &Place,
    (name, index): (&str, usize),
    given: &Given,
    work: &mut Work,
) -> Result<(), Fault> {
    let target = target::of(owner.info, name, given)?;
    if target.element.is_some_and(|element| !element.is_many()) {
        return Err(Fault::NoList);
    }
    let json = given.json(target.info)?;
    let way = owner.inside();
    check_depth(&way, &json)?;
    let object = object_at(resource, &way)?;
    let length = length(object, &target.key)?;
    work.pass(length)?;
    match index <= length {
        true => insert_into(object, &target.key, index, json),
        false => Err(Fault::Position),
    }
}

/// Moves an element of a list to another position: the one that it has when it is there.
pub(super) fn reorder(
    resource: &mut Value,
    owner: &Place,
    name: &str,
    (source, destination): (usize, usize),
    work: &mut Work,
) -> Result<(), Fault> {
    let element = target::element(owner.info, name)?;
    if element.is_some_and(|element| !element.is_many()) {
        return Err(Fault::NoList);
    }
    let object = object_at(resource, &owner.inside())?;
    let length = length(object, name)?;
    work.pass(length)?;
    if source.max(destination) >= length {
        return Err(Fault::Position);
    }
    for key in [name.to_owned(), beside(name)] {
        if let Some(list) = object.get_mut(&key).and_then(Value::as_array_mut) {
            list.resize(length, Value::Null);
            let moved = list.remove(source);
            list.insert(destination, moved);
        }
    }
    Ok(())
}

/// Takes an element away.
pub(super) fn delete(resource: &mut Value, place: &Place, work: &mut Work) -> Result<(), Fault> {
    let Segment { key, index } = place.member.as_ref().ok_or(Fault::Whole)?;
    let object = object_at(resource, &place.way)?;
    match index {
        None => {
            work.pass(object.len())?;
            set(object, key, Json::default());
        }
        Some(index) => {
            work.pass(length(object, key)?)?;
            for key in [key, &beside(key)] {
                if let Some(list) = object.get_mut(key).and_then(Value::as_array_mut)
                    && *index < list.len()
                {
                    list.remove(*index);
                }
            }
            drop_idle(object, key);
        }
    }
    drop_emptied(resource, &place.way)
}

/// Puts another value in an element's place. The element of a choice gets the key of its new type.
pub(super) fn replace(
    resource: &mut Value,
    place: &Place,
    given: &Given,
    work: &mut Work,
) -> Result<(), Fault> {
    let Segment { key, index } = place.member.as_ref().ok_or(Fault::Whole)?;
    let target = match place.element {
        Some(element) => Some(target::of_element(element, given)?),
        None => None,
    };
    let json = given.json(target.as_ref().and_then(|target| target.info))?;
    check_depth(&place.way, &json)?;
    let object = object_at(resource, &place.way)?;
    match index {
        None => {
            work.pass(object.len())?;
            let new = target.as_ref().map_or(key, |target| &target.key);
            if new != key {
                set(object, key, Json::default());
            }
            set(object, new, json);
        }
        Some(index) => {
            work.pass(length(object, key)?)?;
            set_at(object, key, *index, json);
        }
    }
    Ok(())
}

/// Puts an element into an object: at the end of its list, or as the only one.
pub(super) fn put(object: &mut Object, target: &Target, json: Json) -> Result<(), Fault> {
    let is_list = match target.element {
        Some(element) => element.is_many(),
        None => object.get(&target.key).is_some_and(Value::is_array),
    };
    if is_list {
        let end = length(object, &target.key)?;
        return insert_into(object, &target.key, end, json);
    }
    let is_present = |key: &str| object.contains_key(key) || object.contains_key(&beside(key));
    let is_any_present = match target.element {
        Some(element) => element
            .types()
            .iter()
            .any(|allowed| is_present(allowed.json_key())),
        None => is_present(&target.key),
    };
    if is_any_present {
        return Err(Fault::Present);
    }
    set(object, &target.key, json);
    Ok(())
}

/// The object at the end of a way. What is missing can only be what stands beside a primitive, and is made.
fn object_at<'r>(resource: &'r mut Value, way: &[Segment]) -> Result<&'r mut Object, Fault> {
    let mut object = resource.as_object_mut().ok_or(Fault::Nothing)?;
    for Segment { key, index } in way {
        let mut slot = object.entry(key.as_str()).or_insert(Value::Null);
        if let Some(index) = index {
            if slot.is_null() {
                *slot = Value::Array(Vec::new());
            }
            let list = slot.as_array_mut().ok_or(Fault::Nothing)?;
            if list.len() <= *index {
                list.resize(index + 1, Value::Null);
            }
            slot = list.get_mut(*index).ok_or(Fault::Nothing)?;
        }
        if slot.is_null() {
            *slot = Value::Object(Object::new());
        }
        object = slot.as_object_mut().ok_or(Fault::Nothing)?;
    }
    Ok(object)
}

/// How many elements a list has, whichever of the two members has more; none yet when it is not there.
fn length(object: &Object, key: &str) -> Result<usize, Fault> {
    let mut longest = 0;
    for member in [object.get(key), object.get(&beside(key))].into_iter().flatten() {
        longest = longest.max(member.as_array().ok_or(Fault::NoList)?.len());
    }
    Ok(longest)
}

/// Inserts into a list at a position that it has, or at its end.
fn insert_into(object: &mut Object, key: &str, index: usize, json: Json) -> Result<(), Fault> {
    let length = length(object, key)?;
    let key_beside = beside(key);
    let has_beside = object.contains_key(&key_beside) || json.beside.is_some();
    for (key, value, is_kept) in [
        (key, json.value, true),
        (key_beside.as_str(), json.beside, has_beside),
    ] {
        if !is_kept {
            continue;
        }
        let list = object.entry(key).or_insert_with(|| Value::Array(Vec::new()));
        let list = list.as_array_mut().ok_or(Fault::NoList)?;
        list.resize(length, Value::Null);
        list.insert(index, value.unwrap_or(Value::Null));
    }
    Ok(())
}

/// Gives an element that does not repeat its value and what stands beside it, or takes them.
fn set(object: &mut Object, key: &str, json: Json) {
    for (key, value) in [(key.to_owned(), json.value), (beside(key), json.beside)] {
        match value {
            Some(value) => object.insert(key, value),
            None => object.shift_remove(&key),
        };
    }
}

/// The same for an element of a list.
fn set_at(object: &mut Object, key: &str, index: usize, json: Json) {
    let key_beside = beside(key);
    if json.beside.is_some() {
        object
            .entry(key_beside.as_str())
            .or_insert_with(|| Value::Array(Vec::new()));
    }
    for (key, value) in [(key, json.value), (key_beside.as_str(), json.beside)] {
        let Some(list) = object.get_mut(key).and_then(Value::as_array_mut) else {
            continue;
        };
        if list.len() <= index {
            list.resize(index + 1, Value::Null);
        }
        list[index] = value.unwrap_or(Value::Null);
    }
    drop_idle(object, key);
}

/// Removes a list that has no elements any more, and one beside it that has nothing to say.
fn drop_idle(object: &mut Object, key: &str) {
    let is_list_of = |member: Option<&Value>, is_idle: fn(&Value) -> bool| {
        member
            .and_then(Value::as_array)
            .is_some_and(|list| list.iter().all(is_idle))
    };
    if is_list_of(object.get(&beside(key)), Value::is_null) {
        object.shift_remove(&beside(key));
    }
    if is_list_of(object.get(key), |_| false) {
        object.shift_remove(key);
    }
}

/// Removes what stands beside a primitive when a delete has left nothing in it. Any other object that is emptied
/// stays, for the check of the resource to name it.
fn drop_emptied(resource: &mut Value, way: &[Segment]) -> Result<(), Fault> {
    let Some((last, before)) = way.split_last() else {
        return Ok(());
    };
    let Some(key) = last.key.strip_prefix('_') else {
        return Ok(());
    };
    if !object_at(resource, way)?.is_empty() {
        return Ok(());
    }
    let object = object_at(resource, before)?;
    match last.index {
        None => {
            object.shift_remove(&last.key);
        }
        Some(index) => {
            let list = object.get_mut(&last.key).and_then(Value::as_array_mut);
            if let Some(slot) = list.and_then(|list| list.get_mut(index)) {
                *slot = Value::Null;
            }
            drop_idle(object, key);
        }
    }
    Ok(())
}

/// Whether a value is still within the depth that resources may have, in a member of the object at the end of a way.
/// The level of a list is left to the check of the resource.
fn check_depth(way: &[Segment], json: &Json) -> Result<(), Fault> {
    let levels = |segment: &Segment| 1 + usize::from(segment.index.is_some());
    let around: usize = way.iter().map(levels).sum();
    let deepest = [&json.value, &json.beside].into_iter().flatten();
    let deepest = deepest.map(|value| measure(value).1).max().unwrap_or(0);
    match around + 1 + deepest <= Limits::default().max_depth {
        true => Ok(()),
        false => Err(Fault::TooDeep),
    }
}
