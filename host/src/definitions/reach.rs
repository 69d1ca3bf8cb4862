//! What a destination may name: a request local folders and URLs of `[access]`, and nobody what is the host's own.

use std::path::{Component, Path, PathBuf};

use super::Settings;
use crate::config::Config;
use crate::log::StoreUrl;
use crate::plugin;

/// Where a place lies that a parameter names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A file or folder of this machine, absolute.
    Local(PathBuf),
    /// Something else, by URL.
    Url(String),
}

/// A place that a request may have read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readable {
    /// A file of this machine.
    File(PathBuf),
    /// An address of the web.
    Url(String),
}

/// Whether a request may have a place read: a file or `http(s)` URL of `[access]`, and none of the host's own.
pub(super) fn readable(text: &str, settings: &Settings) -> Result<Readable, String> {
    let place = place(text, &settings.folder)?;
    spare(&place, settings)?;
    match &place {
        Place::Local(path) => {
            allow(&place, settings)?;
            Ok(Readable::File(path.clone()))
        }
        Place::Url(url) => {
            // As it will be asked for: `%2e%2e` and the like lead nowhere else then.
            let url = url::Url::parse(url).map_err(|_| "is not a URL".to_owned())?;
            if !matches!(url.scheme(), "http" | "https") {
                return Err("is neither a file nor an http or https URL".to_owned());
            }
            allow(&Place::Url(url.as_str().to_owned()), settings)?;
            Ok(Readable::Url(url.into()))
        }
    }
}

/// Reads a path or URL; a relative path starts at the configuration's folder.
pub(super) fn place(text: &str, folder: &Path) -> Result<Place, String> {
    match text.split_once("://") {
        Some(("file", path)) if path.starts_with('/') => Ok(Place::Local(normal(Path::new(path)))),
        Some(("file", _)) => Err("a file URL has three slashes: file:///folder".to_owned()),
        Some(_) => url::Url::parse(text)
            .map(|_| Place::Url(text.to_owned()))
            .map_err(|_| "not a URL; write s3://bucket/folder or a path".to_owned()),
        None if text.is_empty() => Err("is empty; name a path or URL".to_owned()),
        None => Ok(Place::Local(normal(&folder.join(text)))),
    }
}

/// The store's file, where the store is one.
pub(super) fn store_file(config: &Config) -> Option<PathBuf> {
    match StoreUrl::parse(&config.store_url).ok()? {
        StoreUrl::Sqlite(file) => Some(config.folder.join(file)),
        StoreUrl::Postgres(_) => None,
    }
}

/// What is the host's own besides the store: its configuration, its plugins and its state.
pub(super) fn own_places(config: &Config) -> Vec<PathBuf> {
    let plugins = &config.plugins;
    let beside = plugin::executable_folder().map(|folder| folder.join("plugins"));
    let mut places = plugins.dirs.clone();
    places.push(plugins.state.clone());
    places.extend(beside.ok());
    places.extend(config.file.clone());
    places
}

/// Refuses what is the host's own, whoever wrote the parameter: rows over the store, the configuration or a plugin
/// would be the end of it. What to do is in the answer.
pub(super) fn spare(place: &Place, settings: &Settings) -> Result<(), String> {
    let Place::Local(path) = place else {
        return Ok(());
    };
    let path = resolved(path);
    if let Some(store) = settings.store.as_deref().map(resolved) {
        if store.parent() == Some(&path) {
            return Err(
                "is the folder that holds lakefeed's store; name a folder below it, or another".to_owned(),
            );
        }
        if SIBLINGS
            .iter()
            .any(|suffix| path.starts_with(beside(&store, suffix)))
        {
            return Err("is lakefeed's store; name another place".to_owned());
        }
    }
    if settings
        .protected
        .iter()
        .any(|own| path.starts_with(resolved(own)))
    {
        return Err(
            "lies in what lakefeed runs from (configuration, plugins, state); name another place".to_owned(),
        );
    }
    Ok(())
}

/// What the store's file and the files beside it end in.
const SIBLINGS: [&str; 5] = ["", "-wal", "-shm", "-journal", "-lock"];

fn beside(store: &Path, suffix: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether a request may name a place; if not, what to do.
pub(super) fn allow(place: &Place, settings: &Settings) -> Result<(), String> {
    match place {
        Place::Local(path) => {
            let path = resolved(path);
            if settings
                .access
                .local_paths
                .iter()
                .any(|allowed| path.starts_with(resolved(allowed)))
            {
                return Ok(());
            }
            Err(
                "lies outside the folders that requests may name; add its folder to `[access] local_paths`"
                    .to_owned(),
            )
        }
        Place::Url(url) => {
            if settings.access.urls.iter().any(|allowed| is_under(url, allowed)) {
                return Ok(());
            }
            Err("is not among the URLs that requests may name; add it to `[access] urls`".to_owned())
        }
    }
}

/// Whether a workspace is one that the service principal's secret may be sent to; if not, what to do. It holds for the
/// configuration file's own destinations as well: the list is who gets the secret.
pub(super) fn workspace(text: &str, settings: &Settings) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|_| "is not a URL; write https://<workspace host>".to_owned())?;
    let is_listed = settings.access.databricks_hosts.iter().any(|listed| {
        let listed = if listed.contains("://") {
            listed.clone()
        } else {
            format!("{}://{listed}", url.scheme())
        };
        url::Url::parse(&listed).is_ok_and(|listed| listed.origin() == url.origin())
    });
    if is_listed {
        return Ok(());
    }
    Err(
        "is not among the workspaces that the service principal's secret may be sent to; \
         add its host to `[access] databricks_hosts`"
            .to_owned(),
    )
}

