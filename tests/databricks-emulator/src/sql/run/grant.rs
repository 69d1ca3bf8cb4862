//! GRANT, REVOKE, SHOW GRANTS.

use super::Session;
use crate::catalog::{Kind, Privilege, Securable};
use crate::sql::error::SqlError;
use crate::sql::output::Output;
use crate::workspace::Workspace;

/// The same object with a whole name.
fn whole(session: &Session, on: &Securable) -> Securable {
    let parts: Vec<String> = on.name.split('.').map(str::to_owned).collect();
    match on.kind {
        Kind::Table => Securable::new(Kind::Table, &session.table_name(&parts)),
        Kind::Schema => match session.schema_name(&parts) {
            Ok(name) => Securable::new(Kind::Schema, &name),
            Err(_) => on.clone(),
        },
        _ => on.clone(),
    }
}

fn missing(on: &Securable) -> SqlError {
    match on.kind {
        Kind::Catalog => SqlError::no_catalog(&on.name),
        Kind::Schema => SqlError::no_schema(&on.name),
        Kind::Table => SqlError::no_table(&on.name),
        _ => SqlError::new(
            "EXTERNAL_LOCATION_DOES_NOT_EXIST",
            "42704",
            format!("{} does not exist.", on.words()),
        ),
    }
}

pub(super) fn change(
    workspace: &Workspace,
    session: &Session,
    on: &Securable,
    principal: &str,
    add: &[Privilege],
    remove: &[Privilege],
) -> Result<Output, SqlError> {
    let on = whole(session, on);
    if !workspace.read(|state| state.has(&on)) {
        return Err(missing(&on));
    }
    workspace.change(|state| {
        state.require_manage(&session.caller, &on)?;
        let mut add = add.to_vec();
        workspace.check_external_use(state, &on, &mut add)?;
        state.change_grants(&on, principal, &add, remove)
    })?;
    Ok(Output::nothing())
}

pub(super) fn show(
    workspace: &Workspace,
    session: &Session,
    principal: Option<String>,
    on: &Securable,
) -> Result<Output, SqlError> {
    let on = whole(session, on);
    workspace.read(|state| {
        if !state.has(&on) {
            return Err(missing(&on));
        }
        let sees_all = state.may_manage(&session.caller, &on);
        let mut rows = Vec::new();
        let mut at = Some(on.clone());
        while let Some(securable) = at {
            for (name, privileges) in state.grants.get(&securable.key()).into_iter().flatten() {
                let is_wanted = principal.as_ref().is_none_or(|wanted| wanted == name);
                if !is_wanted || !(sees_all || *name == session.caller.principal) {
                    continue;
                }
                for privilege in privileges {
                    rows.push(vec![
                        Some(name.clone()),
                        Some(privilege.words()),
                        Some(securable.kind.word().to_uppercase()),
                        Some(securable.name.clone()),
                    ]);
                }
            }
            at = securable.parent();
        }
        Ok(Output::texts(
            &["Principal", "ActionType", "ObjectType", "ObjectKey"],
            rows,
        ))
    })
}
