//! Keys that were made elsewhere: in by the hashes of their tokens, out again, each a line of JSON.

use reqwest::{Body, Method};
use serde_json::{Value, json};
use shared::record::KeyState;
use shared::token::KeyHash;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::app::text;
use crate::support::{Answer, App, Edge, until};

fn hash(token: &str) -> String {
    KeyHash::of(token).to_hex()
}

async fn import(app: &App, query: &str, body: impl Into<Body>) -> Answer {
    let request = app
        .request(Method::POST, &format!("/v1/imports{query}"))
        .header("content-type", "application/x-ndjson")
        .body(body);
    Answer::read(request.send().await.unwrap()).await
}

async fn lines(app: &App, path: &str) -> Vec<Value> {
    let response = app.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let text = response.text().await.unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn each_line_becomes_a_key_or_is_told_what_is_wrong_with_it() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let full = json!({
        "hash": hash("old token 1"), "name": "First", "environment": "staging", "permissions": ["a.read"],
        "rateLimits": {"requestsPerMinute": 7}, "start": "old_", "last8": "87654321",
        "createdAt": "2020-01-01T00:00:00Z", "status": "revoked", "metadata": {"from": "elsewhere"},
    });
    let body = format!(
        "{full}\n\n{}\nnonsense\n{}\n{}\n{}\n{}",
        json!({"hash": hash("old token 2"), "name": "Second"}),
        json!({"hash": "short", "name": ""}),
        json!({"hash": hash("old token 3"), "name": "Third", "colour": "red"}),
        // The same hash once more, and a byte that is no text.
        json!({"hash": hash("old token 2"), "name": "Again"}),
        "\u{1}",
    );
    let told = import(&app, "", body).await.expect(201);
    let counts = ["lines", "created", "existing", "refused"].map(|name| told[name].as_u64());
    assert_eq!(counts, [Some(7), Some(2), Some(1), Some(4)], "{told}");
    assert_eq!(told["state"], "done");
    let id = text(&told["id"]);
    assert_eq!(
        app.get(&format!("/v1/imports/{id}")).await.expect(200),
        told
    );

    let report = lines(&app, &format!("/v1/imports/{id}/report")).await;
    let statuses: Vec<(u64, &str)> = report
        .iter()
        .map(|l| (l["line"].as_u64().unwrap(), l["status"].as_str().unwrap()))
        .collect();
    assert_eq!(
        statuses,
        [
            (1, "created"),
            (3, "created"),
            (4, "refused"),
            (5, "refused"),
            (6, "refused"),
            (8, "refused")
        ]
    );
    let fields = |line: usize| -> Vec<&str> {
        let errors = report[line]["errors"].as_array().unwrap();
        errors
            .iter()
            .map(|e| e["field"].as_str().unwrap())
            .collect()
    };
    assert_eq!(fields(3), ["hash", "name"]);
    assert_eq!(fields(4), ["colour"]);

    let path = format!("/v1/keys/{}", text(&report[0]["id"]));
    let key = app.get(&path).await.expect(200);
    assert_eq!(key["name"], "First");
    assert_eq!(key["status"], "revoked");
    assert_eq!(key["createdAt"], "2020-01-01T00:00:00.000Z");
    assert_eq!(
        (&key["start"], &key["last8"]),
        (&json!("old_"), &json!("87654321"))
    );
    let second = text(&report[1]["id"]);
    let record = until("the keys are at the edge", || async {
        edge.seen.key(&second)
    })
    .await;
    assert_eq!(record.state, KeyState::Active);
    assert_eq!(record.credentials[0].hash, KeyHash::of("old token 2"));
    assert_eq!(record.limits.requests_per_minute, Some(60));
}

#[tokio::test]
async fn sent_again_an_import_makes_no_key_twice() {
    let app = App::start().await;
    let line = |n: u32| json!({"hash": hash(&n.to_string()), "name": n.to_string()}).to_string();
    let some: Vec<String> = (0..450).map(line).collect();
    import(&app, "", some[..300].join("\n")).await.expect(201);
    app.clock.advance(1);
    let told = import(&app, "", some.join("\n")).await.expect(201);
    let counts = ["lines", "created", "existing", "refused"].map(|name| told[name].as_u64());
    assert_eq!(counts, [Some(450), Some(150), Some(300), Some(0)]);
    assert_eq!(lines(&app, "/v1/keys/export").await.len(), 450);
    let imports = app.get("/v1/imports?limit=1").await.expect(200);
    assert_eq!(imports["data"], json!([told]));
}

