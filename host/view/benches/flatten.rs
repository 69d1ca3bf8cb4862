//! Resources a second on one core, from JSON bytes to Arrow, for the three views of `benches/views`.
//!
//!     cargo bench -p lakefeed-view --bench flatten
//!
//! The data is generated and the same in every run. Under `cargo test` one short round shows that it still works.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program that measures")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lakefeed_view::{ColumnType, CompileOptions, OutputType, ResourceMeta, RowOptions, View, ViewDefinition};

/// How many resources of a kind are made.
const COUNT: usize = 5_000;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn patient(number: usize, dice: &mut Dice) -> String {
    let mut json = String::new();
    let (year, month, day) = (1930 + dice.below(90), 1 + dice.below(12), 1 + dice.below(28));
    let core = "http://hl7.org/fhir/us/core/StructureDefinition";
    write!(
        json,
        r#"{{"resourceType":"Patient","id":"p{number}","meta":{{"versionId":"1","lastUpdated":"2024-03-{day:02}T10:20:30.123Z"}},
"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>"}},
"extension":[{{"url":"{core}/us-core-race","extension":[{{"url":"ombCategory","valueCoding":{{"system":"urn:oid:2.16.840.1.113883.6.238",
"code":"2106-3","display":"White"}}}},{{"url":"text","valueString":"White"}}]}},{{"url":"{core}/us-core-birthsex","valueCode":"F"}}],
"identifier":[{{"system":"https://hospital.example","value":"{number}"}},{{"type":{{"coding":[{{"code":"MR"}}]}},"value":"mr{number}"}},
{{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-{:04}"}}],"active":true,
"name":[{{"use":"official","family":"Family{}","given":["Given{}","Middle"],"prefix":["Ms."]}},{{"use":"maiden","family":"Maiden"}}],
"telecom":[{{"system":"phone","value":"555-{:04}","use":"home"}},{{"system":"email","value":"p{number}@mail.example"}}],
"gender":"female","birthDate":"{year}-{month:02}-{day:02}","address":[{{"extension":[{{"url":"http://hl7.org/fhir/StructureDefinition/geolocation",
"extension":[{{"url":"latitude","valueDecimal":42.36008}},{{"url":"longitude","valueDecimal":-71.05}}]}}],"line":["{} Main Street"],
"city":"Boston","state":"MA","postalCode":"02101","country":"US"}}],"maritalStatus":{{"coding":[{{"code":"M"}}],"text":"M"}},
"multipleBirthBoolean":false,"communication":[{{"language":{{"coding":[{{"system":"urn:ietf:bcp:47","code":"en-US"}}]}}}}],
"generalPractitioner":[{{"reference":"Practitioner/g{number}"}}],"managingOrganization":{{"reference":"Organization/o1"}}}}"#,
        "Generated narrative that no view reads. ".repeat(20),
        dice.below(10_000),
        dice.below(500),
        dice.below(500),
        dice.below(10_000),
        dice.below(999),
    )
    .unwrap();
    json
}

fn observation(number: usize, dice: &mut Dice) -> String {
    let (systolic, diastolic, day) = (100 + dice.below(60), 60 + dice.below(30), 1 + dice.below(28));
    format!(
        r#"{{"resourceType":"Observation","id":"o{number}","meta":{{"lastUpdated":"2024-03-{day:02}T10:20:30.123+01:00"}},"status":"final",
"category":[{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}}]}}],
"code":{{"coding":[{{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure panel"}}],"text":"Blood pressure"}},
"subject":{{"reference":"Patient/p{}"}},"encounter":{{"reference":"Encounter/e{number}"}},"effectiveDateTime":"2024-03-{day:02}T10:20:30Z",
"issued":"2024-03-{day:02}T10:20:30.123Z","component":[{{"code":{{"coding":[{{"system":"http://loinc.org","code":"8480-6"}}]}},
"valueQuantity":{{"value":{systolic},"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}}},{{"code":{{"coding":[{{"code":"8462-4"}}]}},
"valueQuantity":{{"value":{diastolic}.5,"unit":"mm[Hg]","code":"mm[Hg]"}}}}]}}"#,
        dice.below(COUNT as u64),
    )
}

/// The types of design section 5: what a lakehouse table holds.
fn table_types(view: &View) -> Vec<ColumnType> {
    let output = |fhir_type: &str| match fhir_type {
        "date" => OutputType::Date32,
        "dateTime" | "instant" => OutputType::TimestampMicros,
        "decimal" => OutputType::Float64,
        other => OutputType::standard(other),
    };
    let column_type = |list, fhir_type: &str| ColumnType {
        output: output(fhir_type),
        list,
    };
    view.columns()
        .iter()
        .map(|column| column_type(column.collection, &column.fhir_type))
        .collect()
}

fn round(view: &Arc<View>, resources: &[String]) -> usize {
    let mut rows = view.rows(&table_types(view), RowOptions::default()).unwrap();
    for resource in resources {
        rows.append(resource.as_bytes(), &ResourceMeta::default())
            .unwrap();
    }
    black_box(rows.finish().unwrap()).num_rows()
}

fn measure(name: &str, definition: &str, resources: &[String], budget: Duration) {
    let began = Instant::now();
    let definition = ViewDefinition::parse(definition.as_bytes()).unwrap();
    let view = Arc::new(View::compile(&definition, &CompileOptions::default()).unwrap());
    let compiled = began.elapsed();
    let (mut best, mut rows) = (Duration::MAX, 0);
    let began = Instant::now();
    while best == Duration::MAX || began.elapsed() < budget {
        let began = Instant::now();
        rows = round(&view, resources);
        best = best.min(began.elapsed());
    }
    let bytes: usize = resources.iter().map(String::len).sum();
    println!(
        "{name}: {:.0} resources/s, {:.0} MB/s, {rows} rows of {} resources, compiled in {compiled:.1?}",
        resources.len() as f64 / best.as_secs_f64(),
        bytes as f64 / best.as_secs_f64() / 1e6,
        resources.len(),
    );
}

fn main() {
    // `cargo bench` says so; any other run is a test.
    let budget = if std::env::args().any(|argument| argument == "--bench") {
        3_000
    } else {
        0
    };
    let budget = Duration::from_millis(budget);
    let mut dice = Dice(7);
    let patients: Vec<String> = (0..COUNT).map(|number| patient(number, &mut dice)).collect();
    let observations: Vec<String> = (0..COUNT).map(|number| observation(number, &mut dice)).collect();
    measure(
        "A patient_flat",
        include_str!("views/a_patient_flat.json"),
        &patients,
        budget,
    );
    measure(
        "B observation_unnest",
        include_str!("views/b_observation_unnest.json"),
        &observations,
        budget,
    );
    measure(
        "C patient_wide",
        include_str!("views/c_patient_wide.json"),
        &patients,
        budget,
    );
}
