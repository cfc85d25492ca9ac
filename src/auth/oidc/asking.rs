//! Asking an issuer, by the client for servers that are not ours ([`crate::outbound`]).
//!
//! INVARIANT: plain HTTP is used only for an issuer whose own URL is plain HTTP on this machine; no URL that an issuer publishes
//! changes that.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde_json::{Map, Value};

use crate::outbound::{Addresses, Outbound, OutboundError, PlainHttp, Rules};

/// How issuers are asked. An issuer may be in a private network: an operator wrote its URL down. Keys and claims are small.
pub const RULES: Rules = Rules {
    plain_http: PlainHttp::Never,
    addresses: Addresses::Any,
    connect: Duration::from_secs(3),
    answer: Duration::from_secs(5),
    largest: 256 * 1024,
};

/// Sends a request as the library makes it.
pub async fn send(outbound: &Outbound, request: HttpRequest) -> Result<HttpResponse, OutboundError> {
    Ok(outbound.send(request.map(Bytes::from)).await?.map(Vec::from))
}

/// The client for the library, which reads whole documents strictly: of each answer it sees only what is needed.
pub struct Reduced<'o> {
    /// The client.
    pub outbound: &'o Outbound,
    /// Takes out of a JSON object what nobody reads.
    pub to: fn(&mut Map<String, Value>),
}

impl<'c> AsyncHttpClient<'c> for Reduced<'_> {
    type Error = OutboundError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OutboundError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let mut response = send(self.outbound, request).await?;
            if let Ok(mut document) = serde_json::from_slice::<Map<String, Value>>(response.body()) {
                (self.to)(&mut document);
                *response.body_mut() = Value::Object(document).to_string().into_bytes();
                // It is JSON, whatever it is called.
                response.headers_mut().remove(http::header::CONTENT_TYPE);
            }
            Ok(response)
        })
    }
}
