//! `GET /v1/keys`.

use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::text;
use crate::support::usage::{batch, report, row};

const DAY: u64 = 24 * 3_600_000;

/// The names of the keys that a query finds, sorted.
async fn found(app: &App, query: &str) -> Vec<String> {
    let list = app.get(&format!("/v1/keys?{query}")).await.expect(200);
    assert_eq!(list["nextCursor"], Value::Null);
    let mut names: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|k| text(&k["name"]))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn pages_hold_every_key_once_newest_first_while_others_are_made() {
    let app = App::start().await;
    for n in 0..7 {
        // Some are made at the same moment.
        app.clock.advance(n % 2);
        app.key(json!({"name": n.to_string()})).await;
    }
    let mut seen = Vec::new();
    let mut query = "limit=2".to_owned();
    loop {
        let page = app.get(&format!("/v1/keys?{query}")).await.expect(200);
        for key in page["data"].as_array().unwrap() {
            seen.push((text(&key["createdAt"]), text(&key["id"])));
        }
        app.clock.advance(1);
        app.key(json!({"name": "later"})).await;
        match page["nextCursor"].as_str() {
            Some(cursor) => query = format!("limit=2&cursor={cursor}"),
            None => break,
        }
    }
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    sorted.reverse();
    assert_eq!(seen, sorted);
    assert_eq!(seen.len(), 7);
}

#[tokio::test]
async fn a_page_has_fifty_keys_unless_told_otherwise() {
    let app = App::start().await;
    for n in 0..51 {
        app.key(json!({"name": n.to_string()})).await;
    }
    let page = app.get("/v1/keys").await.expect(200);
    assert_eq!(page["data"].as_array().unwrap().len(), 50);
    let cursor = text(&page["nextCursor"]);
    let rest = app
        .get(&format!("/v1/keys?cursor={cursor}"))
        .await
        .expect(200);
    assert_eq!(rest["data"].as_array().unwrap().len(), 1);
    let all = app.get("/v1/keys?limit=200").await.expect(200);
    assert_eq!(all["data"].as_array().unwrap().len(), 51);
    assert_eq!(all["nextCursor"], Value::Null);
}

#[tokio::test]
async fn keys_are_found_by_account_environment_and_owner() {
    let app = App::start().await;
    let account = app.account(json!({"name": "a"})).await;
    app.key(json!({"name": "root"})).await;
    let owner = app
        .member("a@example.com", "developer", Some(&account))
        .await;
    app.key(json!({"name": "below", "accountId": account, "ownerId": owner}))
        .await;
    app.key(json!({"name": "staging", "environment": "staging"}))
        .await;
    assert_eq!(found(&app, "").await, ["below", "root", "staging"]);
    assert_eq!(found(&app, &format!("account={account}")).await, ["below"]);
    assert_eq!(found(&app, "environment=staging").await, ["staging"]);
    assert_eq!(
        found(&app, "environment=production").await,
        ["below", "root"]
    );
    assert_eq!(found(&app, &format!("owner={owner}")).await, ["below"]);
    assert_eq!(
        found(&app, &format!("owner={owner}&environment=staging")).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn keys_are_found_by_parts_of_name_and_token_in_any_case_and_script() {
    let app = App::start().await;
    let (_, token) = app.key(json!({"name": "Überweisung 100%"})).await;
    let (key, _) = app.key(json!({"name": "under_score"})).await;
    assert_eq!(found(&app, "q=überw").await, ["Überweisung 100%"]);
    assert_eq!(found(&app, "q=ÜBERW").await, ["Überweisung 100%"]);
    assert_eq!(found(&app, "q=100%25").await, ["Überweisung 100%"]);
    assert_eq!(found(&app, "q=r_s").await, ["under_score"]);
    assert_eq!(found(&app, "q=r%25s").await, Vec::<String>::new());
    assert_eq!(
        found(&app, &format!("q={}", &token[token.len() - 8..])).await,
        ["Überweisung 100%"]
    );
    assert_eq!(found(&app, &format!("q={}", &token[..15])).await.len(), 1);
    assert_eq!(
        found(&app, &format!("q={}", text(&key["id"]))).await,
        ["under_score"]
    );
    // No part of the token that nobody is shown.
    assert_eq!(
        found(&app, &format!("q={}", &token[20..30])).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn keys_are_found_by_the_status_that_is_shown() {
    let app = App::start().await;
    app.key(json!({"name": "active"})).await;
    app.key(json!({"name": "expired", "expiresAt": "2027-01-15T08:00:10Z"}))
        .await;
    let (revoked, _) = app
        .key(json!({"name": "revoked", "expiresAt": "2027-01-15T08:00:10Z"}))
        .await;
    app.post(
        &format!("/v1/keys/{}/revoke", text(&revoked["id"])),
        json!({}),
    )
    .await
    .expect(200);
    let (throttled, _) = app.key(json!({"name": "throttled"})).await;
    app.clock.advance(30_000);
    let id = text(&throttled["id"]);
    let minute = keyward::clock::Clock::now(&*app.clock) / 60_000;
    report(&app, &batch("g", 1, &[row(&id, minute, "rate_limited", 3)]))
        .await
        .expect(200);

    assert_eq!(found(&app, "status=active").await, ["active"]);
    assert_eq!(found(&app, "status=expired").await, ["expired"]);
    assert_eq!(found(&app, "status=revoked").await, ["revoked"]);
    assert_eq!(found(&app, "status=rate_limited").await, ["throttled"]);
    let shown = app.get(&format!("/v1/keys/{id}")).await.expect(200);
    assert_eq!(shown["status"], "rate_limited");
    // A minute after the refusal, which was 1.5 s into its minute.
    app.clock.advance(31_500);
    assert_eq!(
        found(&app, "status=rate_limited").await,
        Vec::<String>::new()
    );
    assert_eq!(found(&app, "status=active").await, ["active", "throttled"]);
    assert_eq!(
        app.get(&format!("/v1/keys/{id}")).await.expect(200)["status"],
        "active"
    );
}

#[tokio::test]
async fn keys_are_found_by_how_long_they_were_not_used() {
    let app = App::start().await;
    let (used, _) = app.key(json!({"name": "used"})).await;
    app.key(json!({"name": "never used"})).await;
    app.clock.advance(85 * DAY);
    app.key(json!({"name": "new"})).await;
    let minute = keyward::clock::Clock::now(&*app.clock) / 60_000;
    let id = text(&used["id"]);
    report(&app, &batch("g", 1, &[row(&id, minute, "ok", 1)]))
        .await
        .expect(200);
    app.clock.advance(10 * DAY);
    assert_eq!(found(&app, "unusedForDays=90").await, ["never used"]);
    assert_eq!(
        found(&app, "unusedForDays=9").await,
        ["never used", "new", "used"]
    );
    assert_eq!(
        found(&app, "unusedForDays=3650").await,
        Vec::<String>::new()
    );
}
