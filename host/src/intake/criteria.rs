//! [`Criteria`]: which resource a conditional request means: `identifier=urn:mrn|123`, `_id=p-1`, `url=…`.

use std::sync::Arc;

use serde_json::Value;

use crate::change::Version;
use crate::log::Lookup;

use super::identifier::Identifier;

/// What living resources of a type must be like; all of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Criteria {
    resource_type: String,
    ids: Option<Vec<String>>,
    /// Of each list one must be on the resource.
    identifiers: Vec<Vec<Identifier>>,
    /// Members of the resource and the text that each must have.
    members: Vec<(&'static str, String)>,
}

/// Why a query does not say which resources are meant. Never repeats what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CriteriaError {
    /// CRITERIA-001. A parameter is not one that resources of this type are found by.
    #[error("a search parameter is not supported; supported here: {supported} [CRITERIA-001]")]
    Unsupported {
        /// Those that are.
        supported: String,
    },
    /// CRITERIA-002. A parameter's value has not its form.
    #[error("`{name}` takes {form} [CRITERIA-002]")]
    Value {
        /// The parameter.
        name: &'static str,
        /// What it takes.
        form: &'static str,
    },
    /// CRITERIA-003. There are more values than are looked for at once. Ask in several requests.
    #[error(
        "a search may hold {MAX_IDS} ids and {MAX_VALUES} other values; ask in several requests [CRITERIA-003]"
    )]
    TooMany,
}

/// The most ids, and the most other values, that criteria may hold.
const MAX_IDS: usize = 1000;
const MAX_VALUES: usize = 100;

/// How the resources that criteria mean are found.
#[derive(Debug)]
pub enum Way {
    /// They are among these ids.
    Ids(Vec<String>),
    /// By this lookup.
    Lookup(Lookup),
    /// Among all of the type.
    All,
}

impl Criteria {
    /// Criteria that all resources of a type meet.
    pub fn all(resource_type: &str) -> Self {
        Self {
            resource_type: resource_type.to_owned(),
            ..Self::default()
        }
    }

    /// Reads a whole query, without the parameters that only shape the answer.
    pub fn parse(resource_type: &str, query: &[(String, String)]) -> Result<Self, CriteriaError> {
        let mut criteria = Self::all(resource_type);
        for (name, value) in query {
            if !criteria.take(name, value)? {
                return Err(criteria.unsupported());
            }
        }
        Ok(criteria)
    }

    /// Adds one parameter; false when it is none of these.
    pub fn take(&mut self, name: &str, value: &str) -> Result<bool, CriteriaError> {
        match name {
            "_id" => self.take_ids(value)?,
            "identifier" if !super::is_own_type(&self.resource_type) => self.take_identifiers(value)?,
            name => {
                let mut known = members(&self.resource_type).iter();
                let Some((member, _)) = known.find(|(member, _)| *member == name) else {
                    return Ok(false);
                };
                self.members.push((member, value.to_owned()));
            }
        }
        let values = self.identifiers.iter().map(Vec::len).sum::<usize>() + self.members.len();
        match values <= MAX_VALUES {
            true => Ok(true),
            false => Err(CriteriaError::TooMany),
        }
    }

    /// The refusal of a parameter that [`take`](Self::take) does not know.
    pub fn unsupported(&self) -> CriteriaError {
        let names: Vec<&str> = parameters(&self.resource_type).map(|(name, _)| name).collect();
        CriteriaError::Unsupported {
            supported: names.join(", "),
        }
    }

    /// The type whose resources are meant.
    pub fn resource_type(&self) -> &str {
        &self.resource_type
    }

    /// Whether all resources of the type are meant.
    pub fn is_empty(&self) -> bool {
        self.ids.is_none() && self.identifiers.is_empty() && self.members.is_empty()
    }

    /// The ids, when nothing else is asked for.
    pub fn only_ids(&self) -> Option<&[String]> {
        let is_only = self.identifiers.is_empty() && self.members.is_empty();
        self.ids.as_deref().filter(|_| is_only)
    }

