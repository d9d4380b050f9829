//! Upstreams that check the signed assertion, with the code that is given to them in `examples/verify-assertion`.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keyward_tests::{
    Answer, Call, Head, PATIENCE, Parts, Process, World, eventually, free_port, need, now, root,
    world,
};
use serde_json::{Value, json};
use shared::assertion::{Claims, LIFETIME_SECONDS, Signer};
use shared::secret::Secret;

use crate::way::{DONE, HOST, Way};

/// An example beside the gate: what the gate sends, the test brings to it, as it is or altered.
struct Example {
    way: Way,
    url: String,
    _server: Process,
}

impl Example {
    /// Starts the example `file` with `program`, to serve the API of [`Way`].
    async fn start(world: World, program: PathBuf, file: &str) -> Self {
        let way = Way::open(world, json!({})).await;
        let port = free_port();
        let mut command = Command::new(program);
        command
            .arg(root().join("examples/verify-assertion").join(file))
            .env("ASSERTION_SECRET", &way.world.secrets.assertion)
            .env("API_ID", &way.api)
            .env("PORT", port.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let log = way.world.folder().join("example.log");
        let server = Process::start(file, &mut command, &log);
        let url = format!("http://127.0.0.1:{port}");
        eventually("the example answers", PATIENCE, || async {
            way.world.client.get(&url).send().await.ok().map(drop)
        })
        .await;
        Self {
            way,
            url,
            _server: server,
        }
    }

    /// A request as it reaches the upstream.
    async fn asked(&self, request: &str) -> Head {
        let mut exchange = self.way.begin(request, &[], "").await;
        exchange.upstream.send(DONE).await;
        assert_eq!(exchange.caller.head().await.status(), 204);
        exchange.asked
    }

    /// What the example says to a request with these assertions.
    async fn judge(&self, method: &str, target: &str, assertions: &[&str]) -> Answer {
        let mut call = Call::new(method, target);
        for assertion in assertions {
            call = call.header("x-keyward-assertion", assertion);
        }
        let answer = call.request(&self.way.world.client, &self.url).send().await;
        let answer = answer.expect("the example answers");
        Answer::read(answer).await.expect("the answer is whole")
    }

    async fn refuses(&self, why: &str, method: &str, target: &str, assertions: &[&str]) {
        let answer = self.judge(method, target, assertions).await;
        assert_eq!(answer.status, 401, "{why}: {}", answer.text());
    }

    async fn accepts(&self, method: &str, target: &str, assertion: &str) -> Value {
        let answer = self.judge(method, target, &[assertion]).await;
        assert_eq!(answer.status, 200, "{method} {target}: {}", answer.text());
        answer.json()
    }

    async fn accepts_what_came_through_the_gate(&self) {
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/v1/a?b=c&d=%20"),
            ("POST", "/v1//a%20b/"),
            ("DELETE", "/caf%C3%A9/it's;a=(1),2"),
        ] {
            let asked = self.asked(&format!("{method} {target}")).await;
            assert_eq!(asked.target(), target);
            let assertion = asked.header("x-keyward-assertion").expect("an assertion");
            let claims = self.accepts(method, target, assertion).await;
            for (claim, header) in [
                ("sub", "x-keyward-key-id"),
                ("account", "x-keyward-account-id"),
                ("environment", "x-keyward-environment"),
                ("jti", "x-keyward-request-id"),
            ] {
                assert_eq!(claims[claim].as_str(), asked.header(header), "{claim}");
            }
            let (issued, expires) = (claims["iat"].as_u64(), claims["exp"].as_u64());
            assert_eq!(expires, issued.map(|at| at + LIFETIME_SECONDS));
        }
    }

    async fn refuses_an_assertion_for_another_request(&self) {
        let asked = self.asked("GET /v1/a?b").await;
        let good = asked.header("x-keyward-assertion").expect("an assertion");
        self.accepts("GET", "/v1/a?b", good).await;
        self.refuses("another path", "GET", "/v1/b", &[good]).await;
        self.refuses("a longer path", "GET", "/v1/a/", &[good])
            .await;
        self.refuses("another method", "POST", "/v1/a", &[good])
            .await;
        self.refuses("none", "GET", "/v1/a", &[]).await;
        self.refuses("an empty one", "GET", "/v1/a", &[""]).await;
        self.refuses("two", "GET", "/v1/a", &[good, good]).await;
    }

