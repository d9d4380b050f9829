//! Many APIs on one Worker: which of them answers for a host, for which environment, and for whose keys.

mod environments;
mod hosts;
mod moves;
mod routing;
mod tenants;

use keyward_tests::{Answer, Call, World};
use serde_json::{Value, json};

/// An API whose requests reach the upstream below `/{name}`, so that the answer tells which API it was.
async fn api(world: &World, name: &str, host: &str, settings: Value) -> String {
    let mut body = json!({"name": name, "upstream": format!("{}/{name}", world.upstream.url())});
    if let (Value::Object(body), Value::Object(settings)) = (&mut body, settings) {
        body.extend(settings);
    }
    world.api(host, body).await
}

/// An account that has nothing to do with the demo account, nor with others made so. Gives its id.
async fn account(world: &World, name: &str) -> String {
    let body = json!({"name": name});
    let account = world.admin.create_account(&body).await;
    account.expect("an account is made")
}

/// The name of the API that let a request pass.
fn reached(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let described = answer.json();
    let path = described["path"].as_str().expect("the upstream answered");
    let name = path.split('/').nth(1).expect("a path");
    name.to_owned()
}

fn get(host: &str, token: &str) -> Call {
    Call::get("/v1/things").host(host).key(token)
}