    /// Whether a version of the type is meant.
    pub fn matches(&self, version: &Version) -> bool {
        let is_id = |ids: &Vec<String>| ids.iter().any(|id| id == version.key.id());
        self.ids.as_ref().is_none_or(is_id)
            && self
                .identifiers
                .iter()
                .all(|any| any.iter().any(|one| one.is_on(version)))
            && self.has_members(version)
    }

    /// How to find them. Of whatever way, what is found must still be asked whether it [`matches`](Self::matches);
    /// a lookup does that itself.
    pub fn way(&self) -> Way {
        if let Some(ids) = &self.ids {
            return Way::Ids(ids.clone());
        }
        let single = self.identifiers.iter().find_map(|any| match any.as_slice() {
            [one] => Some(one),
            _ => None,
        });
        match single {
            Some(identifier) => {
                let criteria = self.clone();
                Way::Lookup(Lookup {
                    matches: Arc::new(move |version| criteria.matches(version)),
                    ..identifier.lookup(&self.resource_type)
                })
            }
            None => Way::All,
        }
    }

    /// The identifiers of which one must be there, when such a choice is all there is to look up by.
    pub fn alternatives(&self) -> Option<Vec<Self>> {
        let any = self.identifiers.first().filter(|any| any.len() > 1)?;
        let one = |identifier: &Identifier| {
            let mut criteria = self.clone();
            criteria.identifiers[0] = vec![identifier.clone()];
            criteria
        };
        Some(any.iter().map(one).collect())
    }

    /// As a query's parameters, in an order of their own.
    pub fn query(&self) -> Vec<(&'static str, String)> {
        let join = |texts: Vec<String>| texts.join(",");
        let ids = self.ids.iter().map(|ids| ("_id", join(ids.clone())));
        let identifiers = self.identifiers.iter().map(|any| {
            let texts = any.iter().map(|identifier| escape(&identifier.to_string()));
            ("identifier", join(texts.collect()))
        });
        let members = self.members.iter().map(|(name, value)| (*name, value.clone()));
        ids.chain(identifiers).chain(members).collect()
    }

    /// Several `_id` parameters must all hold, the values of one may each.
    fn take_ids(&mut self, value: &str) -> Result<(), CriteriaError> {
        let given = value
            .split(',')
            .map(|id| id.rsplit('/').next().unwrap_or(id).to_owned());
        let given: Vec<String> = given.collect();
        if given.len() > MAX_IDS {
            return Err(CriteriaError::TooMany);
        }
        if given.iter().any(String::is_empty) {
            return Err(CriteriaError::Value {
                name: "_id",
                form: "ids, with commas between them",
            });
        }
        self.ids = Some(match self.ids.take() {
            Some(ids) => given.into_iter().filter(|id| ids.contains(id)).collect(),
            None => given,
        });
        Ok(())
    }

    fn take_identifiers(&mut self, value: &str) -> Result<(), CriteriaError> {
        let any: Option<Vec<Identifier>> = split(value).iter().map(|text| Identifier::parse(text)).collect();
        self.identifiers.push(any.ok_or(CriteriaError::Value {
            name: "identifier",
            form: "`value`, `|value` or `system|value`",
        })?);
        Ok(())
    }

    fn has_members(&self, version: &Version) -> bool {
        if self.members.is_empty() {
            return true;
        }
        let Ok(resource) = serde_json::from_slice::<Value>(&version.resource) else {
            return false;
        };
        self.members
            .iter()
            .all(|(member, value)| resource.get(*member).and_then(Value::as_str) == Some(value.as_str()))
    }
}

/// What resources of a type are found by, with the kinds that FHIR gives such parameters.
pub fn parameters(resource_type: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = members(resource_type);
    let identifier = (!super::is_own_type(resource_type)).then_some(("identifier", "token"));
    [("_id", "token")]
        .into_iter()
        .chain(identifier)
        .chain(own.iter().copied())
}

