//! CORS preflights through a proxy.

use keyward_tests::{Call, World};
use serde_json::json;

use crate::front::Front;
use crate::{APP, send};

crate::behind_each_proxy!(
    a_preflight_is_answered_by_keyward_without_a_key_and_costs_nothing,
    a_preflight_from_elsewhere_is_refused,
    what_is_no_preflight_needs_a_key_and_reaches_the_api,
);

fn preflight(origin: &str) -> Call {
    Call::new("OPTIONS", "/v1/customers?x=1")
        .origin(origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization, content-type",
        )
}

async fn a_preflight_is_answered_by_keyward_without_a_key_and_costs_nothing(
    world: &World,
    front: &Front,
) {
    let key = world
        .key(json!({"rateLimits": {"requestsPerMinute": 1}}))
        .await;
    for call in [preflight(APP), preflight(APP).key(&key.token)] {
        let answer = send(world, front, &call).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        let direct = world.send(&call).await;
        for name in [
            "access-control-allow-origin",
            "access-control-allow-methods",
            "access-control-allow-headers",
            "access-control-max-age",
        ] {
            let value = answer.header(name);
            assert!(value.is_some(), "{name} {:?}", answer.headers);
            assert_eq!(value, direct.header(name));
        }
        assert!(answer.varies_by("origin"), "{:?}", answer.headers);
    }
    assert_eq!(world.upstream.count(), 0);
    let call = Call::get("/v1/customers").key(&key.token);
    assert_eq!(send(world, front, &call).await.status, 200);
}

async fn a_preflight_from_elsewhere_is_refused(world: &World, front: &Front) {
    for origin in ["https://evil.example.test", "null"] {
        let answer = send(world, front, &preflight(origin)).await;
        answer.refusal(403, "origin_not_allowed");
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(world.upstream.count(), 0);
}

async fn what_is_no_preflight_needs_a_key_and_reaches_the_api(world: &World, front: &Front) {
    let key = world.key(json!({})).await;
    let options = Call::new("OPTIONS", "/v1/things");
    for call in [
        options.clone(),
        options.clone().origin(APP),
        options.header("access-control-request-method", "GET"),
    ] {
        let answer = send(world, front, &call).await;
        answer.refusal(401, "missing_credential");
        let answer = send(world, front, &call.key(&key.token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(world.upstream.count(), 3);
}
