//! No token and no secret is written anywhere: databases, KV, the guards' storage, logs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use keyward_tests::{
    Call, GuardNetwork, NewKey, PATIENCE, World, WorldOptions, eventually, forged_token,
    mistyped_token, world,
};
use serde_json::json;
use shared::token::KeyHash;

/// The harness hands the Worker its secrets in this file.
const BINDINGS: &str = "edge/config.capnp";

/// Something to search for, in all forms in which it could be written.
struct Needle {
    what: String,
    forms: Vec<Vec<u8>>,
}

impl Needle {
    /// A text: as it is, and what an encoder would make of it.
    fn of(what: &str, text: &str) -> Self {
        let mut forms = encoded(text.as_bytes());
        forms.push(text.as_bytes().to_vec());
        forms.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        Self {
            what: what.to_owned(),
            forms,
        }
    }

    /// And bytes that the text stands for.
    fn and(mut self, bytes: &[u8]) -> Self {
        self.forms.extend(encoded(bytes));
        self.forms.push(bytes.to_vec());
        self
    }

    fn is_in(&self, haystack: &[u8]) -> bool {
        self.forms.iter().any(|form| contains(haystack, form))
    }
}

fn encoded(bytes: &[u8]) -> Vec<Vec<u8>> {
    [
        hex::encode(bytes),
        hex::encode_upper(bytes),
        STANDARD.encode(bytes),
        STANDARD_NO_PAD.encode(bytes),
        URL_SAFE.encode(bytes),
        URL_SAFE_NO_PAD.encode(bytes),
    ]
    .map(String::into_bytes)
    .to_vec()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    assert!(needle.len() >= 8, "too short to tell anything");
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

/// A token whole, and the part of it that nobody is shown.
fn token(what: &str, token: &str) -> [Needle; 2] {
    let random = token.rfind('_').map_or(0, |mark| mark + 1);
    let hidden = &token[random + 4..random + 24];
    let named = format!("the hidden part of {what}");
    [Needle::of(what, token), Needle::of(&named, hidden)]
}

/// The world's own secrets.
fn own(world: &World) -> Vec<Needle> {
    let secrets = &world.secrets;
    let of_hex = |what: &str, text: &str| {
        let bytes = hex::decode(text).expect("hexadecimal");
        Needle::of(what, text).and(&bytes)
    };
    let push = Needle::of("the push secret", &secrets.push);
    let bare = secrets.push.trim_start_matches("whsec_");
    let admin = secrets.admin_token.trim_start_matches("kwa_");
    vec![
        of_hex("the tag secret", &secrets.tag),
        of_hex("the assertion secret", &secrets.assertion),
        push.and(world.secrets.push_secret().expose()),
        Needle::of("the push secret's text", bare),
        Needle::of("the admin token", &secrets.admin_token),
        Needle::of("the admin token's random part", admin),
    ]
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder can be read") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// Everything that was written, by its path below the world's folder.
fn written(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    files(world.folder(), &mut found);
    let named = found.iter().map(|path| {
        let below = path.strip_prefix(world.folder()).expect("below");
        let bytes = std::fs::read(path).expect("a file can be read");
        (below.display().to_string(), bytes)
    });
    named.filter(|(name, _)| name != BINDINGS).collect()
}

/// Where something was found.
fn holders(written: &[(String, Vec<u8>)], text: &str) -> Vec<String> {
    let found = written
        .iter()
        .filter(|(_, bytes)| contains(bytes, text.as_bytes()));
    found.map(|(name, _)| name.clone()).collect()
}

fn is_below(names: &[String], folder: &str) -> bool {
    names.iter().any(|name| name.starts_with(folder))
}

/// Uses a token as it should be, and in ways in which it should not.
async fn use_and_misuse(world: &World, token: &str) {
    let customers = || Call::get("/v1/customers");
    for call in [
        customers().key(token),
        customers().header("x-api-key", token),
        Call::get(&format!("/v1/customers?api_key={token}")).key(token),
        Call::get(&format!("/v1/customers/{token}")).key(token),
        Call::get(&format!("/v1/accounts/{token}/agents")).key(token),
        customers().header("authorization", &format!("Basic {token}")),
        customers().key(&format!("{token}{token}")),
        customers().key(&mistyped_token(token, 9)),
        customers()
            .key(token)
            .host(&format!("{token}.test").to_lowercase()),
        customers().key(token).origin(&format!("https://{token}")),
        Call::post("/.keyward/verify").json(&json!({"key": token})),
        Call::post("/.keyward/verify").json(&json!({token: token})),
        Call::post("/.keyward/verify").json(&json!({"key": token, "path": token})),
        Call::post("/.keyward/push").json(&json!({"records": [token]})),
        Call::get(&format!("/.keyward/{token}")),
        Call::get("/.keyward/state").key(token),
    ] {
        let _ = world.send(&call).await;
    }
    let mistakes = [
        ("GET", format!("/v1/keys/{token}"), None),
        ("GET", format!("/v1/keys?q={token}"), None),
        ("GET", format!("/v1/{token}"), None),
        (
            "POST",
            "/v1/keys".to_owned(),
            Some(json!({"name": 7, token: token})),
        ),
        (
            "POST",
            "/v1/keys".to_owned(),
            Some(json!({"name": "k", "expiresAt": token})),
        ),
        ("POST", "/v1/accounts".to_owned(), Some(json!(token))),
    ];
    for (method, path, body) in mistakes {
        let answer = world.admin.send(method, &path, body.as_ref()).await;
        assert!(answer.unwrap().status < 500, "{path}");
    }
    // An API key is no admin token, and an admin token no API key.
    let url = world.control_plane.url();
    let as_admin = Call::get("/v1/keys")
        .key(token)
        .request(&world.client, &url);
    assert_eq!(as_admin.send().await.unwrap().status(), 401);
    let admin_token = &world.secrets.admin_token;
    let answer = world.send(&customers().key(admin_token)).await;
    answer.refusal(401, "malformed_credential");
}

/// Guards that can't be asked, KV that fails, an edge that is away: whatever is logged then is in the logs.
async fn failures(world: &World, key: &NewKey) {
    let call = Call::get("/v1/customers").key(&key.token);
    let lost = GuardNetwork {
        lose: 1.0,
        ..GuardNetwork::default()
    };
    world.edge.set_guard_network(lost).await;
    world.edge.set_kv_broken(true).await;
    let elsewhere = Call::get("/")
        .host("elsewhere.example.test")
        .key(&key.token);
    let fresh = world.secrets.unissued_token("prod", &world.account);
    for call in [call.clone(), elsewhere, call.clone().key(&fresh)] {
        let _ = world.send(&call).await;
    }
    let propagated = world.admin.revoke(&key.key.id).await.unwrap();
    assert!(!propagated);
    world.edge.set_guard_network(GuardNetwork::default()).await;
    world.edge.set_kv_broken(false).await;
    world.edge.kill();
    assert!(!world.admin.reactivate(&key.key.id).await.unwrap());
    world.edge.restart().await;
    eventually("the key works again", PATIENCE, || async {
        (world.send(&call).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_and_no_secret_is_in_any_database_storage_or_log() {
    let world = world!(WorldOptions {
        propagation_wait: Some(Duration::from_secs(1)),
        ..WorldOptions::default()
    });
    let leased = world.key(json!({"name": "the leased key"})).await;
    let strict = world.key(json!({"enforcement": "strict"})).await;
    world.settle().await;
    let forged = forged_token("prod", &world.account);
    use_and_misuse(&world, &leased.token).await;
    use_and_misuse(&world, &strict.token).await;
    use_and_misuse(&world, &forged).await;
    let rotated = world.admin.rotate(&leased.key.id, 60).await.unwrap();
    world.settle().await;
    use_and_misuse(&world, &rotated.token).await;
    let deleted = world.key(json!({})).await;
    world.settle().await;
    use_and_misuse(&world, &deleted.token).await;
    world.admin.delete_key(&deleted.key.id).await.unwrap();
    world.settle().await;
    failures(&world, &strict).await;
    for key in [&leased, &strict] {
        eventually("usage arrives", PATIENCE, || async {
            let key = world.admin.key(&key.key.id).await.unwrap();
            (key.usage_count > 0).then_some(())
        })
        .await;
    }
    world.edge.kill();
    world.control_plane.kill();

    let written = written(&world);
    let mut needles = own(&world);
    for (what, text) in [
        ("the leased key's token", &leased.token),
        ("the strict key's token", &strict.token),
        ("the forged token", &forged),
        ("the rotated token", &rotated.token),
        ("the deleted key's token", &deleted.token),
    ] {
        needles.extend(token(what, text));
    }
    for (name, bytes) in &written {
        for needle in &needles {
            assert!(!needle.is_in(bytes), "{} is in {name}", needle.what);
        }
    }

    // The search finds what is there: the key's id in every store, its shown start and its hash where they belong.
    let id = holders(&written, &leased.key.id);
    for folder in ["keyward.db", "edge/guards/", "edge/kv/"] {
        assert!(is_below(&id, folder), "{folder}: {id:?}");
    }
    let random = leased.token.rfind('_').map_or(0, |mark| mark + 1);
    let start = holders(&written, &rotated.token[..random + 4]);
    assert!(is_below(&start, "keyward.db"), "{start:?}");
    let hash = holders(&written, &KeyHash::of(&leased.token).to_hex());
    for folder in ["keyward.db", "edge/guards/", "edge/kv/"] {
        assert!(is_below(&hash, folder), "{folder}: {hash:?}");
    }
    let log = holders(&written, "/v1/keys/{id}/rotate");
    assert_eq!(log, ["control-plane.log"]);
    let log = holders(&written, "the guard can't be asked");
    assert!(is_below(&log, "edge/edge.log"), "{log:?}");
}

#[test]
fn the_search_finds_every_form() {
    let secret = "whsec_c2VjcmV0IGJ5dGVzIGluIGhlcmU=";
    let needle = Needle::of("a secret", secret).and(b"secret bytes in here");
    let around = |bytes: &[u8]| [b"before ", bytes, b" after"].concat();
    for form in [
        secret.as_bytes().to_vec(),
        hex::encode(secret).into_bytes(),
        STANDARD.encode(secret).into_bytes(),
        b"secret bytes in here".to_vec(),
        hex::encode_upper("secret bytes in here").into_bytes(),
        URL_SAFE_NO_PAD.encode("secret bytes in here").into_bytes(),
    ] {
        assert!(needle.is_in(&around(&form)));
        assert!(!needle.is_in(&around(&form[1..])[..form.len() - 2]));
    }
}
