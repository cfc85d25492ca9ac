//! What a demonstration begins with.

use serde_json::{Value, json};

use super::fleet::{machines, make_guests};
use super::{CliError, Context};
use crate::app::local_admin::{LocalAdmin, LocalAdminError};
use crate::app::registry::{IssuedPassword, KeySpec};
use crate::core::principal::Side;
use crate::core::scope::{Scope, ScopeSet};

/// Makes accounts, people, keys and VMs, and gives what `demo.json` says of them.
pub async fn create_demo_data(context: &Context) -> Result<Value, CliError> {
    tracing::info!("making the log, the views and the vault");
    let local_admin = context.new_local_admin().await?;
    if !local_admin.state().await?.accounts.is_empty() {
        let text = "the data directory holds accounts but no demo.json, whose keys are shown nowhere else; \
                    use another directory, or `forelog serve` and `forelog key create` on this one";
        return Err(CliError::Usage(text.into()));
    }
    tracing::info!("making two accounts, three people and their keys");
    let staff = local_admin.create_account("Example Hosting", "staff@example.com", Side::Staff).await?;
    let second = local_admin.join_account(&staff.account, "second@example.com").await?;
    let customer = local_admin.create_account("Example Ltd", "customer@example.com", Side::Customer).await?;
    local_admin.set_account(&customer.account, true).await?;
    tracing::info!("making the VMs and giving them to the customer");
    make_guests(context).await?;
    let mut vms = Vec::new();
    for (provider, machine) in machines(context).await? {
        let id = local_admin.import_vm(&customer.account, provider, &machine.machine.0, &machine.label).await?;
        vms.push(json!({ "id": id, "label": machine.label, "provider": provider }));
    }
    let document = json!({
        "customer": with_key(&local_admin, customer, "demo", customers()).await?,
        "staff": with_key(&local_admin, staff, "demo staff", Scope::staff()).await?,
        "staff2": with_key(&local_admin, second, "demo second staff", Scope::staff()).await?,
        "vms": vms,
    });
    local_admin.close().await;
    Ok(document)
}

/// Everything that a key of a customer can do. Saying yes for a person is not among it: such a key is made in the console.
fn customers() -> ScopeSet {
    Scope::customer().into_iter().chain([Scope::KeysRead, Scope::KeysWrite]).collect()
}

async fn with_key(
    local_admin: &LocalAdmin,
    person: IssuedPassword,
    label: &str,
    scopes: ScopeSet,
) -> Result<Value, LocalAdminError> {
    let IssuedPassword { account, user, email, password } = person;
    let spec = KeySpec { user: Some(user), scopes, ..KeySpec::full(account.clone(), label) };
    let key = local_admin.create_key(spec).await?;
    Ok(json!({ "email": email, "password": password, "api_key": key.key.reveal(), "account": account }))
}
