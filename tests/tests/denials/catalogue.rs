//! The catalogue as a whole.

use std::collections::BTreeSet;
use std::time::Duration;

use keyward_tests::{Call, GuardNetwork, World, forged_token, free_port, now, rfc3339, world};
use serde_json::json;
use shared::denial::CODES;

/// Asserts that a call is refused so, and notes the code.
struct Tour<'a> {
    world: &'a World,
    provoked: BTreeSet<String>,
}

impl Tour<'_> {
    async fn refused(&mut self, call: Call, status: u16, code: &str) {
        let answer = self.world.send(&call).await;
        answer.refusal(status, code);
        self.provoked.insert(answer.code());
    }

    async fn keys(&mut self) {
        let world = self.world;
        let customers = Call::get("/v1/customers");
        self.refused(customers.clone(), 401, "missing_credential")
            .await;
        let malformed = customers.clone().header("authorization", "Basic dTpw");
        self.refused(malformed, 401, "malformed_credential").await;
        let forged = forged_token("prod", &world.account);
        self.refused(customers.clone().key(&forged), 401, "invalid_key")
            .await;
        let staging = world.key(json!({"environment": "staging"})).await;
        self.refused(
            customers.clone().key(&staging.token),
            401,
            "wrong_environment",
        )
        .await;
        for (settings, call, code) in [
            (
                json!({"permissions": ["agents.read"]}),
                customers.clone(),
                "insufficient_permission",
            ),
            (
                json!({}),
                Call::get("/v1/accounts/acc_00000000/agents"),
                "account_not_allowed",
            ),
            (
                json!({"resources": ["customer:c_9"]}),
                Call::get("/v1/customers/c_8"),
                "resource_not_allowed",
            ),
            (
                json!({"allowedOrigins": ["https://shop.example.test"]}),
                customers.clone(),
                "origin_not_allowed",
            ),
            (
                json!({"allowedIps": ["203.0.113.7"]}),
                customers.clone(),
                "ip_not_allowed",
            ),
        ] {
            let key = world.key(settings).await;
            self.refused(call.key(&key.token), 403, code).await;
        }
    }

    async fn quota_and_time(&mut self) {
        let world = self.world;
        let call = Call::get("/v1/customers");
        let limited = json!({"rateLimits": {"requestsPerMinute": 1}});
        let limited = world.key(limited).await;
        let limited = call.clone().key(&limited.token);
        assert_eq!(world.send(&limited).await.status, 200);
        self.refused(limited, 429, "rate_limited").await;
        let credits = json!({"credits": {"serial": 1, "granted": 1}});
        let key = world.pushed_account().key(credits).await;
        let spent = call.clone().key(&key.token);
        assert_eq!(world.send(&spent).await.status, 200);
        self.refused(spent, 429, "quota_exceeded").await;

        let end = now() + 5_000;
        let key = world.key(json!({"expiresAt": rfc3339(end)})).await;
        while now() < end {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.refused(call.key(&key.token), 401, "expired_key").await;
    }

    async fn routes_and_upstreams(&mut self) {
        let world = self.world;
        let key = world.key(json!({})).await;
        let get = |host: &str, path: &str| Call::get(path).host(host).key(&key.token);
        self.refused(get("nobody.example.test", "/"), 404, "unknown_api")
            .await;
        let closed = "closed.example.test";
        world.api(closed, json!({"unlisted": "closed"})).await;
        self.refused(get(closed, "/v1/nothing"), 404, "unknown_route")
            .await;
        self.refused(get(closed, "/v1%2Fnothing"), 400, "bad_request")
            .await;
        let away = "away.example.test";
        let nobody = format!("http://127.0.0.1:{}", free_port());
        world.api(away, json!({"upstream": nobody})).await;
        self.refused(get(away, "/"), 502, "upstream_unreachable")
            .await;
        let slow = "slow.example.test";
        world.api(slow, json!({"upstreamTimeoutMs": 50})).await;
        self.refused(get(slow, "/slow/20000"), 504, "upstream_timeout")
            .await;
    }

    async fn guard(&mut self) {
        let key = self.world.key(json!({})).await;
        let lost = GuardNetwork {
            lose: 1.0,
            ..GuardNetwork::default()
        };
        self.world.edge.set_guard_network(lost).await;
        let call = Call::get("/v1/customers").key(&key.token);
        self.refused(call, 503, "guard_unavailable").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_of_the_catalogue_is_provoked() {
    let world = world!();
    let mut tour = Tour {
        world: &world,
        provoked: BTreeSet::new(),
    };
    tour.keys().await;
    tour.quota_and_time().await;
    tour.routes_and_upstreams().await;
    tour.guard().await;
    let expected: BTreeSet<String> = CODES.iter().map(|code| (*code).to_owned()).collect();
    assert_eq!(tour.provoked, expected);
}
