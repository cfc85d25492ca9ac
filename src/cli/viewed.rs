//! What `doctor` looks at of the views.

use std::sync::Arc;

use super::Context;
use super::checks::{Checked, NO_VAULT};
use crate::app::desk::Desk;
use crate::app::rooms::{RoomError, open_views};
use crate::core::caused::with_sources;
use crate::log::dialect::Room;
use crate::log::migration::version;
use crate::log::reading::Reader;
use crate::log::store::Store;
use crate::views::check::differences;
use crate::views::fit::misfit_of;

/// What was found of the views.
pub(super) struct Viewed {
    /// Whether they can be opened.
    pub(super) opened: Checked,
    /// Whether they are of this log.
    pub(super) fit: Checked,
    /// Whether each row says what its events say.
    pub(super) rows: Checked,
}

impl Viewed {
    /// None were made yet, as after a restore.
    fn none(desk: &Desk) -> Self {
        let rows = if desk.without_vault.is_some() { Checked::Unseen(NO_VAULT.into()) } else { Checked::Fine };
        Self { opened: Checked::Fine, fit: Checked::Fine, rows }
    }

    fn closed(why: String, unseen: &str) -> Self {
        let unseen = || Checked::Unseen(unseen.to_owned());
        Self { opened: vec![why].into(), fit: unseen(), rows: Checked::Unseen(UNFIT.into()) }
    }

    /// Looks at them.
    pub(super) async fn look(context: &Context, desk: &Desk) -> Self {
        let why = |error: &dyn std::error::Error| format!("{}; {VIEWS}", with_sources(error));
        let opened = match open_views(&context.config).await {
            Err(RoomError::Nothing(_)) => return Self::none(desk),
            Err(error) => return Self::closed(why(&error), "they cannot be opened"),
            Ok(opened) => opened,
        };
        match version(&*opened, Room::Views).await {
            Err(error) => return Self::closed(why(&error), "they cannot be opened"),
            Ok(0) if context.config.database_url.is_some() => return Self::closed(GONE.to_owned(), "there are none"),
            Ok(0) => return Self::none(desk),
            Ok(_) => {}
        }
        let told = misfit_of(&*opened, &*desk.rooms.store).await;
        let fit = Checked::of(hinted(told, "a node that starts makes them again by itself, as `forelog view rebuild` does now"));
        let rows = if !matches!(fit, Checked::Fine) {
            Checked::Unseen(UNFIT.into())
        } else if desk.without_vault.is_some() {
            Checked::Unseen(NO_VAULT.into())
        } else {
            let reader = Reader { store: Arc::clone(&desk.rooms.store) as Arc<dyn Store>, vault: Arc::clone(&desk.rooms.vault) };
            Checked::of(hinted(differences(&*opened, &reader).await, "`forelog view rebuild` makes the views again"))
        };
        Self { opened: Checked::Fine, fit, rows }
    }
}

fn hinted<E>(told: Result<impl IntoIterator<Item = String>, E>, hint: &str) -> Result<Vec<String>, E> {
    told.map(|told| told.into_iter().map(|why| format!("{why}: {hint}")).collect())
}

const UNFIT: &str = "they are not of this log, or cannot be opened";

const VIEWS: &str = "deciding and stopping go on without the views, and `forelog view rebuild` makes them again";

const GONE: &str = "there is no schema of the views: `forelog migrate --grant-to ROLE`, as the role that owns the others, makes it, \
                    and then `forelog view rebuild` fills it";
