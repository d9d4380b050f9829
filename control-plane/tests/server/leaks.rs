//! Tokens found in public: GitHub's signed reports, and whoever holds a token.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::PublicKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{EncodePublicKey, LineEnding};
use reqwest::Method;
use serde_json::{Value, json};
use shared::record::KeyState;
use shared::token::KeyHash;
use tokio::net::TcpListener;

use crate::support::app::text;
use crate::support::{Answer, App, Edge};

/// The sample request of GitHub's documentation of the program, and the key that it is signed with.
const SAMPLE: &str = r#"[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]"#;
const SAMPLE_SIGNATURE: &str = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg==";
const SAMPLE_KEY_ID: &str = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c";
const SAMPLE_KEY: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd
AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==
-----END PUBLIC KEY-----
";

/// What stands in for GitHub: a list of public keys, on loopback, that counts how often it is fetched.
struct GitHub {
    url: String,
    fetched: Arc<AtomicUsize>,
    signs: SigningKey,
}

impl GitHub {
    async fn start() -> Self {
        let signs = SigningKey::from_slice(&[7; 32]).unwrap();
        let public = PublicKey::from(signs.verifying_key());
        let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
        let list = json!({"public_keys": [
            {"key_identifier": "other", "key": "of another kind", "is_current": true},
            {"key_identifier": SAMPLE_KEY_ID, "key": SAMPLE_KEY, "is_current": false},
            {"key_identifier": "ours", "key": pem, "is_current": true},
        ]});
        let fetched = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&fetched);
        let router = Router::new().route(
            "/keys",
            get(move || {
                counter.fetch_add(1, Ordering::SeqCst);
                async move { axum::Json(list) }
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url,
            fetched,
            signs,
        }
    }

    fn sign(&self, body: &str) -> String {
        let signature: DerSignature = self.signs.sign(body.as_bytes());
        STANDARD.encode(signature.as_bytes())
    }
}

async fn deliver(app: &App, key: &str, signature: &str, body: &str) -> Answer {
    let request = app
        .bare(Method::POST, "/v1/leaks/github")
        .header("Github-Public-Key-Identifier", key)
        .header("Github-Public-Key-Signature", signature)
        .header("Content-Type", "application/json")
        .body(body.to_owned());
    Answer::read(request.send().await.unwrap()).await
}

async fn newest_entry(app: &App) -> Value {
    app.get("/v1/audit-log?limit=1").await.expect(200)["data"][0].clone()
}

async fn key(app: &App, id: &Value) -> Value {
    app.get(&format!("/v1/keys/{}", text(id))).await.expect(200)
}

#[tokio::test]
async fn the_sample_of_githubs_documentation_is_verified() {
    let github = GitHub::start().await;
    let app = App::with_github_keys(&github.url).await;
    let labels = deliver(&app, SAMPLE_KEY_ID, SAMPLE_SIGNATURE, SAMPLE).await;
    let hash = KeyHash::of("some_token").to_hex();
    assert_eq!(
        labels.expect(200),
        json!([{"token_hash": hash, "token_type": "some_type", "label": "false_positive"}])
    );
    // One byte more is another body.
    let body = format!("{SAMPLE}\n");
    deliver(&app, SAMPLE_KEY_ID, SAMPLE_SIGNATURE, &body)
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn a_reported_token_revokes_its_key_and_the_finding_is_kept() {
    let github = GitHub::start().await;
    let app = App::with_github_keys(&github.url).await;
    let (leaked, token) = app.key(json!({"name": "leaked"})).await;
    let (kept, _) = app.key(json!({"name": "kept"})).await;
    let url = "https://github.example/commit/1";
    let body = json!([{"token": token, "type": "keyward_key", "url": url, "source": "content"}]);
    let body = body.to_string();
    let labels = deliver(&app, "ours", &github.sign(&body), &body).await;
    assert_eq!(labels.expect(200)[0]["label"], "true_positive");
    let after = key(&app, &leaked["id"]).await;
    assert_eq!(after["status"], "revoked");
    assert_eq!(
        after["leak"],
        json!({"reportedAt": "2027-01-15T08:00:00.000Z", "source": "github", "url": url})
    );
    assert_eq!(key(&app, &kept["id"]).await, kept);
    let entry = newest_entry(&app).await;
    assert_eq!(entry["actor"]["kind"], "github");
    assert_eq!(entry["action"], "key.revoke");
    assert_eq!(entry["after"]["leak"]["url"], url);
    // Told again, it is known as one of ours, and nothing changes.
    let again = deliver(&app, "ours", &github.sign(&body), &body).await;
    assert_eq!(again.expect(200)[0]["label"], "true_positive");
    assert_eq!(key(&app, &leaked["id"]).await, after);
}

#[tokio::test]
async fn what_is_not_signed_by_a_published_key_changes_nothing() {
    let github = GitHub::start().await;
    let app = App::with_github_keys(&github.url).await;
    let (leaked, token) = app.key(json!({"name": "k"})).await;
    let body = json!([{"token": token, "type": "t", "url": "", "source": "content"}]).to_string();
    let good = github.sign(&body);
    for (key, signature) in [
        ("ours", "nonsense"),
        ("ours", ""),
        ("nobody", good.as_str()),
        ("other", good.as_str()),
        (SAMPLE_KEY_ID, good.as_str()),
        ("ours", SAMPLE_SIGNATURE),
    ] {
        deliver(&app, key, signature, &body)
            .await
            .problem(401, "unauthorized");
    }
    let bare = app
        .bare(Method::POST, "/v1/leaks/github")
        .body(body.clone());
    Answer::read(bare.send().await.unwrap())
        .await
        .problem(401, "unauthorized");
    assert_eq!(key(&app, &leaked["id"]).await["status"], "active");
    // Names of keys that nobody published have the list fetched once a minute, not once a report.
    assert_eq!(github.fetched.load(Ordering::SeqCst), 1);
    app.clock.advance(60_000);
    deliver(&app, "nobody", &good, &body)
        .await
        .problem(401, "unauthorized");
    assert_eq!(github.fetched.load(Ordering::SeqCst), 2);
    let signed = github.sign("{}");
    deliver(&app, "ours", &signed, "{}")
        .await
        .problem(400, "invalid_json");
}

#[tokio::test]
async fn while_the_keys_cannot_be_fetched_a_report_is_to_be_sent_again() {
    let app = App::start().await;
    deliver(&app, SAMPLE_KEY_ID, SAMPLE_SIGNATURE, SAMPLE)
        .await
        .problem(503, "unavailable");
}

#[tokio::test]
async fn whoever_holds_a_token_can_have_it_revoked_without_an_admin_token() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let (held, token) = app.key(json!({"name": "k"})).await;
    let report = async |token: &str| {
        let body = json!({"token": token, "url": "https://paste.example/1"});
        let request = app.bare(Method::POST, "/v1/leaks/report").json(&body);
        Answer::read(request.send().await.unwrap())
            .await
            .expect(200)
    };
    let unknown = json!({"status": "unknown", "propagated": false});
    assert_eq!(report("nonsense").await, unknown);
    assert_eq!(report(&token[1..]).await, unknown);

    let told = report(&token).await;
    assert_eq!(told, json!({"status": "revoked", "propagated": true}));
    let record = edge.seen.key(&text(&held["id"])).unwrap();
    assert_eq!(record.state, KeyState::Revoked);
    assert_eq!(key(&app, &held["id"]).await["leak"]["source"], "possession");
    let entry = newest_entry(&app).await;
    assert_eq!(entry["actor"]["kind"], "holder");
    assert_eq!(entry["clientAddress"], "127.0.0.1");
    assert_eq!(entry["target"]["id"], held["id"]);
    let ended = json!({"status": "not_in_use", "propagated": false});
    assert_eq!(report(&token).await, ended);
}

#[tokio::test]
async fn in_a_grace_the_old_token_counts_as_in_use_and_after_it_no_longer() {
    let app = App::start().await;
    let (rotated, old) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}/rotate", text(&rotated["id"]));
    app.post(&path, json!({"graceSeconds": 60}))
        .await
        .expect(200);
    app.clock.advance(60_000);
    let body = json!({"token": old});
    let told = app.post("/v1/leaks/report", body.clone()).await.expect(200);
    assert_eq!(told["status"], "not_in_use");
    assert_eq!(key(&app, &rotated["id"]).await["status"], "active");

    let (rotated, old) = app.key(json!({"name": "k"})).await;
    let path = format!("/v1/keys/{}/rotate", text(&rotated["id"]));
    app.post(&path, json!({"graceSeconds": 60}))
        .await
        .expect(200);
    app.clock.advance(59_999);
    let told = app
        .post("/v1/leaks/report", json!({"token": old}))
        .await
        .expect(200);
    assert_eq!(told["status"], "revoked");
    assert_eq!(key(&app, &rotated["id"]).await["status"], "revoked");
}
