"""The vendor's own clients against the emulator: `official_clients.py HOST ADMIN_TOKEN CLIENT_ID SECRET WAREHOUSE`.

The emulator is one that nobody has set up. The administrator's client makes the workspace of the product's set-up, the
service principal's client uses it. One line a call on standard output; any surprise ends the program with an exception.
"""

import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, NotFound, PermissionDenied
from databricks.sdk.service import catalog, sql
from zerobus.sdk.shared import StreamConfigurationOptions, TableProperties, ZerobusException
from zerobus.sdk.sync import ZerobusSdk

HOST, ADMIN_TOKEN, CLIENT_ID, SECRET, WAREHOUSE = sys.argv[1:6]
CATALOG, SCHEMA, STAGING = "aidbox_export", "fhir", "fhir_staging"
TABLE = f"{CATALOG}.{SCHEMA}.patients"
BUCKET = "s3://judged"


def say(what, answer=""):
    print(f"{what}: {answer}", flush=True)


def refused(what, error, call):
    try:
        call()
    except error as caught:
        say(f"{what} is refused", type(caught).__name__)
        return caught
    raise AssertionError(f"{what} was not refused")


def run(client, statement, **more):
    """Runs a statement as the API does it: wait, then ask again."""
    answer = client.statement_execution.execute_statement(
        statement=statement, warehouse_id=WAREHOUSE, wait_timeout="50s", **more
    )
    while answer.status.state in (sql.StatementState.PENDING, sql.StatementState.RUNNING):
        answer = client.statement_execution.get_statement(answer.statement_id)
    return answer


def rows(client, statement, **more):
    answer = run(client, statement, **more)
    assert answer.status.state == sql.StatementState.SUCCEEDED, answer.status
    return (answer.result and answer.result.data_array) or []


def grant(admin, kind, name, privileges):
    changes = [catalog.PermissionsChange(principal=CLIENT_ID, add=[catalog.Privilege(p) for p in privileges])]
    answer = admin.grants.update(kind, name, changes=changes)
    say(f"grants.update {kind} {name}", [a.principal for a in answer.privilege_assignments])


def set_up(admin):
    say("metastores.summary", admin.metastores.summary().external_access_enabled)
    admin.warehouses.update_permissions(
        WAREHOUSE,
        access_control_list=[
            sql.WarehouseAccessControlRequest(
                service_principal_name=CLIENT_ID, permission_level=sql.WarehousePermissionLevel.CAN_USE
            )
        ],
    )
    say("warehouses.update_permissions", "done")
    role = catalog.AwsIamRoleRequest(role_arn="arn:aws:iam::123456789012:role/r")
    admin.storage_credentials.create("cred", aws_iam_role=role, skip_validation=True)
    say("storage_credentials.get", bool(admin.storage_credentials.get("cred").aws_iam_role.external_id))
    say("storage_credentials.validate", admin.storage_credentials.validate(storage_credential_name="cred").results)
    say("external_locations.create", admin.external_locations.create("loc", f"{BUCKET}/", "cred").url)
    say("catalogs.create", admin.catalogs.create(CATALOG, storage_root=f"{BUCKET}/managed/").full_name)
    rows(admin, f"CREATE SCHEMA {CATALOG}.{SCHEMA}")
    rows(
        admin,
        f"CREATE TABLE {TABLE} (id STRING, ts TIMESTAMP, birth_date DATE, score DOUBLE, amount DECIMAL(10,2), "
        "is_deleted INT) USING DELTA",
    )
    say("schemas.create", admin.schemas.create(STAGING, CATALOG, storage_root=f"{BUCKET}/staging/").full_name)
    grant(admin, "catalog", CATALOG, ["USE_CATALOG"])
    grant(admin, "schema", f"{CATALOG}.{SCHEMA}", ["USE_SCHEMA"])
    grant(admin, "table", TABLE, ["SELECT", "MODIFY"])
    grant(admin, "schema", f"{CATALOG}.{STAGING}", ["EXTERNAL_USE_SCHEMA", "USE_SCHEMA", "CREATE_TABLE"])
    grant(
        admin,
        "external-location",
        "loc",
        ["READ_FILES", "WRITE_FILES", "CREATE_EXTERNAL_TABLE", "EXTERNAL_USE_LOCATION"],
    )


