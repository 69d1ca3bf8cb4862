-- The view `observation_unnest`, as somebody who knows DuckDB would write it: each coding with each component.
SELECT
    id,
    patient_key,
    encounter_key,
    status,
    category,
    effective,
    issued,
    value,
    value_unit,
    value_ucum,
    value_code,
    last_updated,
    coding.system AS code_system,
    coding.code AS code,
    coding.display AS code_display,
    component.code.coding[1].code AS component_code,
    component.valueQuantity.value AS component_value,
    component.valueQuantity.unit AS component_unit
FROM (
    SELECT *, unnest(CASE WHEN len(components) > 0 THEN components ELSE [NULL] END) AS component
    FROM (
        SELECT
            id,
            CASE WHEN subject.reference LIKE 'Patient/%' THEN subject.reference[9:] END AS patient_key,
            CASE WHEN encounter.reference LIKE 'Encounter/%' THEN encounter.reference[11:] END AS encounter_key,
            status,
            list_extract(
                flatten(list_transform(category, lambda one: list_transform(one.coding, lambda coding: coding.code))), 1
            ) AS category,
            effectiveDateTime AS effective,
            issued,
            valueQuantity.value AS value,
            valueQuantity.unit AS value_unit,
            valueQuantity.code AS value_ucum,
            valueCodeableConcept.coding[1].code AS value_code,
            meta.lastUpdated AS last_updated,
            component AS components,
            unnest(code.coding) AS coding
        FROM read_json('{input}', format = 'newline_delimited', columns = {
            resourceType: 'VARCHAR',
            id: 'VARCHAR',
            meta: 'STRUCT(lastUpdated TIMESTAMPTZ)',
            subject: 'STRUCT(reference VARCHAR)',
            encounter: 'STRUCT(reference VARCHAR)',
            status: 'VARCHAR',
            category: 'STRUCT(coding STRUCT(code VARCHAR)[])[]',
            effectiveDateTime: 'VARCHAR',
            issued: 'TIMESTAMPTZ',
            valueQuantity: 'STRUCT("value" DOUBLE, unit VARCHAR, code VARCHAR)',
            valueCodeableConcept: 'STRUCT(coding STRUCT(code VARCHAR)[])',
            code: 'STRUCT(coding STRUCT(system VARCHAR, code VARCHAR, display VARCHAR)[])',
            component: 'STRUCT(code STRUCT(coding STRUCT(code VARCHAR)[]), valueQuantity STRUCT("value" DOUBLE, unit VARCHAR))[]'
        })
        WHERE resourceType = 'Observation'
    )
)
