//! `forelog key`: API keys, shown once.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;

use super::declared::mirror;
use super::named::{self, Name};
use super::table::table;
use super::time::format_time;
use super::{Answer, CliError, Context};
use crate::app::local_admin::LocalAdmin;
use crate::app::registry::{KeySpec, NewKey, RevokedKey};
use crate::core::event::CredentialCreated;
use crate::core::lineage::alive;
use crate::core::rotation_checks::said_of;
use crate::core::scope::Scope;
use crate::core::state::Credential;
use crate::core::visible::counted;

const CREATE: &str = "\
Examples:
  forelog key create --account 'Example Ltd' --label laptop
  forelog key create --account acc_01J… --label ci --scope vms:read --scope vms:power --vm web-1 --expires-days 30
  forelog key create --account acc_01J… --label auditor --read-only --ip 203.0.113.0/24";

const REVOKE: &str = "\
A key and those that replace it are one key with several secrets. While another secret works, the first revocation ends only the
secret that is named, and the answer names the other; revoking the same one again ends the key with all its secrets.
Examples:
  forelog key revoke key_01J…";

const ROTATE: &str = "\
Both secrets work until the old one is revoked; revoking it once more ends both.
Examples:
  forelog key rotate key_01J… && forelog key revoke key_01J…";

/// What to do with keys.
#[derive(Debug, Subcommand)]
#[command(mut_subcommand("create", |command| command.defer(|command| mirror(command, "key_create"))))]
pub enum KeyCommand {
    /// Create a key, which is printed once.
    #[command(after_help = CREATE)]
    Create(Wanted),
    /// List keys.
    #[command(after_help = "Examples:\n  forelog key list --account acc_01J… --json")]
    List {
        /// Only this account's keys: its ID or name, or the e-mail address of somebody in it.
        #[arg(long)]
        account: Option<Name>,
    },
    /// Revoke a key; it fails on its next request. Of a rotated key the first revocation ends one secret of two.
    #[command(after_help = REVOKE)]
    Revoke {
        /// The key: its ID, or its label if no other key has it.
        key: Name,
    },
    /// Create a key with the rights of another one, which works until it is revoked.
    #[command(after_help = ROTATE)]
    Rotate {
        /// The key: its ID, or its label if no other key has it.
        key: Name,
    },
}

/// What a new key is to be.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The account: its ID or name, or the e-mail address of somebody in it.
    #[arg(long)]
    account: Name,
    /// The person who holds the key, by ID or e-mail address; the account's first person if absent.
    #[arg(long)]
    user: Option<Name>,
    #[arg(long)]
    label: String,
    /// A scope; may be repeated. Without it a customer's key gets account:read, vms:read, vms:power, vms:exec and audit:read; a staff key
    /// gets all staff scopes except staff:people and staff:approve. Scopes that the holder's role lacks are left out.
    #[arg(long)]
    scope: Vec<Scope>,
    #[arg(long)]
    vm: Vec<Name>,
    #[arg(long)]
    ip: Vec<String>,
    #[arg(long)]
    read_only: bool,
    /// Days until the key expires, 1 to 3650; without it the key does not expire.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expires_days: Option<u32>,
}

/// Does it.
pub async fn run(command: KeyCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        KeyCommand::Create(wanted) => {
            let local_admin = context.local_admin().await?;
            let spec = spec(wanted, &local_admin).await?;
            Ok(new_key_answer(&local_admin.create_key(spec).await?))
        }
        KeyCommand::Rotate { key } => {
            let local_admin = context.local_admin().await?;
            let key = named::key(&local_admin, &key).await?;
            Ok(new_key_answer(&local_admin.rotate_key(&key).await?))
        }
        KeyCommand::Revoke { key } => revoke(&key, context).await,
        KeyCommand::List { account } => {
            let local_admin = context.local_admin_to_read().await?;
            let (state, now) = (local_admin.state().await?, local_admin.now().await?);
            let keys: Vec<&Credential> = match &account {
                Some(account) => state.keys_of(&named::account(&local_admin, account).await?).collect(),
                None => state.credentials.values().collect(),
            };
            let is_alive = |row: &Credential| alive(&state, &row.created.credential, now).is_ok();
            let rows = keys.iter().map(|row| line(row, is_alive(row))).collect();
            let items: Vec<_> = keys.iter().map(|row| document(row, is_alive(row))).collect();
            let text = table(["KEY", "BEGINS WITH", "ACCOUNT", "LABEL", "STATE", "ACCESS"], rows, "no keys");
            Ok(Answer { document: json!({ "items": items }), text })
        }
    }
}

