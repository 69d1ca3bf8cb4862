//! Resources made from the table: all of them are accepted, and each thing done wrong to one is found at its place.

use serde_json::{Map, Value, json};

use super::super::super::{Element, TypeInfo, resource_types, type_named};
use super::{both, judged};

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, any_of: &[T]) -> T {
        any_of[self.below(any_of.len())]
    }
}

/// A place in a made resource.
#[derive(Clone)]
struct Site {
    /// Where it is, as a JSON pointer.
    pointer: String,
    expression: String,
    info: &'static TypeInfo,
    /// Of an element's value rather than the object of a resource itself: whether it stands in an array.
    is_many: bool,
    is_shadow: bool,
}

/// Makes a resource and remembers its places.
struct Maker {
    dice: Dice,
    sites: Vec<Site>,
}

impl Maker {
    fn resource(&mut self, info: &'static TypeInfo, at: &Site, depth: usize) -> Value {
        let mut members = self.members(info, at, depth);
        let place = self.dice.below(members.len() + 1);
        members.shift_insert(place, "resourceType".to_owned(), info.name().into());
        Value::Object(members)
    }

    fn members(&mut self, info: &'static TypeInfo, at: &Site, depth: usize) -> Map<String, Value> {
        let mut members = Map::new();
        for element in info.elements() {
            if element.min() > 0 || (depth > 0 && self.dice.below(6) == 0) {
                self.element(element, info, at, depth, &mut members);
            }
        }
        if members.is_empty() && !info.is_resource() {
            let id = info.element("id").unwrap();
            self.element(id, info, at, depth, &mut members);
        }
        members
    }

    fn element(
        &mut self,
        element: &'static Element,
        owner: &TypeInfo,
        at: &Site,
        depth: usize,
        members: &mut Map<String, Value>,
    ) {
        let allowed = &element.types()[self.dice.below(element.types().len())];
        let (key, info) = (allowed.json_key().to_owned(), allowed.type_info());
        let name = match element.is_choice() {
            true => format!("{}.ofType({})", element.name(), info.name()),
            false => element.name().to_owned(),
        };
        let can_extend = info.is_primitive()
            && info.name() != "xhtml"
            && (owner.is_resource() || element.name() != "id")
            && (owner.name() != "Extension" || element.name() != "url");
        // A choice with both its keys takes the longer way; other cases show that.
        let what = match can_extend && depth > 0 {
            true if element.is_choice() => 2 * self.dice.below(4),
            true => self.dice.below(8),
            false => 7,
        };
        let site = |key: &str, info, is_shadow| Site {
            pointer: format!("{}/{key}", at.pointer),
            expression: format!("{}.{name}", at.expression),
            info,
            is_many: element.is_many(),
            is_shadow,
        };
        // Only what hangs on it, or both, or only the value.
        if what != 0 {
            let value = self.values(&site(&key, info, false), depth);
            members.insert(key.clone(), value);
        }
        if what <= 1 {
            let key = format!("_{key}");
            let info = type_named("Element").unwrap();
            let value = self.values(&site(&key, info, true), depth);
            members.insert(key, value);
        }
    }

    fn values(&mut self, site: &Site, depth: usize) -> Value {
        if !site.is_many {
            return self.value(site, depth);
        }
        let count = 1 + self.dice.below(2);
        let values = (0..count).map(|index| {
            let inside = Site {
                pointer: format!("{}/{index}", site.pointer),
                expression: format!("{}[{index}]", site.expression),
                is_many: false,
                ..site.clone()
            };
            self.value(&inside, depth)
        });
        let values = values.collect();
        self.sites.push(site.clone());
        values
    }

    fn value(&mut self, site: &Site, depth: usize) -> Value {
        self.sites.push(site.clone());
        let below = depth.saturating_sub(1);
        if site.info.is_primitive() {
            return self.primitive(site.info.name());
        }
        if site.info.is_open() {
            let any = self
                .dice
                .pick(&["Patient", "Basic", "Bundle", "Observation", "Binary"]);
            return self.resource(type_named(any).unwrap(), site, below);
        }
        Value::Object(self.members(site.info, site, below))
    }

