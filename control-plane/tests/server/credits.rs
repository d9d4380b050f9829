//! What one key may spend in all. What is left of it is the guard's to count.

use serde_json::{Value, json};
use shared::record::{Credits, Interval, Refill};

use crate::support::app::text;
use crate::support::{App, Edge};

const MOST: u64 = (1 << 53) - 1;

fn credits(credits: Value) -> Value {
    json!({"name": "k", "credits": credits})
}

fn at(edge: &Edge, key: &Value) -> Option<Credits> {
    edge.seen.key(&text(&key["id"])).unwrap().credits
}

#[tokio::test]
async fn credits_start_over_grow_and_are_taken_away() {
    let edge = Edge::start().await;
    let app = App::with_edges(&[edge.url()]).await;
    let refill = json!({"amount": 2, "interval": "daily"});
    let (key, _) = app
        .key(credits(json!({"remaining": 3, "refill": refill})))
        .await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    assert_eq!(key["credits"]["granted"], 3);
    assert_eq!(key["credits"]["refill"], refill);
    let first = at(&edge, &key).unwrap();
    let daily = Refill {
        amount: 2,
        interval: Interval::Daily,
    };
    assert_eq!((first.granted, first.refill), (3, Some(daily)));

    let add = format!("{path}/credits");
    let added = app.post(&add, json!({"add": 2})).await.expect(200);
    assert_eq!(added["key"]["credits"]["granted"], 5);
    assert_eq!(added["key"]["credits"]["setAt"], key["credits"]["setAt"]);
    let grown = Credits {
        granted: 5,
        ..first.clone()
    };
    assert_eq!(at(&edge, &key), Some(grown.clone()));

    // Another refill starts nothing over, and neither does any other setting.
    let monthly = json!({"amount": 9, "interval": "monthly"});
    let patch = json!({"name": "renamed", "credits": {"refill": monthly}});
    app.patch(&path, patch).await.expect(200);
    let expected = Refill {
        amount: 9,
        interval: Interval::Monthly,
    };
    let refilled = Credits {
        refill: Some(expected),
        ..grown
    };
    assert_eq!(at(&edge, &key), Some(refilled));

    // The same number again starts over again.
    let mut last = first.serial;
    for _ in 0..3 {
        let again = app.patch(&path, json!({"credits": {"remaining": 5}})).await;
        again.expect(200);
        let over = at(&edge, &key).unwrap();
        assert!(over.serial > last, "{} after {last}", over.serial);
        assert_eq!((over.granted, over.refill), (5, Some(expected)));
        last = over.serial;
    }
    app.patch(&path, json!({"credits": {"refill": null}}))
        .await
        .expect(200);
    assert_eq!(at(&edge, &key).unwrap().refill, None);

    let none = app.patch(&path, json!({"credits": null})).await.expect(200);
    assert_eq!(none["key"]["credits"], Value::Null);
    assert_eq!(at(&edge, &key), None);
    app.post(&add, json!({"add": 2}))
        .await
        .problem(409, "conflict");
    app.patch(&path, json!({"credits": {"remaining": 0}}))
        .await
        .expect(200);
    let back = at(&edge, &key).unwrap();
    assert!(back.serial > last);
    assert_eq!(back.granted, 0);
}

#[tokio::test]
async fn the_log_tells_of_credits_that_start_over_at_the_same_number() {
    let app = App::start().await;
    let (key, _) = app.key(credits(json!({"remaining": 3}))).await;
    let path = format!("/v1/keys/{}", text(&key["id"]));
    app.patch(&path, json!({"credits": {"remaining": 3}}))
        .await
        .expect(200);
    app.post(&format!("{path}/credits"), json!({"add": 2}))
        .await
        .expect(200);
    let log = app
        .get(&format!("/v1/audit-log?target={}", text(&key["id"])))
        .await;
    let log = log.expect(200);
    assert_eq!(log["data"][0]["action"], "key.add_credits");
    assert_eq!(log["data"][0]["before"]["credits"]["granted"], 3);
    assert_eq!(log["data"][0]["after"]["credits"]["granted"], 5);
    assert_eq!(log["data"][1]["action"], "key.update");
    assert_eq!(log["data"][1]["after"]["credits"]["granted"], 3);
}

#[tokio::test]
async fn credits_are_whole_numbers_within_bounds() {
    let app = App::start().await;
    let refill = |amount: Value, interval: &str| json!({"remaining": 1, "refill": {"amount": amount, "interval": interval}});
    for (bad, fields) in [
        (json!({}), vec!["credits.remaining"]),
        (
            json!({"refill": {"amount": 1, "interval": "daily"}}),
            vec!["credits.remaining"],
        ),
        (json!({"remaining": MOST + 1}), vec!["credits.remaining"]),
        (json!({"remaining": -1}), vec!["credits.remaining"]),
        (json!({"remaining": null}), vec!["credits.remaining"]),
        (refill(json!(0), "daily"), vec!["credits.refill.amount"]),
        (
            refill(json!(MOST + 1), "weekly"),
            vec!["credits.refill.amount", "credits.refill.interval"],
        ),
    ] {
        app.post("/v1/keys", credits(bad)).await.refuses(&fields);
    }
    let (key, _) = app.key(credits(json!({"remaining": MOST - 1}))).await;
    let add = format!("/v1/keys/{}/credits", text(&key["id"]));
    for bad in [json!(0), json!(MOST + 1), json!(-1)] {
        app.post(&add, json!({"add": bad})).await.refuses(&["add"]);
    }
    app.post(&add, json!({"add": 1})).await.expect(200);
    app.post(&add, json!({"add": 1}))
        .await
        .problem(409, "conflict");
}