/// It stops something, so it asks for nothing but the log.
async fn revoke(key: &Name, context: &Context) -> Result<Answer, CliError> {
    let local_admin = context.local_admin_to_stop().await?;
    let (name, key) = (key, &named::key(&local_admin, key).await?);
    let account = local_admin.state().await?.owner_of(key.as_str());
    let whose = named::whose(&local_admin, account.as_ref().filter(|_| name.0 != key.as_str())).await;
    let RevokedKey { goes_on, ended } = local_admin.revoke_key(key).await?;
    let document = json!({ "id": key, "account": account, "revoked": true, "goes_on": goes_on, "ended": ended });
    let with = ended.map_or_else(String::new, |other| format!(", and with it {other}, the key's other secret"));
    let text = format!("{}{with}{whose}", said_of(key, goes_on.as_ref()));
    let answer = Answer { document, text: text.into() };
    Ok(answer.without_vault(local_admin.without_vault.as_deref()))
}

async fn spec(wanted: Wanted, local_admin: &LocalAdmin) -> Result<KeySpec, CliError> {
    for ip in &wanted.ip {
        if ip.parse::<ipnet::IpNet>().is_err() && ip.parse::<std::net::IpAddr>().is_err() {
            return Err(CliError::Usage(format!("{ip:?} is neither an address nor a network")));
        }
    }
    let account = named::account(local_admin, &wanted.account).await?;
    let user = match &wanted.user {
        Some(user) => Some(named::user(local_admin, &account, user).await?),
        None => None,
    };
    let (now, mut vms) = (local_admin.now().await?, Vec::new());
    for vm in &wanted.vm {
        vms.push(named::vm(local_admin, Some(&account), vm).await?);
    }
    let days = |days: u32| now.plus(Duration::from_hours(24 * u64::from(days)));
    Ok(KeySpec {
        account,
        user,
        label: wanted.label,
        scopes: wanted.scope.into_iter().collect(),
        usual: Scope::AGENT.into_iter().chain(Scope::staff()).collect(),
        vms: Some(vms).filter(|vms| !vms.is_empty()),
        ips: Some(wanted.ip).filter(|ips| !ips.is_empty()),
        read_only: wanted.read_only,
        expires_at: wanted.expires_days.map(days),
        limit: None,
    })
}

fn new_key_answer(new: &NewKey) -> Answer {
    let (id, key, scopes) = (&new.credential, new.key.reveal(), &new.scopes);
    let document = json!({ "id": id, "api_key": key, "prefix": new.key.prefix(), "scopes": scopes });
    Answer { document, text: vec![format!("key  {id}"), format!("{key}   (shown once)")].into() }
}

fn line(row: &Credential, is_alive: bool) -> [String; 6] {
    let end = match (row.revoked_at, row.created.expires_at) {
        (Some(at), _) => format!("revoked {}", format_time(at)),
        (None, Some(at)) if is_alive => format!("until {}", format_time(at)),
        _ if !is_alive => "ended, or what made it has".into(),
        (None, _) => "live".into(),
    };
    let made = &row.created;
    let (id, prefix) = (made.credential.to_string(), format!("{}…", made.prefix));
    [id, prefix, made.account.to_string(), row.label.clone(), end, access(made)]
}

/// How much a key may do; which scopes these are is in the document.
fn access(made: &CredentialCreated) -> String {
    let vms = made.vms.as_ref().map(|vms| counted(vms.len(), "VM"));
    let narrowed = made.read_only.then(|| "read-only".to_owned()).into_iter().chain(vms);
    std::iter::once(counted(made.scopes.len(), "scope")).chain(narrowed).collect::<Vec<_>>().join(", ")
}

/// The key's row without its hash.
fn document(row: &Credential, is_alive: bool) -> serde_json::Value {
    let created = &row.created;
    json!({
        "id": created.credential, "account": created.account, "user": created.user, "side": created.side,
        "prefix": created.prefix, "label": row.label, "scopes": created.scopes, "vms": created.vms, "ips": row.ips,
        "read_only": created.read_only, "created_at": row.created_at, "expires_at": created.expires_at,
        "revoked_at": row.revoked_at, "rotates": created.rotates, "made_by": created.made_by, "alive": is_alive,
    })
}
