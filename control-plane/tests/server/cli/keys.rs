use reqwest::Method;
use serde_json::{Value, json};

use super::Desk;
use shared::token::ParsedToken;

#[tokio::test]
async fn create_writes_the_token_alone_to_standard_output() {
    let desk = Desk::new().await;
    let run = desk
        .run(&["keys", "create", "orders", "--per-minute", "7"])
        .await;
    assert!(run.err.contains("orders") && run.err.contains("requestsPerMinute"));
    assert!(!run.err.contains(run.out.trim()));
    let out = run.exits(0);
    let token = out.strip_suffix('\n').unwrap();
    let hints = ParsedToken::parse(token).unwrap().hints();
    let keys = desk.api("/v1/keys").await;
    let key = &keys["data"][0];
    assert_eq!(key["last8"], hints.last8);
    assert_eq!(key["name"], "orders");
    assert_eq!(key["rateLimits"]["requestsPerMinute"], 7);
}

#[tokio::test]
async fn create_takes_every_setting() {
    let desk = Desk::new().await;
    let account = desk.make("account", json!({"name": "Shop"})).await;
    desk.make("environment", json!({"name": "preview", "code": "pv"}))
        .await;
    let flags = [
        "keys",
        "create",
        "all",
        "--account",
        "Shop",
        "--environment",
        "preview",
        "--environment-code",
        "pv",
        "--permission",
        "a.read,b.*",
        "--resource",
        "agent:a",
        "--origin",
        "https://a.example",
        "--allow-missing-origin",
        "--ip",
        "10.0.0.0/8",
        "--preset",
        "production",
        "--per-hour",
        "none",
        "--enforcement",
        "strict",
        "--expires",
        "90d",
        "--metadata",
        r#"{"team": "x"}"#,
    ];
    let made = desk.shell.json(&flags).await;
    let token = made["token"].as_str().unwrap();
    assert_eq!(ParsedToken::parse(token).unwrap().env_code(), "pv");
    let id = made["key"]["id"].as_str().unwrap();
    let key = desk.api(&format!("/v1/keys/{id}")).await;
    assert_eq!(key["accountId"], account);
    assert_eq!(key["environment"], "preview");
    assert_eq!(key["permissions"], json!(["a.read", "b.*"]));
    assert_eq!(key["resources"], json!(["agent:a"]));
    assert_eq!(key["allowedOrigins"], json!(["https://a.example"]));
    assert_eq!(key["allowMissingOrigin"], true);
    assert_eq!(key["allowedIps"], json!(["10.0.0.0/8"]));
    let limits =
        json!({"requestsPerMinute": 100, "requestsPerHour": null, "requestsPerDay": 100_000});
    assert_eq!(key["rateLimits"], limits);
    assert_eq!(key["enforcement"], "strict");
    assert!(key["expiresAt"].is_string());
    assert_eq!(key["metadata"], json!({"team": "x"}));
}

#[tokio::test]
async fn a_list_is_a_table_with_a_line_for_each_key() {
    let desk = Desk::new().await;
    let a = desk
        .make("key", json!({"name": "A", "environment": "staging"}))
        .await;
    let b = desk
        .make(
            "key",
            json!({"name": "B b", "rateLimits": {"preset": "production"}}),
        )
        .await;
    let keys = desk.api("/v1/keys").await;
    let shown = |at: usize| {
        let key = &keys["data"][at];
        format!(
            "{}…{}",
            key["start"].as_str().unwrap(),
            key["last8"].as_str().unwrap()
        )
    };
    let account = keys["data"][0]["accountId"].as_str().unwrap().to_owned();
    let table = desk.run(&["keys", "list"]).await.table();
    let head = [
        "ID",
        "NAME",
        "STATUS",
        "ENVIRONMENT",
        "TOKEN",
        "LIMITS",
        "EXPIRES",
        "LAST USED",
        "ROTATION DUE",
        "OWNER",
        "ACCOUNT",
    ];
    assert_eq!(table[0], head);
    let (first, second) = (shown(0), shown(1));
    let limits = "100/min 5000/h 100000/d";
    assert_eq!(
        table[1],
        [
            &b,
            "B b",
            "active",
            "production",
            &first,
            limits,
            "-",
            "-",
            "-",
            "-",
            &account
        ]
    );
    assert_eq!(
        table[2],
        [
            &a, "A", "active", "staging", &second, "60/min", "-", "-", "-", "-", &account
        ]
    );
    assert_eq!(table.len(), 3);
}

