//! `authorization_details`: what a Zerobus token is asked for, and whether it is granted.

use serde::Deserialize;

use crate::catalog::{Caller, Catalog, Kind, Privilege, Securable};

/// One authorisation that is asked for.
#[derive(Debug, Deserialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: String,
    privileges: Vec<String>,
    object_type: String,
    object_full_path: String,
}

/// What a Zerobus token will say.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Authorised {
    pub(super) table: String,
    pub(super) has_way: bool,
    pub(super) has_rights: bool,
}

/// The privilege of a name as this endpoint takes it: with spaces, in capitals.
fn strict_privilege(name: &str) -> Option<Privilege> {
    let privilege = Privilege::parse(name)?;
    (privilege.words() == name).then_some(privilege)
}

/// What the text asks for, if all of it is granted; none is the service's refusal.
///
/// Each privilege must be granted on exactly that object to exactly that principal: what is inherited, comes from a
/// group or from ALL PRIVILEGES does not count here.
pub(super) fn authorise(catalog: &Catalog, caller: &Caller, text: &str) -> Option<Authorised> {
    let details: Vec<Detail> = serde_json::from_str(text).ok()?;
    let mut authorised = Authorised::default();
    let mut way = (None, None);
    for detail in &details {
        if detail.kind != "unity_catalog_privileges" {
            return None;
        }
        let kind = match detail.object_type.as_str() {
            "CATALOG" => Kind::Catalog,
            "SCHEMA" => Kind::Schema,
            "TABLE" => Kind::Table,
            _ => return None,
        };
        let securable = Securable::new(kind, &detail.object_full_path);
        if !catalog.has(&securable) {
            return None;
        }
        let mut privileges = Vec::new();
        for name in &detail.privileges {
            let privilege = strict_privilege(name)?;
            if !catalog.is_granted_directly(caller, privilege, &securable) {
                return None;
            }
            privileges.push(privilege);
        }
        match kind {
            Kind::Catalog if privileges.contains(&Privilege::UseCatalog) => way.0 = Some(securable.name),
            Kind::Schema if privileges.contains(&Privilege::UseSchema) => way.1 = Some(securable.name),
            Kind::Table => {
                authorised.has_rights =
                    privileges.contains(&Privilege::Select) && privileges.contains(&Privilege::Modify);
                authorised.table = securable.name;
            }
            _ => {}
        }
    }
    let schema = authorised
        .table
        .rsplit_once('.')
        .map(|(schema, _)| schema.to_owned());
    let of_catalog = schema
        .as_deref()
        .and_then(|schema| schema.split_once('.'))
        .map(|(catalog, _)| catalog.to_owned());
    authorised.has_way = schema.is_some() && way.1 == schema && way.0 == of_catalog;
    (!authorised.table.is_empty()).then_some(authorised)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{SchemaEntry, TableEntry};

    const GRANTED: &[(Kind, &str, &[Privilege])] = &[
        (Kind::Catalog, "c", &[Privilege::UseCatalog]),
        (Kind::Schema, "c.s", &[Privilege::UseSchema]),
        (Kind::Table, "c.s.t", &[Privilege::Select, Privilege::Modify]),
    ];

    fn catalog(granted: &[(Kind, &str, &[Privilege])]) -> Catalog {
        let mut catalog = Catalog::default();
        catalog.principals.insert("p".to_owned(), Default::default());
        catalog.catalogs.insert("c".to_owned(), Default::default());
        catalog.schemas.insert("c.s".to_owned(), SchemaEntry::default());
        catalog.tables.insert("c.s.t".to_owned(), TableEntry::default());
        for (kind, name, privileges) in granted {
            catalog
                .change_grants(&Securable::new(*kind, name), "p", privileges, &[])
                .unwrap();
        }
        catalog
    }

    fn asked(catalog: &Catalog, text: &str) -> Option<Authorised> {
        let caller = Caller {
            principal: "p".to_owned(),
            denied: None,
        };
        authorise(catalog, &caller, text)
    }

    fn detail(kind: &str, path: &str, privileges: &str) -> String {
        format!(
            r#"{{"type":"unity_catalog_privileges","privileges":[{privileges}],"object_type":"{kind}","object_full_path":"{path}"}}"#
        )
    }

    fn whole() -> String {
        format!(
            "[{},{},{}]",
            detail("CATALOG", "c", r#""USE CATALOG""#),
            detail("SCHEMA", "c.s", r#""USE SCHEMA""#),
            detail("TABLE", "c.s.t", r#""SELECT","MODIFY""#)
        )
    }

    #[test]
    fn what_is_granted_by_name_is_authorised() {
        let authorised = asked(&catalog(GRANTED), &whole()).unwrap();
        assert!(authorised.has_way && authorised.has_rights);
        assert_eq!(authorised.table, "c.s.t");
    }

    #[test]
    fn underscores_are_refused() {
        let text = whole().replace("USE CATALOG", "USE_CATALOG");
        assert_eq!(asked(&catalog(GRANTED), &text), None);
    }

    #[test]
    fn a_missing_object_and_a_missing_grant_are_refused() {
        assert_eq!(asked(&catalog(GRANTED), &whole().replace("c.s.t", "c.s.u")), None);
        assert_eq!(asked(&catalog(&GRANTED[..2]), &whole()), None);
        assert_eq!(asked(&catalog(&GRANTED[1..]), &whole()), None);
    }

    #[test]
    fn neither_all_privileges_nor_an_inherited_grant_is_enough() {
        let mut granted = GRANTED.to_vec();
        granted[2] = (Kind::Table, "c.s.t", &[Privilege::AllPrivileges]);
        assert_eq!(asked(&catalog(&granted), &whole()), None);
        granted[2] = (Kind::Schema, "c.s", &[Privilege::Select, Privilege::Modify]);
        assert_eq!(asked(&catalog(&granted), &whole()), None);
    }

    #[test]
    fn without_the_way_it_is_authorised_but_leads_nowhere() {
        let text = format!("[{}]", detail("TABLE", "c.s.t", r#""SELECT","MODIFY""#));
        let authorised = asked(&catalog(GRANTED), &text).unwrap();
        assert!(!authorised.has_way);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "{}", "[]", r#"[{"type":"other"}]"#] {
            assert_eq!(asked(&catalog(GRANTED), text), None, "{text}");
        }
    }
}
