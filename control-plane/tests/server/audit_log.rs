//! `/v1/audit-log`: every act leaves one entry, which nobody changes.

use keyward::store::query_of;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{text, version};
use crate::support::database::on_postgres;
use crate::support::{Answer, App};

/// Every entry that a query finds, newest first, from pages of two.
async fn entries(app: &App, filter: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/audit-log?limit=2{filter}{cursor}");
        let page = app.get(&path).await.expect(200);
        all.extend(page["data"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn actions(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|e| text(&e["action"])).collect()
}

/// The id of the token that the tests act with.
async fn my_token(app: &App) -> Value {
    app.get("/v1/me").await.expect(200)["token"]["id"].clone()
}

async fn newest(app: &App) -> Value {
    app.get("/v1/audit-log?limit=1").await.expect(200)["data"][0].clone()
}

#[tokio::test]
async fn an_entry_says_who_did_what_to_what_from_where_and_how_it_ended() {
    let app = App::start().await;
    let root = app.get("/v1/accounts").await.expect(200)["data"][0].clone();
    let made = app.post("/v1/keys", json!({"name": "Till"})).await;
    let request_id = made.headers["x-request-id"].to_str().unwrap().to_owned();
    let key = made.expect(201)["key"].clone();
    let entry = newest(&app).await;
    assert!(text(&entry["id"]).starts_with("aud_"));
    assert_eq!(entry["time"], "2027-01-15T08:00:00.000Z");
    assert_eq!(entry["accountId"], root["id"]);
    assert_eq!(
        entry["actor"],
        json!({"kind": "admin", "tokenId": my_token(&app).await, "tokenName": "environment", "memberId": null})
    );
    assert_eq!(entry["clientAddress"], "127.0.0.1");
    assert_eq!(entry["requestId"], json!(request_id));
    assert_eq!(entry["action"], "key.create");
    assert_eq!(
        entry["target"],
        json!({"kind": "key", "id": key["id"], "name": "Till"})
    );
    assert_eq!((&entry["before"], &entry["after"]), (&Value::Null, &key));
    assert_eq!(entry["outcome"], "success");
    let path = format!("/v1/audit-log/{}", text(&entry["id"]));
    assert_eq!(app.get(&path).await.expect(200), entry);
}

#[tokio::test]
async fn every_act_on_a_key_is_an_entry_with_what_it_changed() {
    let app = App::start().await;
    let (key, _) = app
        .key(json!({"name": "k", "permissions": ["a.read"]}))
        .await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let changed = app
        .patch(&path, json!({"name": "k", "permissions": ["a.write"]}))
        .await
        .expect(200);
    let entry = newest(&app).await;
    assert_eq!(entry["action"], "key.update");
    assert_eq!(
        entry["before"],
        json!({"permissions": ["a.read"], "version": version(&key)})
    );
    assert_eq!(
        entry["after"],
        json!({"permissions": ["a.write"], "version": version(&changed["key"])})
    );

    for (act, body, action, differs) in [
        ("revoke", json!({}), "key.revoke", &["status"][..]),
        ("reactivate", json!({}), "key.reactivate", &["status"]),
        (
            "rotate",
            json!({"graceSeconds": 60}),
            "key.rotate",
            &["start", "last8", "rotation"],
        ),
        (
            "rotation/cancel",
            json!({}),
            "key.cancel_rotation",
            &["start", "last8", "rotation"],
        ),
        (
            "rotate",
            json!({"graceSeconds": 60}),
            "key.rotate",
            &["start", "last8", "rotation"],
        ),
        (
            "rotation/finish",
            json!({}),
            "key.finish_rotation",
            &["rotation"],
        ),
    ] {
        app.post(&format!("{path}/{act}"), body).await.expect(200);
        let entry = newest(&app).await;
        assert_eq!(entry["action"], action);
        let mut expected = vec!["version"];
        expected.extend(differs);
        expected.sort_unstable();
        for side in ["before", "after"] {
            let mut names: Vec<_> = entry[side].as_object().unwrap().keys().collect();
            names.sort_unstable();
            assert_eq!(names, expected, "{action}: {side}");
        }
    }
    let last = app.get(&path).await.expect(200);
    app.delete(&path).await.expect(200);
    let entry = newest(&app).await;
    assert_eq!(entry["action"], "key.delete");
    assert_eq!((&entry["before"], &entry["after"]), (&last, &Value::Null));
}

#[tokio::test]
async fn acts_on_accounts_and_apis_are_entries_of_the_account_concerned() {
    let app = App::start().await;
    let account = app.account(json!({"name": "Child"})).await;
    let path = format!("/v1/accounts/{account}");
    app.patch(&path, json!({"name": "Renamed"}))
        .await
        .expect(200);
    let api = app.api("api.example").await;
    app.patch(&format!("/v1/apis/{api}"), json!({"name": "Other"}))
        .await
        .expect(200);
    app.delete(&format!("/v1/apis/{api}")).await.expect(200);
    app.delete(&path).await.expect(200);

    let of_account = entries(&app, &format!("&account={account}")).await;
    assert_eq!(
        actions(&of_account),
        ["account.delete", "account.update", "account.create"]
    );
    assert_eq!(of_account[1]["before"]["name"], "Child");
    assert_eq!(of_account[1]["after"]["name"], "Renamed");
    let of_api = entries(&app, &format!("&target={api}")).await;
    assert_eq!(actions(&of_api), ["api.delete", "api.update", "api.create"]);
    assert_eq!(of_api[2]["after"]["endpoints"][0]["host"], "api.example");
}

#[tokio::test]
async fn the_beginning_is_the_systems_act_and_happens_once() {
    let app = App::start().await;
    let app = app.restart(&[]).await;
    let found = entries(&app, "&actor=system").await;
    assert_eq!(actions(&found), ["token.create", "account.create"]);
    for entry in &found {
        assert_eq!(entry["actor"]["kind"], "system");
        assert_eq!(entry["actor"]["tokenId"], Value::Null);
        assert_eq!(entry["clientAddress"], Value::Null);
        assert_eq!(entry["requestId"], Value::Null);
    }
    assert_eq!(found[0]["target"]["id"], my_token(&app).await);
    assert_eq!(found[0]["target"]["name"], "environment");
    assert!(!found[0].to_string().contains(app.admin.expose()));
}

#[tokio::test]
async fn what_is_refused_or_only_read_leaves_no_entry() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let before = entries(&app, "").await;
    app.get(&path).await.expect(200);
    app.post("/v1/keys", json!({"name": ""})).await.expect(422);
    app.post(&format!("{path}/rotation/finish"), json!({}))
        .await
        .expect(409);
    app.patch("/v1/keys/key_nobody", json!({}))
        .await
        .expect(404);
    let bare = app.bare(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(bare.status(), 401);
    assert_eq!(entries(&app, "").await, before);
}

#[tokio::test]
async fn entries_are_found_by_actor_action_target_and_time() {
    let app = App::start().await;
    let child = app.account(json!({"name": "Child"})).await;
    let other = app.admin_of(&child).await;
    app.clock.advance(60_000);
    let made = other
        .post("/v1/keys", json!({"name": "k"}))
        .await
        .expect(201);
    let id = text(&made["key"]["id"]);
    app.clock.advance(60_000);
    app.post(&format!("/v1/keys/{id}/revoke"), json!({}))
        .await
        .expect(200);

    let mine = my_token(&app).await;
    let theirs = other.get("/v1/me").await.expect(200)["token"]["id"].clone();
    let (mine, theirs) = (text(&mine), text(&theirs));
    let all = ["key.revoke", "key.create", "account.create"];
    for (filter, expected) in [
        (
            format!("&actor={mine}"),
            &["key.revoke", "account.create"][..],
        ),
        (format!("&actor={theirs}"), &["key.create"]),
        ("&actor=test".to_owned(), &["key.create"]),
        ("&actor=nobody".to_owned(), &[]),
        ("&action=key".to_owned(), &all[..2]),
        ("&action=key.c".to_owned(), &all[1..2]),
        ("&action=create".to_owned(), &[]),
        ("&action=key%25".to_owned(), &[]),
        (format!("&target={id}"), &all[..2]),
        (format!("&account={child}"), &all),
        ("&from=2027-01-15T08:01:00Z".to_owned(), &all[..2]),
        ("&from=2027-01-15T08:01:00.001Z".to_owned(), &all[..1]),
        (
            "&from=2027-01-15T08:01:00Z&to=2027-01-15T08:02:00Z".to_owned(),
            &all[1..2],
        ),
        (
            format!("&account={child}&action=key&actor={mine}"),
            &all[..1],
        ),
    ] {
        assert_eq!(actions(&entries(&app, &filter).await), expected, "{filter}");
    }
    assert_eq!(entries(&app, "").await.len(), 5);
    app.get("/v1/audit-log?from=yesterday")
        .await
        .refuses(&["from"]);
    app.get("/v1/audit-log?limit=0").await.refuses(&["limit"]);
    app.get("/v1/audit-log?cursor=x").await.refuses(&["cursor"]);
    app.get("/v1/audit-log?account=acc_nobody00")
        .await
        .expect(404);
}

#[tokio::test]
async fn an_admin_sees_the_entries_of_its_account_and_those_below() {
    let app = App::start().await;
    let child = app.account(json!({"name": "Child"})).await;
    let grandchild = app
        .account(json!({"name": "Grandchild", "parentId": child}))
        .await;
    app.account(json!({"name": "Sister"})).await;
    app.delete(&format!("/v1/accounts/{grandchild}"))
        .await
        .expect(200);
    let other = app.admin_of(&child).await;
    let seen = other.get("/v1/audit-log").await.expect(200);
    let seen = seen["data"].as_array().unwrap();
    let targets: Vec<_> = seen.iter().map(|e| text(&e["target"]["id"])).collect();
    assert_eq!(targets, [grandchild.clone(), grandchild.clone(), child]);
    // What happened to an account outlives it.
    let path = format!("/v1/audit-log?account={grandchild}");
    let of_gone = other.get(&path).await.expect(200);
    assert_eq!(of_gone["data"].as_array().unwrap().len(), 2);

    let hidden = newest_of_root(&app).await;
    let path = format!("/v1/audit-log/{}", text(&hidden["id"]));
    app.get(&path).await.expect(200);
    let problem = other.get(&path).await.problem(404, "not_found");
    assert_eq!(
        text(&problem["detail"]),
        format!("There is no audit entry {}", text(&hidden["id"]))
    );
    let root = text(&hidden["accountId"]);
    other
        .get(&format!("/v1/audit-log?account={root}"))
        .await
        .expect(404);
    other
        .get(&format!("/v1/audit-log/export?account={root}"))
        .await
        .expect(404);
    other.get("/v1/audit-log/verify").await.expect(404);
}

async fn newest_of_root(app: &App) -> Value {
    let root = app.get("/v1/audit-log?actor=system").await.expect(200);
    root["data"][0].clone()
}

#[tokio::test]
async fn an_export_has_every_entry_once_oldest_first_a_line_each() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    // More than are read at a time.
    for n in 0..450 {
        app.patch(&path, json!({"metadata": {"n": n}}))
            .await
            .expect(200);
    }
    let export = async |filter: &str| {
        let path = format!("/v1/audit-log/export{filter}");
        let response = app.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let text = response.text().await.unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        lines
    };
    let all = export("").await;
    let mut listed = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.get(&format!("/v1/audit-log?limit=200{cursor}")).await;
        let page = page.expect(200);
        listed.extend(page["data"].as_array().unwrap().clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    listed.reverse();
    assert_eq!(all.len(), 453);
    assert_eq!(all, listed);
    let updates = export("?action=key.update").await;
    assert_eq!(updates.len(), 450);
    assert_eq!(updates[449]["after"]["metadata"], json!({"n": 449}));
    assert_eq!(export("?target=key_nobody").await, Vec::<Value>::new());
    Answer::read(
        app.request(Method::GET, "/v1/audit-log/export?limit=1")
            .send()
            .await
            .unwrap(),
    )
    .await
    .expect(422);
}

async fn meddling(app: &App, statements: &[&str]) -> Result<(), String> {
    let store = app.store().await;
    let mut tx = store.write().await.unwrap();
    for statement in statements {
        let done = query_of((*statement).to_owned()).execute(&mut tx).await;
        done.map_err(|error| error.to_string())?;
    }
    tx.commit().await.map_err(|error| error.to_string())?;
    store.close().await;
    Ok(())
}

#[tokio::test]
async fn the_database_refuses_to_change_or_remove_entries() {
    let app = App::start().await;
    app.key(json!({"name": "k"})).await;
    let mut statements = vec![
        "update audit_log set outcome = 'other'",
        "delete from audit_log",
    ];
    if on_postgres() {
        statements.push("truncate audit_log");
    }
    for statement in statements {
        let refused = meddling(&app, &[statement]).await.unwrap_err();
        assert!(refused.contains("append-only"), "{refused}");
    }
    assert_eq!(entries(&app, "").await.len(), 3);
}

#[tokio::test]
async fn who_goes_around_that_is_found_out() {
    let unlock = if on_postgres() {
        "alter table audit_log disable trigger all"
    } else {
        "drop trigger audit_log_no_update"
    };
    let unlock_delete = if on_postgres() {
        unlock
    } else {
        "drop trigger audit_log_no_delete"
    };
    for (acts, right, broken) in [
        (
            [
                unlock,
                "update audit_log set token_name = 'else' where seq = 3",
            ],
            2,
            2,
        ),
        (
            [
                unlock,
                "update audit_log set after_view = '{}' where seq = 4",
            ],
            3,
            3,
        ),
        ([unlock_delete, "delete from audit_log where seq = 3"], 2, 3),
    ] {
        let app = App::start().await;
        for name in ["a", "b", "c"] {
            app.key(json!({"name": name})).await;
        }
        let found = app.get("/v1/audit-log/verify").await.expect(200);
        let mut all = entries(&app, "").await;
        all.reverse();
        assert_eq!(
            found,
            json!({"valid": true, "entries": 5, "hash": all[4]["hash"], "brokenAt": null})
        );
        assert_eq!(all[4]["previousHash"], all[3]["hash"]);
        meddling(&app, &acts).await.unwrap();
        let found = app.get("/v1/audit-log/verify").await.expect(200);
        assert_eq!(found["valid"], false);
        assert_eq!(found["entries"], right);
        assert_eq!(found["brokenAt"], all[broken]["id"], "{}", acts[1]);
    }
}

#[tokio::test]
async fn acts_at_the_same_time_make_one_chain() {
    let app = App::start().await;
    let calls = (0..30).map(|n| app.post("/v1/keys", json!({"name": format!("k{n}")})));
    for answer in futures_util::future::join_all(calls).await {
        answer.expect(201);
    }
    let found = app.get("/v1/audit-log/verify").await.expect(200);
    assert_eq!(
        (&found["valid"], &found["entries"]),
        (&json!(true), &json!(32))
    );
}
