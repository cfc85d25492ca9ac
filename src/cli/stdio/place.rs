//! Where a pipe without a URL leads: to the socket of whoever serves the data directory, and if that is nobody, to a node of
//! its own.
//!
//! INVARIANT: a node of its own is begun only with the directory to itself, and on PostgreSQL, where other machines may serve
//! the same data, only while no node in the log is seen to live.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use super::pipe_error::PipeError;
use super::wire::dial;
use crate::app::directory_lock::{DirectoryLock, DirectoryLockError};
use crate::app::liveness::living;
use crate::app::rooms::{self, RoomError};
use crate::app::{App, AppError, socket};
use crate::cli::{CliError, Context};

/// How long a server that has the data may take to listen, or to end.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How long between two looks.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Finds who serves the data directory: somebody who can be reached by its socket from now on, which is the node that is
/// answered, if there was nobody.
pub async fn find(context: &Context) -> Result<Option<App>, CliError> {
    let (clock, data) = (&context.clock, &context.config.data_dir);
    let since = clock.elapsed();
    loop {
        let unreached = match dial(data).await {
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                return Err(PipeError::NotOurs(socket::path(data)).into());
            }
            Err(error) => error,
        };
        match begin(context).await {
            // A server is about to listen, or to end.
            Err(CliError::App(AppError::Seat(DirectoryLockError::Taken { .. })))
                if clock.elapsed().saturating_sub(since) < TIMEOUT =>
            {
                tracing::debug!(error = %unreached, "the data directory is held, and nobody listens at its socket yet");
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            begun => return begun.map(Some),
        }
    }
}

/// A node of its own.
async fn begin(context: &Context) -> Result<App, CliError> {
    let config = &context.config;
    // Nothing is made where nothing is.
    if config.database_url.is_none() && !config.data_dir.exists() {
        return Err(RoomError::Nothing(config.data_dir.clone()).into());
    }
    // Whoever has the data is named first.
    drop(DirectoryLock::alone(&config.data_dir).map_err(AppError::from)?);
    if !rooms::found(config).await? {
        return Err(if config.database_url.is_some() {
            CliError::EmptyDatabase
        } else {
            RoomError::Nothing(config.data_dir.clone()).into()
        });
    }
    if config.database_url.is_some()
        && let Some(node) = living(config, &context.clock, &context.entropy).await?
    {
        return Err(PipeError::ServedElsewhere(node.to_string()).into());
    }
    Ok(App::start_alone(config, Arc::clone(&context.clock), Arc::clone(&context.entropy)).await?)
}
