//! How each server writes its changes, as it documents them.

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::Change;

/// What the Medplum project signs with.
pub(super) const SECRET: &str = "shared by both";

/// A kind of sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Aidbox,
    R4,
    R4b,
    R5,
    Hapi,
    Medplum,
}

/// Method, path, headers and body.
pub(super) type Request = (Method, String, Vec<(&'static str, String)>, String);

impl Format {
    pub(super) const ALL: [Self; 6] = [
        Self::Aidbox,
        Self::R4,
        Self::R4b,
        Self::R5,
        Self::Hapi,
        Self::Medplum,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Aidbox => "aidbox",
            Self::R4 => "r4",
            Self::R4b => "r4b",
            Self::R5 => "r5",
            Self::Hapi => "hapi",
            Self::Medplum => "medplum",
        }
    }

    /// Whether a delete says when it was.
    pub(super) fn times_deletes(self) -> bool {
        !matches!(self, Self::Hapi | Self::Medplum)
    }

    pub(super) fn request(self, change: &Change) -> Request {
        let json = ("content-type", "application/fhir+json".to_owned());
        match self {
            Self::Hapi => {
                let path = format!("/ingest/hapi/Patient/{}", change.id);
                match change.is_delete {
                    true => (Method::DELETE, path, Vec::new(), String::new()),
                    false => (Method::PUT, path, vec![json], change.resource().to_string()),
                }
            }
            Self::Medplum => medplum(change, json),
            _ => {
                let body = self.notification(change).to_string();
                (Method::POST, "/ingest/bundle".to_owned(), vec![json], body)
            }
        }
    }

    fn notification(self, change: &Change) -> Value {
        let kind = match self {
            Self::R5 => "subscription-notification",
            _ => "history",
        };
        let address = format!("Patient/{}", change.id);
        let method = if change.is_delete { "DELETE" } else { "PUT" };
        let mut entry = json!({"fullUrl": format!("https://source.example/fhir/{address}"),
            "request": {"method": method, "url": address}});
        if !change.is_delete || self == Self::Aidbox {
            entry["resource"] = change.resource();
        }
        if self == Self::Aidbox {
            let action = if change.is_delete { "delete" } else { "update" };
            entry["request"]["method"] = json!("POST");
            entry["extension"] = json!([
                {"url": "http://health-samurai.io/fhir/core/StructureDefinition/bundle-entryActionCode", "valueCode": action},
                {"url": "http://health-samurai.io/fhir/core/StructureDefinition/bundle-entryVersionId",
                    "valueId": change.version.to_string()}]);
        }
        json!({"resourceType": "Bundle", "type": kind, "entry": [{"resource": self.status(change)}, entry]})
    }

    fn status(self, change: &Change) -> Value {
        let focus = json!({"reference": format!("https://source.example/fhir/Patient/{}", change.id)});
        let (number, instant) = (change.number, change.instant());
        let subscription = json!({"reference": format!("Subscription/{}", self.name())});
        match self {
            Self::R4 => json!({"resourceType": "Parameters", "parameter": [
                {"name": "subscription", "valueReference": subscription},
                {"name": "topic", "valueCanonical": "https://source.example/topic"},
                {"name": "status", "valueCode": "active"},
                {"name": "type", "valueCode": "event-notification"},
                {"name": "events-since-subscription-start", "valueString": number.to_string()},
                {"name": "notification-event", "part": [
                    {"name": "event-number", "valueString": number.to_string()},
                    {"name": "timestamp", "valueInstant": instant},
                    {"name": "focus", "valueReference": focus}]}]}),
            Self::Aidbox => json!({"resourceType": "AidboxSubscriptionStatus", "status": "active",
                "type": "event-notification", "topic": "https://source.example/topic",
                "topic-destination": {"reference": "AidboxTopicDestination/to-lakefeed"},
                "notificationEvent": [{"eventNumber": number, "timestamp": instant, "focus": focus}]}),
            _ => {
                json!({"resourceType": "SubscriptionStatus", "status": "active", "type": "event-notification",
                "subscription": subscription, "topic": "https://source.example/topic",
                "eventsSinceSubscriptionStart": number.to_string(),
                "notificationEvent": [{"eventNumber": number.to_string(), "timestamp": instant, "focus": focus}]})
            }
        }
    }
}

fn medplum(change: &Change, json: (&'static str, String)) -> Request {
    let body = match change.is_delete {
        true => "{}".to_owned(),
        false => change.resource().to_string(),
    };
    let interaction = match (change.is_delete, change.version) {
        (true, _) => "delete",
        (false, 1) => "create",
        (false, _) => "update",
    };
    let mut headers = vec![
        json,
        ("x-medplum-subscription", "Subscription/to-lakefeed".to_owned()),
        ("x-medplum-interaction", interaction.to_owned()),
        ("x-signature", signature(&body)),
    ];
    if change.is_delete {
        headers.push(("x-medplum-deleted-resource", format!("Patient/{}", change.id)));
    }
    (Method::POST, "/ingest/clinic".to_owned(), headers, body)
}

fn signature(body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key of any length");
    mac.update(body.as_bytes());
    let signature = mac.finalize().into_bytes();
    signature.iter().map(|byte| format!("{byte:02x}")).collect()
}
