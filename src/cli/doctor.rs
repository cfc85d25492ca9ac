//! `forelog doctor`: is everything as it should be?

use std::os::unix::fs::PermissionsExt;

use clap::Args;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::limits::{differs, in_force as in_force_since, since};
use super::migrate::shown;
use super::policy::holder;
use super::progress::Bar;
use super::time::shown as at;
use super::vaulted;
use super::{Answer, CliError, Context};
use crate::app::desk::Desk;
use crate::app::mend::mend;
use crate::app::policies::engine;
use crate::app::rooms::{RoomError, open_views};
use crate::control::in_force::{LIMITS, POLICIES, origin, tell};
use crate::core::caused::with_sources;
use crate::core::state::ControlState;
use crate::export::verify::{Extent, Finding, Report, fold, verify};
use crate::log::dialect::{Room, version};
use crate::log::powers::powers;
use crate::log::private;
use crate::log::refusing::{altered, tried};
use crate::log::rehearsal::{Rehearsed, rehearse};
use crate::log::roles;
use crate::views::fit::misfit_of;

/// What `doctor` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  forelog doctor --data forelog-data\n  forelog doctor --config forelog.toml --json
  FORELOG_DATABASE_URL=postgres://forelog_owner:…@db.internal/forelog forelog doctor --mend")]
pub struct DoctorArgs {
    /// Write the rows beside the log that are not what it says anew, and record that. Refused if the log itself is not in order;
    /// on PostgreSQL it takes the role that owns the schema.
    #[arg(long)]
    pub mend: bool,
    /// The database, as the role that owns it; the configured one if absent.
    #[arg(long, value_name = "URL", requires = "mend")]
    pub database_url: Option<SecretString>,
}

/// How often it is looked whether somebody still holds the log, and how long in between.
const LOOKS: usize = 20;
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);

