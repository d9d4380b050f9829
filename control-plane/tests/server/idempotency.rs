//! `Idempotency-Key`: a repeated POST gets the first one's answer.

use std::time::Instant;

use keyward::admin_token::AdminToken;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::support::app::text;
use crate::support::edge::Seen;
use crate::support::process::Process;
use crate::support::wait::PATIENCE;
use crate::support::{Answer, App, Database, Edge, until};

const DAY: u64 = 24 * 60 * 60 * 1000;

async fn post(app: &App, path: &str, key: &str, body: Value) -> Answer {
    let request = app.request(Method::POST, path).json(&body);
    let request = request.header("idempotency-key", key);
    Answer::read(request.send().await.unwrap()).await
}

async fn keys(app: &App) -> usize {
    let page = app.get("/v1/keys?limit=200").await.expect(200);
    page["data"].as_array().unwrap().len()
}

#[track_caller]
fn is_replay(answer: &Answer) -> bool {
    answer
        .headers
        .get("idempotent-replayed")
        .is_some_and(|value| value == "true")
}

#[tokio::test]
async fn a_repeated_create_makes_one_key_and_gives_the_same_answer_with_the_same_token() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let body = json!({"name": "k"});
    let first = post(&app, "/v1/keys", "order-1", body.clone()).await;
    assert!(!is_replay(&first));
    for _ in 0..2 {
        let again = post(&app, "/v1/keys", "order-1", body.clone()).await;
        assert!(is_replay(&again));
        assert_eq!(again.status, 201);
        assert_eq!(again.body, first.body);
        for name in ["etag", "content-type", "cache-control"] {
            assert_eq!(again.headers[name], first.headers[name], "{name}");
        }
        assert_ne!(again.headers["x-request-id"], first.headers["x-request-id"]);
    }
    let first = first.expect(201);
    assert_eq!(first["propagated"], true);
    assert!(text(&first["token"]).starts_with("kw_prod_sk_"));
    assert_eq!(keys(&app).await, 1);
    // Another server on the same database knows it, too.
    let app = app.restart(&[edge.url()]).await;
    let again = post(&app, "/v1/keys", "order-1", body.clone()).await;
    assert!(is_replay(&again));
    assert_eq!(again.body, first);
    let other = post(&app, "/v1/keys", "order-2", body).await.expect(201);
    assert_ne!(other["key"]["id"], first["key"]["id"]);
    assert_eq!(keys(&app).await, 2);
}

#[tokio::test]
async fn every_post_that_changes_something_can_be_repeated() {
    let app = App::start().await;
    let api = json!({
        "name": "An API", "upstream": "https://upstream.example",
        "endpoints": [{"host": "api.example", "environment": "production"}],
    });
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    for (n, (path, body)) in [
        ("/v1/accounts".to_owned(), json!({"name": "Child"})),
        ("/v1/apis".to_owned(), api),
        (format!("{path}/rotate"), json!({"graceSeconds": 60})),
        (format!("{path}/rotation/cancel"), json!({})),
        (format!("{path}/revoke"), json!({})),
        (format!("{path}/reactivate"), json!({})),
    ]
    .into_iter()
    .enumerate()
    {
        let before = entries(&app).await;
        let first = post(&app, &path, &format!("key-{n}"), body.clone()).await;
        let again = post(&app, &path, &format!("key-{n}"), body).await;
        assert!(first.status < 300, "{path}: {:#}", first.body);
        assert!(!is_replay(&first) && is_replay(&again), "{path}");
        assert_eq!((again.status, again.body), (first.status, first.body));
        assert_eq!(entries(&app).await, before + 1, "{path}");
    }
}

/// How many acts there were.
async fn entries(app: &App) -> i64 {
    let count = app.database.number("select count(*) from audit_log").await;
    count.unwrap()
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_token() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let first = post(&app, "/v1/keys", "a", json!({"name": "a"}))
        .await
        .expect(201);
    post(&app, "/v1/keys", "a", json!({"name": "b"}))
        .await
        .problem(422, "idempotency_key_reused");
    let rotate = format!("/v1/keys/{}/rotate", text(&key["id"]));
    post(&app, &rotate, "a", json!({"name": "a"}))
        .await
        .problem(422, "idempotency_key_reused");
    // Another admin's key of the same name is another key.
    let child = app.account(json!({"name": "Child"})).await;
    let other = app.admin_of(&child).await;
    let request = app
        .bare(Method::POST, "/v1/keys")
        .bearer_auth(other.token.expose())
        .header("idempotency-key", "a")
        .json(&json!({"name": "a"}));
    let answer = Answer::read(request.send().await.unwrap()).await;
    assert!(!is_replay(&answer));
    assert_ne!(answer.expect(201)["key"]["id"], first["key"]["id"]);
    assert_eq!(keys(&app).await, 3);
}

