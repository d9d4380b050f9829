//! What requests cost, end to end: routes with a cost, and keys with the limits of a preset.

mod mixed;
mod presets;
mod routes;

use keyward_tests::{Answer, Call, World};
use serde_json::json;

/// The host of an API with priced routes.
const HOST: &str = "priced.example.test";

/// An API with routes `POST /v1/cost/{n}` that cost so much, and others at 1 unit.
async fn priced(world: &World, costs: &[u32]) -> String {
    let routes: Vec<_> = costs
        .iter()
        .map(|cost| json!({"method": "POST", "path": format!("/v1/cost/{cost}"), "cost": cost}))
        .collect();
    world.api(HOST, json!({"routes": routes})).await
}

/// A request that costs so much; one unit is what a route costs that is not listed.
fn costing(cost: u32, token: &str) -> Call {
    let path = format!("/v1/cost/{cost}");
    Call::post(&path).host(HOST).key(token)
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name);
    let value = value.unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers));
    value.parse().expect("a whole number")
}

/// Asserts that a request passed and what is left of the tightest window.
fn passes(answer: &Answer, remaining: u64) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(number(answer, "x-ratelimit-remaining"), remaining);
}
