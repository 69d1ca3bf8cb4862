//! Generated FHIR resources of realistic shapes: same seed, same bytes.
//!
//! The people, places and numbers are made up from word lists and a counter; none is anybody's. Shapes follow
//! what real servers hold: extensions, several names and identifiers, narrative with escapes, references, a
//! decimal whose digits matter, and one patient in twenty-five without an official name. A Patient has about
//! 3.5 kB, an Observation about 1 kB.
//!
//! ```
//! use lakefeed_sample_data::Generator;
//!
//! let patients: Vec<_> = Generator::new(7).patients(3).collect();
//! assert_eq!(patients[0]["resourceType"], "Patient");
//! assert_eq!(patients, Generator::new(7).patients(3).collect::<Vec<_>>());
//! ```

use serde_json::{Value, json};

mod random;
mod words;

use random::Random;

/// Makes resources from a seed. Every method starts from the seed anew, so the order of calls does not matter.
#[derive(Clone, Copy, Debug)]
pub struct Generator {
    seed: u64,
}

impl Generator {
    /// A generator; equal seeds give equal resources.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// Patients `pat-0`, `pat-1`, ….
    pub fn patients(self, count: u64) -> impl Iterator<Item = Value> {
        (0..count).map(move |number| patient(number, &mut self.random(1, number)))
    }

    /// Encounters `enc-0`, …, each of one of `patients` patients.
    pub fn encounters(self, count: u64, patients: u64) -> impl Iterator<Item = Value> {
        (0..count).map(move |number| encounter(number, patients, &mut self.random(2, number)))
    }

    /// Observations `obs-0`, …, each of one of `patients` patients: vital signs, a third of them blood pressures
    /// with components, and laboratory results.
    pub fn observations(self, count: u64, patients: u64) -> impl Iterator<Item = Value> {
        (0..count).map(move |number| observation(number, patients, &mut self.random(3, number)))
    }

