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
