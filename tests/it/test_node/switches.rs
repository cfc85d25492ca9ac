//! Switches that tests engage and release by the log alone, as whoever owns the data does.

use forelog::core::event::EventKind;
use forelog::core::id::SwitchId;
use forelog::core::switch::Running;
use forelog::core::time::Clock;
use serde_json::json;

use super::TestNode;

impl TestNode {
    /// Engages a switch that has no end.
    pub async fn engage(&self, target: &str, running: Running) -> SwitchId {
        let switch = SwitchId::new(self.clock.now(), &*self.entropy);
        let target = target.parse().expect("a target");
        let kind =
            EventKind::SwitchEngaged { switch: switch.clone(), target, by: None, credential: None, running, expires_at: None };
        self.change(kind, json!({ "reason": "an incident" })).await;
        switch
    }

    /// Releases it.
    pub async fn release(&self, switch: SwitchId) {
        self.change(EventKind::SwitchReleased { switch, by: None, second: None, break_glass: true }, json!({})).await;
    }
}
