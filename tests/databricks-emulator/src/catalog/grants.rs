//! Who may do what.
//!
//! A privilege reaches an object if it, or ALL PRIVILEGES, is granted on it or on what it lies in, to the principal or to
//! everybody. The owner has what ALL PRIVILEGES has. Those that lend credentials to the outside must be granted by name.

use super::{ADMINISTRATOR, Catalog, Kind, Privilege, Securable};
use crate::faults::Setting;
use crate::http::ApiError;

/// The group that every principal is in.
pub(crate) const EVERYBODY: &str = "account users";

/// Who asks, and what is denied to them by a switch.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) principal: String,
    pub(crate) denied: Option<Setting>,
}

impl Caller {
    pub(crate) fn is_administrator(&self) -> bool {
        self.principal == ADMINISTRATOR
    }

    fn is_denied(&self, privilege: Privilege, securable: &Securable) -> bool {
        let Some(denied) = &self.denied else { return false };
        let is_privilege = denied
            .privilege
            .as_deref()
            .is_none_or(|text| Privilege::parse(text) == Some(privilege));
        let is_object = denied
            .object
            .as_ref()
            .is_none_or(|name| name.to_lowercase() == securable.name);
        is_privilege && is_object
    }
}

impl Catalog {
    fn owner(&self, securable: &Securable) -> Option<&str> {
        let name = &securable.name;
        match securable.kind {
            Kind::Metastore => None,
            Kind::Catalog => self.catalogs.get(name).map(|entry| entry.owner.as_str()),
            Kind::Schema => self.schemas.get(name).map(|entry| entry.owner.as_str()),
            Kind::Table => self.tables.get(name).map(|entry| entry.owner.as_str()),
            Kind::ExternalLocation => self.locations.get(name).map(|entry| entry.owner.as_str()),
            Kind::StorageCredential => self.credentials.get(name).map(|entry| entry.owner.as_str()),
        }
    }

    /// Whether there is such an object.
    pub(crate) fn has(&self, securable: &Securable) -> bool {
        securable.kind == Kind::Metastore || self.owner(securable).is_some()
    }

    /// Whether exactly that privilege is granted on exactly that object to exactly that principal. This is what Zerobus
    /// asks.
    pub(crate) fn is_granted_directly(
        &self,
        caller: &Caller,
        privilege: Privilege,
        securable: &Securable,
    ) -> bool {
        let granted = self
            .grants
            .get(&securable.key())
            .and_then(|grants| grants.get(&caller.principal))
            .is_some_and(|privileges| privileges.contains(&privilege));
        granted && !caller.is_denied(privilege, securable)
    }

    /// Whether a privilege reaches an object.
    pub(crate) fn may(&self, caller: &Caller, privilege: Privilege, securable: &Securable) -> bool {
        if caller.is_administrator() && !privilege.is_by_name_only() {
            return true;
        }
        if caller.is_denied(privilege, securable) {
            return false;
        }
        if !privilege.is_by_name_only() && self.owner(securable) == Some(caller.principal.as_str()) {
            return true;
        }
        let mut object = Some(securable.clone());
        while let Some(securable) = object {
            if self.is_granted_on(caller, privilege, &securable) {
                return true;
            }
            object = securable.parent();
        }
        false
    }

    fn is_granted_on(&self, caller: &Caller, privilege: Privilege, securable: &Securable) -> bool {
        let Some(grants) = self.grants.get(&securable.key()) else {
            return false;
        };
        [caller.principal.as_str(), EVERYBODY]
            .iter()
            .filter_map(|principal| grants.get(*principal))
            .any(|privileges| {
                privileges.contains(&privilege)
                    || (!privilege.is_by_name_only() && privileges.contains(&Privilege::AllPrivileges))
            })
    }

    /// Whether somebody may administer an object: its owner, the owner of what it lies in, or who was granted MANAGE.
    pub(crate) fn may_manage(&self, caller: &Caller, securable: &Securable) -> bool {
        if caller.is_administrator() || self.may(caller, Privilege::Manage, securable) {
            return true;
        }
        let mut object = Some(securable.clone());
        while let Some(securable) = object {
            if self.owner(&securable) == Some(caller.principal.as_str()) {
                return true;
            }
            object = securable.parent();
        }
        false
    }

    /// Refuses who may not administer an object.
    pub(crate) fn require_manage(&self, caller: &Caller, securable: &Securable) -> Result<(), ApiError> {
        if self.may_manage(caller, securable) {
            return Ok(());
        }
        Err(
            ApiError::denied(format!("User is not an owner of {}.", securable.words()))
                .about("resourceName", &securable.name),
        )
    }

    /// Refuses who lacks a privilege, naming it and the object.
    pub(crate) fn require(
        &self,
        caller: &Caller,
        privilege: Privilege,
        securable: &Securable,
    ) -> Result<(), ApiError> {
        if self.may(caller, privilege, securable) {
            return Ok(());
        }
        let message = format!(
            "User does not have {} on {}.",
            privilege.words(),
            securable.words()
        );
        Err(ApiError::denied(message)
            .about("principalName", &caller.principal)
            .about("resourceType", securable.kind.word())
            .about("resourceName", &securable.name))
    }