#[tokio::test]
async fn without_a_valid_token_nothing_is_repeated() {
    let app = App::start().await;
    let child = app.account(json!({"name": "Child"})).await;
    let other = app.admin_of(&child).await;
    let send = async || {
        let request = app
            .bare(Method::POST, "/v1/keys")
            .bearer_auth(other.token.expose())
            .header("idempotency-key", "a")
            .json(&json!({"name": "a"}));
        Answer::read(request.send().await.unwrap()).await
    };
    send().await.expect(201);
    app.database
        .meddle("update admin_tokens set expires_at = 1 where name = 'test'")
        .await;
    send().await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_call_that_failed_may_be_repeated_and_a_kept_answer_outlives_what_it_tells_of() {
    let app = App::start().await;
    post(&app, "/v1/keys", "a", json!({"name": ""}))
        .await
        .expect(422);
    let body = json!({"name": "a", "expiresAt": "2027-01-15T09:00:00Z"});
    let made = post(&app, "/v1/keys", "a", body.clone()).await;
    assert!(!is_replay(&made));
    let made = made.expect(201);
    app.delete(&format!("/v1/keys/{}", text(&made["key"]["id"])))
        .await
        .expect(200);
    // Now `expiresAt` would be refused.
    app.clock.advance(2 * 60 * 60 * 1000);
    let again = post(&app, "/v1/keys", "a", body).await;
    assert_eq!(again.expect(201), made);
}

#[tokio::test]
async fn a_precondition_held_for_the_first_call_does_not_stop_its_repetition() {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}/rotate", text(&key["id"]));
    let send = async || {
        let request = app
            .request(Method::POST, &path)
            .header("idempotency-key", "a")
            .header("if-match", format!("\"{}\"", key["version"]));
        Answer::read(request.send().await.unwrap()).await
    };
    let first = send().await.expect(200);
    assert_eq!(send().await.expect(200), first);
}

#[tokio::test]
async fn answers_are_kept_for_a_day_and_then_removed() {
    let app = App::start().await;
    let body = json!({"name": "k"});
    let rows = async || {
        let count = app
            .database
            .number("select count(*) from idempotent_answers");
        count.await.unwrap()
    };
    let first = post(&app, "/v1/keys", "a", body.clone()).await.expect(201);
    post(&app, "/v1/keys", "b", body.clone()).await.expect(201);
    assert_eq!(rows().await, 2);
    app.clock.advance(DAY - 1);
    assert_eq!(
        post(&app, "/v1/keys", "a", body.clone()).await.expect(201),
        first
    );
    app.clock.advance(1);
    let second = post(&app, "/v1/keys", "a", body.clone()).await;
    assert!(!is_replay(&second));
    assert_ne!(second.expect(201)["token"], first["token"]);
    assert_eq!(rows().await, 1);
    app.clock.advance(DAY);
    let app = app.restart(&[]).await;
    let count = app
        .database
        .number("select count(*) from idempotent_answers");
    assert_eq!(count.await, Some(0));
}

#[tokio::test]
async fn a_key_that_cannot_be_one_is_refused_and_one_on_other_methods_is_ignored() {
    let app = App::start().await;
    let long = "k".repeat(255);
    let too_long = "k".repeat(256);
    for (key, status) in [
        (long.as_str(), 201),
        ("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", 201),
        ("~!{}", 201),
        (&too_long, 400),
        ("", 400),
        ("a b", 400),
        ("a\tb", 400),
        ("\u{e9}", 400),
    ] {
        let answer = post(&app, "/v1/keys", key, json!({"name": "k"})).await;
        assert_eq!(answer.status, status, "{key:?}: {:#}", answer.body);
    }
    let twice = app
        .request(Method::POST, "/v1/keys")
        .header("idempotency-key", "a")
        .header("idempotency-key", "a")
        .json(&json!({"name": "k"}));
    Answer::read(twice.send().await.unwrap())
        .await
        .problem(400, "bad_request");
    let made = app.key(json!({"name": "k"})).await.0;
    let path = format!("/v1/keys/{}", text(&made["id"]));
    for name in ["m", "n"] {
        let request = app
            .request(Method::PATCH, &path)
            .header("idempotency-key", "p")
            .json(&json!({"name": name}));
        let answer = Answer::read(request.send().await.unwrap()).await;
        assert_eq!(answer.expect(200)["key"]["name"], name);
    }
    let large = json!({"name": "k", "metadata": {"x": "y".repeat(1_100_000)}});
    post(&app, "/v1/keys", "large", large)
        .await
        .problem(413, "payload_too_large");
}

