//! The composition root.
pub mod desk;
pub mod fleet;
pub mod registry;
pub mod rooms;
