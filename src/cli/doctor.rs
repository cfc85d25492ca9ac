//! `forelog doctor`: is everything as it should be?
//!
//! INVARIANT: what cannot be looked at is said, with why, and keeps nothing else from being looked at.

use clap::Args;
use secrecy::SecretString;
use serde_json::json;

use super::checks::{Checked, Checks, NO_VAULT, NOT_CHECKED, not_checked};
use super::clock::accepting;
use super::migrate::versions_json;
use super::progress::Bar;
use super::time::format_time as at;
use super::views_check::ViewsCheck;
use super::{Answer, CliError, Context, check_names, rules_check, start_check, vault_check};
use crate::app::local_admin::{LocalAdmin, LocalAdminError};
use crate::app::mend::mend;
use crate::app::rooms::{RoomError, open_views};
use crate::core::error_chain::error_chain;
use crate::export::verify::{Extent, Finding, Report, fold, verify};
use crate::log::dialect::Room;
use crate::log::migration::version;
use crate::log::private;
use crate::log::refusing::{altered, tried};
use crate::log::rehearsal::{Rehearsed, probe, rehearse};
use crate::log::role_powers::powers;
use crate::log::roles;
use crate::log::sql::SqlError;
use crate::log::store::StoreError;

/// What `doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  forelog doctor --data forelog-data\n  forelog doctor --config forelog.toml --json
  FORELOG_DATABASE_URL=postgres://forelog_owner:…@db.internal/forelog forelog doctor --mend")]
pub struct DoctorArgs {
    /// Rewrite the rows of control state that differ from the log, and record that. Refused if the log itself is not in order;
    /// on PostgreSQL it takes the role that owns the schema.
    #[arg(long)]
    pub mend: bool,
    /// URL of the database, as the role that owns it; the configured one if absent.
    #[arg(long, value_name = "URL", requires = "mend")]
    pub database_url: Option<SecretString>,
}

/// How often it is looked whether somebody still holds the log, and how long in between.
const MAX_POLLS: usize = 20;
const POLL_INTERVAL: std::time::Duration = std::time::Duration::from_millis(50);

