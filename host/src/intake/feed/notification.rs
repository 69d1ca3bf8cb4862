//! Notification Bundles as Aidbox, R4 backport, R4B and R5 send them, read into one form.
//!
//! The first entry tells what the notification is: an AidboxSubscriptionStatus, the Parameters of the R4 backport,
//! or a SubscriptionStatus. Numbers may be strings. The other entries are resources, or only their addresses.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::change::Timestamp;
use crate::intake::bundle::{self, At, BundleRefusal, Kind};

/// A notification, or a history without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What it says of the subscription; none for a plain history.
    pub status: Option<Status>,
    /// What happened, in the order in which it is to be done.
    pub entries: Vec<FeedEntry>,
}

/// What the first entry says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Whose notification it is: the subscription, or Aidbox's destination; and the topic.
    pub subscription: String,
    /// What is notified.
    pub kind: StatusKind,
    /// How many events there were since the subscription began.
    pub since_start: Option<u64>,
    /// The events.
    pub events: Vec<Event>,
}

/// A status's `type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusKind {
    /// The sender asks whether anybody listens.
    Handshake,
    /// The sender says that it is there.
    Heartbeat,
    /// Something happened.
    #[default]
    Events,
}

/// One event of a notification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub number: Option<u64>,
    /// When it happened.
    pub timestamp: Option<Timestamp>,
    /// What it is about: `Patient/p-1`, or a whole address.
    pub focus: Option<String>,
}

/// One entry behind the status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its place in the Bundle.
    pub index: usize,
    /// Its resource, to the byte.
    pub resource: Option<Bytes>,
    /// Whether the resource was deleted.
    pub is_delete: bool,
    /// What it is about: `Patient/p-1`, or a whole address.
    pub address: Option<String>,
    /// What the source calls this version, where the entry says so itself.
    pub version: Option<String>,
    /// When the event happened.
    pub timestamp: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenEntry<'a> {
    full_url: Option<String>,
    #[serde(borrow)]
    resource: Option<&'a serde_json::value::RawValue>,
    request: Option<WrittenRequest>,
    response: Option<WrittenResponse>,
    #[serde(default)]
    extension: Vec<Extension>,
}

