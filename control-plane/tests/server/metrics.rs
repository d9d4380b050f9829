//! `/metrics`.

use std::collections::BTreeSet;

use keyward::http::client_address::{ForwardedHeader, Proxies};
use reqwest::Method;
use serde_json::json;

use crate::support::{App, Edge, START, until, usage};

/// All lines.
async fn scrape(app: &App) -> String {
    let answer = app.bare(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    answer.text().await.unwrap()
}

/// The value of a series, written as it stands in the text.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series))?;
    let number = line.strip_prefix(' ')?;
    number.split(' ').next()?.parse().ok()
}

const BEHIND_ONE: Proxies = Proxies::Trusted {
    number: std::num::NonZeroU32::MIN,
    header: ForwardedHeader::XForwardedFor,
};

#[tokio::test]
async fn requests_are_counted_by_method_route_and_class_and_never_by_path() {
    let app = App::start().await;
    let (key, token) = app.key(json!({"name": "k"})).await;
    let id = key["id"].as_str().unwrap();
    app.get(&format!("/v1/keys/{id}")).await.expect(200);
    app.get("/v1/keys/key_nobody").await.expect(404);
    app.get(&format!("/v1/{token}")).await.expect(404);
    let odd = Method::from_bytes(b"SECRET").unwrap();
    app.request(odd, "/v1/keys").send().await.unwrap();
    let bare = app.bare(Method::GET, "/v1/keys").send().await.unwrap();
    assert_eq!(bare.status(), 401);

    let text = scrape(&app).await;
    for (series, expected) in [
        (
            r#"keyward_http_requests_total{method="POST",route="/v1/keys",status="2xx"}"#,
            1.0,
        ),
        (
            r#"keyward_http_requests_total{method="GET",route="/v1/keys/{id}",status="2xx"}"#,
            1.0,
        ),
        (
            r#"keyward_http_requests_total{method="GET",route="/v1/keys/{id}",status="4xx"}"#,
            1.0,
        ),
        (
            r#"keyward_http_requests_total{method="GET",route="unmatched",status="4xx"}"#,
            1.0,
        ),
        (
            r#"keyward_http_requests_total{method="_OTHER",route="/v1/keys",status="4xx"}"#,
            1.0,
        ),
        (
            r#"keyward_http_request_duration_seconds_count{method="GET",route="/v1/keys/{id}"}"#,
            2.0,
        ),
        // The one that asks.
        ("keyward_http_requests_in_flight", 1.0),
        (
            r#"keyward_failed_authentications_total{reason="missing"}"#,
            1.0,
        ),
        ("keyward_database_up", 1.0),
        ("process_start_time_seconds", START as f64 / 1000.0),
        (
            concat!(
                r#"keyward_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            ),
            1.0,
        ),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
    for secret in [id, &token, "key_nobody", "SECRET", app.admin.expose()] {
        assert!(!text.contains(secret), "{secret}");
    }
    assert!(text.contains("keyward_database_connections_max{"), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn names_follow_the_conventions() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    app.key(json!({"name": "k"})).await;
    usage::report(&app, &usage::batch("acc_00000000.0", 1, &[]))
        .await
        .expect(200);
    app.bare(Method::GET, "/v1/keys").send().await.unwrap();
    let text = scrape(&app).await;
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        assert!(
            name.starts_with("keyward_") || name == "process_start_time_seconds",
            "{name}"
        );
        // In OpenMetrics the samples of a counter end in _total, the family does not.
        assert!(!name.ends_with("_total"), "{name}");
        let help = format!("# HELP {name} ");
        assert!(text.contains(&help), "{name} is not explained");
        assert!(kind != "unknown", "{name}");
    }
    assert!(names.len() == 17, "{names:?}");
}

#[tokio::test]
async fn pushes_and_lag_are_told_for_each_edge() {
    let edge = Edge::start().await;
    let absent = "http://127.0.0.1:1".to_owned();
    let app = App::with_absent_edges(&[edge.url(), absent.clone()]).await;
    app.key(json!({"name": "k"})).await;
    app.clock.advance(90_000);
    let here = format!(r#"{{target="{}"}}"#, edge.url());
    let there = format!(r#"{{target="{absent}"}}"#);
    let text = until("the edge has everything", || async {
        let text = scrape(&app).await;
        let entries = value(&text, &format!("keyward_sync_lag_entries{here}"));
        let running = value(&text, &format!("keyward_sync_snapshot_running{here}"));
        (entries == Some(0.0) && running == Some(0.0)).then_some(text)
    })
    .await;
    let of = |name: &str, labels: &str| value(&text, &format!("{name}{labels}"));
    let with =
        |labels: &str, outcome: &str| labels.replace('}', &format!(r#",outcome="{outcome}"}}"#));
    assert!(of("keyward_pushes_total", &with(&here, "taken")) >= Some(1.0));
    assert!(of("keyward_pushes_total", &with(&there, "unreachable")) >= Some(1.0));
    assert_eq!(of("keyward_pushes_total", &with(&there, "taken")), None);
    assert!(of("keyward_pushed_records_total", &here) >= Some(2.0));
    assert!(of("keyward_push_duration_seconds_count", &here) >= Some(1.0));
    assert_eq!(of("keyward_sync_lag_seconds", &here), Some(0.0));
    assert!(of("keyward_sync_lag_entries", &there) >= Some(1.0));
    assert!(
        of("keyward_sync_lag_seconds", &there) >= Some(90.0),
        "{text}"
    );
    // What was made before an edge was there, it is given first.
    let other = "http://127.0.0.1:2".to_owned();
    let app = app.restart(std::slice::from_ref(&other)).await;
    let text = scrape(&app).await;
    let running = format!(r#"keyward_sync_snapshot_running{{target="{other}"}}"#);
    assert_eq!(value(&text, &running), Some(1.0));
    // One that nobody is configured with any more is told of for as long as another process may be.
    app.clock.advance(11 * 60_000);
    until("the edge of before is forgotten", || async {
        (!scrape(&app).await.contains(&absent)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn usage_batches_are_counted_by_what_became_of_them() {
    let app = App::start().await;
    for seq in [1, 1, 4] {
        usage::report(&app, &usage::batch("acc_00000000.0", seq, &[]))
            .await
            .expect(200);
    }
    let text = scrape(&app).await;
    for (series, expected) in [
        (r#"keyward_usage_batches_total{outcome="counted"}"#, 2.0),
        (r#"keyward_usage_batches_total{outcome="repeated"}"#, 1.0),
        ("keyward_usage_batches_missing_total", 2.0),
    ] {
        assert_eq!(value(&text, series), Some(expected), "{series}\n{text}");
    }
}

#[tokio::test]
async fn behind_a_proxy_only_admins_of_the_root_account_see_them() {
    let app = App::tuned(&[], |config| config.network.proxies = BEHIND_ONE).await;
    let bare = app.bare(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(bare.status(), 401);
    let account = app.account(json!({"name": "below"})).await;
    let other = app.admin_of(&account).await;
    other.get("/metrics").await.problem(404, "not_found");
    let root = app.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(root.status(), 200);
    assert!(root.text().await.unwrap().contains("keyward_build_info"));
}

#[tokio::test]
async fn with_an_address_of_their_own_they_are_there_and_nowhere_else() {
    let app = App::tuned(&[], |config| {
        config.network.proxies = BEHIND_ONE;
        config.network.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    })
    .await;
    app.get("/metrics").await.problem(404, "not_found");
    let own = app.metrics.clone().unwrap();
    let get = |path: &str| {
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("{own}{path}"))
            .send()
    };
    let found = get("/metrics").await.unwrap();
    assert_eq!(found.status(), 200);
    assert!(found.text().await.unwrap().contains("keyward_build_info"));
    for path in ["/v1/keys", "/readyz", "/"] {
        assert_eq!(get(path).await.unwrap().status(), 404, "{path}");
    }
    app.stop().await;
}

#[tokio::test]
async fn without_the_database_the_rest_is_told() {
    let app = App::start().await;
    app.database
        .meddle("alter table edge_targets rename to gone")
        .await;
    let text = scrape(&app).await;
    assert_eq!(value(&text, "keyward_database_up"), Some(0.0));
    assert!(!text.contains("keyward_sync_lag_entries{"), "{text}");
}
