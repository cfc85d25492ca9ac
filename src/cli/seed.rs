//! What a demonstration begins with.

use serde_json::{Value, json};

use super::fleet::{machines, make_guests};
use super::{CliError, Context};
use crate::app::desk::{Desk, DeskError};
use crate::app::registry::{KeySpec, NewPerson};
use crate::core::principal::Side;
use crate::core::scope::{Scope, ScopeSet};

/// Makes accounts, people, keys and VMs, and gives what `demo.json` says of them.
pub async fn seed(context: &Context) -> Result<Value, CliError> {
    tracing::info!("making the log, the views and the vault");
    let desk = context.new_desk().await?;
    if !desk.state().await?.accounts.is_empty() {
        let text = "the data directory holds accounts but no demo.json, whose keys are shown nowhere else; \
                    use another directory, or `forelog serve` and `forelog key create` on this one";
        return Err(CliError::Usage(text.into()));
    }
    tracing::info!("making two accounts, three people and their keys");
    let staff = desk.create_account("Example Hosting", "staff@example.com", Side::Staff).await?;
    let second = desk.join_account(&staff.account, "second@example.com").await?;
    let customer = desk.create_account("Example Ltd", "customer@example.com", Side::Customer).await?;
    desk.set_account(&customer.account, true).await?;
    tracing::info!("making the VMs and giving them to the customer");
    make_guests(context).await?;
    let mut vms = Vec::new();
    for (provider, machine) in machines(context).await? {
        let id = desk.import_vm(&customer.account, provider, &machine.machine.0, &machine.label).await?;
        vms.push(json!({ "id": id, "label": machine.label, "provider": provider }));
    }
    let document = json!({
        "customer": with_key(&desk, customer, "demo", customers()).await?,
        "staff": with_key(&desk, staff, "demo staff", Scope::staff()).await?,
        "staff2": with_key(&desk, second, "demo second staff", Scope::staff()).await?,
        "vms": vms,
    });
    desk.close().await;
    Ok(document)
}

/// Everything that a key of a customer can do. Saying yes for a person is not among it: such a key is made in the console.
fn customers() -> ScopeSet {
    Scope::customer().into_iter().chain([Scope::KeysRead, Scope::KeysWrite]).collect()
}

async fn with_key(desk: &Desk, person: NewPerson, label: &str, scopes: ScopeSet) -> Result<Value, DeskError> {
    let NewPerson { account, user, email, password } = person;
    let spec = KeySpec { user: Some(user), scopes, ..KeySpec::full(account.clone(), label) };
    let key = desk.create_key(spec).await?;
    Ok(json!({ "email": email, "password": password, "api_key": key.key.reveal(), "account": account }))
}
