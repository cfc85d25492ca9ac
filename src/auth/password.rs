//! Passwords of people, as argon2id in PHC form.

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};

use crate::core::time::Entropy;

/// A password that could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("hashing a password")]
pub struct HashError;

/// The PHC string to store.
pub fn hash(password: &str, entropy: &dyn Entropy) -> Result<String, HashError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| HashError)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one that was hashed.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A password for a person who will change it: 16 bytes in hex.
#[must_use]
pub fn generate(entropy: &dyn Entropy) -> String {
    let mut random = [0; 16];
    entropy.fill(&mut random);
    hex::encode(random)
}

/// Shortest password that a person may choose; a phrase is better than signs.
pub const SHORTEST: usize = 12;

/// Longest, in bytes: hashing is work that the server does for whoever asks.
pub const LONGEST: usize = 256;

/// Whether a person may choose it (NIST SP 800-63B: length, and nothing about which characters).
#[must_use]
pub fn is_acceptable(password: &str) -> bool {
    password.chars().count() >= SHORTEST && password.len() <= LONGEST
}