#[derive(Deserialize)]
struct WrittenRequest {
    method: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenResponse {
    etag: Option<String>,
    last_modified: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Extension {
    url: Option<String>,
    value_code: Option<String>,
    value_id: Option<String>,
}

/// Whether a Bundle's first entry is a status, so that it is a notification.
pub fn has_status(entries: &[bundle::Entry]) -> bool {
    let first = entries.first().and_then(|entry| entry.resource.as_deref());
    let resource = first.and_then(|text| serde_json::from_slice::<Value>(text).ok());
    resource.is_some_and(|resource| status_of(&resource).is_some())
}

/// Reads a notification, or a `history` without a status.
pub fn parse(text: &Bytes, max_entries: usize) -> Result<Notification, At> {
    let (kind, raw) = bundle::split(text, max_entries)?;
    if !matches!(kind, Kind::History | Kind::SubscriptionNotification) {
        return Err(At::bundle(BundleRefusal::NoStatus));
    }
    let mut status = None;
    let mut entries = Vec::with_capacity(raw.len());
    for (index, raw) in raw.into_iter().enumerate() {
        let written: WrittenEntry<'_> =
            serde_json::from_str(raw.get()).map_err(|_| At::entry(index, "", BundleRefusal::Structure))?;
        if index == 0
            && let Some(found) = written
                .resource
                .and_then(|raw| status_of(&serde_json::from_str(raw.get()).ok()?))
        {
            status = Some(found);
            continue;
        }
        entries.push(entry(text, index, written));
    }
    match &status {
        Some(status) => give_times(status, &mut entries),
        None if kind == Kind::History => entries.reverse(),
        None => return Err(At::bundle(BundleRefusal::NoStatus)),
    }
    Ok(Notification { status, entries })
}

fn entry(text: &Bytes, index: usize, written: WrittenEntry<'_>) -> FeedEntry {
    let extension = |end: &str| {
        written
            .extension
            .iter()
            .find(|extension| extension.url.as_deref().is_some_and(|url| url.ends_with(end)))
    };
    let action = extension("bundle-entryActionCode").and_then(|found| found.value_code.as_deref());
    let version = extension("bundle-entryVersionId").and_then(|found| found.value_id.clone());
    let request = written.request.as_ref();
    let method = request.and_then(|request| request.method.as_deref());
    let response = written.response.as_ref();
    FeedEntry {
        index,
        is_delete: match action {
            Some(action) => action == "delete",
            None => method == Some("DELETE"),
        },
        address: request
            .and_then(|request| request.url.clone())
            .filter(|url| url.contains('/'))
            .or(written.full_url),
        version: version.or_else(|| response.and_then(|response| tag(response.etag.as_deref()?))),
        timestamp: response.and_then(|response| Timestamp::parse(response.last_modified.as_deref()?)),
        resource: written
            .resource
            .filter(|raw| raw.get() != "null")
            .map(|raw| text.slice_ref(raw.get().as_bytes())),
    }
}

fn tag(etag: &str) -> Option<String> {
    let tag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    (!tag.is_empty()).then(|| tag.to_owned())
}

/// Gives each entry the time of the event that is about it.
fn give_times(status: &Status, entries: &mut [FeedEntry]) {
    for entry in entries {
        let Some(named) = entry.address.as_deref().and_then(last_two) else {
            continue;
        };
        let is_about = |event: &&Event| event.focus.as_deref().and_then(last_two) == Some(named);
        let of_event = status
            .events
            .iter()
            .find(is_about)
            .and_then(|event| event.timestamp);
        entry.timestamp = entry.timestamp.or(of_event);
    }
}

/// Type and id of an address, whether relative or whole, with a version or without.
pub fn last_two(address: &str) -> Option<(&str, &str)> {
    let address = address.split("/_history/").next()?;
    let (rest, id) = address.rsplit_once('/')?;
    let name = rest.rsplit('/').next()?;
    Some((name, id))
}

/// Reads a status, in whichever of its forms.
fn status_of(resource: &Value) -> Option<Status> {
    match resource["resourceType"].as_str()? {
        "AidboxSubscriptionStatus" | "SubscriptionStatus" => Some(of_resource(resource)),
        "Parameters" => of_parameters(resource),
        _ => None,
    }
}

fn of_resource(resource: &Value) -> Status {
    let reference = |name: &str| resource[name]["reference"].as_str();
    let whose = reference("subscription").or(reference("topic-destination"));
    let events = resource["notificationEvent"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    Status {
        subscription: name(whose, resource["topic"].as_str()),
        kind: StatusKind::of(resource["type"].as_str()),
        since_start: number(&resource["eventsSinceSubscriptionStart"]),
        events: events
            .iter()
            .map(|event| Event {
                number: number(&event["eventNumber"]),
                timestamp: event["timestamp"].as_str().and_then(Timestamp::parse),
                focus: event["focus"]["reference"].as_str().map(ToOwned::to_owned),
            })
            .collect(),
    }
}

/// The R4 backport's Parameters; none of others.
fn of_parameters(resource: &Value) -> Option<Status> {
    let parameters = resource["parameter"].as_array()?;
    let value = |name: &str| value(parameters, name);
    let kind = value("type")?;
    let events = parameters
        .iter()
        .filter(|parameter| parameter["name"] == "notification-event");
    let event = |parameter: &Value| {
        let part = parameter["part"].as_array().map_or(&[][..], Vec::as_slice);
        let value = |name: &str| self::value(part, name);
        Event {
            number: value("event-number").and_then(number),
            timestamp: value("timestamp")
                .and_then(Value::as_str)
                .and_then(Timestamp::parse),
            focus: value("focus")
                .and_then(|focus| focus["reference"].as_str())
                .map(ToOwned::to_owned),
        }
    };
    Some(Status {
        subscription: name(
            value("subscription").and_then(|reference| reference["reference"].as_str()),
            value("topic").and_then(Value::as_str),
        ),
        kind: StatusKind::of(kind.as_str()),
        since_start: value("events-since-subscription-start").and_then(number),
        events: events.map(event).collect(),
    })
}

/// The value of a parameter, whatever its type.
fn value<'v>(parameters: &'v [Value], name: &str) -> Option<&'v Value> {
    let found = parameters.iter().find(|parameter| parameter["name"] == name)?;
    let members: &Map<String, Value> = found.as_object()?;
    let named = members.iter().find(|(key, _)| key.starts_with("value"));
    named.map(|(_, value)| value)
}

fn name(whose: Option<&str>, topic: Option<&str>) -> String {
    format!("{} {}", whose.unwrap_or_default(), topic.unwrap_or_default())
}

/// A number, written as one or as a string.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

impl StatusKind {
    fn of(code: Option<&str>) -> Self {
        match code {
            Some("handshake") => Self::Handshake,
            Some("heartbeat") => Self::Heartbeat,
            _ => Self::Events,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(kind: &str, entries: Value) -> Notification {
        let text = json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string();
        parse(&Bytes::from(text), 100).unwrap()
    }

    fn check(status: Value, expect: (&str, StatusKind, Option<u64>, &[u64])) {
        let found = read("history", json!([{"resource": status}])).status.unwrap();
        let numbers: Vec<u64> = found.events.iter().filter_map(|event| event.number).collect();
        let found = (
            found.subscription.as_str(),
            found.kind,
            found.since_start,
            numbers.as_slice(),
        );
        assert_eq!(found, expect);
    }

    #[test]
    fn a_status_is_read_in_all_four_forms() {
        check(
            json!({"resourceType": "AidboxSubscriptionStatus", "type": "event-notification", "topic": "t",
                "topic-destination": {"reference": "AidboxTopicDestination/d"},
                "notificationEvent": [{"eventNumber": 1}, {"eventNumber": 2}]}),
            ("AidboxTopicDestination/d t", StatusKind::Events, None, &[1, 2]),
        );
        check(
            json!({"resourceType": "SubscriptionStatus", "type": "heartbeat", "topic": "t",
                "subscription": {"reference": "Subscription/s"}, "eventsSinceSubscriptionStart": "7"}),
            ("Subscription/s t", StatusKind::Heartbeat, Some(7), &[]),
        );
        check(
            json!({"resourceType": "SubscriptionStatus", "type": "event-notification",
                "subscription": {"reference": "Subscription/s"}, "eventsSinceSubscriptionStart": 7,
                "notificationEvent": [{"eventNumber": "7"}]}),
            ("Subscription/s ", StatusKind::Events, Some(7), &[7]),
        );
        check(
            json!({"resourceType": "Parameters", "parameter": [
                {"name": "subscription", "valueReference": {"reference": "Subscription/s"}},
                {"name": "topic", "valueCanonical": "t"}, {"name": "type", "valueCode": "handshake"},
                {"name": "events-since-subscription-start", "valueString": "0"},
                {"name": "notification-event", "part": [{"name": "event-number", "valueString": "3"}]}]}),
            ("Subscription/s t", StatusKind::Handshake, Some(0), &[3]),
        );
    }

    #[test]
    fn an_entry_says_what_happened_to_what() {
        let status = json!({"resource": {"resourceType": "SubscriptionStatus", "type": "event-notification",
            "notificationEvent": [{"eventNumber": 1, "timestamp": "2026-01-01T00:00:00Z",
                "focus": {"reference": "http://h/fhir/Patient/a/_history/2"}}]}});
        let found = read(
            "subscription-notification",
            json!([
                status,
                {"fullUrl": "http://h/fhir/Patient/a", "request": {"method": "PUT", "url": "Patient/a"},
                    "resource": {"resourceType": "Patient", "id": "a"}},
                {"request": {"method": "DELETE", "url": "Patient/b"}, "response": {"etag": "W/\"4\""}},
                {"fullUrl": "http://h/fhir/Patient/c", "request": {"method": "POST", "url": "Patient"},
                    "extension": [{"url": "http://x/bundle-entryActionCode", "valueCode": "delete"},
                        {"url": "http://x/bundle-entryVersionId", "valueId": "9"}]},
            ]),
        );
        let text = |entry: &FeedEntry| {
            format!(
                "{} {} {:?} {:?} {}",
                entry.index,
                entry.is_delete,
                entry.address.as_deref().and_then(last_two),
                entry.version,
                entry.timestamp.is_some()
            )
        };
        let found: Vec<String> = found.entries.iter().map(text).collect();
        assert_eq!(
            found,
            [
                r#"1 false Some(("Patient", "a")) None true"#,
                r#"2 true Some(("Patient", "b")) Some("4") false"#,
                r#"3 true Some(("Patient", "c")) Some("9") false"#,
            ]
        );
    }

    #[test]
    fn a_history_without_a_status_is_read_oldest_first() {
        let found = read(
            "history",
            json!([{"fullUrl": "Patient/new"}, {"fullUrl": "Patient/old"}]),
        );
        assert_eq!(found.status, None);
        assert_eq!(found.entries[0].address.as_deref(), Some("Patient/old"));
    }
}
