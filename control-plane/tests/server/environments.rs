//! `/v1/environments`: what keys and endpoints may name.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::{text, version};

/// Names and codes of the environments that an account has.
async fn known(app: &App, account: &str) -> Vec<(String, String)> {
    let path = format!("/v1/environments?account={account}");
    let listed = app.get(&path).await.expect(200);
    let rows = listed["data"].as_array().unwrap();
    rows.iter()
        .map(|row| (text(&row["name"]), text(&row["code"])))
        .collect()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()
}

struct Family {
    app: App,
    parent: String,
    child: String,
    sibling: String,
}

async fn family() -> Family {
    let app = App::start().await;
    let parent = app.account(json!({"name": "parent"})).await;
    let below = |name: &str| json!({"name": name, "parentId": parent});
    Family {
        child: app.account(below("child")).await,
        sibling: app.account(below("sibling")).await,
        parent,
        app,
    }
}

#[tokio::test]
async fn an_environment_is_there_for_its_account_and_those_below_and_nowhere_else() {
    let Family {
        app,
        parent,
        child,
        sibling,
    } = family().await;
    let body = json!({"name": "preview", "accountId": parent});
    app.environment(body).await;
    app.clock.advance(1);
    let body = json!({"name": "load-test", "code": "lt", "accountId": child});
    app.environment(body).await;
    let of_child = pairs([
        ("load-test", "lt"),
        ("preview", "preview"),
        ("staging", "stg"),
        ("production", "prod"),
        ("development", "dev"),
    ]);
    assert_eq!(known(&app, &child).await, of_child);
    assert_eq!(known(&app, &sibling).await, of_child[1..]);
    let outside = app.account(json!({"name": "outside"})).await;
    assert_eq!(known(&app, &outside).await, of_child[2..]);

    let key = |account: &str, environment: &str| json!({"name": "k", "accountId": account, "environment": environment});
    let (made, token) = app.key(key(&child, "load-test")).await;
    assert_eq!(made["environment"], "load-test");
    assert!(token.starts_with("kw_lt_sk_"));
    app.key(key(&child, "preview")).await;
    let refused = app.post("/v1/keys", key(&sibling, "load-test")).await;
    let problem = refused.problem(422, "validation_failed");
    assert_eq!(
        problem["detail"],
        "environment: the account has no such environment; it has production, staging, development, preview"
    );
    let api = |account: &str| {
        json!({
            "name": "a", "accountId": account, "upstream": "https://upstream.example",
            "endpoints": [{"host": format!("{account}.example").to_lowercase(), "environment": "load-test"}],
        })
    };
    let made = app.post("/v1/apis", api(&child)).await.expect(201);
    assert_eq!(made["api"]["endpoints"][0]["code"], "lt");
    app.post("/v1/apis", api(&parent))
        .await
        .refuses(&["endpoints[0].environment"]);
    let path = format!("/v1/apis/{}", text(&made["api"]["id"]));
    let unknown =
        json!({"endpoints": [{"host": "a.example", "environment": "nowhere", "code": "prod"}]});
    app.patch(&path, unknown)
        .await
        .refuses(&["endpoints[0].environment"]);
    let other =
        json!({"endpoints": [{"host": "a.example", "environment": "preview", "code": "prod"}]});
    app.patch(&path, other)
        .await
        .refuses(&["endpoints[0].code"]);
}

#[tokio::test]
async fn names_and_codes_are_unique_in_a_line_of_accounts() {
    let Family {
        app,
        parent,
        child,
        sibling,
    } = family().await;
    let body = |name: &str, code: &str, account: &str| json!({"name": name, "code": code, "accountId": account});
    app.environment(body("preview", "pv", &child)).await;
    // Side by side nobody is in the other's way.
    app.environment(body("preview", "pre", &sibling)).await;
    for (name, code, account) in [
        ("preview", "other", &child),
        ("preview", "other", &parent),
        ("other", "pv", &parent),
        ("other", "pre", &parent),
    ] {
        let refused = app.post("/v1/environments", body(name, code, account));
        refused.await.problem(409, "conflict");
    }
    for (name, code, field) in [
        ("staging", "x", "name"),
        ("x", "stg", "code"),
        ("Preview", "x", "name"),
        ("x", "elevenchars", "code"),
    ] {
        let refused = app.post("/v1/environments", body(name, code, &child));
        refused.await.refuses(&[field]);
    }
    // What a deleted account defined is in nobody's way.
    for account in [&child, &sibling] {
        app.delete(&format!("/v1/accounts/{account}"))
            .await
            .expect(200);
    }
    app.environment(body("preview", "pv", &parent)).await;
}

