//! Requests that are refused: callers get what they would get of the gate itself.

use keyward_tests::{Answer, Call, World, forged_token};
use serde_json::{Value, json};

use crate::front::Front;
use crate::{APP, number, readable, send};

crate::behind_each_proxy!(
    refusals_have_the_status_headers_and_body_of_the_gates_own,
    a_429_tells_when_to_come_back_and_how_the_limits_stand,
    unlisted_routes_of_a_closed_api_are_404_and_other_methods_405,
    refusals_name_no_origin_that_the_api_does_not_admit,
);

/// A body without what differs from request to request.
fn told(answer: &Answer) -> Value {
    let mut body = answer.json();
    body["requestId"] = json!("");
    body
}

/// A gate that has not seen the API yet reads nothing for those who have no key, and so does not know its policy.
async fn know_the_api(world: &World, front: &Front, token: &str) {
    let answer = send(world, front, &Call::get("/v1/customers").key(token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

async fn refusals_have_the_status_headers_and_body_of_the_gates_own(world: &World, front: &Front) {
    let reader = world.key(json!({"permissions": ["customers.read"]})).await;
    know_the_api(world, front, &reader.token).await;
    let revoked = world.key(json!({})).await;
    assert!(world.admin.revoke(&revoked.key.id).await.unwrap());
    let staging = world.key(json!({"environment": "staging"})).await;
    let bound = world.key(json!({"resources": ["customer:c_9"]})).await;
    let own_origins = json!({"allowedOrigins": ["https://shop.example.test"]});
    let own_origins = world.key(own_origins).await;
    let elsewhere = world.key(json!({"allowedIps": ["203.0.113.7"]})).await;
    let get = Call::get("/v1/customers").origin(APP);
    let write = Call::post("/v1/customers").origin(APP).body("{}");
    let customer = Call::get("/v1/customers/c_8").origin(APP);
    let agents = Call::get("/v1/accounts/acc_00000000/agents").origin(APP);
    let odd = Call::get("/v1%2Fcustomers").origin(APP);
    for (call, status, code) in [
        (get.clone(), 401, "missing_credential"),
        (
            get.clone().header("authorization", "Basic dTpw"),
            401,
            "malformed_credential",
        ),
        (
            get.clone().key(&forged_token("prod", &world.account)),
            401,
            "invalid_key",
        ),
        (get.clone().key(&revoked.token), 401, "invalid_key"),
        (get.clone().key(&staging.token), 401, "wrong_environment"),
        (write.key(&reader.token), 403, "insufficient_permission"),
        (agents.key(&bound.token), 403, "account_not_allowed"),
        (customer.key(&bound.token), 403, "resource_not_allowed"),
        (
            get.clone().key(&own_origins.token),
            403,
            "origin_not_allowed",
        ),
        (get.clone().key(&elsewhere.token), 403, "ip_not_allowed"),
        (odd.key(&reader.token), 400, "bad_request"),
    ] {
        let answer = send(world, front, &call).await;
        answer.refusal(status, code);
        readable(&answer);
        let direct = world.send(&call).await;
        assert_eq!(told(&answer), told(&direct));
        let challenge = |answer: &Answer| answer.header("www-authenticate").map(str::to_owned);
        assert_eq!(challenge(&answer), challenge(&direct));
    }
    let nobody = Call::get("/")
        .host("nobody.example.test")
        .key(&reader.token);
    send(world, front, &nobody)
        .await
        .refusal(404, "unknown_api");
    assert_eq!(world.upstream.count(), 1);
}

async fn a_429_tells_when_to_come_back_and_how_the_limits_stand(world: &World, front: &Front) {
    for enforcement in ["leased", "strict"] {
        let limits = json!({"requestsPerMinute": 2, "requestsPerHour": 500});
        let settings = json!({"rateLimits": limits, "enforcement": enforcement});
        let key = world.key(settings).await;
        let call = Call::get("/v1/customers").key(&key.token).origin(APP);
        for _ in 0..2 {
            assert_eq!(send(world, front, &call).await.status, 200);
        }
        for _ in 0..3 {
            let answer = send(world, front, &call).await;
            let body = answer.refusal(429, "rate_limited");
            let wait = number(&answer, "retry-after");
            assert!((1..=62).contains(&wait), "{wait}");
            assert_eq!(body["retryAfter"], wait);
            assert_eq!(body["rateLimits"], limits);
            assert_eq!(body["violatedPolicies"], json!(["minute"]));
            assert_eq!(number(&answer, "x-ratelimit-limit"), 2);
            assert_eq!(number(&answer, "x-ratelimit-remaining"), 0);
            assert!(
                answer
                    .header("ratelimit")
                    .is_some_and(|s| s.starts_with("\"minute\";r=0;t="))
            );
            readable(&answer);
        }
        assert_eq!(world.upstream.count_of(&key.key.id), 2);
    }
}

async fn unlisted_routes_of_a_closed_api_are_404_and_other_methods_405(
    world: &World,
    front: &Front,
) {
    let host = "closed.example.test";
    let routes =
        json!([{"method": "GET", "path": "/v1/orders"}, {"method": "POST", "path": "/v1/orders"}]);
    let settings = json!({"unlisted": "closed", "routes": routes});
    world.api(host, settings).await;
    let key = world.key(json!({})).await;
    let send = async |method: &str, path: &str| {
        let call = Call::new(method, path).host(host).key(&key.token);
        send(world, front, &call).await
    };
    assert_eq!(send("GET", "/v1/orders").await.status, 200);
    send("GET", "/v1/nothing")
        .await
        .refusal(404, "unknown_route");
    let answer = send("DELETE", "/v1/orders").await;
    answer.refusal(405, "unknown_route");
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    assert_eq!(world.upstream.count(), 1);
}

async fn refusals_name_no_origin_that_the_api_does_not_admit(world: &World, front: &Front) {
    let key = world.key(json!({})).await;
    know_the_api(world, front, &key.token).await;
    let call = Call::get("/v1/customers");
    for call in [call.clone(), call.origin("https://evil.example.test")] {
        let answer = send(world, front, &call).await;
        answer.refusal(401, "missing_credential");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}
