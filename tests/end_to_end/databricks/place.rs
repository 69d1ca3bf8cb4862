//! A workspace, a folder for the host, and a destination between them in one of the two managed modes.

use std::collections::BTreeMap;
use std::process::Command;

use lakefeed_tests::{Answer, Emulator, Ended, Host, Site, views, wait_for};
use serde_json::{Value, json};

/// The table of the product's set-up.
pub(super) const TABLE: &str = "aidbox_export.fhir.patients";
/// Its topic.
pub(super) const TOPIC: &str = "http://example.org/topics/patients";
/// What every token of the emulator begins with, as every JSON web token does.
const TOKEN: &str = "eyJ";
/// A name that is nobody's to see but the table's; patients of these tests have it.
pub(super) const FAMILY: &str = "Geheimrat";

/// How rows get to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `managed-zerobus`
    Zerobus,
    /// `managed-sql`
    Sql,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Zerobus => "managed-zerobus",
            Self::Sql => "managed-sql",
        }
    }

    /// The emulator's name of the surface that batches go to.
    pub(super) fn surface(self) -> &'static str {
        match self {
            Self::Zerobus => "zerobus",
            Self::Sql => "sql",
        }
    }
}

/// A test of this name for each mode, of the function of the same name.
macro_rules! in_both_modes {
    ($($name:ident),* $(,)?) => {
        mod zerobus { $( #[test] fn $name() { super::$name(crate::databricks::place::Mode::Zerobus); } )* }
        mod sql { $( #[test] fn $name() { super::$name(crate::databricks::place::Mode::Sql); } )* }
    };
}
pub(super) use in_both_modes;

/// Parameters of a destination by name; null takes one away.
pub(super) type Parameters<'a> = &'a [(&'a str, Value)];

/// A workspace and a host's folder.
pub(super) struct Place {
    pub(super) emulator: Emulator,
    pub(super) site: Site,
    pub(super) mode: Mode,
}

impl Place {
    /// A workspace that is set up, and a host that may reach it; no topic, view or destination yet.
    pub(super) fn bare(mode: Mode) -> Self {
        Self::on(mode, Site::new(""))
    }

    /// The same with a store of one's choice.
    pub(super) fn on(mode: Mode, site: Site) -> Self {
        let place = Self {
            emulator: Emulator::start(),
            site,
            mode,
        };
        place.site.configure(&place.reach());
        place
    }

    /// A workspace and a host's folder whose configuration declares destination `patients`.
    pub(super) fn new(mode: Mode) -> Self {
        Self::with(mode, &[])
    }

    /// The same with other parameters than the usual ones.
    pub(super) fn with(mode: Mode, parameters: Parameters<'_>) -> Self {
        let place = Self::bare(mode);
        place.declare(parameters, "");
        place
    }

    /// Declares the destination, before a host is started.
    pub(super) fn declare(&self, parameters: Parameters<'_>, more: &str) {
        self.site.write("patient_flat.json", views::PATIENT_FLAT);
        let lines: Vec<String> = self
            .parameters(parameters)
            .iter()
            .map(|(name, value)| format!("{name} = {value}"))
            .collect();
        self.site.configure(&format!(
            "{}\n{more}\n[[topic]]\nid = \"patients\"\nurl = \"{TOPIC}\"\ntrigger = [{{ resource = \"Patient\" }}]\n\n\
             [[view]]\nfile = \"patient_flat.json\"\n\n\
             [[destination]]\nid = \"patients\"\ntopic = \"{TOPIC}\"\n{}\n",
            self.reach(),
            lines.join("\n")
        ));
    }

    fn reach(&self) -> String {
        format!(
            "[access]\ndatabricks_hosts = [\"{}\"]\n\n[plugin.zerobus]\nendpoint = \"{}\"\n",
            self.emulator.host(),
            self.emulator.url()
        )
    }

    /// The parameters of the destination.
    pub(super) fn parameters(&self, other: Parameters<'_>) -> BTreeMap<String, Value> {
        let emulator = &self.emulator;
        let mut all = BTreeMap::new();
        for (name, value) in [
            ("viewDefinition", json!("patient_flat")),
            ("writeMode", json!(self.mode.name())),
            ("databricksWorkspaceUrl", json!(emulator.url())),
            ("databricksWorkspaceId", json!(emulator.value("WORKSPACE_ID"))),
            ("databricksRegion", json!(emulator.value("DATABRICKS_REGION"))),
            ("databricksWarehouseId", json!(emulator.value("WAREHOUSE_ID"))),
            ("tableName", json!(TABLE)),
            ("batchSize", json!(50)),
            ("sendIntervalMs", json!(20)),
            ("skipInitialExport", json!(true)),
        ]
        .iter()
        .chain(other)
        {
            match value {
                Value::Null => all.remove(*name),
                value => all.insert((*name).to_owned(), value.clone()),
            };
        }
        all
    }

    /// The destination as a request creates it.
    pub(super) fn resource(&self, parameters: Parameters<'_>) -> Value {
        let parameter = |(name, value): (&String, &Value)| {
            let key = match value {
                Value::Bool(_) => "valueBoolean",
                Value::Number(_) => "valueUnsignedInt",
                _ => "valueString",
            };
            json!({ "name": name, key: value })
        };
        json!({ "resourceType": "AidboxTopicDestination", "id": "patients", "topic": TOPIC,
            "kind": "data-lakehouse-at-least-once",
            "parameter": self.parameters(parameters).iter().map(parameter).collect::<Vec<_>>() })
    }

    /// A host with topic and view, and no destination.
    pub(super) fn start_without_destination(&self) -> Host {
        self.site.write("patient_flat.json", views::PATIENT_FLAT);
        self.site.configure(&format!(
            "{}\n[[topic]]\nid = \"patients\"\nurl = \"{TOPIC}\"\ntrigger = [{{ resource = \"Patient\" }}]\n\n\
             [[view]]\nfile = \"patient_flat.json\"\n",
            self.reach()
        ));
        self.start()
    }

    /// Creates the destination by a request; what is answered holds no secret.
    pub(super) fn create(&self, host: &Host, parameters: Parameters<'_>) -> Answer {
        let answer = host.post("AidboxTopicDestination", &self.resource(parameters));
        self.must_be_clean(&answer.text());
        answer
    }

    /// Starts the host and waits until it answers. It logs all that it ever would.
    pub(super) fn start(&self) -> Host {
        let mut command = self.command(&["run"]);
        command.env(
            "LAKEFEED_LOG",
            "info,lakefeed=debug,lakefeed_plugin_zerobus=debug",
        );
        let host = Host::spawn(&self.site, command);
        host.wait_until_ready();
        host
    }

    /// The program with arguments and the service principal's variables.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.site.command(arguments);
        command.envs(self.emulator.credentials());
        command
    }

    /// Runs a command of the program to its end; what it prints holds no secret.
    pub(super) fn run(&self, arguments: &[&str]) -> Ended {
        let ended = Ended::of(&mut self.command(arguments));
        self.must_be_clean(&ended.stdout);
        self.must_be_clean(&ended.stderr);
        ended
    }

    /// `$status` as text; holds no secret and no patient's name.
    pub(super) fn status_text(&self, host: &Host) -> String {
        let said = host
            .get("AidboxTopicDestination/patients/$status")
            .expect(200)
            .text();
        self.must_be_clean(&said);
        said
    }

    /// The dead letters as text, with what only they keep.
    pub(super) fn dead_letters(&self, host: &Host) -> String {
        let plain = host
            .get("AidboxTopicDestination/patients/$dead-letters")
            .expect(200)
            .text();
        self.must_be_clean(&plain);
        let detailed = host.get("AidboxTopicDestination/patients/$dead-letters?_detail=true");
        detailed.expect(200).text()
    }

    /// Waits until `$status` says all of these words.
    pub(super) fn wait_for_words(&self, host: &Host, words: &[&str]) -> String {
        wait_for(&format!("$status to say {words:?}"), || {
            let said = self.status_text(host);
            words.iter().all(|word| said.contains(word)).then_some(said)
        })
    }

    /// Waits until the destination is halted: why.
    pub(super) fn wait_until_halted(&self, host: &Host) -> String {
        wait_for("the destination to halt", || {
            self.status_text(host);
            let status = host.status("patients");
            (status["state"] == "halted")
                .then(|| status["stateReason"].as_str().unwrap_or_default().to_owned())
        })
    }

    /// As an operator who has mended what was wrong.
    pub(super) fn resume(&self, host: &Host) {
        host.post("AidboxTopicDestination/patients/$resume", &json!({}))
            .expect(200);
    }

    /// The counts of the table: rows, and patients.
    pub(super) fn counts(&self) -> (u64, u64) {
        let of = |what: &str| self.emulator.number(&format!("SELECT {what} FROM {TABLE}"));
        (of("count(*)"), of("count(DISTINCT id)"))
    }

    /// Grants the service principal what the product's set-up grants it on the table.
    pub(super) fn grant(&self) {
        let who = self.emulator.value("BOX_DATABRICKS_DATA_LAKEHOUSE_CLIENT_ID");
        self.emulator
            .sql(&format!("GRANT SELECT, MODIFY ON TABLE {TABLE} TO `{who}`"));
    }

    /// The table dropped and made again with these columns.
    pub(super) fn remake(&self, columns: &str) {
        self.emulator.sql(&format!("DROP TABLE {TABLE}"));
        self.emulator
            .sql(&format!("CREATE TABLE {TABLE} ({columns}) USING DELTA"));
        self.grant();
    }

    /// No secret, no token and no patient's name is in a text that others may see.
    #[track_caller]
    pub(super) fn must_be_clean(&self, text: &str) {
        for (what, hidden) in [
            ("the secret", self.emulator.secret()),
            ("a token", TOKEN),
            ("a patient's name", FAMILY),
        ] {
            let line = text.lines().find(|line| line.contains(hidden));
            assert!(line.is_none(), "{what} is in: {}", line.unwrap_or_default());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.must_be_clean(&std::fs::read_to_string(self.site.path("host.log")).unwrap_or_default());
        }
    }
}

/// A patient with an official name.
pub(super) fn patient(id: &str) -> Value {
    json!({ "resourceType": "Patient", "id": id, "gender": "female", "birthDate": "1980-02-29",
        "name": [{ "use": "official", "family": FAMILY, "given": ["Ada"] }] })
}

/// Stores a patient.
pub(super) fn put(host: &Host, body: &Value) {
    let id = body["id"].as_str().unwrap();
    let answer = host.put(&format!("Patient/{id}"), body);
    assert!(answer.is_success(), "{}", answer.text());
}

/// Stores many patients, `PREFIX-NUMBER`, fifty a transaction.
pub(super) fn put_many(host: &Host, prefix: &str, numbers: std::ops::Range<usize>) {
    let all: Vec<usize> = numbers.collect();
    for some in all.chunks(50) {
        let entry = |number: &usize| {
            let id = format!("{prefix}-{number:05}");
            json!({ "resource": patient(&id), "request": { "method": "PUT", "url": format!("Patient/{id}") } })
        };
        let entries: Vec<Value> = some.iter().map(entry).collect();
        let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
        host.post("/fhir", &bundle).expect(200);
    }
}
