//! Rebuilding: everything is deleted and pulled from the log again. The result is equal (P11).

use super::status::ViewsStatus;
use super::{ViewError, Views};
use crate::core::id::Position;

impl Views {
    /// Deletes every row and pulls the whole log again. Meanwhile a page says by its `as_of` how far that is.
    pub async fn rebuild(&self, mut progress: impl FnMut(Position, Position) + Send) -> Result<Position, ViewError> {
        self.empty(None).await?;
        let head = self.reader.store.head().await?.position;
        let mut reached = Position(0);
        while reached < head {
            let step = Position(head.0.min(reached.0 + 5000));
            let now = self.catch_up(step).await?;
            if now <= reached {
                return Ok(now);
            }
            reached = now;
            progress(reached, head);
        }
        Ok(reached)
    }

    /// Deletes every row; if `only` is given, only if the views still stand there.
    pub(super) async fn empty(&self, only: Option<&ViewsStatus>) -> Result<(), ViewError> {
        let mut transaction = self.database.begin().await?;
        let stand = self.lock_cursor(&mut *transaction).await?;
        if only.is_some_and(|only| *only != stand) {
            return Ok(());
        }
        for table in ["call", "subject", "vm", "administration", "owner"] {
            transaction.execute(&format!("delete from {table}"), Vec::new()).await?;
        }
        let clear = self.database.dialect().full_text.clear;
        if !clear.is_empty() {
            transaction.execute(clear, Vec::new()).await?;
        }
        transaction.execute("update cursor set position = 0, leaf = '', log = ''", Vec::new()).await?;
        Ok(transaction.commit().await?)
    }
}
