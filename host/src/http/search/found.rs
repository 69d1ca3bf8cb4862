//! Finding what a search asks for: by the store's own order where it can, among a few candidates otherwise.

use crate::change::Version;
use crate::intake::criteria::Way;
use crate::log::{Place, Search, SearchOrder};

use super::super::outcome::Outcome;
use super::super::{App, conditional};
use super::MAX_COUNT;
use super::wanted::{Page, Wanted};

/// The most resources that are passed over to get to a page by its number.
const MAX_PASSED: usize = 10_000;
/// The most resources that are looked at where the store does not search by itself.
const MAX_CANDIDATES: usize = 10_000;

/// What was found.
pub(super) struct Found {
    /// How many there are altogether, if that was asked.
    pub(super) total: Option<u64>,
    /// The page.
    pub(super) versions: Vec<Version>,
    /// Whether there is a page behind it.
    pub(super) has_more: bool,
}

/// Finds a page of what is wanted.
pub(super) async fn find(app: &App, wanted: &Wanted) -> Result<Found, Outcome> {
    let is_by_store = wanted.criteria.only_ids().is_some() || wanted.criteria.is_empty();
    let (total, mut versions) = match is_by_store {
        true => by_store(app, wanted).await?,
        false => among_candidates(app, wanted).await?,
    };
    let has_more = versions.len() > wanted.count;
    versions.truncate(wanted.count);
    Ok(Found {
        total,
        versions,
        has_more,
    })
}

/// Whether only the number of resources is asked for.
fn is_only_total(wanted: &Wanted) -> bool {
    wanted.is_count || wanted.count == 0
}

/// The total, and the page with one resource more than asked for, which tells whether there is a next one.
async fn by_store(app: &App, wanted: &Wanted) -> Result<(Option<u64>, Vec<Version>), Outcome> {
    let mut search = Search {
        resource_type: wanted.criteria.resource_type().to_owned(),
        ids: wanted.criteria.only_ids().map(<[String]>::to_vec),
        updated_from: wanted.updated.from,
        updated_before: wanted.updated.before,
        order: wanted.order,
        after: None,
        count: wanted.count + 1,
    };
    let total = match wanted.has_total || is_only_total(wanted) {
        true => Some(app.log.search_total(&search).await?),
        false => None,
    };
    if is_only_total(wanted) {
        return Ok((total, Vec::new()));
    }
    match &wanted.page {
        Page::After(place) => search.after = Some(place.clone()),
        Page::Number(number) => {
            if !pass(app, &mut search, passed(*number, wanted.count)?).await? {
                return Ok((total, Vec::new()));
            }
        }
    }
    Ok((total, app.log.search(&search).await?))
}

/// How many resources lie before a page.
fn passed(number: usize, count: usize) -> Result<usize, Outcome> {
    let passed = (number - 1).saturating_mul(count);
    match passed <= MAX_PASSED {
        true => Ok(passed),
        false => Err(Outcome::bad_request(
            "too-costly",
            format!(
                "`_page` passes over {MAX_PASSED} resources at most; follow the `next` links, which may go on for ever"
            ),
        )),
    }
}

/// Moves a search behind its first resources; false when there are no more than these.
async fn pass(app: &App, search: &mut Search, mut left: usize) -> Result<bool, Outcome> {
    while left > 0 {
        let skipped = Search {
            count: left.min(MAX_COUNT),
            ..search.clone()
        };
        let page = app.log.search(&skipped).await?;
        let Some(last) = page.last().filter(|_| page.len() == skipped.count) else {
            return Ok(false);
        };
        search.after = Some(Place::of(last));
        left -= page.len();
    }
    Ok(true)
}

/// The same where the candidates are few: definitions, and what bears an identifier.
async fn among_candidates(app: &App, wanted: &Wanted) -> Result<(Option<u64>, Vec<Version>), Outcome> {
    let mut found = candidates(app, wanted).await?;
    found.retain(|version| wanted.updated.contains(version.last_updated));
    sort(&mut found, wanted.order);
    let total = (wanted.has_total || is_only_total(wanted)).then_some(found.len() as u64);
    if is_only_total(wanted) {
        return Ok((total, Vec::new()));
    }
    match &wanted.page {
        Page::Number(number) => {
            let passed = passed(*number, wanted.count)?.min(found.len());
            found.drain(..passed);
        }
        Page::After(place) => found.retain(|version| is_behind(version, place, wanted.order)),
    }
    found.truncate(wanted.count + 1);
    Ok((total, found))
}

async fn candidates(app: &App, wanted: &Wanted) -> Result<Vec<Version>, Outcome> {
    let alternatives = match wanted.criteria.way() {
        Way::All => wanted.criteria.alternatives(),
        _ => None,
    };
    let mut found: Vec<Version> = Vec::new();
    for criteria in alternatives.unwrap_or_else(|| vec![wanted.criteria.clone()]) {
        let matches = conditional::find(app, &criteria, MAX_CANDIDATES + 1).await?;
        found.extend(matches.versions);
        if found.len() > MAX_CANDIDATES {
            let text = format!("more than {MAX_CANDIDATES} resources are found; ask for fewer");
            return Err(Outcome::bad_request("too-costly", text));
        }
    }
    found.sort_by(|one, other| one.key.cmp(&other.key));
    found.dedup_by(|one, other| one.key == other.key);
    Ok(found)
}

/// Sorts what is in the order of its ids.
fn sort(found: &mut [Version], order: SearchOrder) {
    match order {
        SearchOrder::Id => {}
        SearchOrder::OldestFirst => found.sort_by_key(|version| version.last_updated),
        SearchOrder::NewestFirst => found.sort_by_key(|version| std::cmp::Reverse(version.last_updated)),
    }
}

fn is_behind(version: &Version, place: &Place, order: SearchOrder) -> bool {
    let (time, id) = (version.last_updated, version.key.id());
    let is_later_id = id > place.id.as_str();
    match order {
        SearchOrder::Id => is_later_id,
        SearchOrder::OldestFirst => time > place.last_updated || (time == place.last_updated && is_later_id),
        SearchOrder::NewestFirst => time < place.last_updated || (time == place.last_updated && is_later_id),
    }
}
