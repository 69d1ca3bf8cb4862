//! What an operation was asked, from a Parameters resource and from the query.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::change::Timestamp;

use super::App;
use super::ask::Ask;
use super::outcome::{Issue, Outcome};

/// An operation's parameters, in order; those of the query come after those of the body.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    list: Vec<Parameter>,
}

/// One parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: String,
    /// Its value as text, whatever its type.
    pub(super) value: Option<String>,
    /// Its resource, to the byte.
    pub(super) resource: Option<Bytes>,
    /// Where it stands, as a FHIRPath.
    pub(super) place: String,
}

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow, default)]
    parameter: Vec<WrittenParameter<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenParameter<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    resource: Option<&'a RawValue>,
    value_string: Option<String>,
    value_code: Option<String>,
    value_uri: Option<String>,
    value_url: Option<String>,
    value_canonical: Option<String>,
    value_id: Option<String>,
    value_instant: Option<String>,
    value_date_time: Option<String>,
    value_date: Option<String>,
    value_reference: Option<Reference>,
    value_boolean: Option<bool>,
    value_integer: Option<i64>,
    value_positive_int: Option<i64>,
    value_unsigned_int: Option<i64>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
}

impl WrittenParameter<'_> {
    fn value(&mut self) -> Option<String> {
        let number = self
            .value_integer
            .or(self.value_positive_int)
            .or(self.value_unsigned_int);
        self.value_string
            .take()
            .or_else(|| self.value_code.take())
            .or_else(|| self.value_uri.take())
            .or_else(|| self.value_url.take())
            .or_else(|| self.value_canonical.take())
            .or_else(|| self.value_id.take())
            .or_else(|| self.value_instant.take())
            .or_else(|| self.value_date_time.take())
            .or_else(|| self.value_date.take())
            .or_else(|| self.value_reference.take().and_then(|value| value.reference))
            .or_else(|| self.value_boolean.map(|value| value.to_string()))
            .or_else(|| number.map(|value| value.to_string()))
    }
}

impl Parameters {
    /// Reads a request's parameters; only those in `known` are taken.
    pub(super) fn of(app: &App, ask: &Ask, known: &[&str]) -> Result<Self, Outcome> {
        let mut parameters = Self::default();
        if !ask.body.is_empty() {
            ask.require_json()?;
            app.intake.check_form(Some("Parameters"), &ask.body)?;
            parameters.list = from_body(&ask.body)?;
        }
        for (name, value) in &ask.query {
            parameters.list.push(Parameter {
                name: name.clone(),
                value: Some(value.clone()),
                resource: None,
                place: name.clone(),
            });
        }
        parameters.refuse_unknown(known)?;
        Ok(parameters)
    }

    fn refuse_unknown(&self, known: &[&str]) -> Result<(), Outcome> {
        let issues: Vec<Issue> = self
            .list
            .iter()
            .filter(|parameter| !known.contains(&parameter.name.as_str()))
            .map(|parameter| {
                let text = format!("not a parameter of this operation; it takes {}", known.join(", "));
                Issue::new("not-supported", text).at(parameter.place.clone())
            })
            .collect();
        match issues.is_empty() {
            true => Ok(()),
            false => Err(Outcome::unprocessable(issues)),
        }
    }

    /// The first parameter of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }

    /// All parameters of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Parameter> {
        self.list.iter().filter(move |parameter| parameter.name == name)
    }

    /// The text of the first parameter of a name.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.value.as_deref()
    }
}

impl Parameter {
    /// 422 at this parameter.
    pub(super) fn refuse(&self, code: &str, diagnostics: impl Into<String>) -> Outcome {
        Outcome::unprocessable(vec![Issue::new(code, diagnostics).at(self.place.clone())])
    }

    /// The value as a count.
    pub(super) fn count(&self) -> Result<usize, Outcome> {
        let value = self.value.as_deref().unwrap_or_default();
        value
            .parse()
            .map_err(|_| self.refuse("value", "a whole number from 0"))
    }

    /// The value as a point in time.
    pub(super) fn time(&self) -> Result<Timestamp, Outcome> {
        // A plus sign that was not encoded in a query arrives as a space.
        let value = self.value.as_deref().unwrap_or_default().replace(' ', "+");
        Timestamp::parse(&value)
            .ok_or_else(|| self.refuse("value", "an instant with its zone, such as 2026-04-01T10:00:00Z"))
    }
}

fn from_body(body: &[u8]) -> Result<Vec<Parameter>, Outcome> {
    let written: Written<'_> = serde_json::from_slice(body).map_err(|_| {
        let text = "`parameter` is a list of objects with a `name` and a `value[x]` or a `resource`";
        Outcome::unprocessable(vec![Issue::new("structure", text).at("Parameters.parameter")])
    })?;
    let parameters = written.parameter.into_iter().enumerate();
    Ok(parameters
        .map(|(index, mut written)| Parameter {
            value: written.value(),
            resource: written
                .resource
                .map(|resource| Bytes::copy_from_slice(resource.get().as_bytes())),
            place: format!("Parameters.parameter[{index}]"),
            name: written.name.into_owned(),
        })
        .collect())
}
