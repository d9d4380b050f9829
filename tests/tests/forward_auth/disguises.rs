//! What a caller says of itself or of the request, in the words that proxies use, changes nothing.

use keyward_tests::{Answer, Call, RawRequest, STAGING_HOST, World};
use serde_json::json;

use crate::front::Front;
use crate::{send, send_raw};

crate::behind_each_proxy!(
    a_caller_can_not_say_who_it_is,
    a_caller_can_not_describe_another_request_than_it_makes,
    a_caller_can_not_say_from_where_it_comes,
    no_spelling_of_a_path_gets_around_the_permission_of_its_route,
    a_method_in_lower_case_gets_around_no_permission,
    the_reserved_paths_admit_nobody,
);

async fn a_caller_can_not_say_who_it_is(world: &World, front: &Front) {
    let key = world.key(json!({"permissions": ["customers.read"]})).await;
    let mut request = RawRequest::new("GET /v1/customers HTTP/1.1").key(&key.token);
    for name in [
        "Key-Id",
        "Account-Id",
        "Environment",
        "Permissions",
        "Assertion",
        "Request-Id",
    ] {
        for spelling in [
            format!("X-Keyward-{name}: spoofed"),
            format!("x-keyward-{name}: spoofed"),
            format!("X_Keyward_{}: spoofed", name.replace('-', "_")),
        ] {
            request = request.header(spelling);
        }
    }
    let answer = send_raw(front, request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("it came through");
    let all = format!("{:?}", seen.headers);
    assert!(!all.contains("spoofed"), "{all}");
    assert_eq!(seen.headers["x-keyward-key-id"], key.key.id.as_str());
    assert_eq!(seen.headers["x-keyward-permissions"], "customers.read");
}

async fn a_caller_can_not_describe_another_request_than_it_makes(world: &World, front: &Front) {
    let reader = world.key(json!({"permissions": ["customers.read"]})).await;
    let described = [
        ("x-forwarded-method", "GET"),
        ("x-original-method", "GET"),
        ("x-http-method-override", "GET"),
        ("x-forwarded-uri", "/v1/anything"),
        ("x-original-uri", "/v1/anything"),
        ("x-original-url", "http://api.example.test/v1/anything"),
        ("x-forwarded-prefix", "/v1/anything"),
        ("forwarded", "for=203.0.113.7;host=nobody.example.test"),
    ];
    let write = Call::post("/v1/customers").key(&reader.token).body("{}");
    let mut all = write.clone();
    for (name, value) in described {
        let answer = send(world, front, &write.clone().header(name, value)).await;
        let body = answer.refusal(403, "insufficient_permission");
        assert_eq!(body["requiredPermission"], "customers.write", "{name}");
        all = all.header(name, value);
    }
    let answer = send(world, front, &all).await;
    answer.refusal(403, "insufficient_permission");
    let at_staging = Call::get("/v1/customers")
        .host(STAGING_HOST)
        .key(&reader.token);
    for name in ["x-forwarded-host", "x-original-host", "x-host"] {
        let call = at_staging.clone().header(name, "api.example.test");
        let answer = send(world, front, &call).await;
        answer.refusal(401, "wrong_environment");
    }
    assert_eq!(world.upstream.count(), 0);
}

async fn a_caller_can_not_say_from_where_it_comes(world: &World, front: &Front) {
    let home = json!({"allowedIps": ["127.0.0.1"]});
    let home = Call::get("/v1/customers").key(&world.key(home).await.token);
    let away = json!({"allowedIps": ["203.0.113.7"]});
    let away = Call::get("/v1/customers").key(&world.key(away).await.token);
    for name in [
        "x-forwarded-for",
        "x-real-ip",
        "cf-connecting-ip",
        "true-client-ip",
        "forwarded",
    ] {
        let value = if name == "forwarded" {
            "for=203.0.113.7"
        } else {
            "203.0.113.7"
        };
        let answer = send(world, front, &away.clone().header(name, value)).await;
        answer.refusal(403, "ip_not_allowed");
        let answer = send(world, front, &home.clone().header(name, value)).await;
        assert_eq!(answer.status, 200, "{name} {}", answer.text());
    }
    assert_eq!(world.upstream.count(), 5);
}

async fn no_spelling_of_a_path_gets_around_the_permission_of_its_route(
    world: &World,
    front: &Front,
) {
    let key = world.key(json!({"permissions": ["agents.read"]})).await;
    for target in [
        "/v1/customers",
        "/v1/customers/",
        "/v1//customers",
        "//v1/customers",
        "/v1/%63ustomers",
        "/v1/customers?x=/v1/anything",
        "/v1/./customers",
        "/v1/x/../customers",
        "/v1/%2e/customers",
        "/v1%2Fcustomers",
        "/v1\\customers",
        "http://api.example.test/v1/customers",
        "http://staging.example.test/v1/customers",
    ] {
        let request = RawRequest::new(format!("GET {target} HTTP/1.1")).key(&key.token);
        let answer = send_raw(front, request).await;
        answer_is_no_pass(&answer, target);
    }
    assert_eq!(world.upstream.count(), 0);
}

async fn a_method_in_lower_case_gets_around_no_permission(world: &World, front: &Front) {
    let key = world.key(json!({"permissions": ["customers.read"]})).await;
    for method in ["post", "Post", "pOST"] {
        let request = RawRequest::new(format!("{method} /v1/customers HTTP/1.1"));
        let answer = send_raw(front, request.key(&key.token).body("{}")).await;
        answer_is_no_pass(&answer, method);
    }
    assert_eq!(world.upstream.count(), 0);
}

fn answer_is_no_pass(answer: &Answer, what: &str) {
    let refused = (400..500).contains(&answer.status);
    assert!(refused, "{what} {} {}", answer.status, answer.text());
}

async fn the_reserved_paths_admit_nobody(world: &World, front: &Front) {
    for path in [
        "/.keyward/verify",
        "/.keyward-check",
        "/.keyward-preflight",
        "/.keyward/push",
        "/.keyward/health",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let call = Call::new(method, path).header("access-control-request-method", "GET");
            let answer = send(world, front, &call).await;
            answer_is_no_pass(&answer, path);
        }
    }
    assert_eq!(world.upstream.count(), 0);
}
