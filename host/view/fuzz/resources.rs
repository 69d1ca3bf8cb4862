//! What expressions are evaluated on.

pub(crate) const RESOURCES: [&str; 4] = [
    r##"{"resourceType":"Patient","id":"p","meta":{"lastUpdated":"2024-03-05T10:20:30.123+01:00"},"active":true,"gender":"female",
    "birthDate":"1980-02-29","_birthDate":{"id":"b","extension":[{"url":"u","valueString":"x"}]},"multipleBirthInteger":2,
    "name":[{"use":"official","family":"Ä","given":["Ada","B"],"period":{"start":"2001","end":"2010-05"}},{"given":["C"]}],
    "telecom":[{"system":"phone","value":"1","rank":1},{"system":"email","value":"a@b.example"}],
    "extension":[{"url":"s","valueDecimal":1.50},{"url":"q","valueQuantity":{"value":3,"unit":"mg","code":"mg"}}],
    "generalPractitioner":[{"reference":"Practitioner/d/_history/2"}],"managingOrganization":{"reference":"#o"},
    "contained":[{"resourceType":"Organization","id":"o","name":"O"}]}"##,
    r##"{"resourceType":"Patient","id":"q","name":[{"given":[null,"Only"],"_given":[{"extension":[{"url":"u","valueCode":"x"}]},null]}]}"##,
    r##"{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":"s","code":"c"},{"code":"d"}]},
    "subject":{"reference":"Patient/p"},"effectiveDateTime":"2020-02","valueQuantity":{"value":-0.10,"unit":"kg"},
    "component":[{"code":{"text":"t"},"valueInteger":7},{"code":{"text":"u"},"valueTime":"10:20"}],"issued":"2024-01-01T00:00:00Z"}"##,
    r##"{"resourceType":"Observation","id":"r","valueString":"12.5","referenceRange":[{"low":{"value":1},"high":{"value":20}}]}"##,
];
