//! The host that is measured: Observations by a flat view, to the same columns by every plugin.

use std::fmt::Write as _;

use lakefeed_tests::{Host, Site, views};
use serde_json::Value;

use crate::sink::Sink;

/// The columns of the view, as the other end's table has them.
pub(crate) const COLUMNS: [(&str, &str); 14] = [
    ("id", "string"),
    ("ts", "timestamp"),
    ("patient_key", "string"),
    ("encounter_key", "string"),
    ("status", "string"),
    ("category", "string"),
    ("code", "string"),
    ("code_text", "string"),
    ("effective", "timestamp"),
    ("issued", "timestamp"),
    ("value", "double"),
    ("unit", "string"),
    ("value_code", "string"),
    ("is_deleted", "int"),
];

/// How a destination gets rid of its rows; its id is the plugin's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The ingest service.
    Zerobus,
    /// Statements.
    SqlWarehouse,
    /// A file: what the host does without the other end.
    Ndjson,
}

impl Way {
    /// The destination's id.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Zerobus => "zerobus",
            Self::SqlWarehouse => "sql-warehouse",
            Self::Ndjson => "ndjson",
        }
    }

    fn parameters(self, sink: &Sink) -> String {
        let workspace = format!(
            "databricksWorkspaceUrl = \"http://{}\"\ndatabricksWarehouseId = \"0123456789abcdef\"\n",
            sink.address()
        );
        match self {
            Self::Zerobus => format!(
                "writeMode = \"managed-zerobus\"\ntableName = \"main.fhir.observations\"\nmaxInFlight = 4\n\
                 databricksWorkspaceId = \"1\"\ndatabricksRegion = \"us-east-1\"\n{workspace}"
            ),
            Self::SqlWarehouse => format!(
                "writeMode = \"managed-sql\"\ntableName = \"main.fhir.observations_by_sql\"\n{workspace}"
            ),
            Self::Ndjson => "writeMode = \"ndjson\"\npath = \"rows.ndjson\"\n".to_owned(),
        }
    }
}

/// A folder whose destinations lead to the sink.
pub(crate) fn site(sink: &Sink, ways: &[Way], batch: u64, interval_ms: u64) -> Site {
    let site = Site::new("");
    site.write("observation_flat.json", views::OBSERVATION_FLAT);
    let url = "http://example.org/topics/observations";
    let address = sink.address();
    let mut config = format!(
        "[access]\ndatabricks_hosts = [\"{address}\"]\n\n[plugin.zerobus]\nendpoint = \"http://{address}\"\n\n\
         [[topic]]\nid = \"observations\"\nurl = \"{url}\"\ntrigger = [{{ resource = \"Observation\" }}]\n\n\
         [[view]]\nfile = \"observation_flat.json\"\n"
    );
    for way in ways {
        write!(
            config,
            "\n[[destination]]\nid = \"{}\"\ntopic = \"{url}\"\nviewDefinition = \"observation_flat\"\n\
             batchSize = {batch}\nsendIntervalMs = {interval_ms}\nskipInitialExport = true\n{}",
            way.id(),
            way.parameters(sink)
        )
        .unwrap();
    }
    site.configure(&config);
    site
}

/// Starts the host with a service principal that the sink knows as well as any other.
pub(crate) fn start(site: &Site) -> Host {
    let mut command = site.command(&["run"]);
    for name in ["ID", "SECRET"] {
        command.env(format!("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_{name}"), "bench");
    }
    let host = Host::spawn(site, command);
    host.wait_until_ready();
    host
}

/// Tells a destination to pause or to resume.
pub(crate) fn order(host: &Host, way: Way, operation: &str) {
    let path = format!("AidboxTopicDestination/{}/${operation}", way.id());
    host.post(&path, &Value::Object(serde_json::Map::new()))
        .expect(200);
}
