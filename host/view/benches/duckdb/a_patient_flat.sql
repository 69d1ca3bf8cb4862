-- The view `patient_flat`, as somebody who knows DuckDB would write it: only what is wanted is read, with its types.
SELECT
    id,
    meta.lastUpdated AS ts,
    meta.lastUpdated AS cts,
    gender,
    birthDate AS birth_date,
    official.family AS family_name,
    array_to_string(official.given, ' ') AS given_name
FROM (
    SELECT *, list_filter(name, lambda one: one."use" = 'official')[1] AS official
    FROM read_json('{input}', format = 'newline_delimited', columns = {
        resourceType: 'VARCHAR',
        id: 'VARCHAR',
        meta: 'STRUCT(lastUpdated TIMESTAMPTZ)',
        gender: 'VARCHAR',
        birthDate: 'VARCHAR',
        name: 'STRUCT("use" VARCHAR, family VARCHAR, given VARCHAR[])[]'
    })
    WHERE resourceType = 'Patient'
)
WHERE official IS NOT NULL