#[tokio::test]
async fn an_export_is_what_an_import_takes() {
    let from = App::start().await;
    let child = from.account(json!({"name": "child"})).await;
    from.environment(json!({"name": "preview", "code": "pv"}))
        .await;
    let body = json!({
        "name": "k", "accountId": child, "environment": "preview", "environmentCode": "pv",
        "permissions": ["a.*"], "resources": ["agent:1"], "allowedOrigins": ["https://a.example"],
        "allowMissingOrigin": true, "allowedIps": ["10.0.0.0/8"], "enforcement": "strict",
        "rateLimits": {"preset": "production"}, "expiresIn": "30d", "metadata": {"a": [1]},
    });
    let (_, token) = from.key(body).await;
    from.key(json!({"name": "of the root"})).await;
    let (gone, _) = from.key(json!({"name": "deleted"})).await;
    from.delete(&format!("/v1/keys/{}", text(&gone["id"])))
        .await
        .expect(200);
    // Its time is over, and it is told all the same.
    from.clock.advance(31 * 86_400_000);
    assert_eq!(lines(&from, "/v1/keys/export").await.len(), 2);
    let exported = lines(&from, &format!("/v1/keys/export?account={child}")).await;
    assert_eq!(exported.len(), 1);
    assert_eq!(exported[0]["hash"], hash(&token));
    assert_eq!(exported[0]["status"], "expired");

    let to = App::start().await;
    to.clock.advance(31 * 86_400_000);
    // The other side has to have the environment.
    let told = import(&to, "", exported[0].to_string()).await.expect(201);
    assert_eq!((&told["created"], &told["refused"]), (&json!(0), &json!(1)));
    to.environment(json!({"name": "preview", "code": "pv"}))
        .await;
    let told = import(&to, "", exported[0].to_string()).await.expect(201);
    assert_eq!(told["created"], 1, "{told}");
    let mut again = lines(&to, "/v1/keys/export").await.remove(0);
    let mut expected = exported[0].clone();
    for name in ["id", "accountId", "updatedAt", "version"] {
        again.as_object_mut().unwrap().remove(name);
        expected.as_object_mut().unwrap().remove(name);
    }
    assert_eq!(again, expected);
    from.get("/v1/keys/export?account=acc_00000000")
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_hash_of_another_account_is_refused_and_its_key_stays() {
    let app = App::start().await;
    let mine = app.account(json!({"name": "mine"})).await;
    let (theirs, token) = app.key(json!({"name": "theirs"})).await;
    let line = json!({"hash": hash(&token), "name": "stolen"}).to_string();
    let told = import(&app, &format!("?account={mine}"), line)
        .await
        .expect(201);
    assert_eq!(told["refused"], 1);
    let path = format!("/v1/keys/{}", text(&theirs["id"]));
    assert_eq!(app.get(&path).await.expect(200), theirs);
    let report = lines(&app, &format!("/v1/imports/{}/report", text(&told["id"]))).await;
    assert_eq!(report[0]["errors"][0]["field"], "hash");
    assert!(!report[0].to_string().contains(&text(&theirs["accountId"])));
    import(&app, "?account=acc_00000000", "")
        .await
        .problem(404, "not_found");
    let me = app.admin_of(&mine).await;
    let other = import(&app, "", "").await.expect(201);
    me.get(&format!("/v1/imports/{}", text(&other["id"])))
        .await
        .problem(404, "not_found");
    me.get(&format!("/v1/imports/{}/report", text(&other["id"])))
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn a_line_gives_no_more_than_its_owners_role_and_the_caller_may_give() {
    let app = App::start().await;
    let role = app.role("r", &["keys.write"], &["a.*"]).await;
    let owner = app.member("ada@example.com", &role, None).await;
    let limited = app.with_token(json!({"name": "t", "role": role})).await;
    let line = |n: u32, permission: &str, owner: Option<&str>| json!({"hash": hash(&n.to_string()), "name": "k", "permissions": [permission], "ownerId": owner});
    let body = [
        line(1, "a.read", Some(&owner)),
        line(2, "b.read", Some(&owner)),
        line(3, "b.read", None),
        line(4, "a.read", Some("mem_00000000000000000000")),
    ];
    let body = body.map(|line| line.to_string()).join("\n");
    let told = import(&app, "", body.clone()).await.expect(201);
    assert_eq!((&told["created"], &told["refused"]), (&json!(2), &json!(2)));
    let refused = lines(&app, &format!("/v1/imports/{}/report", text(&told["id"]))).await;
    let fields: Vec<_> = refused
        .iter()
        .filter(|line| line["errors"].is_array())
        .map(|line| text(&line["errors"][0]["field"]))
        .collect();
    assert_eq!(fields, ["permissions", "ownerId"]);

    let request = app.bare(Method::POST, "/v1/imports");
    let request = request.bearer_auth(limited.token.expose());
    let request = request.body(line(5, "b.read", None).to_string());
    let told = Answer::read(request.send().await.unwrap())
        .await
        .expect(201);
    assert_eq!((&told["created"], &told["refused"]), (&json!(0), &json!(1)));
}

#[tokio::test]
async fn progress_is_seen_while_lines_come_and_what_was_taken_stays_when_they_break_off() {
    let app = App::start().await;
    let many: String = (0..500)
        .map(|n| json!({"hash": hash(&n.to_string()), "name": "k"}).to_string() + "\n")
        .collect();
    let head = format!(
        "POST /v1/imports HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ntransfer-encoding: chunked\r\n\r\n",
        app.admin.expose()
    );
    let address = app.base.trim_start_matches("http://");
    let mut caller = TcpStream::connect(address).await.unwrap();
    let sent = format!("{head}{:x}\r\n{many}\r\n", many.len());
    caller.write_all(sent.as_bytes()).await.unwrap();
    until("all that came was taken", || async {
        let told = app.get("/v1/imports").await.expect(200);
        let import = &told["data"][0];
        let seen = import["state"] == "running" && import["created"] == 500;
        seen.then_some(())
    })
    .await;
    // More was to come.
    drop(caller);
    until("the import is known to have failed", || async {
        let told = app.get("/v1/imports").await.expect(200);
        (told["data"][0]["state"] == "failed").then_some(())
    })
    .await;
    assert_eq!(lines(&app, "/v1/keys/export").await.len(), 500);
}
