//! Forward auth: `/.keyward/verify` asked by another proxy, which then does as it says. nginx and Caddy are the real ones
//! and run the files of `examples`; behind them are the real edge and an API.

mod admitted;
mod answers;
mod described;
mod disguises;
mod front;
mod plain;
mod preflights;
mod refused;
mod sent_again;
mod unavailable;

use keyward_tests::{Answer, Call, RawRequest, World};

use front::Front;

/// The demo API's page.
const APP: &str = "https://app.example.test";

/// Sends a request through a proxy.
async fn send(world: &World, front: &Front, call: &Call) -> Answer {
    let response = call.request(&world.client, &front.url()).send().await;
    let response = response.expect("the proxy answers");
    Answer::read(response).await.expect("the answer is whole")
}

/// Sends a request through a proxy, byte for byte.
async fn send_raw(front: &Front, request: RawRequest) -> Answer {
    let answer = request.send(&front.url()).await;
    answer.expect("the proxy answers")
}

fn number(answer: &Answer, name: &str) -> u64 {
    let value = answer.header(name);
    let value = value.unwrap_or_else(|| panic!("no {name}: {:?}", answer.headers));
    value.parse().expect("a whole number")
}

/// Asserts that scripts of the page may read the answer.
fn readable(answer: &Answer) {
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some(APP), "{:?}", answer.headers);
    let exposed = answer.header("access-control-expose-headers").unwrap_or("");
    assert!(exposed.to_lowercase().contains("retry-after"), "{exposed}");
    assert!(answer.varies_by("origin"), "{:?}", answer.headers);
}

/// The same claims, behind each proxy: functions that take the world and the proxy become tests of nginx and of Caddy,
/// skipped by name where the proxy is missing.
#[macro_export]
macro_rules! behind_each_proxy {
    ($($claim:ident),+ $(,)?) => {
        mod nginx {
            use keyward_tests::{Parts, need, world};
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    let nginx = need!(Parts::nginx());
                    let world = world!();
                    let front = $crate::front::Front::nginx(&nginx, &world, &world.upstream.url()).await;
                    super::$claim(&world, &front).await;
                }
            )+
        }
        mod caddy {
            use keyward_tests::{Parts, need, world};
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $claim() {
                    let caddy = need!(Parts::caddy());
                    let world = world!();
                    let front = $crate::front::Front::caddy(&caddy, &world, &world.upstream.url()).await;
                    super::$claim(&world, &front).await;
                }
            )+
        }
    };
}