/// Whether a URL is the allowed one or lies below it: `s3://lake/a` does not allow `s3://lake/ab`.
fn is_under(url: &str, allowed: &str) -> bool {
    if url.contains("/../") || url.ends_with("/..") {
        return false;
    }
    let allowed = allowed.trim_end_matches('/');
    url.strip_prefix(allowed)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The path with its existing part resolved, so that a link does not lead out of an allowed folder.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    let mut head = path;
    loop {
        if let Ok(real) = head.canonicalize() {
            return rest.iter().rev().fold(real, |path, part| path.join(part));
        }
        match (head.parent(), head.file_name()) {
            (Some(parent), Some(name)) => {
                rest.push(name.to_owned());
                head = parent;
            }
            _ => return path.to_owned(),
        }
    }
}

/// The path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Access;

    fn allowed(local: &Path, text: &str) -> bool {
        let access = Access {
            local_paths: vec![local.to_owned()],
            urls: vec!["s3://lake/patients".to_owned()],
            ..Access::default()
        };
        let settings = Settings {
            folder: local.to_owned(),
            access,
            ..Settings::default()
        };
        place(text, local).is_ok_and(|place| allow(&place, &settings).is_ok())
    }

    #[test]
    fn a_request_reaches_what_lies_below_an_allowed_folder_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(allowed(path, "tables/patients"));
        assert!(allowed(path, &path.join("x y").display().to_string()));
        assert!(allowed(path, &format!("file://{}/a", path.display())));
        assert!(!allowed(path, "../elsewhere"));
        assert!(!allowed(path, "tables/../../elsewhere"));
        assert!(!allowed(path, "/etc"));
        assert!(!allowed(path, ""));
    }

    #[test]
    fn no_destination_names_the_store_the_configuration_the_plugins_or_the_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::fs::write(path.join("store.db"), "").unwrap();
        std::fs::write(path.join("lakefeed.toml"), "").unwrap();
        std::fs::create_dir(path.join("plugins")).unwrap();
        std::os::unix::fs::symlink(path.join("store.db"), path.join("link")).unwrap();
        let text =
            "[store]\nurl = \"sqlite://store.db\"\n[plugins]\ndirs = [\"plugins\"]\nstate = \"state\"\n";
        std::fs::write(path.join("lakefeed.toml"), text).unwrap();
        let config = crate::config::load(&path.join("lakefeed.toml")).unwrap();
        let settings = Settings::from(&config);
        let spared = |text: &str| spare(&place(text, path).unwrap(), &settings);
        for own in [
            ".",
            "store.db",
            "store.db-wal",
            "store.db-shm",
            "store.db-journal",
            "store.db-lock",
            "tables/../store.db",
            "link",
            "lakefeed.toml",
            "plugins",
            "plugins/delta/plugin.toml",
            "state/verified",
        ] {
            let refused = spared(own).unwrap_err();
            assert!(refused.contains("; name "), "{own}: {refused}");
        }
        let beside = plugin::executable_folder().unwrap().join("plugins/x");
        assert!(spared(beside.to_str().unwrap()).is_err());
        for other in ["tables", "store.db.ndjson", "plugins-rows", "s3://store.db/x"] {
            assert_eq!(spared(other), Ok(()), "{other}");
        }
    }

    #[test]
    fn a_request_has_read_what_lies_at_allowed_places_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            folder: folder.path().to_owned(),
            access: Access {
                local_paths: vec![folder.path().to_owned()],
                urls: vec!["https://files.example/patients".to_owned()],
                ..Access::default()
            },
            ..Settings::default()
        };
        let may = |text: &str| readable(text, &settings).is_ok();
        assert!(may("a.ndjson"));
        assert!(may("https://files.example/patients/1.ndjson.gz?signature=x"));
        for other in [
            "/etc/passwd",
            "../a.ndjson",
            "https://files.example/other",
            "https://files.example/patients/../other",
            "https://files.example/patients/%2e%2e/other",
            "https://files.example/patients@evil.example/",
            "https://files.example.evil.example/patients/",
            "ftp://files.example/patients/a",
            "http://169.254.169.254/latest",
        ] {
            assert!(!may(other), "{other}");
        }
    }

    #[test]
    fn a_workspace_is_named_by_its_host_and_port() {
        let settings = Settings {
            access: Access {
                databricks_hosts: vec![
                    "dbc-1.cloud.databricks.com".into(),
                    "http://127.0.0.1:9000".into(),
                ],
                ..Access::default()
            },
            ..Settings::default()
        };
        for good in ["https://dbc-1.cloud.databricks.com/", "http://127.0.0.1:9000"] {
            assert_eq!(workspace(good, &settings), Ok(()), "{good}");
        }
        for bad in [
            "https://dbc-2.cloud.databricks.com",
            "http://127.0.0.1:9001",
            "https://127.0.0.1:9000",
            "dbc-1",
        ] {
            assert!(workspace(bad, &settings).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_does_not_lead_out_of_an_allowed_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        assert!(!allowed(folder.path(), "link/table"));
    }

    #[test]
    fn a_url_is_allowed_by_folders_and_not_by_letters() {
        let folder = tempfile::tempdir().unwrap();
        assert!(allowed(folder.path(), "s3://lake/patients"));
        assert!(allowed(folder.path(), "s3://lake/patients/flat"));
        assert!(!allowed(folder.path(), "s3://lake/patients-of-others"));
        assert!(!allowed(folder.path(), "s3://lake/patients/../others"));
        assert!(!allowed(folder.path(), "s3://other"));
    }
}
