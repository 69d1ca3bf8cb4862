//! A topic as an `AidboxSubscriptionTopic` defines it.

use lakefeed_view::{Criterion, Referenced, Verdict, Versions};
use serde_json::Value;

use crate::change::{Interaction, Other, Others, ResourceKey, Version};
use crate::issue::{Issue, IssueCode, suggestion};

/// A named set of triggers; it wants what any of them wants.
#[derive(Debug)]
pub struct Topic {
    /// The resource's id.
    pub id: String,
    /// The canonical URL that destinations name.
    pub url: String,
    /// The version number of this definition.
    pub version: u64,
    /// The version number of the topic's first definition, or of the one that revived it.
    pub first_version: u64,
    /// Whether it is `active`; a topic that is not wants nothing.
    pub is_active: bool,
    /// What it wants.
    pub triggers: Vec<Trigger>,
}

/// A resource type, the interactions and a criterion that a change must meet.
#[derive(Debug)]
pub struct Trigger {
    /// The resource type.
    pub resource: String,
    /// The interactions; all three when the definition names none.
    pub interactions: Vec<Interaction>,
    /// The criterion; every change fires when there is none.
    pub criterion: Option<Criterion>,
}

/// What an `AidboxSubscriptionTopic` may have beside its extensions.
const MEMBERS: [&str; 34] = [
    "resourceType",
    "id",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
    "extension",
    "modifierExtension",
    "url",
    "status",
    "trigger",
    "canFilterBy",
    "name",
    "title",
    "version",
    "versionAlgorithmString",
    "versionAlgorithmCoding",
    "identifier",
    "derivedFrom",
    "experimental",
    "date",
    "publisher",
    "contact",
    "description",
    "useContext",
    "jurisdiction",
    "purpose",
    "copyright",
    "copyrightLabel",
    "approvalDate",
    "lastReviewDate",
    "effectivePeriod",
    "custodian",
];
/// What a trigger may have.
const TRIGGER_MEMBERS: [&str; 8] = [
    "id",
    "extension",
    "modifierExtension",
    "resource",
    "supportedInteraction",
    "fhirPathCriteria",
    "description",
    "canFilterBy",
];
const STATUSES: [&str; 4] = ["draft", "active", "retired", "unknown"];

impl Topic {
    /// Reads a definition; every issue is found, not only the first. `id`, `version` and `first_version` are
    /// the caller's to set, since they are the store's.
    pub fn parse(resource: &Value) -> Result<Self, Vec<Issue>> {
        let mut issues = Vec::new();
        refuse_unknown(
            resource,
            &MEMBERS,
            "AidboxSubscriptionTopic",
            "a topic",
            &mut issues,
        );
        let url = required_string(resource, "url", &mut issues);
        let status = required_string(resource, "status", &mut issues);
        if !status.is_empty() && !STATUSES.contains(&status.as_str()) {
            let text = format!("not a status of a topic; one of {} is", STATUSES.join(", "));
            issues.push(Issue::new(
                IssueCode::Value,
                "AidboxSubscriptionTopic.status",
                text,
            ));
        }
        let triggers = read_triggers(resource, &mut issues);
        if !issues.is_empty() {
            return Err(issues);
        }
        let id = resource["id"].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            id,
            url,
            version: 0,
            first_version: 0,
            is_active: status == "active",
            triggers,
        })
    }

    /// A topic of the host's own that wants every change of a resource type.
    ///
    /// What it wants is always decided when a change is read: no change claims that it was asked, whoever wrote it.
    /// It has no URL, so no destination of a resource can name it.
    pub fn of_type(id: &str, resource_type: &str) -> Self {
        Self {
            id: id.to_owned(),
            url: String::new(),
            version: 0,
            first_version: u64::MAX,
            is_active: true,
            triggers: vec![Trigger {
                resource: resource_type.to_owned(),
                interactions: vec![Interaction::Create, Interaction::Update, Interaction::Delete],
                criterion: None,
            }],
        }
    }

    /// Whether the topic wants a version, given the one before and other resources; none where that depends on one
    /// that is not at hand.
    pub fn wants(&self, previous: Option<&Version>, version: &Version, others: &dyn Others) -> Option<bool> {
        let mut wants = Some(false);
        if !self.is_active {
            return wants;
        }
        for trigger in &self.triggers {
            match trigger.fires(previous, version, others) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => wants = None,
            }
        }
        wants
    }

    /// Whether the answer for a version depends on the one before.
    pub(crate) fn reads_previous(&self, version: &Version) -> bool {
        self.triggers.iter().any(|trigger| {
            let criterion = trigger.criterion.as_ref();
            trigger.resource == version.key.resource_type()
                && criterion.is_some_and(|criterion| criterion.expression().contains("%previous"))
        })
    }
}

