//! The policy engine of this catalogue.

use crate::policy::{Policies, PolicyError};
use crate::tools::{Catalogue, CatalogueError};

/// A catalogue that policies cannot be written for.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The catalogue is broken.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// It makes no schema.
    #[error(transparent)]
    Schema(#[from] PolicyError),
}

/// An engine with no set in force.
pub fn engine(catalogue: &Catalogue) -> Result<Policies, EngineError> {
    let facts: Vec<_> = catalogue.iter().map(|tool| tool.facts).collect();
    Ok(Policies::new(&facts)?)
}
