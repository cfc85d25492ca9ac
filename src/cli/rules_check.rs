//! What `doctor` says of the policies and limits: those in force, who put them there, and where this configuration differs.
//!
//! INVARIANT: that they differ is no fault. What holds is what is recorded, and somebody may have set it on purpose.

use serde_json::{Value, json};

use super::checks::{Checked, NO_VAULT};
use super::limits::{differs, in_force as in_force_since, since};
use super::policy::holder;
use super::{CliError, Context};
use crate::app::local_admin::LocalAdmin;
use crate::app::policies::engine;
use crate::control::in_force::{LIMITS, POLICIES, add_origin, origin};
use crate::core::error_chain::error_chain;
use crate::core::state::ControlState;
use crate::policy::{Loaded, PolicyError};

/// What is in force and how it came there, in words; and where this configuration differs, which is no fault: what holds is what
/// is recorded, and somebody may have set it on purpose.
pub(super) async fn rules(
    context: &Context,
    local_admin: &LocalAdmin,
    state: Option<&ControlState>,
) -> (Vec<String>, Vec<String>) {
    let (reader, mut lines, mut differ) = (local_admin.rooms.reader(), Vec::new(), Vec::new());
    if let Some(set) = state.and_then(|state| state.policy.as_ref()) {
        let since = since(origin(&reader, POLICIES).await.ok().flatten().as_ref());
        let line = format!("policies version {}, sha256 {}{since}", set.version, set.sha256);
        if configured(context).is_ok_and(|own| own.is_ok_and(|own| own != set.sha256)) {
            differ.push(format!(
                "in force: {line}. This configuration has another set; `forelog policy reload` would replace it: version {} is in \
                 force and is not the configured set",
                set.version
            ));
        }
        lines.push(line);
    }
    if let Some(now) = state.and_then(|state| state.terms.as_ref()) {
        let line = in_force_since(now, origin(&reader, LIMITS).await.ok().flatten().as_ref());
        for row in now.terms.differences(&context.config.terms()) {
            differ.push(format!("in force: {line}. {}", differs(&row)));
        }
        lines.push(line);
    }
    (lines, differ)
}

/// The same for programs.
pub(super) async fn in_force(local_admin: &LocalAdmin, state: Option<&ControlState>) -> Result<Value, CliError> {
    let (reader, mut document) = (local_admin.rooms.reader(), json!({}));
    if let Some(set) = state.and_then(|state| state.policy.as_ref()) {
        document["policies"] = json!({ "version": set.version, "sha256": set.sha256 });
        add_origin(&mut document["policies"], origin(&reader, POLICIES).await?.as_ref());
    }
    if let Some(now) = state.and_then(|state| state.terms.as_ref()) {
        document["limits"] = json!({ "version": now.version, "numbers": now.terms });
        add_origin(&mut document["limits"], origin(&reader, LIMITS).await?.as_ref());
    }
    Ok(document)
}

/// A node takes the set in force from the log: its text has to be there, and to be read by this version.
pub(super) async fn served(context: &Context, local_admin: &LocalAdmin, state: Option<&ControlState>) -> Checked {
    let Some(set) = state.and_then(|state| state.policy.as_ref()) else { return Checked::Fine };
    if local_admin.without_vault.is_some() {
        return Checked::Unseen(NO_VAULT.into());
    }
    let holder = match holder(context, local_admin) {
        Ok(holder) => holder,
        Err(error) => return Checked::Unseen(error_chain(&error)),
    };
    let fault = |why| format!("version {} of the policies is in force and cannot be served: {why}", set.version);
    holder.take_over(set).await.err().map(fault).into_iter().collect::<Vec<_>>().into()
}

/// The configured set, tried and not put in force; an error if it is broken.
pub(super) fn load(context: &Context) -> Result<Result<Loaded, PolicyError>, CliError> {
    let engine = engine(&crate::tools::catalogue()?)?;
    Ok(engine.load(context.config.policies_dir.as_deref()).map_err(|refused| refused.error))
}

/// The digest of the configured set; an error if it is broken.
fn configured(context: &Context) -> Result<Result<String, String>, CliError> {
    Ok(load(context)?.map(|loaded| loaded.sha256().to_string()).map_err(|error| error.to_string()))
}

pub(super) fn policies(context: &Context) -> Result<Vec<String>, CliError> {
    let broken = configured(context)?.err().map(|error| format!("the configured policies are broken: {error}"));
    Ok(broken.iter().flat_map(|fault| fault.lines()).map(str::to_owned).collect())
}
