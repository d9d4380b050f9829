//! Exact host, wildcard, default.

use keyward_tests::world;
use serde_json::json;

use crate::{api, get, reached};

#[tokio::test(flavor = "multi_thread")]
async fn the_best_match_for_a_host_answers_port_before_host_before_nearest_wildcard_before_default()
{
    let world = world!();
    let key = world.key(json!({})).await;
    for (name, host) in [
        ("port", "shop.example.test:8443"),
        ("exact", "shop.example.test"),
        ("near", "*.eu.example.test"),
        ("far", "*.example.test"),
        ("default", "*"),
    ] {
        api(&world, name, host, json!({})).await;
    }
    for (host, name) in [
        ("shop.example.test:8443", "port"),
        ("SHOP.Example.TEST:8443", "port"),
        ("shop.example.test", "exact"),
        ("Shop.Example.Test", "exact"),
        ("shop.example.test:443", "exact"),
        ("shop.example.test:8444", "exact"),
        ("shop.example.test.", "exact"),
        ("a.eu.example.test", "near"),
        ("a.b.eu.example.test", "near"),
        ("a.eu.example.test:8443", "near"),
        ("A.EU.example.test", "near"),
        // A wildcard stands for one label at least.
        ("eu.example.test", "far"),
        ("a.us.example.test", "far"),
        ("eushop.example.test", "far"),
        ("example.test", "default"),
        ("aexample.test", "default"),
        ("shop.example.test.evil.test", "default"),
        ("localhost", "default"),
        ("192.0.2.7:8080", "default"),
        ("[2001:db8::1]:8080", "default"),
    ] {
        let answer = world.send(&get(host, &key.token)).await;
        assert_eq!(reached(&answer), name, "{host}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wildcard_below_a_single_label_is_served() {
    let world = world!();
    let key = world.key(json!({})).await;
    api(&world, "local", "*.localhost", json!({})).await;
    for host in ["shop.localhost", "a.shop.localhost:8701"] {
        let answer = world.send(&get(host, &key.token)).await;
        assert_eq!(reached(&answer), "local", "{host}");
    }
    let answer = world.send(&get("localhost", &key.token)).await;
    answer.refusal(404, "unknown_api");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_host_is_served_and_a_lost_one_is_not_though_a_wildcard_or_nobody_answered_before() {
    let world = world!();
    let key = world.key(json!({})).await;
    api(&world, "wild", "*.example.test", json!({})).await;
    let call = get("new.example.test", &key.token);
    assert_eq!(reached(&world.send(&call).await), "wild");
    let id = api(&world, "own", "new.example.test", json!({})).await;
    assert_eq!(reached(&world.send(&call).await), "own");
    let path = format!("/v1/apis/{id}");
    let deleted = world.admin.send("DELETE", &path, None).await.unwrap();
    assert_eq!(deleted.json()["propagated"], true, "{}", deleted.text());
    assert_eq!(reached(&world.send(&call).await), "wild");
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_apis_on_one_worker_are_kept_apart() {
    let world = world!();
    let key = world.key(json!({})).await;
    let names: Vec<String> = (0..40).map(|n| format!("api{n}")).collect();
    for name in &names {
        api(&world, name, &format!("{name}.many.test"), json!({})).await;
    }
    for _ in 0..2 {
        for name in names.iter().rev() {
            let host = format!("{name}.many.test");
            assert_eq!(reached(&world.send(&get(&host, &key.token)).await), *name);
        }
    }
}
