//! `rateLimits.preset` and `GET /v1/presets`.

use serde_json::{Value, json};

use crate::support::App;
use crate::support::app::text;

fn limits(minute: u32, hour: impl Into<Value>, day: impl Into<Value>) -> Value {
    json!({"requestsPerMinute": minute, "requestsPerHour": hour.into(), "requestsPerDay": day.into()})
}

#[tokio::test]
async fn the_presets_are_listed_with_their_limits() {
    let app = App::start().await;
    assert_eq!(
        app.get("/v1/presets").await.expect(200),
        json!({
            "data": [
                {"name": "development", "rateLimits": limits(10, 500, 10_000)},
                {"name": "production", "rateLimits": limits(100, 5_000, 100_000)},
                {"name": "enterprise", "rateLimits": limits(1_000, 50_000, 1_000_000)},
            ],
            "nextCursor": null,
        })
    );
}

#[tokio::test]
async fn a_key_gets_the_limits_of_its_preset_and_what_is_said_beside_it_stands_over_them() {
    let app = App::start().await;
    for (given, expected) in [
        (json!({"preset": "development"}), limits(10, 500, 10_000)),
        (json!({"preset": "production"}), limits(100, 5_000, 100_000)),
        (
            json!({"preset": "enterprise"}),
            limits(1_000, 50_000, 1_000_000),
        ),
        (
            json!({"preset": "production", "requestsPerMinute": 250}),
            limits(250, 5_000, 100_000),
        ),
        (
            json!({"requestsPerDay": null, "preset": "production", "requestsPerHour": null}),
            limits(100, Value::Null, Value::Null),
        ),
    ] {
        let (key, _) = app.key(json!({"name": "k", "rateLimits": given})).await;
        assert_eq!(key["rateLimits"], expected, "{given}");
    }
}

#[tokio::test]
async fn a_preset_given_later_replaces_all_three_limits() {
    let app = App::start().await;
    let (key, _) = app
        .key(json!({"name": "k", "rateLimits": limits(7, 8, Value::Null)}))
        .await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    let patch = json!({"rateLimits": {"preset": "enterprise"}});
    let changed = app.patch(&path, patch).await.expect(200);
    let expected = limits(1_000, 50_000, 1_000_000);
    assert_eq!(changed["key"]["rateLimits"], expected);
    assert_eq!(app.get(&path).await.expect(200)["rateLimits"], expected);
    // Later changes start from these numbers.
    let patch = json!({"rateLimits": {"requestsPerHour": null}});
    let changed = app.patch(&path, patch).await.expect(200);
    assert_eq!(
        changed["key"]["rateLimits"],
        limits(1_000, Value::Null, 1_000_000)
    );
}

#[tokio::test]
async fn an_unknown_preset_is_refused_with_the_names_there_are() {
    let app = App::start().await;
    for name in ["premium", "Production", "production ", ""] {
        let body = json!({"name": "k", "rateLimits": {"preset": name}});
        let problem = app.post("/v1/keys", body).await;
        let problem = problem.problem(422, "validation_failed");
        assert_eq!(
            problem["detail"],
            "rateLimits.preset: must be one of development, production, enterprise"
        );
    }
    for odd in [json!(null), json!(1), json!({"name": "production"})] {
        let body = json!({"name": "k", "rateLimits": {"preset": odd}});
        app.post("/v1/keys", body)
            .await
            .refuses(&["rateLimits.preset"]);
    }
    assert_eq!(app.get("/v1/keys").await.expect(200)["data"], json!([]));
}
