//! A guard or KV that fails, is slow or can't be reached: every decision that can't be made is a clear 503 within bounds,
//! what can be decided still is, and all is well again without a restart.

mod guard;
mod kv;
mod leases;
mod pushes;
mod storage;
mod traps;

use std::time::{Duration, Instant};

use keyward_tests::{Answer, Call, GuardNetwork, World};

/// The demo API's page.
const APP: &str = "https://app.example.test";
/// Far longer than a gate waits for anything.
const FOR_EVER: Duration = Duration::from_secs(600);
/// The Worker's own bound on a decision (30 s) and as much again for a slow machine.
const BOUND: Duration = Duration::from_secs(60);

const PERFECT: GuardNetwork = GuardNetwork {
    delay: Duration::ZERO,
    lose: 0.0,
    lose_answers: 0.0,
    reset: 0.0,
};

/// Every way in which a guard can fail to answer.
const FAULTS: [(&str, GuardNetwork); 4] = [
    (
        "calls are lost",
        GuardNetwork {
            lose: 1.0,
            ..PERFECT
        },
    ),
    (
        "answers are lost",
        GuardNetwork {
            lose_answers: 1.0,
            ..PERFECT
        },
    ),
    (
        "the guard is reset",
        GuardNetwork {
            reset: 1.0,
            ..PERFECT
        },
    ),
    (
        "the guard is silent",
        GuardNetwork {
            delay: FOR_EVER,
            ..PERFECT
        },
    ),
];

fn customers(token: &str) -> Call {
    Call::get("/v1/customers").key(token).origin(APP)
}

/// Sends a request as a page of the demo API would; it must be answered within the bound.
async fn send(world: &World, call: &Call) -> Answer {
    let request = call.request(&world.client, &world.edge.url());
    let began = Instant::now();
    let response = request.timeout(BOUND).send().await;
    let response = response.unwrap_or_else(|error| panic!("{:?}: {error}", began.elapsed()));
    Answer::read(response).await.expect("the answer is whole")
}

/// Asserts the refusal of a decision that could not be made, readable for scripts of the page.
fn is_unavailable(answer: &Answer) {
    is_unavailable_without_an_api(answer);
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some(APP), "{:?}", answer.headers);
    let exposed = answer.header("access-control-expose-headers").unwrap_or("");
    assert!(exposed.to_lowercase().contains("retry-after"), "{exposed}");
}

/// The same where the API could not be found out: its CORS policy is not known.
fn is_unavailable_without_an_api(answer: &Answer) {
    let body = answer.refusal(503, "guard_unavailable");
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(body["retryAfter"], 1);
    assert_eq!(
        body["detail"],
        "The request could not be checked. Please try again"
    );
}

fn passes(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.text());
}
