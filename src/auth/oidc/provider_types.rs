//! What is exchanged with an issuer, as types of the library, and what of it is looked at.
//!
//! INVARIANT: an issuer is believed or refused for what is needed here, whatever else it says and in whatever type.

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim,
    CoreGrantType, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreRevocationErrorResponse, CoreSubjectIdentifierType,
    CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AdditionalProviderMetadata, EmptyAdditionalClaims, EndpointMaybeSet, EndpointNotSet, EndpointSet, ExtraTokenFields,
    IdTokenFields, ProviderMetadata, StandardErrorResponse, StandardTokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One thing more that an issuer publishes: whether it names itself when it sends somebody back (RFC 9207).
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct NamesItself {
    /// It does.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}
impl AdditionalProviderMetadata for NamesItself {}

/// The ID token as text: it is read in `token.rs`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Given {
    /// Unread.
    pub signed: Option<String>,
}
impl ExtraTokenFields for Given {}

/// Leaves of what an issuer publishes, or of its keys, what is needed; what the library demands besides says nothing here.
pub fn published(document: &mut Map<String, Value>) {
    let needed = ["issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"];
    let (methods, itself) = ("token_endpoint_auth_methods_supported", "authorization_response_iss_parameter_supported");
    document.retain(|name, value| match name.as_str() {
        "keys" => true,
        name if needed.contains(&name) => value.is_string(),
        name => (name == methods && value.is_array()) || name == itself,
    });
    if document.contains_key("keys") {
        return;
    }
    let is_url = |value: &Value| value.as_str().is_some_and(|text| url::Url::parse(text).is_ok());
    document.retain(|name, value| name != "userinfo_endpoint" || is_url(value));
    if let Some(Value::Array(methods)) = document.get_mut(methods) {
        methods.retain(Value::is_string);
    }
    if let Some(value) = document.get_mut(itself) {
        *value = is_true(value).into();
    }
    for (name, value) in [
        ("response_types_supported", "code"),
        ("subject_types_supported", "public"),
        ("id_token_signing_alg_values_supported", "RS256"),
    ] {
        document.insert(name.to_owned(), json!([value]));
    }
}

/// Leaves of what an issuer gives for a code the token, unread, and what asks it for more; or why it gives none.
pub fn given(document: &mut Map<String, Value>) {
    let texts = ["access_token", "token_type", "id_token", "error", "error_description"];
    document.retain(|name, value| texts.contains(&name.as_str()) && value.is_string());
    if document.contains_key("error") {
        return;
    }
    if let Some(token) = document.remove("id_token") {
        document.insert("signed".to_owned(), token);
    }
    // Whoever asks no further needs neither.
    document.entry("access_token").or_insert_with(|| "".into());
    document.entry("token_type").or_insert_with(|| "Bearer".into());
}

/// Whether a claim says yes; some issuers say it as text.
pub fn is_true(value: &Value) -> bool {
    match value {
        Value::Bool(yes) => *yes,
        Value::String(text) => text.eq_ignore_ascii_case("true"),
        _ => false,
    }
}

/// What an issuer publishes about itself.
pub type Published = ProviderMetadata<
    NamesItself,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What it gives for a code.
pub type Answer = StandardTokenResponse<
    IdTokenFields<EmptyAdditionalClaims, Given, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>,
    CoreTokenType,
>;

/// What we are to it.
pub type Client = openidconnect::Client<
    EmptyAdditionalClaims,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Answer,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The token that it signs.
pub type IdToken =
    openidconnect::IdToken<EmptyAdditionalClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
/// What it says of a person on being asked, if it signs that.
pub type SignedUserInfo = openidconnect::UserInfoJsonWebToken<
    EmptyAdditionalClaims,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;

/// Signatures that are believed: made with a key that only the issuer has.
pub const SIGNATURES: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
