//! Credentials: missing, malformed, and keys that open nothing.

use std::collections::{BTreeMap, BTreeSet};

use keyward_tests::{
    Answer, Call, PATIENCE, World, eventually, forged_token, mistyped_token, world,
};
use serde_json::json;

fn customers() -> Call {
    Call::get("/v1/customers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_credential_is_challenged_without_an_error() {
    let world = world!();
    let key = world.key(json!({})).await;
    let in_query = format!("/v1/customers?api_key={0}&access_token={0}", key.token);
    let spellings = [
        customers(),
        Call::get(&in_query),
        customers().header("cookie", &format!("authorization=Bearer {}", key.token)),
        customers().header("x-api-token", &key.token),
        // The runtime leaves an empty one out.
        customers().header("authorization", ""),
    ];
    for call in spellings {
        let answer = world.send(&call).await;
        let body = answer.refusal(401, "missing_credential");
        assert_eq!(
            answer.header("www-authenticate"),
            Some(r#"Bearer realm="Demo API""#)
        );
        assert_eq!(body["title"], "API key required");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_of_a_malformed_credential_is_refused_and_says_what_is_wrong() {
    let world = world!();
    let key = world.key(json!({})).await;
    let token = key.token.as_str();
    let bearer = |text: &str| customers().header("authorization", text);
    let plain = |text: &str| customers().header("x-api-key", text);
    let form = "The API key has not the form of a key";
    let scheme = "The Authorization header must be `Bearer` and an API key";
    let characters = "The API key has characters that no key has";
    let mistyped = "The API key's checksum does not match: it is mistyped or cut off";
    let cases = [
        (bearer("Basic dXNlcjpwYXNz"), scheme),
        (bearer(token), scheme),
        (bearer(&format!("Token {token}")), scheme),
        (
            bearer("Basic dXNlcjpwYXNz").header("x-api-key", token),
            scheme,
        ),
        (bearer("Bearer"), "The API key is empty"),
        (plain(""), "The API key is empty"),
        (bearer(&format!("Bearer {token} {token}")), characters),
        (bearer(&format!("Bearer {token},{token}")), characters),
        (bearer(&format!("Bearer \"{token}\"")), form),
        (plain(&"a".repeat(513)), "The API key is too long"),
        (bearer("Bearer nonsense"), form),
        (plain("kw_prod_sk_short"), form),
        (
            bearer(&format!("Bearer {}", &token[..token.len() - 1])),
            form,
        ),
        (bearer(&format!("Bearer {token}x")), form),
        (
            bearer(&format!("Bearer {}", token.replace("_sk_", "_pk_"))),
            form,
        ),
        (
            bearer(&format!("Bearer {}", mistyped_token(token, 7))),
            mistyped,
        ),
        (plain(&mistyped_token(token, 45)), mistyped),
        (
            bearer(&format!("Bearer {token}")).header("x-api-key", "kw_prod_sk_other"),
            "Authorization and X-API-Key carry different keys",
        ),
    ];
    for (call, detail) in cases {
        let answer = world.send(&call).await;
        let body = answer.refusal(401, "malformed_credential");
        assert_eq!(body["detail"], detail, "{call:?}");
        let challenge = answer.header("www-authenticate").unwrap_or_default();
        let expected = format!(
            r#"Bearer realm="Demo API", error="invalid_token", error_description="{detail}""#
        );
        assert_eq!(challenge, expected);
        assert!(!answer.text().contains(token), "{call:?}");
    }
    assert_eq!(world.upstream.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_passes_in_either_header_in_both_and_with_any_case_of_the_scheme() {
    let world = world!();
    let key = world.key(json!({})).await;
    let token = key.token.as_str();
    let bearer = |scheme: &str| customers().header("authorization", &format!("{scheme} {token}"));
    for call in [
        bearer("Bearer"),
        bearer("bearer"),
        bearer("BEARER  "),
        customers().header("x-api-key", token),
        bearer("Bearer").header("x-api-key", token),
    ] {
        let answer = world.send(&call).await;
        assert_eq!(answer.status, 200, "{call:?} {}", answer.text());
        let seen = world.upstream.last().expect("a request came through");
        for name in ["authorization", "x-api-key"] {
            assert!(!seen.headers.contains_key(name), "{:?}", seen.headers);
        }
    }
}

/// All that a caller sees, but for what differs from one request to the next.
fn seen(answer: &Answer) -> (u16, BTreeMap<String, String>, String) {
    let id = answer.header("x-keyward-request-id").unwrap_or_default();
    let headers = answer.headers.iter().filter_map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let differs = ["x-keyward-request-id", "date"].contains(&name.as_str());
        (!differs).then(|| (name.to_string(), value))
    });
    (
        answer.status,
        headers.collect(),
        answer.text().replace(id, "-"),
    )
}

async fn once_refused(world: &World, what: &str, token: &str) -> Answer {
    let call = customers().key(token);
    eventually(what, PATIENCE, || async {
        let answer = world.send(&call).await;
        (answer.status != 200).then_some(answer)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_unknown_revoked_deleted_rotated_and_foreign_keys_look_all_the_same() {
    let world = world!();
    let [revoked, deleted, rotated] = [
        world.key(json!({})).await,
        world.key(json!({})).await,
        world.key(json!({})).await,
    ];
    for key in [&revoked, &deleted, &rotated] {
        let answer = world.send(&customers().key(&key.token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    world.admin.revoke(&revoked.key.id).await.unwrap();
    world.admin.delete_key(&deleted.key.id).await.unwrap();
    let fresh = world.admin.rotate(&rotated.key.id, 0).await.unwrap();
    let stranger = json!({"name": "Stranger"});
    let stranger = world.admin.create_account(&stranger).await.unwrap();
    let foreign = world.key(json!({"accountId": stranger})).await;
    let tokens = [
        ("a forged key", forged_token("prod", &world.account)),
        (
            "an unknown key",
            world.secrets.unissued_token("prod", &world.account),
        ),
        (
            "a key of no account",
            world.secrets.unissued_token("prod", "acc_00000000"),
        ),
        ("a revoked key", revoked.token),
        ("a deleted key", deleted.token),
        ("a key rotated away", rotated.token),
        ("another tenant's key", foreign.token),
    ];
    let mut first = None;
    for (what, token) in tokens {
        let answer = once_refused(&world, &format!("{what} is refused"), &token).await;
        let body = answer.refusal(401, "invalid_key");
        assert_eq!(body["message"], "Invalid or revoked API key");
        let seen = seen(&answer);
        assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{what}");
    }
    let answer = world.send(&customers().key(&fresh.token)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_id_is_never_given_twice() {
    let world = world!();
    let mut ids = BTreeSet::new();
    for _ in 0..50 {
        let answer = world.send(&customers()).await;
        let body = answer.refusal(401, "missing_credential");
        ids.insert(body["requestId"].to_string());
    }
    assert_eq!(ids.len(), 50, "{ids:?}");
}