    async fn refuses_what_the_gate_did_not_sign(&self) {
        let asked = self.asked("GET /").await;
        let good = asked.header("x-keyward-assertion").expect("an assertion");
        let parts: Vec<&str> = good.split('.').collect();
        let [head, payload, signature] = parts[..] else {
            panic!("no JWT: {good}")
        };
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let mut altered = claims(payload);
        altered["sub"] = json!("key_evil");
        let altered = encode(altered);
        let unsigned = encode(json!({"alg": "none", "typ": "JWT"}));
        for (why, forged) in [
            ("altered", format!("{head}.{altered}.{signature}")),
            ("without an algorithm", format!("{unsigned}.{payload}.")),
            ("without a signature", format!("{head}.{payload}.")),
            ("without any", format!("{head}.{payload}")),
            ("longer", format!("{good}.{signature}")),
            ("nonsense", "a.b.c".to_owned()),
        ] {
            self.refuses(why, "GET", "/", &[&forged]).await;
        }
    }

    async fn refuses_other_apis_secrets_issuers_and_times(&self) {
        let seconds = now() / 1_000;
        let own = Secret::from_text(&self.way.world.secrets.assertion).unwrap();
        let other = Secret::from_text(&"0".repeat(64)).unwrap();
        let good = Claims {
            iss: "keyward",
            aud: &self.way.api,
            sub: "key_1",
            account: "acc_1",
            environment: "production",
            method: "GET",
            path: "/",
            jti: "req_1",
            iat: seconds,
            exp: seconds + LIFETIME_SECONDS,
        };
        let old = seconds - 2 * LIFETIME_SECONDS;
        let expired = Claims {
            iat: old,
            exp: old + LIFETIME_SECONDS,
            ..good
        };
        self.accepts("GET", "/", &Signer::new(&own).sign(&good))
            .await;
        for (why, secret, claims) in [
            ("another secret", &other, good),
            (
                "another API",
                &own,
                Claims {
                    aud: "api_2",
                    ..good
                },
            ),
            (
                "another issuer",
                &own,
                Claims {
                    iss: "evil",
                    ..good
                },
            ),
            ("too old", &own, expired),
        ] {
            let assertion = Signer::new(secret).sign(&claims);
            self.refuses(why, "GET", "/", &[&assertion]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_that_is_asserted_is_the_one_that_the_upstream_gets() {
    let way = Way::open(world!(), json!({})).await;
    let deeper = format!("{}/base/v2/", way.upstream.url());
    let host = "deeper.example.test";
    way.world.api(host, json!({"upstream": deeper})).await;
    for (target, expected) in [
        ("/", "/"),
        ("/a//b/?c=d", "/a//b/"),
        ("/a%20%7B", "/a%20%7B"),
        ("/{id}^\"", "/%7Bid%7D%5E%22"),
        ("/caf\u{e9}|", "/caf%C3%A9|"),
    ] {
        for (host, base) in [(HOST, ""), (host, "/base/v2")] {
            let head = way.head(&format!("GET {target}"), &[]);
            let mut caller = way.connect().await;
            caller.send(head.replace(HOST, host)).await;
            let mut upstream = way.upstream.accept().await;
            let asked = upstream.head().await;
            upstream.send(DONE).await;
            assert_eq!(caller.head().await.status(), 204);
            let expected = format!("{base}{expected}");
            assert_eq!(asked.target().split('?').next(), Some(expected.as_str()));
            let assertion = asked.header("x-keyward-assertion").expect("an assertion");
            let payload = assertion.split('.').nth(1).expect("a payload");
            assert_eq!(claims(payload)["path"], expected);
        }
    }
}

/// The claims of a JWT's middle part.
fn claims(payload: &str) -> Value {
    let json = URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&json).expect("JSON")
}

macro_rules! checks {
    ($language:ident, $program:expr, $file:literal) => {
        mod $language {
            use super::*;

            #[tokio::test(flavor = "multi_thread")]
            async fn accepts_what_came_through_the_gate() {
                let program = need!($program);
                let example = Example::start(world!(), program, $file).await;
                example.accepts_what_came_through_the_gate().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn refuses_an_assertion_for_another_request() {
                let program = need!($program);
                let example = Example::start(world!(), program, $file).await;
                example.refuses_an_assertion_for_another_request().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn refuses_what_the_gate_did_not_sign() {
                let program = need!($program);
                let example = Example::start(world!(), program, $file).await;
                example.refuses_what_the_gate_did_not_sign().await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn refuses_other_apis_secrets_issuers_and_times() {
                let program = need!($program);
                let example = Example::start(world!(), program, $file).await;
                example.refuses_other_apis_secrets_issuers_and_times().await;
            }
        }
    };
}

checks!(javascript, Parts::node(), "server.mjs");
checks!(python, Parts::python(), "server.py");
