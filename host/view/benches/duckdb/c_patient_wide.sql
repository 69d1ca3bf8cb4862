-- The view `patient_wide`, as somebody who knows DuckDB would write it: each list is searched once.
SELECT
    id AS patient_key,
    meta.lastUpdated AS last_updated,
    active,
    gender,
    birthDate AS birth_date,
    deceasedDateTime AS deceased_at,
    deceasedBoolean AS is_deceased,
    maritalStatus.coding[1].code AS marital_status,
    official.family AS family,
    array_to_string(official.given, ' ') AS given,
    official.prefix[1] AS prefix,
    list_filter(name, lambda one: one."use" = 'maiden')[1].family AS maiden,
    list_filter(telecom, lambda one: one.system = 'phone')[1]."value" AS phone,
    list_filter(telecom, lambda one: one.system = 'email')[1]."value" AS email,
    array_to_string(address[1].line, ', ') AS line,
    address[1].city AS city,
    address[1].state AS state,
    address[1].postalCode AS postal_code,
    list_filter(
        list_filter(address[1].extension, lambda one: one.url = 'http://hl7.org/fhir/StructureDefinition/geolocation')[1].extension,
        lambda one: one.url = 'latitude'
    )[1].valueDecimal AS latitude,
    list_filter(identifier, lambda one: one.system = 'http://hl7.org/fhir/sid/us-ssn')[1]."value" AS ssn,
    list_filter(
        identifier, lambda one: len(list_filter(one.type.coding, lambda coding: coding.code = 'MR')) > 0
    )[1]."value" AS mrn,
    list_filter(race.extension, lambda one: one.url = 'ombCategory')[1].valueCoding.code AS race_code,
    list_filter(race.extension, lambda one: one.url = 'text')[1].valueString AS race_text,
    list_filter(ethnicity.extension, lambda one: one.url = 'ombCategory')[1].valueCoding.code AS ethnicity_code,
    list_filter(
        extension, lambda one: one.url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex'
    )[1].valueCode AS birth_sex,
    communication[1].language.coding[1].code AS language,
    CASE WHEN generalPractitioner[1].reference LIKE 'Practitioner/%' THEN generalPractitioner[1].reference[14:] END AS gp_key,
    CASE WHEN managingOrganization.reference LIKE 'Organization/%' THEN managingOrganization.reference[14:] END AS org_key
FROM (
    SELECT
        *,
        list_filter(name, lambda one: one."use" = 'official')[1] AS official,
        list_filter(
            extension, lambda one: one.url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-race'
        )[1] AS race,
        list_filter(
            extension, lambda one: one.url = 'http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity'
        )[1] AS ethnicity
    FROM read_json('{input}', format = 'newline_delimited', columns = {
        resourceType: 'VARCHAR',
        id: 'VARCHAR',
        meta: 'STRUCT(lastUpdated TIMESTAMPTZ)',
        active: 'BOOLEAN',
        gender: 'VARCHAR',
        birthDate: 'VARCHAR',
        deceasedDateTime: 'VARCHAR',
        deceasedBoolean: 'BOOLEAN',
        maritalStatus: 'STRUCT(coding STRUCT(code VARCHAR)[])',
        name: 'STRUCT("use" VARCHAR, family VARCHAR, given VARCHAR[], prefix VARCHAR[])[]',
        telecom: 'STRUCT(system VARCHAR, "value" VARCHAR)[]',
        address: 'STRUCT(line VARCHAR[], city VARCHAR, state VARCHAR, postalCode VARCHAR, extension STRUCT(url VARCHAR, extension STRUCT(url VARCHAR, valueDecimal DOUBLE)[])[])[]',
        identifier: 'STRUCT(system VARCHAR, "value" VARCHAR, type STRUCT(coding STRUCT(code VARCHAR)[]))[]',
        extension: 'STRUCT(url VARCHAR, valueCode VARCHAR, extension STRUCT(url VARCHAR, valueString VARCHAR, valueCoding STRUCT(code VARCHAR))[])[]',
        communication: 'STRUCT(language STRUCT(coding STRUCT(code VARCHAR)[]))[]',
        generalPractitioner: 'STRUCT(reference VARCHAR)[]',
        managingOrganization: 'STRUCT(reference VARCHAR)'
    })
    WHERE resourceType = 'Patient'
)
