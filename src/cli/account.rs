//! `forelog account`: accounts and the people in them.

use clap::Subcommand;
use serde_json::json;

use super::declared::mirror;
use super::named::{Name, account_of};
use super::table::table;
use super::{Answer, CliError, Context};
use crate::app::local_admin::{LocalAdmin, LocalAdminError};
use crate::app::registry::{IssuedPassword, check_new};
use crate::app::rooms;
use crate::config::Config;
use crate::core::principal::Side;

const CREATE: &str = "\
Examples:
  forelog account create --name 'Example Ltd' --email ops@example.com --data forelog-data
  forelog account create --name Staff --email you@provider.example --staff";

/// What to do with accounts.
#[derive(Debug, Subcommand)]
#[command(mut_subcommand("set", |command| command.defer(|command| mirror(command, "account_set"))))]
pub enum AccountCommand {
    /// Create an account and its owner, whose password is printed once. Creates the data directory if there is none.
    #[command(after_help = CREATE)]
    Create {
        /// The account's name.
        #[arg(long)]
        name: String,
        /// The owner's e-mail address.
        #[arg(long)]
        email: String,
        /// Create the provider's own account, whose people see every account and engage switches.
        #[arg(long)]
        staff: bool,
        /// Let the account's keys turn command execution on.
        #[arg(long)]
        agents_may_enable_exec: bool,
    },
    /// Add a person, whose password is printed once.
    #[command(after_help = "Examples:\n  forelog account join acc_01J… --email second@provider.example")]
    Join {
        /// The account: its ID or name, or the e-mail address of somebody in it.
        account: Name,
        /// The person's e-mail address.
        #[arg(long)]
        email: String,
    },
    /// Reset a person's password, which is printed once, and end their sessions.
    #[command(after_help = "Examples:\n  forelog account reset acc_01J… --email second@provider.example")]
    Reset {
        /// The account: its ID or name, or the e-mail address of somebody in it.
        account: Name,
        /// The person's e-mail address.
        #[arg(long)]
        email: String,
    },
    /// Change an account's settings.
    #[command(after_help = "Examples:\n  forelog account set 'Example Ltd' --agents-may-enable-exec true")]
    Set {
        /// The account: its ID or name, or the e-mail address of somebody in it.
        account: Name,
        #[arg(long, action = clap::ArgAction::Set)]
        agents_may_enable_exec: bool,
    },
    /// List accounts.
    #[command(after_help = "Examples:\n  forelog account list --json --data forelog-data")]
    List,
}

/// Does it.
pub async fn run(command: AccountCommand, context: &Context) -> Result<Answer, CliError> {
    match command {
        AccountCommand::Create { name, email, staff, agents_may_enable_exec } => {
            check_new(&name, &email)?;
            let is_new = matches!(rooms::found(&context.config).await, Ok(false));
            let local_admin = context.new_local_admin().await?;
            let side = if staff { Side::Staff } else { Side::Customer };
            let person = local_admin.create_account(&name, &email, side).await?;
            if agents_may_enable_exec {
                local_admin.set_account(&person.account, true).await?;
            }
            let mut answer = new_user_answer(&person);
            if is_new {
                // Whoever mistyped the place of another one sees it.
                answer.text.0.insert(0, format!("made a new Forelog in {}", place(&context.config)));
            }
            Ok(answer)
        }
        AccountCommand::Join { account, email } => {
            let account = account_of(context, &account).await?;
            Ok(new_user_answer(&context.local_admin().await?.join_account(&account, &email).await?))
        }
        AccountCommand::Reset { account, email } => {
            let account = account_of(context, &account).await?;
            Ok(new_user_answer(&context.local_admin().await?.reset_password(&account, &email).await?))
        }
        AccountCommand::Set { account, agents_may_enable_exec } => {
            let account = account_of(context, &account).await?;
            context.local_admin().await?.set_account(&account, agents_may_enable_exec).await?;
            let text = format!("agents_may_enable_exec is {agents_may_enable_exec} for {account}");
            Ok(Answer { document: json!({ "id": account, "agents_may_enable_exec": agents_may_enable_exec }), text: text.into() })
        }
        AccountCommand::List => list(&context.local_admin_to_read_all().await?).await,
    }
}

fn place(config: &Config) -> String {
    if config.database_url.is_some() { "the database".to_owned() } else { config.data_dir.display().to_string() }
}

fn new_user_answer(person: &IssuedPassword) -> Answer {
    let IssuedPassword { account, user, email, password } = person;
    let document = json!({ "id": account, "user": user, "email": email, "password": password });
    let text = vec![
        format!("account   {account}"),
        format!("user      {user}"),
        format!("e-mail    {email}"),
        format!("password  {password}   (shown once)"),
    ];
    Answer { document, text: text.into() }
}

async fn list(local_admin: &LocalAdmin) -> Result<Answer, CliError> {
    let (mut items, mut rows) = (Vec::new(), Vec::new());
    let vault = &local_admin.rooms.vault;
    let people = vault.users().await.map_err(LocalAdminError::from)?;
    let mut names = vault.account_names().await.map_err(LocalAdminError::from)?;
    let state = local_admin.state().await?;
    for account in state.accounts.values() {
        let name = names.remove(account.id.as_str());
        let own = people.iter().filter(|person| person.account == account.id && person.role_in(&state).is_some());
        let emails: Vec<&str> = own.map(|person| person.email.as_str()).collect();
        let shown = name.clone().unwrap_or_else(|| "-".into());
        rows.push([account.id.to_string(), side(account.side).into(), shown, emails.join(" ")]);
        items.push(json!({
            "id": account.id, "side": account.side, "name": name, "people": emails,
            "agents_may_enable_exec": account.agents_may_enable_exec,
        }));
    }
    Ok(Answer { document: json!({ "items": items }), text: table(["ACCOUNT", "SIDE", "NAME", "PEOPLE"], rows, "no accounts") })
}

fn side(side: Side) -> &'static str {
    if side == Side::Staff { "staff" } else { "customer" }
}