#[tokio::test]
async fn a_list_takes_every_filter() {
    let desk = Desk::new().await;
    let account = desk.make("account", json!({"name": "Shop"})).await;
    let key = desk
        .make(
            "key",
            json!({"name": "one", "accountId": account, "environment": "staging"}),
        )
        .await;
    desk.make("key", json!({"name": "two"})).await;
    let all: [&[&str]; 5] = [
        &["--account", "Shop"],
        &["--environment", "staging"],
        &["--query", "on"],
        &["--status", "active", "-q", "ONE"],
        &["--account", &account],
    ];
    for filter in all {
        let found = desk.shell.json(&[&["keys", "list"], filter].concat()).await;
        let ids: Vec<_> = found["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|key| &key["id"])
            .collect();
        assert_eq!(ids, [&Value::from(key.as_str())], "{filter:?}");
    }
    let none: [&[&str]; 3] = [
        &["--status", "revoked"],
        &["--unused-for-days", "1"],
        &["--query", "absent"],
    ];
    for filter in none {
        let run = desk.run(&[&["keys", "list"], filter].concat()).await;
        assert_eq!(run.err, "No key found.\n");
        assert_eq!(run.exits(0), "", "{filter:?}");
    }
    let run = desk.run(&["keys", "list", "--status", "asleep"]).await;
    run.fails(1, "\n  status: ");
}

#[tokio::test]
async fn pages_are_followed_to_the_end_only_when_all_are_wanted() {
    let desk = Desk::new().await;
    for number in 0..5 {
        desk.make("key", json!({"name": format!("k{number}")}))
            .await;
    }
    let run = desk.run(&["keys", "list", "--limit", "2"]).await;
    let cursor = run.err.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(run.table().len(), 3);
    let next = desk
        .shell
        .json(&["keys", "list", "--limit", "2", "--cursor", &cursor])
        .await;
    assert_eq!(next["data"][0]["name"], "k2");
    let all = desk
        .shell
        .json(&["keys", "list", "--limit", "2", "--all"])
        .await;
    let names: Vec<_> = all["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["name"])
        .collect();
    assert_eq!(names, ["k4", "k3", "k2", "k1", "k0"]);
    assert_eq!(all["nextCursor"], Value::Null);
    let lines = desk
        .run(&["keys", "list", "--limit", "2", "--all"])
        .await
        .table();
    let lines: Vec<_> = lines
        .iter()
        .filter(|line| line[0].starts_with("key_"))
        .collect();
    assert_eq!(lines.len(), 5);
    let none = desk
        .shell
        .json(&["keys", "list", "--query", "absent", "--all"])
        .await;
    assert_eq!(none, json!({"data": [], "nextCursor": null}));
}

#[tokio::test]
async fn a_key_is_shown_by_id_name_or_the_beginning_of_either() {
    let desk = Desk::new().await;
    let id = desk.make("key", json!({"name": "orders"})).await;
    desk.make("key", json!({"name": "twice"})).await;
    desk.make("key", json!({"name": "twice"})).await;
    for which in [id.as_str(), "orders", "ord", &id[..20]] {
        assert_eq!(
            desk.shell.json(&["keys", "show", which]).await["id"],
            *id,
            "{which}"
        );
    }
    let table = desk.run(&["keys", "show", "orders"]).await.table();
    assert!(
        table.contains(&vec!["id".to_owned(), id.clone()]),
        "{table:?}"
    );
    let limit = ["rateLimits.requestsPerMinute", "60"].map(str::to_owned);
    assert!(table.contains(&limit.to_vec()), "{table:?}");
    desk.run(&["keys", "show", "twice"])
        .await
        .fails(2, "may be one of 2");
    desk.run(&["keys", "show", "absent"])
        .await
        .fails(1, "there is no key absent");
    let other = format!("key_{}", "0".repeat(20));
    desk.run(&["keys", "show", &other])
        .await
        .fails(1, "404 not_found");
}

#[tokio::test]
async fn an_update_changes_what_is_given_and_nothing_else() {
    let desk = Desk::new().await;
    let id = desk
        .make(
            "key",
            json!({"name": "k", "permissions": ["a.read"], "rateLimits": {"requestsPerDay": 9}}),
        )
        .await;
    desk.run(&[
        "keys",
        "update",
        "k",
        "--name",
        "renamed",
        "--per-minute",
        "5",
    ])
    .await
    .exits(0);
    let key = desk.api(&format!("/v1/keys/{id}")).await;
    assert_eq!(key["name"], "renamed");
    assert_eq!(key["permissions"], json!(["a.read"]));
    let limits = json!({"requestsPerMinute": 5, "requestsPerHour": null, "requestsPerDay": 9});
    assert_eq!(key["rateLimits"], limits);
    desk.run(&[
        "keys",
        "update",
        &id,
        "--permission",
        "",
        "--per-day",
        "none",
    ])
    .await
    .exits(0);
    let key = desk.api(&format!("/v1/keys/{id}")).await;
    assert_eq!(key["permissions"], json!([]));
    assert_eq!(key["rateLimits"]["requestsPerDay"], Value::Null);
    desk.run(&["keys", "update", &id])
        .await
        .fails(2, "nothing to change");
    desk.run(&["keys", "update", "rena", "--name", "x"])
        .await
        .fails(2, "only the beginning");
}

#[tokio::test]
async fn rotate_writes_the_new_token_alone() {
    let desk = Desk::new().await;
    let id = desk.make("key", json!({"name": "k"})).await;
    let before = desk.api(&format!("/v1/keys/{id}")).await["last8"].clone();
    let out = desk
        .run(&["keys", "rotate", "k", "--grace", "1h"])
        .await
        .exits(0);
    let hints = ParsedToken::parse(out.trim_end()).unwrap().hints();
    let key = desk.api(&format!("/v1/keys/{id}")).await;
    assert_eq!(key["last8"], hints.last8);
    assert_ne!(key["last8"], before);
    let run = desk.run(&["keys", "rotate", "k", "--grace", "9999d"]).await;
    run.fails(1, "\n  graceSeconds: ");
}

#[tokio::test]
async fn a_key_is_stopped_and_deleted_only_by_who_says_yes() {
    let desk = Desk::new().await;
    let id = desk.make("key", json!({"name": "k"})).await;
    let path = format!("/v1/keys/{id}");
    for action in ["revoke", "delete"] {
        desk.run(&["keys", action, "k"]).await.fails(2, "--yes");
    }
    assert_eq!(desk.api(&path).await["status"], "active");
    desk.run(&["keys", "revoke", "k", "--yes"]).await.exits(0);
    assert_eq!(desk.api(&path).await["status"], "revoked");
    desk.run(&["keys", "rotate", "k"])
        .await
        .fails(1, "409 conflict");
    desk.run(&["keys", "reactivate", "k"]).await.exits(0);
    assert_eq!(desk.api(&path).await["status"], "active");
    desk.run(&["keys", "delete", "k", "-y"]).await.exits(0);
    assert_eq!(desk.status(&path).await, 404);
}

#[tokio::test]
async fn usage_is_a_table_or_json() {
    let desk = Desk::new().await;
    desk.make("key", json!({"name": "k"})).await;
    let run = desk.run(&["keys", "usage", "k"]).await;
    assert_eq!(run.err, "It was not used in that time.\n");
    let usage = desk
        .shell
        .json(&[
            "keys",
            "usage",
            "k",
            "--step",
            "day",
            "--from",
            "2026-01-01T00:00:00Z",
        ])
        .await;
    assert_eq!(usage["step"], "day");
    assert_eq!(usage["from"], "2026-01-01T00:00:00.000Z");
    desk.run(&["keys", "usage", "k", "--step", "week"])
        .await
        .fails(1, "\n  step: ");
}

#[tokio::test]
async fn what_the_server_refuses_is_told_field_by_field() {
    let desk = Desk::new().await;
    let flags = [
        "keys",
        "create",
        "",
        "--permission",
        "no permission",
        "--ip",
        "1.2.3",
        "--per-minute",
        "0",
    ];
    let run = desk.run(&flags).await;
    let told: Vec<_> = run
        .err
        .lines()
        .skip(1)
        .map(|line| line.split(':').next().unwrap().trim())
        .collect();
    assert_eq!(
        told,
        [
            "name",
            "permissions[0]",
            "allowedIps[0]",
            "rateLimits.requestsPerMinute"
        ]
    );
    run.fails(1, "(422 validation_failed)");
    for flags in [&["--metadata", "[]"], &["--per-hour", "many"]] {
        let run = desk
            .run(&[&["keys", "create", "k"], flags.as_slice()].concat())
            .await;
        assert_eq!(run.code, 2, "{}", run.err);
    }
    let keys = desk
        .process
        .call(Method::GET, "/v1/keys", &desk.shell.token, None)
        .await;
    assert_eq!(keys.unwrap().expect(200)["data"], json!([]));
}
