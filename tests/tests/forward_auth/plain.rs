//! Caddy's `forward_auth` directive as its documentation has it, without anything written out for Keyward.

use keyward_tests::{Call, Parts, need, world};
use serde_json::json;

use crate::front::Front;
use crate::{number, send};

const SITE: &str = "{$KEYWARD_SITE} {
	forward_auth {$KEYWARD_EDGE} {
		uri /.keyward/verify
		copy_headers X-Keyward-Key-Id X-Keyward-Account-Id
	}
	reverse_proxy {$KEYWARD_API}
}";

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_directive_of_caddy_admits_names_the_caller_and_refuses() {
    let caddy = need!(Parts::caddy());
    let world = world!();
    let front = Front::caddy_with(&caddy, &world, &world.upstream.url(), SITE).await;
    let limits = json!({"requestsPerMinute": 1});
    let settings = json!({"permissions": ["customers.read"], "rateLimits": limits});
    let key = world.key(settings).await;
    let read = Call::get("/v1/customers?x=1").key(&key.token);
    let answer = send(&world, &front, &read).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last().expect("it came through");
    assert_eq!(seen.target, "/v1/customers?x=1");
    assert_eq!(seen.headers["x-keyward-key-id"], key.key.id.as_str());
    assert_eq!(seen.headers["x-keyward-account-id"], world.account.as_str());
    let write = Call::post("/v1/customers").key(&key.token).body("{}");
    let answer = send(&world, &front, &write).await;
    answer.refusal(403, "insufficient_permission");
    let answer = send(&world, &front, &read).await;
    answer.refusal(429, "rate_limited");
    assert!(number(&answer, "retry-after") >= 1);
    let answer = send(&world, &front, &Call::get("/v1/customers")).await;
    answer.refusal(401, "missing_credential");
    assert_eq!(world.upstream.count(), 1);
}
