//! The HTTP side.

#[cfg(feature = "conformance")]
pub mod conformance;
