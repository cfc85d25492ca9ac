//! `GET /api/v1/limits`: the limits in force, and where the node that is asked was started with others.

use std::sync::Arc;

use super::Unasked;
use super::endpoint::{Endpoint, ReadRequest};
use crate::http::Http;
use crate::http::in_force::LimitsDocument;
use crate::http::problem::Problem;

pub fn endpoint() -> Endpoint {
    let about = "The limits in force, and where this node was started with others, for staff.";
    Endpoint::reading("/limits", about, |http, asking, _: Unasked| Box::pin(read(http, asking)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest) -> Result<LimitsDocument, Problem> {
    http.check_rules(&caller.principal).await?;
    Ok(http.limits_in_force().await?.document())
}
