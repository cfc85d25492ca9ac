//! `forelog migrate`: the schemas, changed by the role that owns them, so that the one that serves cannot. In an empty database it
//! makes them; files it only brings up to date.

use clap::Args;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Answer, CliError, Context, access};
use crate::app::rooms::{self, RoomError};
use crate::log::dialect::Room;

const EXAMPLES: &str = "\
With its password in the environment, where others cannot see it:
  FORELOG_DATABASE_URL=postgres://forelog_owner:…@db.internal/forelog forelog migrate --grant-to forelog
Examples:
  forelog migrate --config forelog.toml --grant-to forelog
  forelog migrate --database-url 'postgres://forelog_owner@localhost/forelog?host=/run/postgresql' --grant-to forelog";

/// What `migrate` takes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct MigrateArgs {
    /// URL of the database, as the role that owns it; the configured one if absent.
    #[arg(long, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// URL of the vault's database, if it is a separate one.
    #[arg(long, value_name = "URL")]
    pub vault_database_url: Option<SecretString>,
    /// The role that the server uses: it is granted what a node needs, and every other right is revoked.
    #[arg(long, value_name = "ROLE")]
    pub grant_to: Option<String>,
}

/// Brings the schemas up to date.
pub async fn run(args: MigrateArgs, context: &Context) -> Result<Answer, CliError> {
    let mut config = context.config.clone();
    config.database_url = args.database_url.or(config.database_url);
    config.vault_database_url = args.vault_database_url.or(config.vault_database_url);
    if args.grant_to.is_some() && config.database_url.is_none() {
        return Err(CliError::Usage("there are no roles without a PostgreSQL: name one with --database-url".into()));
    }
    config.check()?;
    access::check_data(&config)?;
    // In a wrong directory there would be a new system afterwards, which stops nothing of the one that was meant.
    if config.database_url.is_none() && !rooms::found(&config).await? {
        return Err(RoomError::Nothing(config.data_dir.clone()).into());
    }
    let versions = rooms::prepare(&config, args.grant_to.as_deref()).await?;
    let mut text: Vec<String> = versions.iter().map(|(room, version)| format!("{:<6} version {version}", room.name())).collect();
    text.extend(args.grant_to.as_ref().map(|role| format!("{role} may serve, and may not change what was recorded")));
    let document = json!({ "schemas": versions_json(&versions), "granted_to": args.grant_to });
    Ok(Answer { document, text: text.into() })
}

/// Versions by room.
pub fn versions_json(versions: &[(Room, i64)]) -> Value {
    versions.iter().map(|(room, version)| (room.name().to_owned(), json!(version))).collect::<serde_json::Map<_, _>>().into()
}
