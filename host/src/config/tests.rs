//! Data in, text out: a configuration and what is said of it.

use std::path::Path;

use super::*;
use crate::change::Retention;

fn refused(text: &str) -> String {
    read(text, Path::new("/etc/lakefeed")).unwrap_err().to_string()
}

#[test]
fn an_empty_file_is_a_configuration() {
    let config = read("", Path::new("/etc/lakefeed")).unwrap();
    assert_eq!(config.store_url, "sqlite:///etc/lakefeed/lakefeed.db");
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.access.local_paths, [Path::new("/etc/lakefeed")]);
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_a_suggestion() {
    assert_eq!(
        refused("[http]\nlisten = \"127.0.0.1:1\"\nmax_body_byte = 1\n"),
        "3: unknown key `max_body_byte`; did you mean `max_body_bytes`? known here: `listen`, `clients`, `tls`, \
         `max_body_bytes`, `invalid_resources`, `max_bundle_entries`, `max_import_bytes`, `max_header_bytes`, `request_timeout_ms`, `header_timeout_ms`, `max_connections`, \
         `max_requests`, `max_loads` [CONFIG-001]"
    );
}

#[test]
fn two_destinations_of_one_id_are_refused_at_the_second() {
    let text = "[[destination]]\nid = \"a\"\n\n[[destination]]\nid = \"a\"\n";
    assert_eq!(
        refused(text),
        "5: `destination[1].id`: there is a destination `a` already; give each its own id [CONFIG-001]"
    );
}

#[test]
fn a_listener_without_clients_is_for_this_machine_only() {
    assert!(
        refused("[http]\nlisten = \"0.0.0.0:8080\"\n")
            .starts_with("2: `http.listen`: without `http.clients`")
    );
    let with_clients =
        "[http]\nlisten = \"0.0.0.0:8080\"\nclients = [{ name = \"ops\", secret = { env = \"X\" } }]\n";
    assert!(read(with_clients, Path::new("/")).is_ok());
}

#[test]
fn a_client_may_do_everything_unless_its_access_is_written() {
    let access = |written: &str| {
        let text = format!("[http]\nclients = [{{ name = \"ops\", secret = {{ env = \"X\" }}{written} }}]\n");
        read(&text, Path::new("/")).map(|config| config.http.clients[0].access)
    };
    assert_eq!(access("").unwrap(), ClientAccess::All);
    for known in [ClientAccess::Read, ClientAccess::Resources, ClientAccess::All] {
        let written = format!(", access = \"{}\"", known.as_str());
        assert_eq!(access(&written).unwrap(), known);
    }
    let message = access(", access = \"write\"").unwrap_err().to_string();
    assert!(
        message.starts_with("2:") && message.contains("`resources`"),
        "{message}"
    );
}

#[test]
fn a_secret_in_the_place_of_a_reference_is_refused_and_not_repeated() {
    let text = "[http]\nclients = [{ name = \"ops\", secret = \"hunter2\" }]\n";
    let message = refused(text);
    assert!(message.contains("a reference to a secret"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_in_the_order_of_the_file() {
    let text = "[store]\nurl = \"mysql://x\"\n[plugins.pin]\ndelta = \"abc\"\n[http]\nlisten = \"nowhere\"\n";
    let lines: Vec<String> = refused(text).lines().map(|line| line[..2].to_owned()).collect();
    assert_eq!(lines, ["2:", "4:", "6:"]);
}

#[test]
fn a_store_that_is_none_is_refused_and_its_url_is_not_repeated() {
    let config = read("[store]\nurl = \"postgres://user:pw@host/db\"\n", Path::new("/")).unwrap();
    assert_eq!(config.store_url, "postgres://user:pw@host/db");
    let message = refused("[store]\nurl = \"mysql://user:pw@host/db\"\n");
    assert!(
        message.contains("postgres://USER@HOST/DATABASE") && !message.contains("pw"),
        "{message}"
    );
}

#[test]
fn what_a_store_retains_is_understood_or_refused_with_its_line() {
    let retained = |retain: &str| {
        let text = format!("[store]\nurl = \"postgres://host/db\"\nretain = \"{retain}\"\n");
        read(&text, Path::new("/")).map(|config| config.retention)
    };
    assert_eq!(read("", Path::new("/")).unwrap().retention, Retention::All);
    assert_eq!(retained("delivered").unwrap(), Retention::Delivered);
    let month = std::time::Duration::from_secs(30 * 24 * 60 * 60);
    assert_eq!(retained("30 days").unwrap(), Retention::Age(month));
    let message = retained("forever").unwrap_err().to_string();
    assert!(message.starts_with("3: `store.retain`: "), "{message}");
    let message = refused("[store]\nretain = \"delivered\"\n");
    assert!(
        message.starts_with("2: `store.retain`: a SQLite store"),
        "{message}"
    );
}

#[test]
fn a_view_may_be_a_file_or_be_written_out() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("v.json"),
        r#"{"name":"from_file","resource":"Patient","select":[]}"#,
    )
    .unwrap();
    let text =
        "[[view]]\nfile = \"v.json\"\n[[view]]\nname = \"inline\"\nresource = \"Patient\"\nselect = []\n";
    let config = read(text, folder.path()).unwrap();
    assert_eq!(
        config.views.iter().map(|view| &*view.id).collect::<Vec<_>>(),
        ["from-file", "inline"]
    );
    assert_eq!(config.views[0].definition["name"], "from_file");
}

#[test]
fn the_schema_describes_every_table() {
    let schema = schema();
    for table in [
        "http",
        "store",
        "plugins",
        "defaults",
        "plugin",
        "access",
        "topic",
        "view",
        "destination",
    ] {
        assert!(schema["properties"].get(table).is_some(), "{table}");
    }
}
