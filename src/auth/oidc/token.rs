//! A signed token with the claims that are needed, and nothing else of it.
//!
//! Issuers put into tokens what they like, in types that no standard has (a date where seconds should be); the library reads
//! every standard claim or none. So it is given the token without those that nobody reads here, and keys that check the
//! signature over the token as it came. Everything else is the library's: which key, which algorithm, for whom, until when.
//!
//! INVARIANT: [`Signed::claims`] are of the very bytes that were signed, and are read only after [`Signed::verify`].

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreJsonWebKey, CoreJwsSigningAlgorithm};
use openidconnect::{
    ClaimsVerificationError, JsonWebKey, JsonWebKeyAlgorithm, JsonWebKeyId, JsonWebKeySet, SignatureVerificationError,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The claims that are judged; every other one is read, if at all, once these are found right.
const JUDGED: [&str; 6] = ["iss", "sub", "aud", "exp", "iat", "nonce"];

/// Longest token, in bytes: one with hundreds of groups is shorter.
const MAX_LENGTH: usize = 64 * 1024;

/// A token that is not written as tokens are.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(String);

/// A token before it is believed.
pub struct Signed {
    /// Shared by all the keys that may check it: an issuer has as many as it likes.
    whole: Arc<str>,
    reduced: String,
    claims: Map<String, Value>,
}

impl Signed {
    /// Reads a token.
    pub fn read(token: &str) -> Result<Self, Malformed> {
        let malformed = |text: &str| Malformed(text.to_owned());
        if token.len() > MAX_LENGTH {
            return Err(Malformed(format!("it is longer than {MAX_LENGTH} bytes")));
        }
        let mut parts = token.trim().split('.');
        let (Some(header), Some(payload), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(malformed("it does not have three parts"));
        };
        let decoded = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed("its claims are not in base64url"))?;
        let read = serde_json::from_slice(&decoded).map_err(|_| malformed("its claims are not a JSON object"));
        let claims: Map<String, Value> = read?;
        let mut judged = claims.clone();
        judged.retain(|name, value| JUDGED.contains(&name.as_str()) && !value.is_null());
        let judged = URL_SAFE_NO_PAD.encode(Value::Object(judged).to_string());
        Ok(Self { whole: format!("{header}.{payload}").into(), reduced: format!("{header}.{judged}.{signature}"), claims })
    }

    /// The claims, if `check` finds the token right. It is given the token with the claims that are judged, as the library
    /// reads it, and the issuer's keys.
    pub fn verify<T: serde::de::DeserializeOwned, V>(
        &self,
        keys: &JsonWebKeySet<CoreJsonWebKey>,
        check: impl FnOnce(T, JsonWebKeySet<OverWhole>) -> Result<V, ClaimsVerificationError>,
    ) -> Result<&Map<String, Value>, Unbelieved> {
        let over = |key: &CoreJsonWebKey| OverWhole { key: key.clone(), whole: Arc::clone(&self.whole) };
        let keys = JsonWebKeySet::new(keys.keys().iter().map(over).collect());
        let token = serde_json::from_value(Value::String(self.reduced.clone()));
        let token = token.map_err(|error| Unbelieved::Malformed(Malformed(error.to_string())))?;
        check(token, keys)?;
        Ok(&self.claims)
    }
}

/// Why a token is not believed.
#[derive(Debug, thiserror::Error)]
pub enum Unbelieved {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It does not hold.
    #[error(transparent)]
    Wrong(#[from] ClaimsVerificationError),
}

/// A key of the issuer that checks a signature over the token as it came, whatever was taken out of it since.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct OverWhole {
    key: CoreJsonWebKey,
    #[serde(skip)]
    whole: Arc<str>,
}

impl JsonWebKey for OverWhole {
    type KeyUse = <CoreJsonWebKey as JsonWebKey>::KeyUse;
    type SigningAlgorithm = CoreJwsSigningAlgorithm;

    fn key_id(&self) -> Option<&JsonWebKeyId> {
        self.key.key_id()
    }

    fn key_type(&self) -> &<CoreJwsSigningAlgorithm as openidconnect::JwsSigningAlgorithm>::KeyType {
        self.key.key_type()
    }

    fn key_use(&self) -> Option<&Self::KeyUse> {
        self.key.key_use()
    }

    fn signing_alg(&self) -> JsonWebKeyAlgorithm<&CoreJwsSigningAlgorithm> {
        self.key.signing_alg()
    }

    fn new_symmetric(key: Vec<u8>) -> Self {
        // Never asked for: a token that is signed with a shared secret is not believed.
        Self { key: CoreJsonWebKey::new_symmetric(key), whole: Arc::default() }
    }

    fn verify_signature(
        &self,
        algorithm: &CoreJwsSigningAlgorithm,
        _reduced: &[u8],
        signature: &[u8],
    ) -> Result<(), SignatureVerificationError> {
        self.key.verify_signature(algorithm, self.whole.as_bytes(), signature)
    }

    fn hash_bytes(&self, bytes: &[u8], algorithm: &CoreJwsSigningAlgorithm) -> Result<Vec<u8>, String> {
        self.key.hash_bytes(bytes, algorithm)
    }
}