#[tokio::test]
async fn an_environment_in_use_is_not_deleted_and_one_that_is_built_in_never() {
    let Family {
        app, parent, child, ..
    } = family().await;
    let id = app
        .environment(json!({"name": "preview", "accountId": parent}))
        .await;
    let path = format!("/v1/environments/{id}");
    let body = json!({"name": "k", "accountId": child, "environment": "preview"});
    let (key, _) = app.key(body).await;
    let body = json!({
        "name": "a", "accountId": child, "upstream": "https://upstream.example",
        "endpoints": [{"host": "a.example", "environment": "preview"}],
    });
    let api = app.post("/v1/apis", body).await.expect(201);
    let refused = app.delete(&path).await.problem(409, "conflict");
    assert_eq!(
        refused["detail"],
        "1 keys and 1 endpoints use the environment; delete or change them first"
    );
    app.delete(&format!("/v1/keys/{}", text(&key["id"])))
        .await
        .expect(200);
    app.delete(&path).await.problem(409, "conflict");
    app.delete(&format!("/v1/apis/{}", text(&api["api"]["id"])))
        .await
        .expect(200);
    assert_eq!(
        app.delete(&path).await.expect(200),
        json!({"deleted": true})
    );
    app.get(&path).await.problem(404, "not_found");
    app.post("/v1/keys", json!({"name": "k", "environment": "preview"}))
        .await
        .refuses(&["environment"]);
    app.delete("/v1/environments/production")
        .await
        .problem(409, "conflict");
}

#[tokio::test]
async fn a_change_is_audited_and_made_only_of_the_version_that_was_seen() {
    let app = App::start().await;
    let id = app.environment(json!({"name": "preview"})).await;
    let path = format!("/v1/environments/{id}");
    let before = app.get(&path).await.expect(200);
    assert_eq!(before["rotateAfterDays"], Value::Null);
    let patch = json!({"rotateAfterDays": 30});
    let after = app.patch(&path, patch.clone()).await.expect(200);
    assert_eq!(after["environment"]["rotateAfterDays"], 30);
    assert!(version(&after["environment"]) > version(&before));
    let stale = app
        .request(Method::PATCH, &path)
        .header("if-match", format!("\"{}\"", version(&before)))
        .json(&patch);
    assert_eq!(stale.send().await.unwrap().status(), 412);
    app.patch(&path, json!({"name": "other"}))
        .await
        .refuses(&["name"]);
    app.patch(&path, json!({"rotateAfterDays": 0}))
        .await
        .refuses(&["rotateAfterDays"]);
    app.delete(&path).await.expect(200);

    let path = "/v1/environments/staging";
    app.patch(path, json!({"rotateAfterDays": 90}))
        .await
        .expect(200);
    let log = app.get("/v1/audit-log?action=environment.").await;
    let entries = log.expect(200)["data"].clone();
    let told: Vec<_> = entries
        .as_array()
        .unwrap()
        .iter()
        .map(|e| {
            (
                text(&e["action"]),
                text(&e["target"]["name"]),
                e["after"].clone(),
            )
        })
        .collect();
    assert_eq!(told.len(), 4);
    assert_eq!(
        (told[0].0.as_str(), told[0].1.as_str()),
        ("environment.update", "staging")
    );
    assert_eq!(told[0].2["rotateAfterDays"], 90);
    let actions = [&told[1].0, &told[2].0, &told[3].0];
    assert_eq!(
        actions,
        [
            "environment.delete",
            "environment.update",
            "environment.create"
        ]
    );
}