impl Trigger {
    /// None where that depends on another resource that is not at hand.
    fn fires(&self, previous: Option<&Version>, version: &Version, others: &dyn Others) -> Option<bool> {
        let interaction = version.status.interaction();
        if self.resource != version.key.resource_type() || !self.interactions.contains(&interaction) {
            return Some(false);
        }
        let Some(criterion) = &self.criterion else {
            return Some(true);
        };
        // On a delete `%current` is empty, but a bare path is asked of the resource as it was deleted.
        let current = (interaction != Interaction::Delete).then_some(&*version.resource);
        // The version before a revival is the deleted one, which is nobody's previous content.
        let previous = match interaction {
            Interaction::Create => None,
            Interaction::Update | Interaction::Delete => previous.map(|version| &*version.resource),
        };
        // A criterion that cannot be evaluated on a resource fires: a row too many can be told apart later, a
        // change that was left out cannot.
        let versions = Versions {
            current,
            previous,
            context: &version.resource,
        };
        let verdict = criterion.matches(versions, &resource_meta(version), &|resource_type, id| {
            referenced(others, resource_type, id)
        });
        match verdict {
            Ok(Verdict::Fires) | Err(_) => Some(true),
            Ok(Verdict::Silent) => Some(false),
            Ok(Verdict::Unknown) => None,
        }
    }
}

/// What is at hand of a resource that a reference names.
fn referenced<'o>(others: &'o dyn Others, resource_type: &str, id: &str) -> Referenced<'o> {
    // What cannot be a key is the id of nothing.
    let Ok(key) = ResourceKey::new(resource_type, id) else {
        return Referenced::Nothing;
    };
    match others.other(&key) {
        Other::Living(content) => Referenced::Resource(content),
        Other::Absent => Referenced::Nothing,
        Other::NotAtHand => Referenced::NotAtHand,
    }
}

/// What the engine's `getAidbox…()` functions answer for a version.
pub(crate) fn resource_meta(version: &Version) -> lakefeed_view::ResourceMeta {
    lakefeed_view::ResourceMeta {
        ts: version.last_updated.0,
        cts: version.created_at.0,
        status: version.status.as_str().to_owned(),
        txid: i64::try_from(version.sequence.0).unwrap_or(i64::MAX),
        deleted: version.status.interaction() == Interaction::Delete,
    }
}

/// A misspelt member would silently make the topic want more than was meant.
fn refuse_unknown(object: &Value, known: &[&str], place: &str, what: &str, issues: &mut Vec<Issue>) {
    let members = object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str());
    for name in members.filter(|name| !known.contains(&name.trim_start_matches('_'))) {
        let near = suggestion(name, known.iter().copied());
        let text = format!("not a member of {what}{near}");
        issues.push(Issue::new(IssueCode::Structure, format!("{place}.{name}"), text));
    }
}

fn required_string(resource: &Value, name: &str, issues: &mut Vec<Issue>) -> String {
    let expression = format!("AidboxSubscriptionTopic.{name}");
    match resource.get(name) {
        None => issues.push(Issue::new(
            IssueCode::Required,
            expression,
            format!("`{name}` is required"),
        )),
        Some(Value::String(text)) if !text.is_empty() => return text.clone(),
        Some(_) => {
            let text = format!("`{name}` must be a string that is not empty");
            issues.push(Issue::new(IssueCode::Structure, expression, text));
        }
    }
    String::new()
}

