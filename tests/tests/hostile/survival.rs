//! Whether an isolate lives on.

use keyward_tests::{Call, NewKey, World};
use serde_json::{Value, json};

/// What a log says of a panic, of a trap of the wasm instance, and of an exception that nobody expected.
const SIGNS_OF_DEATH: [&str; 3] = ["panic", "trapped", "unexpected:"];

/// The gate as it was before a test did its worst.
pub struct Survival<'a> {
    world: &'a World,
    gate: Value,
    /// A key that opens the demo API.
    pub key: NewKey,
}

impl<'a> Survival<'a> {
    /// Notes which gate there is, and that it lets a good request pass.
    pub async fn begin(world: &'a World) -> Self {
        let key = world.key(json!({})).await;
        let state = world.edge.gate_state(0).await;
        let gate = state["gate"].clone();
        assert!(gate.is_string(), "{state}");
        let survival = Self { world, gate, key };
        survival.good_request_passes().await;
        survival
    }

    async fn good_request_passes(&self) {
        let call = Call::get("/v1/customers").key(&self.key.token);
        let answer = self.world.send(&call).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Asserts that it is the same gate still, that a good request passes, and that no log tells of a death.
    pub async fn holds(&self) {
        self.good_request_passes().await;
        assert_eq!(self.world.edge.gate_state(0).await["gate"], self.gate);
        let logs = [self.world.edge.log(), self.world.control_plane.log()];
        for line in logs.iter().flat_map(|log| log.lines()) {
            let sign = SIGNS_OF_DEATH.iter().find(|sign| line.contains(**sign));
            assert_eq!(sign, None, "{line}");
        }
    }
}
