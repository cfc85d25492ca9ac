//! API keys: `flk_live_<base62 of 32 random bytes><checksum>`. Shown once, stored as SHA-256.

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::core::time::Entropy;

const PREFIX: &str = "flk_live_";
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of base 62 that hold 32 bytes.
const BODY: usize = 43;
/// Digits of the checksum: enough to tell a slip of the keyboard before any look-up.
const CHECK: usize = 6;

/// A key in the clear. Its text never reaches a log line: `Debug` hides it.
#[derive(Debug, Clone)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut random = [0; 32];
        entropy.fill(&mut random);
        let body = base62(&random, BODY);
        let check = checksum(&body);
        Self(format!("{PREFIX}{body}{check}").into())
    }

    /// A key that has the right shape and checksum.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (body, check) = rest.split_at_checked(BODY)?;
        let well_formed = rest.len() == BODY + CHECK && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        (well_formed && checksum(body) == check).then(|| Self(text.to_owned().into()))
    }

    /// SHA-256 of the key, hex: what is stored. 256 random bits need no salt.
    #[must_use]
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.expose_secret().as_bytes()))
    }

    /// The start of the key that may be shown.
    #[must_use]
    pub fn prefix(&self) -> String {
        self.0.expose_secret().chars().take(PREFIX.len() + 6).collect()
    }

    /// The key itself, for the one answer that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

fn checksum(body: &str) -> String {
    base62(&Sha256::digest(body.as_bytes()), CHECK)
}

/// The last `digits` digits of `bytes`, read as a big-endian number in base 62.
fn base62(bytes: &[u8], digits: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = Vec::with_capacity(digits);
    for _ in 0..digits {
        let mut rest = 0u32;
        for byte in &mut number {
            let value = rest * 256 + u32::from(*byte);
            *byte = u8::try_from(value / 62).unwrap_or(0);
            rest = value % 62;
        }
        text.push(ALPHABET.get(rest as usize).copied().unwrap_or(b'0'));
    }
    text.iter().rev().map(|byte| char::from(*byte)).collect()
}