fn read_triggers(resource: &Value, issues: &mut Vec<Issue>) -> Vec<Trigger> {
    let triggers = match resource.get("trigger") {
        None => return Vec::new(),
        Some(Value::Array(triggers)) => triggers,
        Some(_) => {
            let text = "`trigger` must be a list of objects";
            issues.push(Issue::new(
                IssueCode::Structure,
                "AidboxSubscriptionTopic.trigger",
                text,
            ));
            return Vec::new();
        }
    };
    let place = |index| format!("AidboxSubscriptionTopic.trigger[{index}]");
    triggers
        .iter()
        .enumerate()
        .filter_map(|(index, trigger)| read_trigger(trigger, &place(index), issues))
        .collect()
}

fn read_trigger(trigger: &Value, place: &str, issues: &mut Vec<Issue>) -> Option<Trigger> {
    let before = issues.len();
    refuse_unknown(trigger, &TRIGGER_MEMBERS, place, "a trigger", issues);
    let resource = read_resource_type(trigger, place, issues);
    let interactions = read_interactions(trigger, place, issues);
    let criterion = read_criterion(trigger, &resource, place, issues);
    (issues.len() == before).then_some(Trigger {
        resource,
        interactions,
        criterion,
    })
}

fn read_resource_type(trigger: &Value, place: &str, issues: &mut Vec<Issue>) -> String {
    let expression = format!("{place}.resource");
    let Some(written) = trigger.get("resource").and_then(Value::as_str) else {
        let text = "`resource` is required: the name of a resource type";
        issues.push(Issue::new(IssueCode::Required, expression, text));
        return String::new();
    };
    // The element is a uri; the canonical form of a type is accepted beside its plain name.
    let name = written
        .strip_prefix("http://hl7.org/fhir/StructureDefinition/")
        .unwrap_or(written);
    if !lakefeed_view::r4::is_resource_type(name) {
        let near = lakefeed_view::r4::nearest_resource_type(name);
        let near = near
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        issues.push(Issue::new(
            IssueCode::Value,
            expression,
            format!("not a resource type of FHIR R4{near}"),
        ));
    }
    name.to_owned()
}

fn read_interactions(trigger: &Value, place: &str, issues: &mut Vec<Issue>) -> Vec<Interaction> {
    let all = vec![Interaction::Create, Interaction::Update, Interaction::Delete];
    let listed = match trigger.get("supportedInteraction") {
        None => return all,
        Some(Value::Array(listed)) if listed.is_empty() => return all,
        Some(listed) => listed,
    };
    serde_json::from_value(listed.clone()).unwrap_or_else(|_| {
        let text = "`supportedInteraction` is a list of `create`, `update` and `delete`";
        issues.push(Issue::new(
            IssueCode::Value,
            format!("{place}.supportedInteraction"),
            text,
        ));
        Vec::new()
    })
}

fn read_criterion(
    trigger: &Value,
    resource: &str,
    place: &str,
    issues: &mut Vec<Issue>,
) -> Option<Criterion> {
    let expression = format!("{place}.fhirPathCriteria");
    match trigger.get("fhirPathCriteria")? {
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => Criterion::compile(text, resource)
            .map_err(|errors| issues.extend(errors.iter().map(|error| criterion_issue(&expression, error))))
            .ok(),
        _ => {
            let text = "`fhirPathCriteria` must be a string";
            issues.push(Issue::new(IssueCode::Structure, expression, text));
            None
        }
    }
}

fn criterion_issue(expression: &str, error: &lakefeed_view::ViewError) -> Issue {
    let place = error
        .column
        .map(|column| format!("character {column}: "))
        .unwrap_or_default();
    let text = format!("{place}{}; {} [{}]", error.problem, error.remedy, error.code);
    Issue::new(IssueCode::Value, expression, text)
}
