//! What `doctor` looks at of the views.

use std::sync::Arc;

use super::Context;
use super::checks::{Checked, NO_VAULT};
use crate::app::local_admin::LocalAdmin;
use crate::app::rooms::{RoomError, open_views};
use crate::core::error_chain::error_chain;
use crate::log::dialect::Room;
use crate::log::migration::version;
use crate::log::reading::Reader;
use crate::log::store::Store;
use crate::views::check::differences;
use crate::views::status::invalid_row_of;

/// What was found of the views.
pub(super) struct ViewsCheck {
    /// Whether they can be opened.
    pub(super) opened: Checked,
    /// Whether they are of this log.
    pub(super) fit: Checked,
    /// Whether each row says what its events say.
    pub(super) rows: Checked,
}

impl ViewsCheck {
    /// None were made yet, as after a restore.
    fn none(local_admin: &LocalAdmin) -> Self {
        let rows = if local_admin.without_vault.is_some() { Checked::Unseen(NO_VAULT.into()) } else { Checked::Fine };
        Self { opened: Checked::Fine, fit: Checked::Fine, rows }
    }

    fn closed(why: String, unseen: &str) -> Self {
        let unseen = || Checked::Unseen(unseen.to_owned());
        Self { opened: vec![why].into(), fit: unseen(), rows: Checked::Unseen(UNFIT.into()) }
    }

    /// Looks at them.
    pub(super) async fn run(context: &Context, local_admin: &LocalAdmin) -> Self {
        let why = |error: &dyn std::error::Error| format!("{}; {VIEWS}", error_chain(error));
        let opened = match open_views(&context.config).await {
            Err(RoomError::Nothing(_)) => return Self::none(local_admin),
            Err(error) => return Self::closed(why(&error), "they cannot be opened"),
            Ok(opened) => opened,
        };
        match version(&*opened, Room::Views).await {
            Err(error) => return Self::closed(why(&error), "they cannot be opened"),
            Ok(0) if context.config.database_url.is_some() => return Self::closed(GONE.to_owned(), "there are none"),
            Ok(0) => return Self::none(local_admin),
            Ok(_) => {}
        }
        let told = invalid_row_of(&*opened, &*local_admin.rooms.store).await;
        let fit = Checked::of(hinted(told, "a node that starts makes them again by itself, as `forelog view rebuild` does now"));
        let rows = if !matches!(fit, Checked::Fine) {
            Checked::Unseen(UNFIT.into())
        } else if local_admin.without_vault.is_some() {
            Checked::Unseen(NO_VAULT.into())
        } else {
            let reader = Reader {
                store: Arc::clone(&local_admin.rooms.store) as Arc<dyn Store>,
                vault: Arc::clone(&local_admin.rooms.vault),
            };
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
