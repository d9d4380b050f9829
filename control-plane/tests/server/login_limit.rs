//! Guessing admin tokens.

use std::net::Ipv6Addr;
use std::num::NonZeroU32;

use keyward::admin_token::AdminToken;
use keyward::http::client_address::{ForwardedHeader, Proxies};
use reqwest::Method;

use crate::support::{Answer, App};

async fn limited(proxies: Proxies) -> App {
    App::tuned(&[], |config| {
        config.failed_logins_per_minute = NonZeroU32::new(5).unwrap();
        config.network.proxies = proxies;
    })
    .await
}

const BEHIND_ONE: Proxies = Proxies::Trusted {
    number: NonZeroU32::MIN,
    header: ForwardedHeader::XForwardedFor,
};

async fn try_from(app: &App, address: &str, token: &str) -> Answer {
    let request = app
        .bare(Method::GET, "/v1/presets")
        .header("x-forwarded-for", address)
        .bearer_auth(token);
    Answer::read(request.send().await.unwrap()).await
}

async fn guess_from(app: &App, address: &str) -> Answer {
    try_from(app, address, AdminToken::mint().unwrap().expose()).await
}

#[tokio::test]
async fn a_client_that_guesses_waits_until_the_moment_that_it_is_told() {
    let app = limited(BEHIND_ONE).await;
    for _ in 0..5 {
        guess_from(&app, "203.0.113.7")
            .await
            .problem(401, "unauthorized");
    }
    let refused = guess_from(&app, "203.0.113.7").await;
    assert_eq!(refused.headers["retry-after"], "12");
    refused.problem(429, "too_many_attempts");
    // Nonsense counts as well, nothing at all does not.
    try_from(&app, "203.0.113.7", "kwa_nonsense")
        .await
        .problem(429, "too_many_attempts");
    app.clock.advance(11_999);
    guess_from(&app, "203.0.113.7")
        .await
        .problem(429, "too_many_attempts");
    app.clock.advance(1);
    guess_from(&app, "203.0.113.7")
        .await
        .problem(401, "unauthorized");
}

#[tokio::test]
async fn others_are_not_hindered_and_neither_is_a_token_that_was_valid() {
    let app = limited(BEHIND_ONE).await;
    let good = app.admin.expose();
    try_from(&app, "198.51.100.1", good).await.expect(200);
    for _ in 0..6 {
        guess_from(&app, "203.0.113.7").await;
    }
    guess_from(&app, "203.0.113.7")
        .await
        .problem(429, "too_many_attempts");
    guess_from(&app, "203.0.113.8")
        .await
        .problem(401, "unauthorized");
    try_from(&app, "198.51.100.1", good).await.expect(200);
    // Whoever guesses from behind the same address locks nobody out.
    try_from(&app, "203.0.113.7", good).await.expect(200);
    // With another entry before its own, a client stays the same client.
    guess_from(&app, "1.2.3.4, 203.0.113.7")
        .await
        .problem(429, "too_many_attempts");
}

#[tokio::test]
async fn addresses_of_one_subscriber_are_one_client_and_all_clients_together_are_bounded() {
    let app = limited(BEHIND_ONE).await;
    let address = |network: u16, host: u16| {
        Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host).to_string()
    };
    for host in 0..5 {
        guess_from(&app, &address(1, host))
            .await
            .problem(401, "unauthorized");
    }
    guess_from(&app, &address(1, 99))
        .await
        .problem(429, "too_many_attempts");
    for network in 2..97 {
        guess_from(&app, &address(network, 1))
            .await
            .problem(401, "unauthorized");
    }
    // A hundred: twenty times five.
    guess_from(&app, &address(200, 1))
        .await
        .problem(429, "too_many_attempts");
}

#[tokio::test]
async fn without_a_proxy_a_client_cannot_change_its_address() {
    let app = limited(Proxies::None).await;
    for host in 0..5 {
        guess_from(&app, &format!("203.0.113.{host}"))
            .await
            .problem(401, "unauthorized");
    }
    guess_from(&app, "203.0.113.99")
        .await
        .problem(429, "too_many_attempts");
}

#[tokio::test]
async fn whoever_waits_does_not_reach_the_database() {
    let app = limited(Proxies::None).await;
    for _ in 0..5 {
        guess_from(&app, "").await;
    }
    // Without its table a look would fail with 500.
    app.database
        .meddle("alter table admin_tokens rename to gone")
        .await;
    guess_from(&app, "").await.problem(429, "too_many_attempts");
    app.clock.advance(60_000);
    guess_from(&app, "").await.problem(500, "internal");
}