    /// Refuses who may not go through the catalog and the schema that a schema or table lies in.
    pub(crate) fn require_way(&self, caller: &Caller, securable: &Securable) -> Result<(), ApiError> {
        let parts: Vec<&str> = securable.name.split('.').collect();
        if let Some(catalog) = parts.first() {
            let catalog = Securable::new(Kind::Catalog, catalog);
            self.require(caller, Privilege::UseCatalog, &catalog)?;
        }
        if let [catalog, schema, ..] = parts.as_slice() {
            let schema = Securable::new(Kind::Schema, &format!("{catalog}.{schema}"));
            self.require(caller, Privilege::UseSchema, &schema)?;
        }
        Ok(())
    }

    /// Whether somebody may know of an object: who has anything on it or in it.
    pub(crate) fn may_see(&self, caller: &Caller, securable: &Securable) -> bool {
        if self.may_manage(caller, securable)
            || self
                .require_way(caller, securable)
                .is_ok_and(|()| securable.kind != Kind::Table)
        {
            return true;
        }
        self.require_way(caller, securable).is_ok()
            && [Privilege::Select, Privilege::Modify, Privilege::Browse]
                .iter()
                .any(|privilege| self.may(caller, *privilege, securable))
    }

    /// Grants and revokes. A privilege that the object does not take is refused.
    pub(crate) fn change_grants(
        &mut self,
        securable: &Securable,
        principal: &str,
        add: &[Privilege],
        remove: &[Privilege],
    ) -> Result<(), ApiError> {
        for privilege in add.iter().chain(remove) {
            if !securable.kind.takes(*privilege) {
                return Err(not_applicable(*privilege, securable));
            }
        }
        let is_known =
            principal == ADMINISTRATOR || principal == EVERYBODY || self.principals.contains_key(principal);
        if !is_known {
            return Err(ApiError::missing(
                "PRINCIPAL_DOES_NOT_EXIST",
                format!("Could not find principal with name {principal}"),
            ));
        }
        let grants = self.grants.entry(securable.key()).or_default();
        let privileges = grants.entry(principal.to_owned()).or_default();
        privileges.extend(add);
        for privilege in remove {
            privileges.remove(privilege);
        }
        if privileges.is_empty() {
            grants.remove(principal);
        }
        Ok(())
    }
}

/// The refusal of a privilege that an object does not take.
pub(crate) fn not_applicable(privilege: Privilege, securable: &Securable) -> ApiError {
    ApiError::invalid(format!(
        "Privilege {} is not applicable to this entity [{}].",
        privilege.words(),
        securable.words()
    ))
    .because("PRIVILEGE_NOT_APPLICABLE")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{SchemaEntry, TableEntry};

    fn caller() -> Caller {
        Caller {
            principal: "p".to_owned(),
            denied: None,
        }
    }

    fn catalog() -> Catalog {
        let mut catalog = Catalog::default();
        catalog.principals.insert("p".to_owned(), Default::default());
        catalog.catalogs.insert("c".to_owned(), Default::default());
        catalog.schemas.insert("c.s".to_owned(), SchemaEntry::default());
        catalog.tables.insert("c.s.t".to_owned(), TableEntry::default());
        catalog
    }

    fn table() -> Securable {
        Securable::new(Kind::Table, "c.s.t")
    }

    #[test]
    fn a_grant_on_the_schema_reaches_the_table_but_is_not_direct() {
        let mut catalog = catalog();
        let schema = Securable::new(Kind::Schema, "c.s");
        catalog
            .change_grants(&schema, "p", &[Privilege::Select], &[])
            .unwrap();
        assert!(catalog.may(&caller(), Privilege::Select, &table()));
        assert!(!catalog.is_granted_directly(&caller(), Privilege::Select, &table()));
    }

    #[test]
    fn all_privileges_lends_no_credentials() {
        let mut catalog = catalog();
        let schema = Securable::new(Kind::Schema, "c.s");
        catalog
            .change_grants(&schema, "p", &[Privilege::AllPrivileges], &[])
            .unwrap();
        assert!(catalog.may(&caller(), Privilege::Modify, &table()));
        assert!(!catalog.may(&caller(), Privilege::ExternalUseSchema, &schema));
    }

    #[test]
    fn a_grant_to_everybody_reaches_but_is_not_direct() {
        let mut catalog = catalog();
        catalog
            .change_grants(&table(), EVERYBODY, &[Privilege::Modify], &[])
            .unwrap();
        assert!(catalog.may(&caller(), Privilege::Modify, &table()));
        assert!(!catalog.is_granted_directly(&caller(), Privilege::Modify, &table()));
    }

    #[test]
    fn a_denied_grant_counts_as_not_granted() {
        let mut catalog = catalog();
        catalog
            .change_grants(&table(), "p", &[Privilege::Select, Privilege::Modify], &[])
            .unwrap();
        let mut caller = caller();
        caller.denied = Some(Setting {
            privilege: Some("MODIFY".to_owned()),
            object: Some("c.s.t".to_owned()),
            ..Setting::default()
        });
        assert!(!catalog.may(&caller, Privilege::Modify, &table()));
        assert!(catalog.may(&caller, Privilege::Select, &table()));
    }

    #[test]
    fn a_privilege_that_the_object_does_not_take_is_refused() {
        let refused = catalog().change_grants(&table(), "p", &[Privilege::UseSchema], &[]);
        assert!(
            refused
                .unwrap_err()
                .message
                .contains("is not applicable to this entity")
        );
    }

    #[test]
    fn a_revoked_grant_is_gone() {
        let mut catalog = catalog();
        catalog
            .change_grants(&table(), "p", &[Privilege::Select], &[])
            .unwrap();
        catalog
            .change_grants(&table(), "p", &[], &[Privilege::Select])
            .unwrap();
        assert!(!catalog.may(&caller(), Privilege::Select, &table()));
    }
}
