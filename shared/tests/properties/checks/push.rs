use shared::message::{
    GuardAnswer, GuardCall, GuardPush, GuardPushAnswer, KeyAnswer, PushBatch, UsageBatch,
};
use shared::read::{self, FromJson};
use shared::secret::Secret;
use shared::webhook::{SignedHeaders, TOLERANCE_SECONDS, WebhookError, sign, verify};
use shared::write::{self, ToJson};

use super::draw::{ALPHANUMERIC, Draw};

/// A signed message is accepted within its time, and after any change of any part of it refused; whatever is signed is read or
/// refused, by every reader of messages.
pub fn push(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let secret =
        Secret::from_text(&format!("a secret of {} characters", draw.byte())).expect("long");
    let length = 1 + draw.below(40);
    let id = draw.word(&format!("{ALPHANUMERIC}_.-"), length);
    let at = draw.number() % (1 << 40);
    let body = message(&mut draw);
    let signature = sign(&secret, &id, at, body.as_bytes());
    let timestamp = at.to_string();
    let check = |secret: &Secret, parts: [&str; 4], now: u64| {
        let [id, timestamp, signature, body] = parts;
        let headers = SignedHeaders {
            id: Some(id),
            timestamp: Some(timestamp),
            signature: Some(signature),
        };
        verify(secret, headers, body.as_bytes(), now)
    };
    let parts = [&*id, &*timestamp, &*signature, &*body];
    let drift = draw.number() % (2 * TOLERANCE_SECONDS);
    let is_timely = drift <= TOLERANCE_SECONDS;
    for now in [at.saturating_add(drift), at.saturating_sub(drift)] {
        let is_timely = is_timely || now.abs_diff(at) <= TOLERANCE_SECONDS;
        let want = if is_timely {
            Ok(format!("{id}.{at}"))
        } else {
            Err(WebhookError::Timestamp)
        };
        assert_eq!(check(&secret, parts, now), want);
    }

    let which = draw.below(4);
    let slipped = if parts[which].is_empty() {
        "x".to_owned()
    } else {
        draw.slip(parts[which])
    };
    if slipped != parts[which] {
        let mut parts = parts;
        parts[which] = &slipped;
        // A signature is one of several, apart by spaces: a space at either end changes nothing.
        let is_same = which == 2 && slipped.trim_matches(' ') == signature;
        assert!(
            is_same || check(&secret, parts, at).is_err(),
            "{slipped:?} for part {which}"
        );
    }
    let other = Secret::from_text("another secret altogether").expect("long");
    assert!(check(&other, parts, at).is_err());
}

/// A message, or what was meant to be one; every reader has a look at it.
fn message(draw: &mut Draw<'_>) -> String {
    let text = draw.text(
        &[
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"records\":[",
            "\"kind\":\"key\"",
            "\"is\":\"granted\"",
            "\"ttl\":1",
            "\"usage\":[]",
            "\"seq\":7",
            "\"standing\":[]",
            "null",
            "1e999",
            "-0",
            "0.1",
            "18446744073709551616",
            "\"\\ud800\"",
            "\"\\u0000\"",
            "\"",
            "{\"is\":\"applied\",\"newer\":[true]}",
            "{\"is\":\"unknown\",\"ttl\":5}",
            "{\"records\":[]}",
            "{\"is\":\"replayed\"}",
            "{\"key\":{\"is\":\"current\",\"ttl\":9}}",
            " ",
            "true",
        ],
        12,
    );
    agree::<PushBatch>(&text);
    agree::<GuardPush>(&text);
    agree::<GuardPushAnswer>(&text);
    agree::<GuardCall>(&text);
    agree::<GuardAnswer>(&text);
    agree::<KeyAnswer>(&text);
    agree::<UsageBatch>(&text);
    text
}

/// What is read is written as what reads the same.
fn agree<T>(text: &str)
where
    T: FromJson
        + ToJson
        + serde::Serialize
        + serde::de::DeserializeOwned
        + PartialEq
        + std::fmt::Debug,
{
    let Ok(read) = read::from_str::<T>(text) else {
        assert!(serde_json::from_str::<T>(text).is_err(), "{text}");
        return;
    };
    let written = serde_json::to_string(&read).expect("it is written");
    assert_eq!(read::from_str::<T>(&written).as_ref(), Ok(&read), "{text}");
    let written = write::to_string(&read);
    assert_eq!(read::from_str::<T>(&written).as_ref(), Ok(&read), "{text}");
}
