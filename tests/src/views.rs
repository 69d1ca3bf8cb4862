//! Views that tests and benches share.

/// The view of the product's own walkthrough: a row for each patient with an official name.
pub const PATIENT_FLAT: &str = r#"{
  "resourceType": "ViewDefinition", "id": "patient-flat", "name": "patient_flat", "resource": "Patient", "status": "active",
  "select": [
    { "column": [
      { "name": "id", "path": "id" },
      { "name": "ts", "path": "getAidboxTs()" },
      { "name": "cts", "path": "getAidboxCts()" },
      { "name": "gender", "path": "gender" },
      { "name": "birth_date", "path": "birthDate" } ] },
    { "forEach": "name.where(use = 'official').first()", "column": [
      { "name": "family_name", "path": "family" },
      { "name": "given_name", "path": "given.join(' ')" } ] } ]
}"#;

/// Which version of which patient: a row for each, whatever it holds.
pub const PATIENT_VERSION: &str = r#"{
  "resourceType": "ViewDefinition", "id": "patient-version", "name": "patient_version", "resource": "Patient", "status": "active",
  "select": [ { "column": [
    { "name": "id", "path": "id" },
    { "name": "version", "path": "meta.versionId" },
    { "name": "ts", "path": "getAidboxTs()" } ] } ]
}"#;

/// A row for each Observation: who, when, what, how much.
pub const OBSERVATION_FLAT: &str = r#"{
  "resourceType": "ViewDefinition", "id": "observation-flat", "name": "observation_flat", "resource": "Observation", "status": "active",
  "select": [ { "column": [
    { "name": "id", "path": "getResourceKey()" },
    { "name": "ts", "path": "getAidboxTs()" },
    { "name": "patient_key", "path": "subject.getReferenceKey(Patient)" },
    { "name": "encounter_key", "path": "encounter.getReferenceKey(Encounter)" },
    { "name": "status", "path": "status" },
    { "name": "category", "path": "category.coding.code.first()" },
    { "name": "code", "path": "code.coding.where(system = 'http://loinc.org').code.first()" },
    { "name": "code_text", "path": "code.text" },
    { "name": "effective", "path": "effective.ofType(dateTime)" },
    { "name": "issued", "path": "issued" },
    { "name": "value", "path": "value.ofType(Quantity).value" },
    { "name": "unit", "path": "value.ofType(Quantity).unit" },
    { "name": "value_code", "path": "value.ofType(CodeableConcept).coding.first().code" } ] } ]
}"#;