def statements(client):
    parameters = [
        sql.StatementParameterListItem(name="id", value="it's \\ ; --"),
        sql.StatementParameterListItem(name="day", value="1990-01-15", type="DATE"),
    ]
    inserted = rows(
        client, f"INSERT INTO {TABLE} (id, birth_date, is_deleted) VALUES (:id, :day, 0)", parameters=parameters
    )
    assert inserted == [["1", "1"]], inserted
    literals = (
        f"INSERT INTO {TABLE} (id, ts, score, amount, is_deleted) VALUES "
        "('p-2', TIMESTAMP'2026-04-01T10:00:00.123456Z', 1.5D, 19.99BD, 1)"
    )
    assert rows(client, literals) == [["1", "1"]]
    found = rows(client, f"SELECT id, ts, birth_date, score, amount, is_deleted FROM {TABLE} ORDER BY id")
    assert found == [
        ["it's \\ ; --", None, "1990-01-15", None, None, "0"],
        ["p-2", "2026-04-01T10:00:00.123Z", None, "1.5", "19.99", "1"],
    ], found
    say("statement_execution.execute_statement", f"{len(found)} rows")
    failed = run(client, "SELECT * FROM aidbox_export.fhir.nosuch")
    assert failed.status.state == sql.StatementState.FAILED
    assert failed.status.error.error_code == sql.ServiceErrorCode.BAD_REQUEST
    assert failed.status.error.message.startswith("[TABLE_OR_VIEW_NOT_FOUND]"), failed.status.error
    say("a statement that fails", failed.status.error.message.split("]")[0] + "]")
    submitted = client.statement_execution.execute_statement(
        statement="SELECT 1", warehouse_id=WAREHOUSE, wait_timeout="0s"
    )
    client.statement_execution.cancel_execution(submitted.statement_id)
    say("statement_execution.cancel_execution", "done")
    many = run(client, "SELECT a.v FROM (VALUES " + ",".join(f"({n})" for n in range(6000)) + ") AS a(v)")
    chunk = client.statement_execution.get_statement_result_chunk_n(many.statement_id, 1)
    assert many.manifest.total_chunk_count == 2 and chunk.row_count == 1000, many.manifest
    say("statement_execution.get_statement_result_chunk_n", chunk.row_count)
    refused("an unknown warehouse", BadRequest, lambda: client.statement_execution.execute_statement("SELECT 1", "no"))
    say("warehouses.get", client.warehouses.get(WAREHOUSE).state.value)


def unity_catalog(client):
    table = client.tables.get(TABLE)
    names = [(column.name, column.type_name.value) for column in table.columns]
    assert names[4] == ("amount", "DECIMAL") and table.columns[4].type_scale == 2, names
    say("tables.get", names)
    say("tables.list", [table.name for table in client.tables.list(CATALOG, SCHEMA)])
    say("tables.exists", client.tables.exists(TABLE).table_exists)
    say("schemas.get", client.schemas.get(f"{CATALOG}.{SCHEMA}").full_name)
    say("catalogs.get", client.catalogs.get(CATALOG).storage_root)
    refused("an unknown table", NotFound, lambda: client.tables.get(f"{CATALOG}.{SCHEMA}.nosuch"))
    own = client.grants.get("table", TABLE, principal=CLIENT_ID).privilege_assignments[0].privileges
    say("grants.get", sorted(privilege.value for privilege in own))
    effective = client.grants.get_effective("table", TABLE, principal=CLIENT_ID).privilege_assignments[0]
    say("grants.get_effective", sorted({privilege.privilege.value for privilege in effective.privileges}))
    refused("a grant by who is no owner", PermissionDenied, lambda: grant(client, "table", TABLE, ["SELECT"]))


def credentials(client):
    location = f"{BUCKET}/staging/patients/"
    rows(client, f"CREATE TABLE {CATALOG}.{STAGING}.s (id STRING) USING DELTA LOCATION '{location}'")
    table = client.tables.get(f"{CATALOG}.{STAGING}.s")
    assert table.table_type == catalog.TableType.EXTERNAL
    lent = client.temporary_table_credentials.generate_temporary_table_credentials(
        operation=catalog.TableOperation.READ_WRITE, table_id=table.table_id
    )
    say("temporary_table_credentials", lent.url)
    assert lent.aws_temp_credentials.session_token and lent.expiration_time > 10**12
    lent = client.temporary_path_credentials.generate_temporary_path_credentials(
        f"{BUCKET}/staging/other/", catalog.PathOperation.PATH_READ_WRITE
    )
    say("temporary_path_credentials", lent.url)
    caught = refused(
        "credentials of the schema's own root",
        BadRequest,
        lambda: client.temporary_path_credentials.generate_temporary_path_credentials(
            f"{BUCKET}/staging/", catalog.PathOperation.PATH_CREATE_TABLE
        ),
    )
    assert "overlaps" in str(caught), caught
    created = client.tables.create(
        name="rest",
        catalog_name=CATALOG,
        schema_name=STAGING,
        table_type=catalog.TableType.EXTERNAL,
        data_source_format=catalog.DataSourceFormat.DELTA,
        storage_location=f"{BUCKET}/staging/rest",
        columns=[
            catalog.ColumnInfo(
                name="id",
                type_text="string",
                type_name=catalog.ColumnTypeName.STRING,
                type_json='{"name":"id","type":"string","nullable":true,"metadata":{}}',
                position=0,
                nullable=True,
            )
        ],
    )
    say("tables.create", created.full_name)
    client.tables.delete(created.full_name)
    say("tables.delete", "done")


def zerobus():
    """The token request is what is judged: REST insert has no official client, and gRPC is not part of this."""
    service = ZerobusSdk(HOST, HOST)
    options = StreamConfigurationOptions(recovery=False)
    try:
        service.create_stream(CLIENT_ID, SECRET, TableProperties(TABLE), options)
    except ZerobusException as caught:
        say("zerobus create_stream, after its token", type(caught).__name__)


def main():
    admin = WorkspaceClient(host=HOST, token=ADMIN_TOKEN, auth_type="pat")
    set_up(admin)
    refused(
        "a wrong secret",
        Exception,
        lambda: WorkspaceClient(
            host=HOST, client_id=CLIENT_ID, client_secret="wrong", auth_type="oauth-m2m"
        ).warehouses.get(WAREHOUSE),
    )
    client = WorkspaceClient(host=HOST, client_id=CLIENT_ID, client_secret=SECRET, auth_type="oauth-m2m")
    statements(client)
    unity_catalog(client)
    credentials(client)
    zerobus()


if __name__ == "__main__":
    main()
