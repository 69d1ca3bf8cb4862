//! References between the entries of a transaction, and to what meets a condition.

use std::collections::HashMap;

use crate::intake::bundle::links::{self, Link};
use crate::intake::bundle::request::{Address, address, local};
use crate::intake::bundle::{At, BundleRefusal};
use crate::intake::is_known_type;

use super::overlay::Overlay;
use super::{Around, Undecided, find};

/// Resolves the links of a transaction's resources; each condition is looked up once.
pub(super) struct Resolver<'a> {
    around: &'a Around<'a>,
    overlay: &'a Overlay,
    named: &'a HashMap<String, String>,
    found: HashMap<String, Result<String, BundleRefusal>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(
        around: &'a Around<'a>,
        overlay: &'a Overlay,
        named: &'a HashMap<String, String>,
    ) -> Self {
        Self {
            around,
            overlay,
            named,
            found: HashMap::new(),
        }
    }

    /// A resource's text with its links resolved; none when there is nothing to resolve. `full_url` is what its own
    /// entry is called, which relative references start at.
    pub(super) async fn resolve(
        &mut self,
        index: usize,
        full_url: Option<&str>,
        text: &[u8],
    ) -> Result<Option<String>, Undecided> {
        // What was checked is UTF-8.
        let Ok(text) = std::str::from_utf8(text) else {
            return Ok(None);
        };
        let root = full_url.and_then(root_of);
        let is_wanted = |value: &str, is_reference: bool| {
            self.entry_named(value, root, is_reference).is_some()
                || (is_reference && self.condition(value).is_some())
        };
        let found = links::find(text, &is_wanted);
        if found.is_empty() {
            return Ok(None);
        }
        let mut replacements = Vec::with_capacity(found.len());
        for link in &found {
            let value = self.target(link, root).await?;
            let value =
                value.map_err(|refusal| At::entry(index, format!("resource.{}", link.path), refusal))?;
            replacements.push((link, value));
        }
        Ok(Some(links::replace(text, &replacements)))
    }

    async fn target(
        &mut self,
        link: &Link,
        root: Option<&str>,
    ) -> Result<Result<String, BundleRefusal>, Undecided> {
        if let Some(named) = self.entry_named(&link.value, root, link.is_reference) {
            return Ok(Ok(named));
        }
        if let Some(known) = self.found.get(&link.value) {
            return Ok(known.clone());
        }
        let target = match self.condition(&link.value) {
            Some((name, query)) => self.by_condition(&name, &query).await?,
            None => Ok(link.value.clone()),
        };
        self.found.insert(link.value.clone(), target.clone());
        Ok(target)
    }

    async fn by_condition(
        &self,
        name: &str,
        query: &str,
    ) -> Result<Result<String, BundleRefusal>, Undecided> {
        let found = find(self.around, self.overlay, name, query).await?;
        Ok(found.and_then(|found| match (found.key, found.is_several) {
            (_, true) => Err(BundleRefusal::Several),
            (Some(key), false) => Ok(key.to_string()),
            (None, false) => Err(BundleRefusal::NoTarget),
        }))
    }

    /// What an entry of this name is now; a reference may add a version, which it loses, or a fragment.
    fn entry_named(&self, value: &str, root: Option<&str>, is_reference: bool) -> Option<String> {
        if let Some(named) = self.named.get(value) {
            return Some(named.clone());
        }
        if !is_reference {
            return None;
        }
        let (whole, fragment) = match value.split_once('#') {
            Some((whole, fragment)) if !whole.is_empty() => (whole, format!("#{fragment}")),
            Some(_) => return None,
            None => (value, String::new()),
        };
        let whole = whole.split("/_history/").next().unwrap_or(whole);
        let named = self.named.get(whole).cloned().or_else(|| {
            let is_absolute = whole.contains(':');
            let root = root.filter(|_| !is_absolute)?;
            self.named.get(&format!("{root}{whole}")).cloned()
        })?;
        Some(named + &fragment)
    }

    /// The type and query of a reference by condition.
    fn condition(&self, value: &str) -> Option<(String, String)> {
        if !value.contains('?') {
            return None;
        }
        match address(local(value, self.around.base)?) {
            Address::Search(name, query) if is_known_type(&name) => Some((name, query)),
            _ => None,
        }
    }
}

/// What relative references in an entry of this address start at: `http://h/fhir/` of `http://h/fhir/Patient/1`.
fn root_of(full_url: &str) -> Option<&str> {
    let (rest, _) = full_url.rsplit_once('/')?;
    let (root, name) = rest.rsplit_once('/')?;
    let is_address = root.contains("://") && is_known_type(name);
    is_address.then(|| &full_url[..=root.len()])
}
