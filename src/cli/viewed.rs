//! What `doctor` looks at of the views.

use std::sync::Arc;

use super::Context;
use super::checks::Checked;
use crate::app::desk::Desk;
use crate::app::rooms::{RoomError, open_views};
use crate::core::caused::with_sources;
use crate::log::dialect::{Room, version};
use crate::log::reading::Reader;
use crate::log::store::Store;
use crate::views::check::differences;
use crate::views::fit::misfit_of;

/// Whether the views can be opened, and are of this log.
pub(super) async fn room(context: &Context, desk: &Desk) -> (Checked, Checked) {
    let closed = |error: &dyn std::error::Error| {
        let why = format!("{}; {VIEWS}", with_sources(error));
        (vec![why].into(), Checked::Unseen("they cannot be opened".into()))
    };
    let opened = match open_views(&context.config).await {
        // None were made yet, as after a restore.
        Err(RoomError::Nothing(_)) => return (Checked::Fine, Checked::Fine),
        Err(error) => return closed(&error),
        Ok(opened) => opened,
    };
    match version(&*opened, Room::Views).await {
        Err(error) => return closed(&error),
        Ok(0) if context.config.database_url.is_some() => {
            return (vec![GONE.to_owned()].into(), Checked::Unseen("there are none".into()));
        }
        Ok(_) => {}
    }
    let told = misfit_of(&*opened, &*desk.rooms.store).await;
    let hint = "a node that starts makes them again by itself, as `forelog view rebuild` does now";
    (Checked::Fine, Checked::of(told.map(|told| told.into_iter().map(|why| format!("{why}: {hint}")).collect())))
}

/// Each row held against its events.
pub(super) async fn rows(context: &Context, desk: &Desk) -> Checked {
    let Ok(opened) = open_views(&context.config).await else { return Checked::Fine };
    if version(&*opened, Room::Views).await.is_ok_and(|version| version == 0) {
        return Checked::Fine;
    }
    let reader = Reader { store: Arc::clone(&desk.rooms.store) as Arc<dyn Store>, vault: Arc::clone(&desk.rooms.vault) };
    let told = differences(&*opened, &reader).await;
    Checked::of(
        told.map(|told| told.into_iter().map(|why| format!("{why}: `forelog view rebuild` makes the views again")).collect()),
    )
}

const VIEWS: &str = "deciding and stopping go on without the views, and `forelog view rebuild` makes them again";

const GONE: &str = "there is no schema of the views: `forelog migrate --grant-to ROLE`, as the role that owns the others, makes it, \
                    and then `forelog view rebuild` fills it";
