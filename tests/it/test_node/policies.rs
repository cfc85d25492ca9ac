//! Policies of a test: what it does not forbid is permitted.

use std::sync::Arc;

use async_trait::async_trait;
use forelog::control::PolicyEvaluator;
use forelog::core::principal::Principal;
use forelog::core::proposal::Verdict;
use forelog::core::refusal::Refusal;
use forelog::core::resource::Resource;
use forelog::core::scope::ScopeSet;
use forelog::core::tool::{Class, ToolSpec};
use forelog::log::writer::Writer;
use forelog::tools::{NodePolicies, PolicyLoader, Reloaded};

use super::probes::World;

pub struct PermitAll {
    pub writer: Writer,
    pub world: Arc<World>,
}

impl PolicyEvaluator for PermitAll {
    fn evaluate(&self, _: &Principal, _: &ScopeSet, tool: &'static ToolSpec, _: &[Resource]) -> Verdict {
        let version = self.writer.fence().state().policy.as_ref().map_or(0, |set| set.version);
        let hold = self.world.hold.lock().expect("the world").clone().filter(|_| tool.class != Class::Control);
        Verdict { version, permit: true, hold, ..Verdict::default() }
    }

    fn version(&self) -> Option<i64> {
        self.writer.fence().state().policy.as_ref().map(|set| set.version)
    }
}

pub struct NoPolicies;

#[async_trait]
impl PolicyLoader for NoPolicies {
    async fn reload(&self, _: Option<forelog::log::call_write::CallWrite>) -> Result<Reloaded, Refusal> {
        Err(Refusal::new(forelog::core::code::Code::NotImplemented, "There are no policies to load."))
    }

    async fn node(&self) -> NodePolicies {
        NodePolicies { version: Some(1), trouble: None, own: Err("there are no files".into()) }
    }
}
