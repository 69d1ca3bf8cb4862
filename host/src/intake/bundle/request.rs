//! What an entry of a Bundle asks for: its method and address, read as values.

use percent_encoding::percent_decode_str;

use super::{BundleRefusal, Request};

/// The methods that an entry may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// A read; HEAD counts as one.
    Get,
    /// A create, or an operation.
    Post,
    /// An update, or a create under the client's id.
    Put,
    /// A partial update.
    Patch,
    /// A delete.
    Delete,
}

/// What an entry's address names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `Patient`
    Type(String),
    /// `Patient?identifier=…`: the type and the query.
    Search(String, String),
    /// `Patient/p-1`
    Instance(String, String),
    /// `ViewDefinition/v/$materialize`, `Patient/$load`
    Operation,
    /// Anything else that a read may name: a version, a history, the capabilities.
    Other,
}

impl Method {
    /// The method of a name, which is written in capitals.
    pub fn of(name: &str) -> Result<Self, BundleRefusal> {
        match name {
            "GET" | "HEAD" => Ok(Self::Get),
            "POST" => Ok(Self::Post),
            "PUT" => Ok(Self::Put),
            "PATCH" => Ok(Self::Patch),
            "DELETE" => Ok(Self::Delete),
            _ => Err(BundleRefusal::Method),
        }
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// The refusal of an address that does not fit the method.
    pub fn misdirected(self) -> BundleRefusal {
        BundleRefusal::Url {
            method: self.as_str(),
            form: match self {
                Self::Get => "`Patient/p-1` or `Patient?…`",
                Self::Post => "`Patient`",
                Self::Put | Self::Patch | Self::Delete => "`Patient/p-1` or `Patient?identifier=…`",
            },
        }
    }
}

impl Request {
    /// The entry's address below `/fhir/`; none when it is another server's. `base` is the server's own address as
    /// the client knows it, without `/fhir`.
    pub fn path<'r>(&'r self, base: &str) -> Option<&'r str> {
        local(&self.url, base)
    }
}

/// An address below `/fhir/`, whichever way it is written; none when it is another server's.
pub fn local<'u>(url: &'u str, base: &str) -> Option<&'u str> {
    let head = url.split(['?', '#']).next().unwrap_or_default();
    let path = match head.contains("://") {
        true => url.strip_prefix(base)?.strip_prefix('/')?,
        false => url.strip_prefix('/').unwrap_or(url),
    };
    Some(path.strip_prefix("fhir/").unwrap_or(path))
}

/// Reads an address below `/fhir/`.
pub fn address(path: &str) -> Address {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let segments: Vec<&str> = path.trim_end_matches('/').split('/').collect();
    match (segments.as_slice(), query) {
        ([.., last], _) if last.starts_with('$') || last.starts_with("%24") => Address::Operation,
        ([name], None) if is_name(name) => Address::Type((*name).to_owned()),
        ([name], Some(query)) if is_name(name) => Address::Search((*name).to_owned(), query.to_owned()),
        ([name, id], _) if is_name(name) && !id.starts_with('_') => {
            let id = percent_decode_str(id).decode_utf8_lossy().into_owned();
            Address::Instance((*name).to_owned(), id)
        }
        _ => Address::Other,
    }
}

fn is_name(segment: &str) -> bool {
    segment.starts_with(|first: char| first.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_whichever_way_it_is_written() {
        let check = |url: &str, expect: Option<&str>| {
            assert_eq!(local(url, "http://host:80"), expect, "{url}");
        };
        check("Patient/1", Some("Patient/1"));
        check("/Patient/1", Some("Patient/1"));
        check("/fhir/Patient/1", Some("Patient/1"));
        check("http://host:80/fhir/Patient/1", Some("Patient/1"));
        check("http://other/fhir/Patient/1", None);
        check(
            "Patient?identifier=http://s|1",
            Some("Patient?identifier=http://s|1"),
        );
    }

    #[test]
    fn an_address_names_one_thing() {
        let check = |path: &str, expect: &str| assert_eq!(format!("{:?}", address(path)), expect, "{path}");
        check("Patient", r#"Type("Patient")"#);
        check("Patient?_id=1", r#"Search("Patient", "_id=1")"#);
        check("Patient/p-1", r#"Instance("Patient", "p-1")"#);
        check("Patient/p-1/", r#"Instance("Patient", "p-1")"#);
        check("ViewDefinition/v/$materialize", "Operation");
        check("ViewDefinition/$run?_format=csv", "Operation");
        check("Patient/p-1/_history/3", "Other");
        check("metadata", "Other");
        check("", "Other");
    }
}