    fn primitive(&mut self, name: &str) -> Value {
        let text: &[&str] = match name {
            "boolean" => return self.dice.pick(&[true, false]).into(),
            "integer" => {
                return self
                    .dice
                    .pick(&[0i64, -1, 7, 2_147_483_647, -2_147_483_648])
                    .into();
            }
            "unsignedInt" => return self.dice.pick(&[0, 1, 2_147_483_647]).into(),
            "positiveInt" => return self.dice.pick(&[1, 12, 2_147_483_647]).into(),
            "decimal" => return self.dice.pick(&[0.5, -1e20, 3.0, 1e-9]).into(),
            "date" => &["1970", "1970-06", "2024-02-29"],
            "dateTime" => &[
                "1970",
                "1970-06",
                "2024-02-29",
                "2016-12-31T23:59:60Z",
                "2024-01-01T10:00:00.5-05:00",
            ],
            "instant" => &["2016-12-31T23:59:60Z", "2024-01-01T10:00:00.5+14:00"],
            "time" => &["00:00:00", "23:59:59.999"],
            "id" => &["a", "A-1.b"],
            "oid" => &["urn:oid:1.2.840.10008"],
            "uuid" => &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
            "uri" | "url" | "canonical" => &["http://example.org/x?y=é", "#x", "urn:a:b"],
            "base64Binary" => &["YQ==", "YWJj YWJj"],
            "code" => &["a", "two words", "mm[Hg]"],
            _ => &["plain", "with \"escapes\" \\ and\nlines\t", "é 😀", " "],
        };
        self.dice.pick(text).into()
    }
}

fn made(info: &'static TypeInfo, seed: u64) -> (Value, Maker) {
    let mut maker = Maker {
        dice: Dice(seed * 2 + 1),
        sites: Vec::new(),
    };
    let root = Site {
        pointer: String::new(),
        expression: info.name().to_owned(),
        info,
        is_many: false,
        is_shadow: false,
    };
    let resource = maker.resource(info, &root, 3);
    (resource, maker)
}

#[test]
fn every_resource_made_from_the_table_is_accepted_by_the_pass() {
    let mut places = 0;
    for info in resource_types() {
        for seed in 0..20 {
            let (resource, maker) = made(info, 0x9E37_79B9 + seed);
            for text in [resource.to_string(), format!("{resource:#}")] {
                let (pass, walk) = both(text.as_bytes());
                assert_eq!((pass, walk.as_str()), (true, "accepted"), "{text}");
            }
            places += maker.sites.len();
        }
    }
    assert!(places > 20_000, "{places}");
}

/// What is done wrong, and the code that it gets.
const WRONGS: [&str; 7] = ["unknown", "missing", "array", "no array", "sort", "form", "empty"];