    fn random(self, kind: u64, number: u64) -> Random {
        Random::new(self.seed ^ (kind << 56) ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

fn patient(number: u64, random: &mut Random) -> Value {
    let family = random.pick(&words::FAMILIES);
    let given = [random.pick(&words::GIVENS), random.pick(&words::GIVENS)];
    let gender = random.pick(&["female", "male", "other", "unknown"]);
    let city = random.pick(&words::CITIES);
    let mut patient = json!({
        "resourceType": "Patient",
        "id": format!("pat-{number}"),
        "meta": { "profile": ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"] },
        "text": { "status": "generated", "div": narrative(number, family) },
        "extension": extensions(random),
        "identifier": identifiers(number, random),
        "active": random.below(20) != 0,
        "name": names(family, given, random),
        "telecom": [
            { "system": "phone", "value": format!("555-{:03}-{:04}", random.below(1000), random.below(10_000)), "use": "home" },
            { "system": "email", "value": format!("{}.{number}@example.org", given[0].to_lowercase()) }
        ],
        "gender": gender,
        "birthDate": random.date(1930, 2024),
        "address": [address(city, random)],
        "maritalStatus": { "coding": [
            { "system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": random.pick(&["M", "S", "D", "W"]) }
        ] },
        "communication": [ { "language": { "coding": [
            { "system": "urn:ietf:bcp:47", "code": random.pick(&["en-US", "es", "de", "pl"]), "display": "language" } ] } } ],
        "generalPractitioner": [ { "reference": format!("Practitioner/doc-{}", random.below(500)) } ],
        "managingOrganization": { "reference": format!("Organization/org-{}", random.below(20)), "display": "Harbour Clinic" }
    });
    if random.below(30) == 0 {
        patient["deceasedDateTime"] = format!("{}T04:30:00Z", random.date(2024, 2026)).into();
    }
    patient
}

fn narrative(number: u64, family: &str) -> String {
    let rows: String = (0..6)
        .map(|row| format!("<tr><td class=\"label\">Field {row}</td><td>entry\t{row}</td></tr>\n"))
        .collect();
    format!(
        "<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Record {number} of \"{family}\"</p><table>{rows}</table></div>"
    )
}

fn names(family: &str, given: [&str; 2], random: &mut Random) -> Value {
    let maiden = json!({ "use": "maiden", "family": random.pick(&words::FAMILIES) });
    if random.below(25) == 0 {
        return json!([{ "use": "nickname", "given": [given[0]] }]);
    }
    let official = json!({ "use": "official", "family": family, "given": given, "prefix": [random.pick(&["Mr.", "Ms.", "Dr."])] });
    if random.below(3) == 0 {
        json!([official, maiden])
    } else {
        json!([official])
    }
}

fn identifiers(number: u64, random: &mut Random) -> Value {
    let coded = |code: &str, display: &str| json!({ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": code, "display": display }], "text": display });
    json!([
        { "system": "https://records.example.org/patients", "value": format!("rec-{number:08}") },
        { "type": coded("MR", "Medical Record Number"), "system": "http://hospital.example.org", "value": format!("{:09}", random.below(1_000_000_000)) },
        { "type": coded("SS", "Social Security Number"), "system": "http://hl7.org/fhir/sid/us-ssn", "value": format!("999-{:02}-{:04}", random.below(100), random.below(10_000)) },
        { "type": coded("DL", "Driver's License"), "system": "urn:oid:2.16.840.1.113883.4.3.25", "value": format!("S{:08}", random.below(100_000_000)) }
    ])
}

fn extensions(random: &mut Random) -> Value {
    let us_core = "http://hl7.org/fhir/us/core/StructureDefinition";
    let category = |url: &str, (code, display): (&str, &str)| {
        json!({ "url": format!("{us_core}/{url}"), "extension": [
            { "url": "ombCategory", "valueCoding": { "system": "urn:oid:2.16.840.1.113883.6.238", "code": code, "display": display } },
            { "url": "text", "valueString": display }
        ] })
    };
    let races = [
        ("2106-3", "White"),
        ("2054-5", "Black or African American"),
        ("2028-9", "Asian"),
    ];
    let ethnicities = [
        ("2186-5", "Not Hispanic or Latino"),
        ("2135-2", "Hispanic or Latino"),
    ];
    json!([
        category("us-core-race", random.pick(&races)),
        category("us-core-ethnicity", random.pick(&ethnicities)),
        { "url": format!("{us_core}/us-core-birthsex"), "valueCode": random.pick(&["F", "M"]) },
        { "url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace",
          "valueAddress": { "city": random.pick(&words::CITIES), "state": "MA", "country": "US" } },
        { "url": "http://example.org/fhir/StructureDefinition/score", "valueDecimal": random.decimal(90, 4) }
    ])
}

fn address(city: &str, random: &mut Random) -> Value {
    json!({
        "extension": [ { "url": "http://hl7.org/fhir/StructureDefinition/geolocation", "extension": [
            { "url": "latitude", "valueDecimal": random.decimal(89, 14) },
            { "url": "longitude", "valueDecimal": random.decimal(179, 13) } ] } ],
        "line": [format!("{} {} Street", 1 + random.below(999), random.pick(&words::FAMILIES)), "Apt \u{2116} 3"],
        "city": city,
        "state": "MA",
        "postalCode": format!("{:05}", random.below(100_000)),
        "country": "US"
    })
}

fn encounter(number: u64, patients: u64, random: &mut Random) -> Value {
    let day = random.date(2019, 2026);
    json!({
        "resourceType": "Encounter",
        "id": format!("enc-{number}"),
        "status": random.pick(&["finished", "in-progress", "planned"]),
        "class": { "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": random.pick(&["AMB", "EMER", "IMP"]) },
        "type": [ { "coding": [ { "system": "http://snomed.info/sct", "code": "162673000", "display": "General examination" } ] } ],
        "subject": { "reference": format!("Patient/pat-{}", random.below(patients.max(1))) },
        "participant": [ { "individual": { "reference": format!("Practitioner/doc-{}", random.below(500)) } } ],
        "period": { "start": format!("{day}T08:{:02}:00+01:00", random.below(60)), "end": format!("{day}T09:15:00+01:00") },
        "serviceProvider": { "reference": format!("Organization/org-{}", random.below(20)) }
    })
}

fn observation(number: u64, patients: u64, random: &mut Random) -> Value {
    let day = random.date(2019, 2026);
    let mut observation = json!({
        "resourceType": "Observation",
        "id": format!("obs-{number}"),
        "status": random.pick(&["final", "final", "final", "amended", "preliminary"]),
        "category": [ { "coding": [ { "system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "vital-signs", "display": "Vital signs" } ] } ],
        "subject": { "reference": format!("Patient/pat-{}", random.below(patients.max(1))) },
        "encounter": { "reference": format!("Encounter/enc-{}", random.below(patients.max(1) * 2)) },
        "effectiveDateTime": format!("{day}T{:02}:{:02}:07+01:00", random.below(24), random.below(60)),
        "issued": format!("{day}T23:{:02}:07.{:03}+01:00", random.below(60), random.below(1000))
    });
    match random.below(3) {
        0 => blood_pressure(&mut observation, random),
        1 => quantity(&mut observation, random),
        _ => coded_result(&mut observation, random),
    }
    observation
}

fn code(pairs: &[(&str, &str, &str)]) -> Value {
    let coding = |(system, code, display): &(&str, &str, &str)| json!({ "system": system, "code": code, "display": display });
    json!({ "coding": pairs.iter().map(coding).collect::<Vec<_>>(), "text": pairs.first().map(|pair| pair.2) })
}

const LOINC: &str = "http://loinc.org";

fn blood_pressure(observation: &mut Value, random: &mut Random) {
    let mut component = |number, name, base| {
        json!({ "code": code(&[(LOINC, number, name)]), "valueQuantity":
            { "value": base + random.below(40), "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]" } })
    };
    let components = json!([
        component("8480-6", "Systolic blood pressure", 100),
        component("8462-4", "Diastolic blood pressure", 60)
    ]);
    observation["code"] = code(&[(LOINC, "85354-9", "Blood pressure panel")]);
    observation["component"] = components;
}

fn quantity(observation: &mut Value, random: &mut Random) {
    let (number, name, unit) = random.pick(&[
        ("8302-2", "Body height", "cm"),
        ("29463-7", "Body weight", "kg"),
        ("8867-4", "Heart rate", "/min"),
    ]);
    observation["code"] = code(&[(LOINC, number, name), ("http://example.org/local", "local", name)]);
    observation["valueQuantity"] = json!({ "value": random.decimal(200, 4), "unit": unit, "system": "http://unitsofmeasure.org", "code": unit });
}

fn coded_result(observation: &mut Value, random: &mut Random) {
    let (number, name) = random.pick(&[("266919005", "Never smoked tobacco"), ("8517006", "Ex-smoker")]);
    observation["code"] = code(&[(LOINC, "72166-2", "Tobacco smoking status")]);
    observation["valueCodeableConcept"] = code(&[("http://snomed.info/sct", number, name)]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_real_resources() {
        let mean = |resources: Vec<Value>| {
            resources
                .iter()
                .map(|resource| resource.to_string().len())
                .sum::<usize>()
                / resources.len()
        };
        let patient = mean(Generator::new(1).patients(200).collect());
        let observation = mean(Generator::new(1).observations(200, 50).collect());
        assert!((3_000..4_200).contains(&patient), "{patient}");
        assert!((750..1_300).contains(&observation), "{observation}");
    }

    #[test]
    fn one_patient_in_about_twenty_five_has_no_official_name() {
        let has_none = |patient: &Value| patient["name"][0]["use"] == "nickname";
        let count = Generator::new(1).patients(5_000).filter(has_none).count();
        assert!((120..300).contains(&count), "{count}");
    }
}
