//! The grants on the catalog, the schema and the table.

use lakefeed_plugin_api::CheckReport;

use super::{Subject, unknown};
use crate::Databricks;
use crate::literal::identifier;

/// Who stands in a statement when the token does not tell.
pub(super) const SOMEBODY: &str = "<the service principal's application id>";

/// An object with the privileges that are needed on it.
pub(super) struct Needed<'a> {
    pub(super) kind: &'static str,
    pub(super) full_name: &'a str,
    pub(super) privileges: &'a [&'static str],
    /// What does not work without them; a failure when empty, a warning otherwise.
    pub(super) only_for: &'static str,
    pub(super) is_effective: bool,
}

pub(super) async fn check(
    databricks: &Databricks,
    subject: &Subject<'_>,
    principal: Option<&str>,
    report: &mut CheckReport,
) {
    let table = subject.table;
    let (schema, full_name) = (table.full_schema(), table.to_string());
    let is_effective = !subject.needs_direct_grants;
    let all = [
        ("catalog", table.catalog.as_str(), &["USE_CATALOG"][..], true),
        ("schema", schema.as_str(), &["USE_SCHEMA"][..], true),
        (
            "table",
            full_name.as_str(),
            &["SELECT", "MODIFY"][..],
            is_effective,
        ),
    ];
    for (kind, full_name, privileges, is_effective) in all {
        let needed = Needed {
            kind,
            full_name,
            privileges,
            // What a group carries may not be shown, and counts all the same; but not to the ingest service.
            only_for: if is_effective {
                "delivery works only if a group carries it"
            } else {
                ""
            },
            is_effective,
        };
        check_object(databricks, &needed, principal, report).await;
    }
}

/// Asks for the privileges on one object; one line for each.
pub(super) async fn check_object(
    databricks: &Databricks,
    needed: &Needed<'_>,
    principal: Option<&str>,
    report: &mut CheckReport,
) {
    let name = |privilege: &str| format!("{privilege} on {} `{}`", needed.kind, needed.full_name);
    let held = match principal {
        Some(who) => {
            let asked = databricks.privileges(needed.kind, needed.full_name, who, needed.is_effective);
            asked.await.map_err(|error| match error.is_missing() {
                true => "there is no such object, or none that may be seen",
                false => "the workspace does not tell the grants",
            })
        }
        None => Err("the token does not tell whose it is"),
    };
    for privilege in needed.privileges {
        match &held {
            Err(why) => unknown(report, &name(privilege), why),
            Ok(held) if holds(held, privilege, needed.is_effective) => report.passed(name(privilege)),
            Ok(_) => {
                let message = format!(
                    "{privilege} is not granted on {} `{}`",
                    needed.kind, needed.full_name
                );
                let hint = remedy(needed, privilege, principal.unwrap_or(SOMEBODY));
                match needed.only_for {
                    "" => report.failed(name(privilege), "DBX-003", message, &hint),
                    what => report.warning(name(privilege), "DBX-003", format!("{message}: {what}"), &hint),
                }
            }
        }
    }
}

/// `ALL_PRIVILEGES` carries the ordinary ones, but nothing that must be granted outright (W 0, D5) and nothing for the
/// ingest service (W 9, G5).
fn holds(held: &[String], privilege: &str, is_effective: bool) -> bool {
    let has = |name: &str| held.iter().any(|held| held == name);
    let is_outright = privilege.starts_with("EXTERNAL_USE");
    has(privilege) || (is_effective && !is_outright && has("ALL_PRIVILEGES"))
}

fn remedy(needed: &Needed<'_>, privilege: &str, who: &str) -> String {
    let object: Vec<String> = match needed.kind {
        "external_location" => vec![identifier(needed.full_name)],
        _ => needed.full_name.split('.').map(identifier).collect(),
    };
    let words = |text: &str| text.replace('_', " ").to_uppercase();
    format!(
        "GRANT {} ON {} {} TO `{who}`; or: databricks grants update {} {} --json \
         '{{\"changes\":[{{\"principal\":\"{who}\",\"add\":[\"{privilege}\"]}}]}}'",
        words(privilege),
        words(needed.kind),
        object.join("."),
        needed.kind.replace('_', "-"),
        needed.full_name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_grant_comes_with_its_statement_and_its_command() {
        let needed = Needed {
            kind: "table",
            full_name: "c.s.t",
            privileges: &["MODIFY"],
            only_for: "",
            is_effective: false,
        };
        assert_eq!(
            remedy(&needed, "MODIFY", "sp-1"),
            "GRANT MODIFY ON TABLE `c`.`s`.`t` TO `sp-1`; or: databricks grants update table c.s.t --json \
             '{\"changes\":[{\"principal\":\"sp-1\",\"add\":[\"MODIFY\"]}]}'"
        );
        let location = Needed {
            kind: "external_location",
            full_name: "staging.loc",
            ..needed
        };
        assert!(remedy(&location, "EXTERNAL_USE_LOCATION", "sp").starts_with(
            "GRANT EXTERNAL USE LOCATION ON EXTERNAL LOCATION `staging.loc` TO `sp`; or: databricks grants update \
             external-location staging.loc"
        ));
    }

    #[test]
    fn all_privileges_do_not_carry_what_is_granted_outright() {
        let all = ["ALL_PRIVILEGES".to_owned()];
        assert!(holds(&all, "SELECT", true));
        assert!(!holds(&all, "SELECT", false));
        assert!(!holds(&all, "EXTERNAL_USE_SCHEMA", true));
    }
}