#[tokio::test]
async fn of_simultaneous_calls_one_is_carried_out_and_the_others_are_told_to_wait_or_get_its_answer()
 {
    let app = App::start().await;
    for round in 0..10 {
        let key = format!("round-{round}");
        let body = json!({"name": "k"});
        let calls = (0..6).map(|_| post(&app, "/v1/keys", &key, body.clone()));
        let answers = futures_util::future::join_all(calls).await;
        let carried_out = answers.iter().filter(|a| a.status == 201 && !is_replay(a));
        assert_eq!(carried_out.count(), 1);
        let mut tokens: Vec<String> = Vec::new();
        for answer in answers {
            if answer.status == 409 {
                assert_eq!(answer.headers["retry-after"], "1");
                answer.problem(409, "idempotency_in_progress");
            } else {
                tokens.push(text(&answer.expect(201)["token"]));
            }
        }
        tokens.dedup();
        assert_eq!(tokens.len(), 1);
        assert_eq!(keys(&app).await, round + 1);
    }
}

#[tokio::test]
async fn while_the_first_call_waits_for_the_edges_its_repetition_is_told_to_ask_again() {
    let address = Edge::nowhere().await;
    let database = Database::fresh().await;
    let admin = AdminToken::mint().unwrap();
    let edges = [format!("http://{address}")];
    let server = Process::serve(&database, admin.expose(), &edges, "log").await;
    let send = async || {
        let request = Client::builder().no_proxy().build().unwrap();
        let request = request
            .post(format!("{}/v1/keys", server.base))
            .bearer_auth(admin.expose())
            .header("idempotency-key", "a")
            .json(&json!({"name": "k"}));
        Answer::read(request.send().await.unwrap()).await
    };
    let first = async { send().await.expect(201) };
    let second = async {
        until("the first is carried out", || async {
            let keys = database.number("select count(*) from keys").await;
            (keys == Some(1)).then_some(())
        })
        .await;
        send().await.problem(409, "idempotency_in_progress");
        Edge::at(address, Seen::default()).await
    };
    let (first, _edge) = tokio::join!(first, second);
    assert_eq!(first["propagated"], true);
    assert_eq!(send().await.expect(201), first);
}

#[tokio::test]
async fn two_servers_on_one_database_carry_out_one_of_two_calls() {
    let database = Database::fresh().await;
    let admin = AdminToken::mint().unwrap();
    let one = Process::serve(&database, admin.expose(), &[], "one").await;
    let two = Process::serve(&database, admin.expose(), &[], "two").await;
    let client = Client::builder().no_proxy().build().unwrap();
    for round in 0..10 {
        let send = async |base: &str| {
            let request = client
                .post(format!("{base}/v1/keys"))
                .bearer_auth(admin.expose())
                .header("idempotency-key", format!("round-{round}"))
                .json(&json!({"name": "k"}));
            Answer::read(request.send().await.unwrap()).await
        };
        let (a, b) = tokio::join!(send(&one.base), send(&two.base));
        let done = [&a, &b]
            .iter()
            .filter(|x| x.status == 201 && !is_replay(x))
            .count();
        assert_eq!(done, 1, "{:#} {:#}", a.body, b.body);
        let again = send(&two.base).await;
        assert!(is_replay(&again));
        let first = if a.status == 201 { a } else { b };
        assert_eq!(again.body["token"], first.body["token"]);
        let keys = database.number("select count(*) from keys").await;
        assert_eq!(keys, Some(round + 1));
    }
}

#[tokio::test]
async fn killed_at_any_point_and_repeated_a_call_is_carried_out_once() {
    let database = Database::fresh().await;
    let admin = AdminToken::mint().unwrap();
    let mut replays = 0;
    // How long a whole call takes here and now; the first round finds out.
    let mut whole = PATIENCE;
    for round in 0..20_u32 {
        let mut server = Process::serve(&database, admin.expose(), &[], "log").await;
        let client = Client::builder().no_proxy().build().unwrap();
        let send = async |base: &str| {
            let request = client
                .post(format!("{base}/v1/keys"))
                .bearer_auth(admin.expose())
                .header("idempotency-key", format!("round-{round}"))
                .json(&json!({"name": "k"}))
                .send();
            Some(Answer::read(request.await.ok()?).await)
        };
        // From before the call arrives until after its answer.
        let pause = if round == 0 {
            whole
        } else {
            whole * round / 14
        };
        let base = server.base.clone();
        let began = Instant::now();
        let _ = tokio::time::timeout(pause, send(&base)).await;
        if round == 0 {
            whole = began.elapsed();
        }
        server.kill();
        let server = Process::serve(&database, admin.expose(), &[], "log").await;
        let answer = send(&server.base).await.unwrap();
        replays += usize::from(is_replay(&answer));
        let token = text(&answer.expect(201)["token"]);
        assert!(token.starts_with("kw_prod_sk_"));
        let keys = database.number("select count(*) from keys").await;
        assert_eq!(keys, Some(i64::from(round) + 1));
        let hashes = database.number("select count(*) from key_hashes").await;
        assert_eq!(hashes, keys);
    }
    println!("{replays} of 20 calls had been carried out before the server was killed");
    assert!(
        replays > 0,
        "the server was always killed too early to show anything"
    );
}