/// Looks at everything, or mends what can be mended.
pub async fn run(args: DoctorArgs, context: &Context) -> Result<Answer, CliError> {
    if !args.mend {
        return look(context).await;
    }
    let mut config = context.config.clone();
    config.database_url = args.database_url.or(config.database_url);
    let local_admin = context.with(config).local_admin().await?;
    let bar = Bar::new("events");
    let folded =
        fold(&*local_admin.rooms.store, Some(&local_admin.rooms.vault), Extent::State, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    let catalogue = crate::tools::catalogue()?;
    let mended = mend(&local_admin, move |name| catalogue.get(name).map(|tool| tool.facts), &folded).await?;
    let Some((position, rows)) = mended else {
        return Ok(Answer { document: json!({ "mended": [], "position": null }), text: "nothing differs from the log".into() });
    };
    let mut text: Vec<String> =
        rows.iter().map(|row| format!("{}: {} written anew, {} removed", row.kind.as_str(), row.written, row.removed)).collect();
    text.push(format!("recorded at {}", position.0));
    Ok(Answer { document: json!({ "mended": rows, "position": position }), text: text.into() })
}

/// Each by itself: what one of them needs and cannot have is said of that one.
async fn look(context: &Context) -> Result<Answer, CliError> {
    let local_admin = match context.local_admin_to_read().await {
        Ok(local_admin) => local_admin,
        Err(
            nothing @ (CliError::EmptyDatabase
            | CliError::Denied(_)
            | CliError::LocalAdmin(LocalAdminError::Room(RoomError::Nothing(_)))),
        ) => {
            return Err(nothing);
        }
        Err(error) => return Err(without_log(context, &error).await.to_error()),
    };
    let bar = Bar::new("events");
    let vault = local_admin.without_vault.is_none().then(|| &*local_admin.rooms.vault);
    let report = verify(&*local_admin.rooms.store, vault, Extent::State, |at, of| bar.reach(at.0, of.0)).await;
    bar.clear();
    let state = local_admin.state().await;
    let known = state.as_ref().ok();
    let of_vault =
        |checked: Checked| if local_admin.without_vault.is_some() { Checked::Unseen(NO_VAULT.into()) } else { checked };
    let of_state =
        |checked: Checked| if known.is_none() { Checked::Unseen("control state cannot be read".into()) } else { checked };
    let (rules, differ) = rules_check::rules(context, &local_admin, known).await;
    let mut checks = Checks::default();
    checks.add(check_names::CAN_STOP, unstoppable(&local_admin).await.into());
    checks.add(check_names::NOT_HELD, Checked::of(blockers(&local_admin).await));
    checks.add(check_names::NODE_ROWS, Checked::of(nodes(&local_admin).await));
    checks.add(check_names::VAULT_OPENS, unusable(local_admin.without_vault.as_deref()).into());
    checks.add(check_names::DATA_KEYS, of_vault(Checked::of(vault_check::keys(&local_admin).await)));
    checks.add(check_names::PEOPLE, of_vault(Checked::of(vault_check::people(&local_admin, known).await)));
    let ViewsCheck { opened, fit, rows } = ViewsCheck::run(context, &local_admin).await;
    checks.add(check_names::VIEWS_OPEN, opened);
    checks.add(check_names::VIEWS_FIT, fit);
    checks.add(check_names::VIEWS_ROWS, rows);
    let finding_texts = |about: bool| match &report {
        Ok(report) => finding_texts(report, |finding| finding.fault.is_about_state() == about).into(),
        Err(error) => Checked::Unseen(error_chain(error)),
    };
    checks.add(check_names::LOG_ORDER, finding_texts(false));
    checks.add(check_names::STATE_FOLLOWS, finding_texts(true));
    let fault = state.as_ref().err().map(|error| error_chain(error));
    checks.add(check_names::STATE_LOADS, fault.into_iter().collect::<Vec<_>>().into());
    checks.add(check_names::GUARDED, Checked::of(unguarded(&local_admin).await));
    checks.add(check_names::DURABLE, Checked::of(careless(&local_admin).await));
    checks.add(check_names::PRIVATE, Checked::of(exposed(context)));
    checks.add(check_names::CLOCK, clock(context, &local_admin).await);
    checks.add(check_names::POLICIES_SERVED, of_state(rules_check::served(context, &local_admin, known).await));
    checks.add(check_names::POLICIES_READ, Checked::of(rules_check::policies(context)));
    start_check::add(&mut checks, context).await;
    start_check::add_people(&mut checks, context, &local_admin, known).await;
    checks.more = report.as_ref().map_or(0, |report| report.more);
    if checks.is_wrong() {
        return Err(checks.to_error());
    }
    let versions = schemas(context, &local_admin).await?;
    let mut text = checks.lines();
    text.extend(rules.iter().chain(&differ).map(|line| format!("    {line}")));
    text.extend(versions.iter().map(|(room, version)| format!("    schema {} is at version {version}", room.name())));
    text.extend(not_checked());
    let names: Vec<_> = checks.passed().map(|(name, note)| json!({ "check": name, "ok": true, "note": note })).collect();
    let events = report.map(|report| report.events).unwrap_or_default();
    Ok(Answer {
        document: json!({
            "ok": true, "events": events, "checks": names, "in_force": rules_check::in_force(&local_admin, known).await?, "differs": differ,
            "schemas": versions_json(&versions), "not_checked": NOT_CHECKED,
        }),
        text: text.into(),
    })
}

/// What can be looked at where the log cannot.
async fn without_log(context: &Context, error: &CliError) -> Checks {
    let hint = error.hint().map_or_else(String::new, |hint| format!("; {hint}"));
    let why = format!("{ELSEWHERE}: {}{hint}", error_chain(error));
    let mut checks = Checks::default();
    checks.add(check_names::CAN_STOP, vec![why].into());
    checks.add(check_names::PRIVATE, Checked::of(exposed(context)));
    checks.add(check_names::POLICIES_READ, Checked::of(rules_check::policies(context)));
    start_check::add(&mut checks, context).await;
    let is_key = matches!(error, CliError::LocalAdmin(LocalAdminError::Room(RoomError::WrongKey(_))));
    let why = if is_key { "the key is not this log's" } else { "the log cannot be read" };
    for name in check_names::OF_LOG {
        checks.add(name, Checked::Unseen(why.into()));
    }
    checks
}

fn finding_texts(report: &Report, wanted: impl Fn(&Finding) -> bool) -> Vec<String> {
    report.findings.iter().filter(|finding| wanted(finding)).map(ToString::to_string).collect()
}

/// What this command cannot do says nothing of those that have the log open.
const ELSEWHERE: &str =
    "this command cannot record anything; a server that runs may go on, and stops over REST and in its console";

const NOTHING: &str = "nothing can be recorded, so nothing is admitted and nothing has to be stopped";

/// How often a stop is rehearsed that took too long: each try is short, because others write the log meanwhile.
const MAX_ATTEMPTS: usize = 5;

async fn unstoppable(local_admin: &LocalAdmin) -> Vec<String> {
    let mut found = rehearsed(local_admin).await;
    for _ in 1..MAX_ATTEMPTS {
        if !matches!(found, Err((_, StoreError::Sql(SqlError::TooLong(_))))) {
            break;
        }
        found = rehearsed(local_admin).await;
    }
    found.err().map(|(what, error)| format!("{what}: {}", error_chain(&error))).into_iter().collect()
}

/// Rehearsed and rolled back; then something is written for good, as a full disk shows in nothing less.
async fn rehearsed(local_admin: &LocalAdmin) -> Result<(), (&'static str, StoreError)> {
    let (known, store) = (local_admin.writer.fence().state(), &*local_admin.rooms.store);
    match rehearse(store, &known, local_admin.clock.now(), &*local_admin.entropy).await {
        Rehearsed::CannotStop(error) => Err(("nothing can be stopped", error)),
        Rehearsed::Unwritable(error @ (StoreError::Differs(_) | StoreError::Unreadable(_))) => Err((ELSEWHERE, error)),
        Rehearsed::Unwritable(error) => Err((NOTHING, error)),
        Rehearsed::CanStop => probe(store).await.map_err(|error| (NOTHING, error)),
    }
}

/// Whether it opens was seen when the rooms were opened.
fn unusable(why: Option<&str>) -> Vec<String> {
    let hint = "put back what is missing; stopping goes on without it (docs/operations.md)";
    why.map(|why| format!("the vault cannot be used: {why}; {hint}")).into_iter().collect()
}

/// Files that Forelog makes. Other files in the directory are not checked.
fn exposed(context: &Context) -> Result<Vec<String>, CliError> {
    let config = &context.config;
    let rooms = Room::ALL.iter().flat_map(|room| ["", "-wal", "-shm"].map(|end| format!("{}.db{end}", room.name())));
    let others = ["demo.json", ".demo-keys.json", "run", "sim", "qemu"].map(str::to_owned);
    let mut places = vec![(config.data_dir.clone(), rooms.chain(others).collect::<Vec<_>>())];
    let elsewhere = config.providers.qemu.as_ref().and_then(|qemu| qemu.dir.as_ref());
    places.extend(elsewhere.and_then(|dir| Some((dir.parent()?.to_owned(), vec![dir.file_name()?.to_str()?.to_owned()]))));
    let mut faults = Vec::new();
    for (dir, names) in places {
        let failed = |source| CliError::File { what: "looking through", path: dir.clone(), source };
        let found = private::exposed(&dir, &names).map_err(failed)?;
        faults.extend(found.iter().map(|path| format!("others than its owner may read {}: chmod go= it", path.display())));
    }
    Ok(faults)
}

/// The versions of the rooms that are there.
async fn schemas(context: &Context, local_admin: &LocalAdmin) -> Result<Vec<(Room, i64)>, CliError> {
    let failed = |room| move |source| RoomError::Open { room, source };
    let mut versions =
        vec![(Room::Log, version(local_admin.rooms.store.database(), Room::Log).await.map_err(failed(Room::Log))?)];
    // None were made yet, as after a restore.
    if let Ok(views) = open_views(&context.config).await {
        versions.push((Room::Views, version(&*views, Room::Views).await.map_err(failed(Room::Views))?));
    }
    let vault = local_admin.rooms.vault.database();
    versions.push((Room::Vault, version(vault, Room::Vault).await.map_err(failed(Room::Vault))?));
    Ok(versions)
}

/// A person with the file or the database's owner can always change it; a node must not be able to.
async fn unguarded(local_admin: &LocalAdmin) -> Result<Vec<String>, CliError> {
    let (database, failed) = (local_admin.rooms.store.database(), RoomError::of_log);
    let edited = "somebody changed the schema: treat the log as edited, and compare it with what was exported before";
    let powers = powers(database).await.map_err(failed)?.into_iter().map(|power| {
        let hint = "serve as a role that `forelog migrate --grant-to` prepared";
        format!("events could be changed through the database: the database role {power}; {hint}")
    });
    let altered = altered(database).await.map_err(failed)?.into_iter();
    let altered = altered.map(|fault| format!("events could be changed through the database: {fault}; {edited}"));
    let tried = tried(database).await.map_err(failed)?.into_iter();
    let tried = tried.map(|fault| format!("the database was asked for what it has to refuse: {fault}; {edited}"));
    let settings = roles::settings(database).await.map_err(failed)?.into_iter().map(|setting| {
        let hint = "Forelog's sessions do not follow it, and nothing else needs it: `alter role … reset all`, and ask who set it";
        format!("the database role was given a setting of its own, {setting}: {hint}")
    });
    if roles::is_open_to_all(database).await.map_err(failed)? {
        tracing::warn!(
            "every role of the database server may take its sessions from Forelog: `revoke connect on database … from public` (docs/postgresql.md)"
        );
    }
    Ok(powers.chain(settings).chain(altered).chain(tried).collect())
}

async fn careless(local_admin: &LocalAdmin) -> Result<Vec<String>, CliError> {
    let settings = roles::careless(local_admin.rooms.store.database()).await;
    let settings = settings.map_err(RoomError::of_log)?;
    Ok(settings.into_iter().map(|name| format!("the database server may lose what it has committed: {name} is off")).collect())
}

/// Whoever still holds it after a while in which nothing of ours holds it: an append takes milliseconds.
async fn blockers(local_admin: &LocalAdmin) -> Result<Vec<String>, CliError> {
    let look = || async {
        let found = local_admin.rooms.store.database().blockers().await;
        found.map_err(|source| CliError::from(RoomError::of_log(source)))
    };
    let mut still = look().await?;
    for _ in 0..MAX_POLLS {
        if still.is_empty() {
            break;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
        let now = look().await?;
        still.retain(|one| now.contains(one));
    }
    let hint =
        "a stopped process goes on with `kill -CONT PID`, a session of PostgreSQL ends with `select pg_terminate_backend(PID)`";
    Ok(still.into_iter().map(|one| format!("nothing can be recorded or stopped: the log is held by {one}; {hint}")).collect())
}

/// Rows by which nobody can tell whether a switch is fenced.
async fn nodes(local_admin: &LocalAdmin) -> Result<Vec<String>, StoreError> {
    let found = local_admin.writer.fence().peers().invalid_rows(&*local_admin.rooms.store).await?;
    let hint =
        "somebody has written beside the log; nodes write their own again, and the owner of the database may delete the others";
    Ok(found.into_iter().map(|why| format!("{why}: {hint}")).collect())
}

async fn clock(context: &Context, local_admin: &LocalAdmin) -> Checked {
    Checked::of(local_admin.clocks().await.map(|clocks| {
        let fault = format!(
            "this machine's clock says {} and the log is at {}: calls are refused with clock_skew, and stopping goes on. {}",
            at(clocks.machine),
            at(clocks.log),
            accepting(context),
        );
        if clocks.skewed { vec![fault] } else { Vec::new() }
    }))
}
