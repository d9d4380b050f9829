//! Closed and open routing: what an API has is told only to those whose key is good.

use keyward_tests::{Answer, Call, World, forged_token, mistyped_token, world};
use serde_json::{Value, json};

use crate::account;

const CLOSED: &str = "closed.example.test";
const OPEN: &str = "open.example.test";

async fn both(world: &World) {
    let routes = json!([
        {"method": "GET", "path": "/v1/orders", "permission": "orders.read"},
        {"method": "PUT", "path": "/v1/orders/{order}", "permission": "orders.write"},
    ]);
    for (host, unlisted) in [(CLOSED, "closed"), (OPEN, "open")] {
        let settings = json!({"unlisted": unlisted, "routes": routes});
        world.api(host, settings).await;
    }
}

/// Listed, unlisted, and listed with other methods.
const TARGETS: [(&str, &str); 4] = [
    ("GET", "/v1/orders"),
    ("GET", "/v1/secrets"),
    ("DELETE", "/v1/orders"),
    ("GET", "/v1/orders/o_1"),
];

/// An answer without what differs from request to request.
fn shape(answer: &Answer) -> (u16, Vec<(String, String)>, Value) {
    let mut body = answer.json();
    body["requestId"] = json!("");
    let volatile = ["date", "x-keyward-request-id", "content-length"];
    let headers = answer.headers.iter().map(|(name, value)| {
        let value = value.to_str().unwrap_or_default();
        (name.to_string(), value.to_owned())
    });
    let mut headers: Vec<_> = headers
        .filter(|(name, _)| !volatile.contains(&name.as_str()))
        .collect();
    headers.sort();
    (answer.status, headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_key_listed_and_unlisted_routes_are_answered_alike() {
    let world = world!();
    both(&world).await;
    let good = world.key(json!({})).await.token;
    let revoked = world.key(json!({})).await;
    assert!(world.admin.revoke(&revoked.key.id).await.unwrap());
    let elsewhere = world.key(json!({"environment": "staging"})).await.token;
    let stranger = json!({"accountId": account(&world, "Stranger").await});
    let stranger = world.key(stranger).await.token;
    for (who, token, code) in [
        ("nobody", None, "missing_credential"),
        (
            "nonsense",
            Some("kw_prod_sk_x".to_owned()),
            "malformed_credential",
        ),
        (
            "a typing error",
            Some(mistyped_token(&good, 3)),
            "malformed_credential",
        ),
        (
            "a forger",
            Some(forged_token("prod", &world.account)),
            "invalid_key",
        ),
        (
            "a key that nobody has",
            Some(world.secrets.unissued_token("prod", &world.account)),
            "invalid_key",
        ),
        ("a revoked key", Some(revoked.token), "invalid_key"),
        ("a key of staging", Some(elsewhere), "wrong_environment"),
        ("a key of a stranger", Some(stranger), "invalid_key"),
    ] {
        for host in [CLOSED, OPEN] {
            let mut answers = Vec::new();
            for (method, path) in TARGETS {
                let call = Call::new(method, path).host(host);
                let call = match &token {
                    Some(token) => call.key(token),
                    None => call,
                };
                let answer = world.send(&call).await;
                answer.refusal(401, code);
                answers.push(shape(&answer));
            }
            let first = answers.first().cloned();
            for (answer, target) in answers.into_iter().zip(TARGETS) {
                assert_eq!(Some(answer), first, "{who} at {host} {target:?}");
            }
        }
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_good_key_an_open_api_passes_what_it_does_not_list_and_a_closed_one_says_404_or_405()
{
    let world = world!();
    both(&world).await;
    // It may do nothing that is listed.
    let key = world.key(json!({"permissions": []})).await.token;
    let send = async |host: &str, (method, path): (&str, &str)| {
        world
            .send(&Call::new(method, path).host(host).key(&key))
            .await
    };
    let [listed, unlisted, other_method, other_method_of_template] = TARGETS;
    for host in [CLOSED, OPEN] {
        let answer = send(host, listed).await;
        answer.refusal(403, "insufficient_permission");
    }
    send(CLOSED, unlisted).await.refusal(404, "unknown_route");
    for (target, allow) in [(other_method, "GET"), (other_method_of_template, "PUT")] {
        let answer = send(CLOSED, target).await;
        let body = answer.refusal(405, "unknown_route");
        assert_eq!(answer.header("allow"), Some(allow));
        let detail = format!("This path takes the methods {allow}");
        assert_eq!(body["detail"], detail);
    }
    assert_eq!(world.upstream.count(), 0);
    for target in [unlisted, other_method, other_method_of_template] {
        let answer = send(OPEN, target).await;
        assert_eq!(answer.status, 200, "{target:?} {}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_unknown_routes_cost_nothing() {
    let world = world!();
    both(&world).await;
    let settings = json!({"rateLimits": {"requestsPerMinute": 1}});
    let key = world.key(settings).await.token;
    let get = |path: &str| Call::get(path).host(CLOSED).key(&key);
    for _ in 0..5 {
        let answer = world.send(&get("/v1/secrets")).await;
        answer.refusal(404, "unknown_route");
    }
    assert_eq!(world.send(&get("/v1/orders")).await.status, 200);
    let answer = world.send(&get("/v1/orders")).await;
    answer.refusal(429, "rate_limited");
}