/// Does something wrong at a site; the code and place that must be reported, if the wrong is possible there.
fn spoil(resource: &mut Value, site: &Site, wrong: &str) -> Option<String> {
    let place = &site.expression;
    let value = resource.pointer_mut(&site.pointer)?;
    let is_object = value.is_object() && !site.is_many;
    match wrong {
        "unknown" if is_object => {
            value
                .as_object_mut()?
                .insert("bogus".to_owned(), json!([null, {}]));
            Some(format!("R4-001 {place}.bogus"))
        }
        "missing" if is_object && !site.info.is_open() => {
            let members = value.as_object_mut()?;
            let element = site.info.elements().iter().find(|element| element.min() > 0)?;
            members.retain(|key, _| {
                !element
                    .types()
                    .iter()
                    .any(|one| one.json_key() == key.trim_start_matches('_'))
            });
            (!members.is_empty()).then(|| format!("R4-002 {place}.{}", element.name()))
        }
        "array" if !site.is_many => {
            *value = json!([value.take()]);
            Some(format!("R4-003 {place}"))
        }
        "no array" if site.is_many => {
            let first = value.get_mut(0)?.take();
            *value = first;
            Some(format!("R4-004 {place}"))
        }
        "sort" if !site.is_many => {
            let is_string = value.is_string();
            *value = if is_string { json!(true) } else { json!("x") };
            Some(format!("R4-005 {place}"))
        }
        "form" if site.info.is_primitive() && !site.is_many && !value.is_boolean() => {
            let bad = match site.info.name() {
                "decimal" => return None,
                "integer" | "positiveInt" | "unsignedInt" => json!(-1.5),
                _ => json!("\u{1} bad\u{2}"),
            };
            *value = bad;
            Some(format!("R4-006 {place}"))
        }
        "empty" => {
            *value = match value {
                Value::Array(_) => json!([]),
                Value::Object(_) => json!({}),
                Value::String(_) => json!(""),
                _ => return None,
            };
            // An object without anything does not say either what resource it is.
            let code = if site.info.is_open() && !site.is_many {
                "R4-010"
            } else {
                "R4-007"
            };
            Some(format!("{code} {place}"))
        }
        _ => None,
    }
}

#[test]
fn each_thing_done_wrong_is_found_at_its_place_and_nothing_else_is() {
    let mut found = [0; WRONGS.len()];
    for (seed, info) in resource_types().enumerate() {
        let (resource, mut maker) = made(info, seed as u64 + 77);
        for _ in 0..40.min(maker.sites.len()) {
            let site = maker.sites[maker.dice.below(maker.sites.len())].clone();
            let number = maker.dice.below(WRONGS.len());
            let mut spoilt = resource.clone();
            if let Some(expected) = spoil(&mut spoilt, &site, WRONGS[number]) {
                assert_eq!(
                    judged(&spoilt.to_string()),
                    expected,
                    "{} {spoilt}",
                    WRONGS[number]
                );
                found[number] += 1;
            }
        }
    }
    assert!(found.iter().all(|count| *count > 15), "{found:?}");
}

#[test]
fn a_null_stands_alone_nowhere() {
    let mut found = 0;
    for (seed, info) in resource_types().enumerate() {
        let (resource, maker) = made(info, seed as u64 + 5);
        for site in maker.sites.iter().filter(|site| !site.is_shadow).take(30) {
            let mut spoilt = resource.clone();
            *spoilt.pointer_mut(&site.pointer).unwrap() = Value::Null;
            let expected = format!(
                "{} {}",
                if site.is_many { "R4-004" } else { "R4-008" },
                site.expression
            );
            let verdict = judged(&spoilt.to_string());
            // An extension at the same place of the array beside gives the null its reason.
            if verdict != "accepted" {
                assert_eq!(verdict, expected, "{spoilt}");
                found += 1;
            }
        }
    }
    assert!(found > 1000, "{found}");
}

#[test]
fn whatever_the_bytes_are_the_pass_takes_nothing_that_the_longer_way_refuses() {
    const BYTES: &[u8] = b"\"\\{}[],:0123456789.eE+-truefalsn u/_\x00\x1f\x80\xff\xc3";
    let mut dice = Dice(99);
    let mut taken = 0;
    for (seed, info) in resource_types().enumerate() {
        let text = made(info, seed as u64).0.to_string();
        for _ in 0..60 {
            let mut bytes = text.as_bytes().to_vec();
            let place = dice.below(bytes.len());
            match dice.below(3) {
                0 => bytes.insert(place, dice.pick(BYTES)),
                1 => bytes[place] = dice.pick(BYTES),
                _ => drop(bytes.remove(place)),
            }
            let (pass, walk) = both(&bytes);
            assert!(
                !pass || walk == "accepted",
                "{walk} {}",
                String::from_utf8_lossy(&bytes)
            );
            taken += usize::from(pass);
        }
    }
    assert!(taken > 100, "{taken}");
}
