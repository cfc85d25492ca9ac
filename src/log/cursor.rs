//! Cursors of lists, sealed under a key of the vault's, so that every node reads what another one gave out.

use super::vault::{Vault, VaultError, decrypt};

const CURSOR: &str = "cursor";

impl Vault {
    /// Seals where a page ended.
    pub async fn seal_cursor(&self, plain: &[u8]) -> Result<Vec<u8>, VaultError> {
        let (_, key) = self.named_key(CURSOR).await?;
        self.encrypt(&key, CURSOR.as_bytes(), plain)
    }

    /// Where a page ended; none if the cursor is not one of ours.
    pub async fn open_cursor(&self, sealed: &[u8]) -> Result<Option<Vec<u8>>, VaultError> {
        let (_, key) = self.named_key(CURSOR).await?;
        Ok(decrypt(&key, CURSOR.as_bytes(), sealed).ok())
    }
}
