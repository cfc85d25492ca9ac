//! Passwords of people, as argon2id in PHC form.
//!
//! INVARIANT: judging a guess costs one hash, whether nobody, one person or several people have the e-mail address: all of
//! their passwords are stored under one salt, which follows from the address (`Vault::salt`).

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash};
use subtle::ConstantTimeEq;

use crate::core::time::Entropy;

/// A password that could not be hashed.
#[derive(Debug, thiserror::Error)]
#[error("hashing a password")]
pub struct HashError;

/// The PHC string to store, under a random salt.
#[cfg(feature = "testing")]
pub fn hash(password: &str, entropy: &dyn Entropy) -> Result<String, HashError> {
    let mut salt = [0; 16];
    entropy.fill(&mut salt);
    hash_under(password, salt)
}

/// The PHC string to store.
pub fn hash_under(password: &str, salt: [u8; 16]) -> Result<String, HashError> {
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).map_err(|_| HashError)?;
    Ok(hash.to_string())
}

/// Whether `password` is the one that was hashed.
#[must_use]
pub fn verify(password: &str, stored: &str) -> bool {
    PasswordHash::new(stored).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// Which of the passwords that are stored under one address a guess is. What is stored under another salt, as earlier
/// versions did, is hashed by itself.
pub fn matching(guess: &str, stored: &[String], salt: [u8; 16]) -> Result<Vec<bool>, HashError> {
    if guess.len() > MAX_LENGTH {
        return Ok(vec![false; stored.len()]);
    }
    let hashed = hash_under(guess, salt)?;
    let under = |text: &str| text.rsplit_once('$').map(|(parameters, _)| parameters.to_owned());
    let is_it = |text: &String| {
        let is_under_salt = under(text) == under(&hashed);
        if is_under_salt { text.as_bytes().ct_eq(hashed.as_bytes()).into() } else { verify(guess, text) }
    };
    Ok(stored.iter().map(is_it).collect())
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
pub const MAX_LENGTH: usize = 256;

/// Whether a person may choose it (NIST SP 800-63B: length, and nothing about which characters).
#[must_use]
pub fn is_acceptable(password: &str) -> bool {
    password.chars().count() >= SHORTEST && password.len() <= MAX_LENGTH
}