/// The members that this host's own types are found by.
fn members(resource_type: &str) -> &'static [(&'static str, &'static str)] {
    match resource_type {
        "AidboxSubscriptionTopic" => &[("url", "uri"), ("status", "token")],
        "AidboxTopicDestination" => &[("topic", "token"), ("kind", "token")],
        "ViewDefinition" => &[
            ("url", "uri"),
            ("name", "string"),
            ("resource", "token"),
            ("status", "token"),
        ],
        _ => &[],
    }
}

/// The values of a parameter with commas between them; a comma behind a backslash is part of a value.
fn split(value: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut signs = value.chars();
    while let Some(sign) = signs.next() {
        match (sign, values.last_mut()) {
            (',', _) => values.push(String::new()),
            ('\\', Some(last)) => last.extend(signs.next()),
            (sign, Some(last)) => last.push(sign),
            (_, None) => {}
        }
    }
    values
}

/// A value in which commas and backslashes are not taken for more than themselves.
fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ResourceKey, Sequence, Timestamp, VersionStatus};

    fn criteria(resource_type: &str, query: &[(&str, &str)]) -> Result<Criteria, CriteriaError> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let query: Vec<(String, String)> = query.iter().map(owned).collect();
        Criteria::parse(resource_type, &query)
    }

    #[test]
    fn criteria_are_understood_whole_or_refused() {
        let check = |resource_type: &str, query: &[(&str, &str)], expect: &str| {
            let text = match criteria(resource_type, query) {
                Ok(criteria) => {
                    let query = criteria.query().into_iter();
                    let pairs: Vec<String> = query.map(|(name, value)| format!("{name}={value}")).collect();
                    pairs.join("&")
                }
                Err(error) => error.to_string(),
            };
            assert_eq!(text, expect, "{query:?}");
        };
        check("Patient", &[("_id", "a,Patient/b")], "_id=a,b");
        check("Patient", &[("_id", "a,b"), ("_id", "b,c")], "_id=b");
        check(
            "Patient",
            &[("identifier", "urn:s|1,|2,3\\,4")],
            "identifier=urn:s|1,|2,3\\,4",
        );
        check("ViewDefinition", &[("url", "http://a")], "url=http://a");
        check(
            "Patient",
            &[("_id", "")],
            "`_id` takes ids, with commas between them [CRITERIA-002]",
        );
        check(
            "Patient",
            &[("identifier", "urn:s|")],
            "`identifier` takes `value`, `|value` or `system|value` [CRITERIA-002]",
        );
        check(
            "Patient",
            &[("family", "Ash")],
            "a search parameter is not supported; supported here: _id, identifier [CRITERIA-001]",
        );
        check(
            "AidboxTopicDestination",
            &[("identifier", "x")],
            "a search parameter is not supported; supported here: _id, topic, kind [CRITERIA-001]",
        );
    }

    #[test]
    fn all_criteria_must_hold() {
        let version = Version {
            key: ResourceKey::new("Patient", "p").unwrap(),
            sequence: Sequence(1),
            status: VersionStatus::Created,
            last_updated: Timestamp(0),
            created_at: Timestamp(0),
            resource: r#"{"resourceType":"Patient","identifier":[{"value":"1"},{"system":"s","value":"2"}]}"#
                .into(),
            source: None,
        };
        let check = |query: &[(&str, &str)], expect: bool| {
            assert_eq!(
                criteria("Patient", query).unwrap().matches(&version),
                expect,
                "{query:?}"
            );
        };
        check(&[], true);
        check(&[("identifier", "1"), ("identifier", "s|2")], true);
        check(&[("identifier", "1"), ("identifier", "s|3")], false);
        check(&[("identifier", "7,s|2")], true);
        check(&[("identifier", "1"), ("_id", "p")], true);
        check(&[("identifier", "1"), ("_id", "q")], false);
    }
}