/// One thing that was looked at: its name, and what is wrong with it.
type Check = (&'static str, Vec<String>);

/// Looks at everything, or mends what can be mended.
pub async fn run(args: DoctorArgs, context: &Context) -> Result<Answer, CliError> {
    if !args.mend {
        return look(context).await;
    }
    let mut config = context.config.clone();
    config.database_url = args.database_url.or(config.database_url);
    let desk = context.with(config).desk().await?;
    let bar = Bar::new("events");
    let folded = fold(&*desk.rooms.store, Some(&desk.rooms.vault), Extent::State, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    let catalogue = crate::tools::catalogue()?;
    let mended = mend(&desk, move |name| catalogue.get(name).map(|tool| tool.facts), &folded).await?;
    let Some((position, rows)) = mended else {
        return Ok(Answer { document: json!({ "mended": [], "position": null }), text: "nothing differs from the log".into() });
    };
    let mut text: Vec<String> =
        rows.iter().map(|row| format!("{}: {} written anew, {} removed", row.kind.as_str(), row.written, row.removed)).collect();
    text.push(format!("recorded at {}", position.0));
    Ok(Answer { document: json!({ "mended": rows, "position": position }), text: text.into() })
}

async fn look(context: &Context) -> Result<Answer, CliError> {
    let desk = context.desk_to_stop().await?;
    let bar = Bar::new("events");
    let vault = desk.without_vault.is_none().then(|| &*desk.rooms.vault);
    let report = verify(&*desk.rooms.store, vault, Extent::State, |at, of| bar.reach(at.0, of.0)).await?;
    bar.clear();
    let blockers = blockers(&desk).await?;
    let (versions, closed) = schemas(context, &desk).await?;
    let state = desk.state().await;
    let checks: Vec<Check> = vec![
        ("a switch could be engaged now", unstoppable(&desk).await),
        ("the vault opens with the key file", key_file(context, &desk)),
        ("each data key opens", vaulted::keys(&desk).await?),
        ("everybody in the vault is somebody in the log", vaulted::people(&desk, state.as_ref().ok()).await?),
        ("the views can be opened", closed),
        ("the log is in order", told(&report, |finding| !finding.fault.is_about_state())),
        ("control state follows from the log", told(&report, |finding| finding.fault.is_about_state())),
        ("the database refuses to change events", unguarded(&desk).await?),
        ("the views are of this log", views(context, &desk).await?),
        ("what is committed is on disk", careless(&desk).await?),
        ("nobody but its owner reads what is kept", exposed(context)?),
        ("nobody holds the log", blockers),
        ("the clock agrees with the log", clock(&desk).await),
        ("a node takes control state from the log", state.as_ref().err().map(|error| with_sources(error)).into_iter().collect()),
        ("the policies in force can be served", served(context, &desk, state.as_ref().ok()).await?),
        (
            "the policies in force are the configured ones",
            state.as_ref().map_or(Ok(Vec::new()), |state| policies(context, state))?,
        ),
        (
            "the limits in force are the configured ones",
            state.as_ref().map_or_else(|_| Vec::new(), |state| limits(context, state)),
        ),
    ];
    let faults: Vec<String> = checks.iter().flat_map(|(_, faults)| faults.iter().cloned()).collect();
    if !faults.is_empty() {
        return Err(CliError::Faults { faults, more: usize::try_from(report.more).unwrap_or(usize::MAX) });
    }
    let mut text: Vec<String> = checks.iter().map(|(name, _)| format!("ok  {name}")).collect();
    let (rules, document_of_rules) = in_force(&desk, state.as_ref().ok()).await?;
    text.extend(rules.into_iter().map(|line| format!("    {line}")));
    text.extend(versions.iter().map(|(room, version)| format!("    schema {} is at version {version}", room.name())));
    let names: Vec<_> = checks.iter().map(|(name, _)| json!({ "check": name, "ok": true })).collect();
    Ok(Answer {
        document: json!({ "ok": true, "events": report.events, "checks": names, "in_force": document_of_rules, "schemas": shown(&versions) }),
        text: text.into(),
    })
}

fn told(report: &Report, wanted: fn(&Finding) -> bool) -> Vec<String> {
    report.findings.iter().filter(|finding| wanted(finding)).map(ToString::to_string).collect()
}

/// Rehearsed, and rolled back. A log that cannot be written at all is named by whatever else is looked at.
async fn unstoppable(desk: &Desk) -> Vec<String> {
    let known = desk.writer.fence().state();
    match rehearse(&*desk.rooms.store, &known, desk.clock.now(), &*desk.entropy).await {
        Rehearsed::CanStop => Vec::new(),
        Rehearsed::CannotStop(error) | Rehearsed::Unwritable(error) => {
            vec![format!("nothing can be stopped: {}", with_sources(&error))]
        }
    }
}

/// That it opens the vault was seen when the rooms were opened; what is left is who else can read it.
fn key_file(context: &Context, desk: &Desk) -> Vec<String> {
    let path = context.config.key_file();
    if let Some(why) = &desk.without_vault {
        return vec![format!("the vault cannot be used: {why}; put back what is missing; stopping goes on without it (docs/operations.md)")];
    }
    let Ok(about) = std::fs::metadata(&path) else { return vec![format!("the key file {} cannot be looked at", path.display())] };
    let others = about.permissions().mode() & 0o077;
    let fault = format!("others than its owner may read the key file {}: chmod 600 it", path.display());
    if others == 0 { Vec::new() } else { vec![fault] }
}

/// What Forelog has made there; what somebody else has put beside it is his.
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

/// The versions of the rooms that are there, and what is wrong with the views, which may be made again.
async fn schemas(context: &Context, desk: &Desk) -> Result<(Vec<(Room, i64)>, Vec<String>), CliError> {
    let (mut versions, mut closed) = (Vec::new(), Vec::new());
    let failed = |room| move |source| RoomError::Open { room, source };
    let log = version(desk.rooms.store.database(), Room::Log).await.map_err(failed(Room::Log))?;
    versions.push((Room::Log, log));
    let views = match open_views(&context.config).await {
        Ok(views) => version(&*views, Room::Views).await.map_err(failed(Room::Views)),
        Err(error) => Err(error),
    };
    match views {
        Ok(version) => versions.push((Room::Views, version)),
        // None were made yet, as after a restore.
        Err(RoomError::Nothing(_)) => {}
        Err(error) => closed.push(format!("{}; `forelog view rebuild` makes them again", with_sources(&error))),
    }
    if desk.without_vault.is_none() {
        let vault = version(desk.rooms.vault.database(), Room::Vault).await.map_err(failed(Room::Vault))?;
        versions.push((Room::Vault, vault));
    }
    Ok((versions, closed))
}

async fn views(context: &Context, desk: &Desk) -> Result<Vec<String>, CliError> {
    let opened = match open_views(&context.config).await {
        Err(RoomError::Nothing(_)) => return Ok(Vec::new()),
        opened => opened?,
    };
    let told = misfit_of(&*opened, &*desk.rooms.store).await?;
    let hint = "a node that starts makes them again by itself, as `forelog view rebuild` does now";
    Ok(told.into_iter().map(|why| format!("{why}: {hint}")).collect())
}

/// A person with the file or the database's owner can always change it; a node must not be able to.
async fn unguarded(desk: &Desk) -> Result<Vec<String>, CliError> {
    let (database, failed) = (desk.rooms.store.database(), RoomError::of_log);
    let edited = "somebody changed the schema: treat the log as edited, and compare it with what was exported before";
    let powers = powers(database).await.map_err(failed)?.into_iter().map(|power| {
        let hint = "serve as a role that `forelog migrate --grant-to` prepared";
        format!("events could be changed through the database: the database role {power}; {hint}")
    });
    let altered = altered(database).await.map_err(failed)?.into_iter();
    let altered = altered.map(|fault| format!("events could be changed through the database: {fault}; {edited}"));
    let tried = tried(database).await.map_err(failed)?.into_iter();
    let tried = tried.map(|fault| format!("the database was asked for what it has to refuse: {fault}; {edited}"));
    Ok(powers.chain(altered).chain(tried).collect())
}

async fn careless(desk: &Desk) -> Result<Vec<String>, CliError> {
    let settings = roles::careless(desk.rooms.store.database()).await;
    let settings = settings.map_err(RoomError::of_log)?;
    Ok(settings.into_iter().map(|name| format!("the database server may lose what it has committed: {name} is off")).collect())
}

/// Whoever still holds it after a while in which nothing of ours holds it: an append takes milliseconds.
async fn blockers(desk: &Desk) -> Result<Vec<String>, CliError> {
    let look = || async {
        let found = desk.rooms.store.database().blockers().await;
        found.map_err(|source| CliError::from(RoomError::of_log(source)))
    };
    let mut still = look().await?;
    for _ in 0..LOOKS {
        if still.is_empty() {
            break;
        }
        tokio::time::sleep(LOOK).await;
        let now = look().await?;
        still.retain(|one| now.contains(one));
    }
    let hint =
        "a stopped process goes on with `kill -CONT PID`, a session of PostgreSQL ends with `select pg_terminate_backend(PID)`";
    Ok(still.into_iter().map(|one| format!("nothing can be recorded or stopped: the log is held by {one}; {hint}")).collect())
}

async fn clock(desk: &Desk) -> Vec<String> {
    // Where nothing can be decided, that is what is named.
    let Ok(clocks) = desk.clocks().await else { return Vec::new() };
    let fault = format!(
        "this machine's clock says {} and the log is at {}: calls are refused with clock_skew, see `forelog clock show`",
        at(clocks.machine),
        at(clocks.log)
    );
    if clocks.skewed { vec![fault] } else { Vec::new() }
}

/// What is in force, and how it came there.
async fn in_force(desk: &Desk, state: Option<&ControlState>) -> Result<(Vec<String>, Value), CliError> {
    let (reader, mut lines, mut document) = (desk.rooms.reader(), Vec::new(), json!({}));
    if let Some(set) = state.and_then(|state| state.policy.as_ref()) {
        let origin = origin(&reader, POLICIES).await?;
        lines.push(format!("policies version {}, sha256 {}{}", set.version, set.sha256, since(origin.as_ref())));
        document["policies"] = json!({ "version": set.version, "sha256": set.sha256 });
        tell(&mut document["policies"], origin.as_ref());
    }
    if let Some(now) = state.and_then(|state| state.terms.as_ref()) {
        let origin = origin(&reader, LIMITS).await?;
        lines.push(in_force_since(now, origin.as_ref()));
        document["limits"] = json!({ "version": now.version, "numbers": now.terms });
        tell(&mut document["limits"], origin.as_ref());
    }
    Ok((lines, document))
}

/// A node takes the set in force from the log: its text has to be there, and to be read by this version.
async fn served(context: &Context, desk: &Desk, state: Option<&ControlState>) -> Result<Vec<String>, CliError> {
    let Some(set) = state.and_then(|state| state.policy.as_ref()) else { return Ok(Vec::new()) };
    let taken = holder(context, desk)?.take_over(set).await;
    let fault = |why| format!("version {} of the policies is in force and cannot be served: {why}", set.version);
    Ok(taken.err().map(fault).into_iter().collect())
}

fn limits(context: &Context, state: &ControlState) -> Vec<String> {
    state
        .terms
        .as_ref()
        .map(|now| now.terms.differences(&context.config.terms()))
        .unwrap_or_default()
        .iter()
        .map(differs)
        .collect()
}

fn policies(context: &Context, state: &ControlState) -> Result<Vec<String>, CliError> {
    let Some(now) = &state.policy else { return Ok(Vec::new()) };
    let engine = engine(&crate::tools::catalogue()?)?;
    let loaded = context.config.policies_dir.as_ref().map_or_else(|| engine.load_default(), |dir| engine.load_dir(dir));
    Ok(match loaded {
        Err(refused) => vec![format!("the configured policies are broken: {}", refused.error)],
        Ok(loaded) if loaded.sha256() != now.sha256 => {
            vec![format!("version {} is in force and is not the configured set: `forelog policy reload` loads that", now.version)]
        }
        Ok(_) => Vec::new(),
    })
}
