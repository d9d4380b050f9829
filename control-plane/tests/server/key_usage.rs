//! `GET /v1/keys/{id}/usage`.

use serde_json::{Value, json};

use crate::support::app::text;
use crate::support::usage::{batch, report, row};
use crate::support::{App, START};

/// The first minute of the tests' clock, since the epoch.
const MINUTE: u64 = START / 60_000;

async fn used() -> (App, String) {
    let app = App::start().await;
    let (key, _) = app.key(json!({"name": "k"})).await;
    let id = text(&key["id"]);
    let rows = [
        row(&id, MINUTE, "ok", 5),
        row(&id, MINUTE, "rate_limited", 2),
        row(&id, MINUTE + 1, "ok", 1),
        row(&id, MINUTE + 59, "ok", 10),
        row(&id, MINUTE + 60, "ok", 100),
        row("key_other", MINUTE, "ok", 7),
    ];
    report(&app, &batch("g", 1, &rows)).await.expect(200);
    app.clock.advance(2 * 3_600_000);
    (app, format!("/v1/keys/{id}/usage"))
}

fn point(start: &str, requests: u64, by_code: Value) -> Value {
    json!({"start": start, "requests": requests, "cost": requests * 2, "byCode": by_code})
}

#[tokio::test]
async fn usage_is_summed_by_hour_over_the_last_day() {
    let (app, path) = used().await;
    let usage = app.get(&path).await.expect(200);
    assert_eq!(
        usage,
        json!({
            "from": "2027-01-14T10:00:00.000Z", "to": "2027-01-15T10:00:00.000Z", "step": "hour",
            "data": [
                point("2027-01-15T08:00:00.000Z", 18, json!({"ok": 16, "rate_limited": 2})),
                point("2027-01-15T09:00:00.000Z", 100, json!({"ok": 100})),
            ],
        })
    );
}

#[tokio::test]
async fn usage_is_summed_by_minute_or_day_between_two_times() {
    let (app, path) = used().await;
    let query = "step=minute&from=2027-01-15T08:00:00Z&to=2027-01-15T08:02:00Z";
    let usage = app.get(&format!("{path}?{query}")).await.expect(200);
    assert_eq!(
        usage["data"],
        json!([
            point(
                "2027-01-15T08:00:00.000Z",
                7,
                json!({"ok": 5, "rate_limited": 2})
            ),
            point("2027-01-15T08:01:00.000Z", 1, json!({"ok": 1})),
        ])
    );
    let query = "step=day&from=2027-01-15T09:30:00Z";
    let usage = app.get(&format!("{path}?{query}")).await.expect(200);
    assert_eq!(usage["from"], "2027-01-15T00:00:00.000Z");
    assert_eq!(usage["to"], "2027-01-16T00:00:00.000Z");
    assert_eq!(
        usage["data"],
        json!([point(
            "2027-01-15T00:00:00.000Z",
            118,
            json!({"ok": 116, "rate_limited": 2})
        )])
    );
}

#[tokio::test]
async fn the_range_is_bounded() {
    let (app, path) = used().await;
    let get = |query: &str| {
        let path = format!("{path}?{query}");
        let app = &app;
        async move { app.get(&path).await }
    };
    get("step=minute&from=2027-01-01T00:00:00Z&to=2027-01-07T22:40:00Z")
        .await
        .expect(200);
    get("step=minute&from=2027-01-01T00:00:00Z&to=2027-01-07T22:41:00Z")
        .await
        .refuses(&["step"]);
    get("from=1970-01-01T00:00:00Z&to=9999-12-31T23:59:59Z")
        .await
        .refuses(&["step"]);
    get("from=2027-01-15T09:00:00Z&to=2027-01-15T08:00:00Z")
        .await
        .refuses(&["from"]);
    get("step=second").await.refuses(&["step"]);
    get("from=yesterday&to=%00").await.refuses(&["from", "to"]);
    get("since=1").await.refuses(&[""]);
}
