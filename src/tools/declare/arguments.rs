//! Arguments that were read.

use std::any::Any;
use std::sync::Arc;

#[cfg(feature = "testing")]
use serde_json::Value;

use super::common_args::CommonArgs;

/// Arguments that were read as their operation takes them.
#[derive(Clone)]
pub struct Arguments {
    pub(super) own: Arc<dyn Any + Send + Sync>,
    pub(super) said: CommonArgs,
}

impl Arguments {
    /// Arguments of what is no operation with types of its own, as they came.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn any(args: &Value) -> Self {
        Self { own: Arc::new(args.clone()), said: CommonArgs::default() }
    }

    /// They, in the type of an operation; none if they were read for another one.
    #[must_use]
    pub fn of<A: Send + Sync + 'static>(&self) -> Option<&A> {
        self.own.downcast_ref()
    }
}
