//! How OTLP's requests reach the collector: by the client for servers that are not ours ([`crate::outbound`]).
//!
//! INVARIANT: exporters have threads of their own and wait there; what they wait for runs on the runtime, which never waits for
//! them. They must be ended before the runtime is.

use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::runtime::Handle;

use crate::outbound::{Addresses, Outbound, OutboundError, PlainHttp, Rules};

/// A collector is where an operator wrote that it is. It has as long as OTLP gives it by default, and answers next to nothing.
const RULES: Rules = Rules {
    plain_http: PlainHttp::Anywhere,
    addresses: Addresses::Any,
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(10),
    largest: 64 * 1024,
};

/// Sends what the exporters have.
#[derive(Clone, Debug)]
pub(super) struct Collector {
    outbound: Outbound,
    runtime: Handle,
}

impl Collector {
    /// A client whose requests run on `runtime`.
    pub(super) fn new(runtime: Handle) -> Result<Self, OutboundError> {
        Ok(Self { outbound: Outbound::new(RULES)?, runtime })
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let outbound = self.outbound.clone();
        let sent = self.runtime.spawn(async move { outbound.send(request).await });
        Ok(sent.await??)
    }
}
