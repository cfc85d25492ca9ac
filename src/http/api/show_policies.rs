//! `GET /api/v1/policies`: the policies in force, and whether the files of the node that is asked are they.

use std::sync::Arc;

use super::Unasked;
use super::endpoint::{Endpoint, ReadRequest};
use crate::http::Http;
use crate::http::in_force::PoliciesDocument;
use crate::http::problem::Problem;

pub fn endpoint() -> Endpoint {
    let about = "The policies in force, and whether this node's files are they, for staff.";
    Endpoint::reading("/policies", about, |http, asking, _: Unasked| Box::pin(read(http, asking)))
}

async fn read(http: Arc<Http>, ReadRequest { caller, .. }: ReadRequest) -> Result<PoliciesDocument, Problem> {
    http.check_rules(&caller.principal).await?;
    Ok(http.policies_in_force().await?.document())
}
