//! What `doctor` checks of what a start takes besides the data: certificate, providers, address, issuers.
//!
//! INVARIANT: checking starts nothing, writes nothing, and asks nobody outside this machine.

use std::io::ErrorKind;

use super::address::base_url;
use super::checks::{Checked, Checks};
use super::start_warnings::{exposed, in_the_clear};
use super::stdio::wire::dial;
use super::time::format_time;
use super::{CliError, Context, check_names, fleet, rules_check};
use crate::app::local_admin::LocalAdmin;
use crate::app::rooms::{self, RoomError, open_views};
use crate::app::{App, AppError, socket};
use crate::auth::oidc::Issuers;
use crate::core::commands::account::has_staff;
use crate::core::error_chain::error_chain;
use crate::core::state::ControlState;
use crate::core::time::Micros;
use crate::http::{Tls, Validity, validity};
use crate::log::lock_holders;
use crate::providers::compute::qemu::ImageDir;
use crate::views::administration::newest;

/// So many days before a certificate ends it is said.
const NOTICE_DAYS: i64 = 14;

/// Refuses a start that would fail once its data is half made. Nothing is made here, and data that is there is not looked into.
pub(super) async fn before_creating(context: &Context) -> Result<(), CliError> {
    let config = &context.config;
    if let Some(files) = &config.tls {
        Tls::open(files.certificate.clone(), files.key.clone()).await.map_err(AppError::from)?;
    }
    Issuers::open(&config.sign_in.oidc, &base_url(context, config.listen), &context.clock).map_err(AppError::from)?;
    if let Some(qemu) = &config.providers.qemu {
        ImageDir::open(&qemu.image)?;
    }
    let is_there = match rooms::found(config).await {
        // The key file of a first start on several nodes is made beforehand.
        Err(RoomError::NoLog(_)) => false,
        found => found?,
    };
    rooms::check_places(config).await?;
    // What is in force binds, whatever the files say by now.
    if is_there { Ok(()) } else { rules_check::load(context)?.map(drop).map_err(CliError::Policy) }
}

/// Checks what a start takes besides the data.
pub(super) async fn add(checks: &mut Checks, context: &Context) {
    checks.add(check_names::CERTIFICATE, certificate(context).await);
    checks.add(check_names::PROVIDERS, providers(context));
    checks.add(check_names::ISSUERS, issuers(context));
    checks.add(check_names::ADDRESS, address(context).await);
    checks.add(check_names::SECRETS, exposed(context).into());
}

/// Checks who may act in an emergency, and whether that was tried.
pub(super) async fn add_people(checks: &mut Checks, context: &Context, local_admin: &LocalAdmin, state: Option<&ControlState>) {
    checks.add(check_names::STAFF, staff(state));
    checks.add(check_names::DRILLED, drill(context, local_admin).await);
}

async fn certificate(context: &Context) -> Checked {
    let Some(files) = &context.config.tls else {
        let clear = in_the_clear(&context.config, context.config.listen);
        let clear = clear.unwrap_or_else(|| "HTTP is served in the clear".into());
        return Checked::Noted(format!("none is configured: {clear}"));
    };
    if let Err(error) = Tls::open(files.certificate.clone(), files.key.clone()).await {
        return vec![error_chain(&error)].into();
    }
    let (now, path) = (context.clock.now(), files.certificate.display());
    match validity(&files.certificate, now).await {
        Err(error) => Checked::Unseen(error_chain(&error)),
        Ok(Validity::NotYet) => vec![format!("{path} is not valid yet: check its dates and this machine's clock")].into(),
        Ok(Validity::Until(end)) if end <= now => vec![format!("{path} expired on {}: renew it", format_time(end))].into(),
        Ok(Validity::Until(end)) if end.0 - now.0 < NOTICE_DAYS * Micros::DAY => {
            Checked::Noted(format!("{path} expires on {}: renew it", format_time(end)))
        }
        Ok(Validity::Until(_) | Validity::Open) => Checked::Fine,
    }
}

fn providers(context: &Context) -> Checked {
    let providers = &context.config.providers;
    if providers.sim.is_none() && providers.qemu.is_none() {
        return Checked::Noted("none is configured: no VM can be reached".into());
    }
    let Some(qemu) = &providers.qemu else { return Checked::Fine };
    let image = ImageDir::open(&qemu.image).err().map(|error| error_chain(&error));
    let dir = qemu.dir.clone().unwrap_or_else(|| context.config.data_dir.join("qemu"));
    // Opening makes the directory.
    let opened = if image.is_none() && dir.exists() { fleet::open(context).err().map(|error| error_chain(&error)) } else { None };
    image.into_iter().chain(opened).map(|why| format!("the provider qemu cannot be opened: {why}")).collect::<Vec<_>>().into()
}

fn issuers(context: &Context) -> Checked {
    let (config, base) = (&context.config, base_url(context, context.config.listen));
    let opened = Issuers::open(&config.sign_in.oidc, &base, &context.clock);
    opened.err().map(|error| error_chain(&error)).into_iter().collect::<Vec<_>>().into()
}

async fn address(context: &Context) -> Checked {
    let data = &context.config.data_dir;
    if dial(data).await.is_ok() {
        let at = socket::address_of(data).map_or_else(String::new, |at| format!(" at {at}"));
        return Checked::Noted(format!("a server of this data runs{at}"));
    }
    let holders = lock_holders::of(data);
    if !holders.is_empty() && context.config.database_url.is_none() {
        return vec![format!("the data is held by {}, which cannot be reached", lock_holders::named(&holders))].into();
    }
    match App::bind(context.config.listen) {
        Ok(_) => Checked::Fine,
        // The service's unit gives it that right, and this user has it nowhere else.
        Err(AppError::Listen { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            Checked::Noted("not known: this user may take no port below 1024, as the service may (AmbientCapabilities)".into())
        }
        Err(error) => {
            let (why, error) = (error_chain(&error), CliError::App(error));
            vec![format!("{why}: {}", error.hint().unwrap_or_default())].into()
        }
    }
}

fn staff(state: Option<&ControlState>) -> Checked {
    match state {
        None => Checked::Unseen("control state cannot be read".into()),
        Some(state) if has_staff(state) => Checked::Fine,
        Some(_) => Checked::Noted("nobody yet: `forelog serve` prints a link for the first person".into()),
    }
}

async fn drill(context: &Context, local_admin: &LocalAdmin) -> Checked {
    let read = async {
        let views = open_views(&context.config).await.ok()?;
        let newest = newest(&*views, "drill_completed").await.ok();
        views.close().await;
        newest
    };
    let Some(newest) = read.await else { return Checked::Noted("not known: there are no views to look it up in".into()) };
    let now = local_admin.now().await.unwrap_or_else(|_| context.clock.now());
    Checked::Noted(newest.map_or_else(|| "never: `forelog switch drill` tries them".to_owned(), |at| ago(at, now)))
}

fn ago(at: Micros, now: Micros) -> String {
    let days = (now.0 - at.0).max(0) / Micros::DAY;
    format!("last on {}, {days} days ago", format_time(at))
}
