use serde_json::{Map, Value, json};
use shared::message::GuardPush;
use shared::read;
use shared::record::{MAX_ID, MAX_VERSION, Record};
use shared::route::RouteTable;
use shared::write;

use super::draw::{ALPHANUMERIC, Draw};

/// A record is read as it was written; a member that is wrong is refused or means the safest, and changes nothing else.
pub fn record(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let good = match draw.below(6) {
        0 => key(&mut draw),
        1 => api(&mut draw),
        2 => member(&mut draw),
        3 => role(&mut draw),
        4 => identity(&mut draw),
        _ => account(&mut draw),
    };
    let read = reads(&good).expect("it is good");
    assert_eq!(read.check(), Ok(()), "{good}");
    assert_eq!(read.kind(), good["kind"]);
    let push = GuardPush {
        guard: "g".into(),
        delivery: "d".into(),
        records: vec![read.clone()],
    };
    let text = GuardPush::text("g", "d", &push.records);
    assert_eq!(text, write::to_string(&push));

    let mut changed = good.clone();
    let path = spoil(&mut draw, &mut changed);
    let Some(spoilt) = reads(&changed) else {
        return;
    };
    if let Ok(()) = spoilt.check() {
        assert!(
            (1..=MAX_ID).contains(&spoilt.id().len())
                && (1..=MAX_VERSION).contains(&spoilt.version())
        );
        assert!(!spoilt.holders().is_empty());
    }
    if let Record::Api(api) = &spoilt {
        let _ = RouteTable::compile(&api.routes);
    }
    if let (Some(member), true) = (path, spoilt.kind() == read.kind()) {
        let [mut before, mut after] =
            [&read, &spoilt].map(|r| serde_json::to_value(r).expect("it is written"));
        for record in [&mut before, &mut after] {
            record.as_object_mut().expect("an object").remove(&member);
        }
        assert_eq!(before, after, "{member}");
    }
}

/// Reads a record, by whichever way, and writes and reads it again.
fn reads(value: &Value) -> Option<Record> {
    let text = value.to_string();
    let record = read::from_str::<Record>(&text).ok();
    assert_eq!(record, serde_json::from_str(&text).ok(), "{text}");
    assert_eq!(record, serde_json::from_value(value.clone()).ok(), "{text}");
    if let Some(record) = &record {
        let written = serde_json::to_string(record).expect("it is written");
        assert_eq!(read::from_str(&written).as_ref(), Ok(record), "{written}");
        let written = write::to_string(record);
        assert_eq!(read::from_str(&written).as_ref(), Ok(record), "{written}");
    }
    record
}

/// Makes something wrong; tells which member, if it is one of the record's own.
fn spoil(draw: &mut Draw<'_>, record: &mut Value) -> Option<String> {
    let members = record.as_object_mut().expect("an object");
    let names: Vec<String> = members.keys().cloned().collect();
    let name = names[draw.below(names.len())].clone();
    let place = members.get_mut(&name).expect("it is there");
    let inner = match place {
        Value::Object(inner) if draw.one_in(2) => Some(inner),
        Value::Array(list) if draw.one_in(2) => list.first_mut().and_then(Value::as_object_mut),
        _ => None,
    };
    match inner.and_then(|inner| inner.values_mut().next()) {
        Some(value) => *value = nonsense(draw),
        None if draw.one_in(4) => drop(members.remove(&name)),
        None => *place = nonsense(draw),
    }
    (name != "kind").then_some(name)
}

fn nonsense(draw: &mut Draw<'_>) -> Value {
    match draw.below(9) {
        0 => Value::Null,
        1 => json!(draw.one_in(2)),
        2 => json!(draw.number()),
        3 => json!(-1),
        4 => json!(0.5),
        5 => json!(draw.text(
            &[
                "*",
                "active",
                "strict",
                "",
                "acc_",
                "a.b",
                "/",
                "{x}",
                "10.0.0.0/8",
                "https://a.test",
                "é"
            ],
            3
        )),
        6 => json!([nonsense_leaf(draw), nonsense_leaf(draw)]),
        7 => json!({"host": nonsense_leaf(draw), "future": {"deep": [1, {}]}}),
        _ => json!(u64::MAX),
    }
}

fn nonsense_leaf(draw: &mut Draw<'_>) -> Value {
    draw.pick(&[Value::Null, Value::Bool(true)].each_ref())
        .clone()
}

fn id(draw: &mut Draw<'_>, prefix: &str, length: usize) -> Value {
    json!(format!("{prefix}{}", draw.word(ALPHANUMERIC, length)))
}

/// The members that every record has.
fn common(draw: &mut Draw<'_>, kind: &str, id: Value) -> Map<String, Value> {
    let version = 1 + draw.number() % MAX_VERSION;
    let ancestors = draw.list(3, |draw| self::id(draw, "acc_", 8));
    let members = json!({"kind": kind, "id": id, "version": version, "ancestors": ancestors, "future": [null, {"a": 1.5}]});
    members.as_object().expect("an object").clone()
}

fn account(draw: &mut Draw<'_>) -> Value {
    let own = id(draw, "acc_", 8);
    let mut record = common(draw, "account", own);
    record.insert("deleted".into(), json!(draw.one_in(2)));
    record.insert(
        "requestsPerMonth".into(),
        json!(draw.one_in(2).then(|| draw.number())),
    );
    Value::Object(record)
}

fn identity(draw: &mut Draw<'_>) -> Value {
    let own = id(draw, "idn_", 16);
    let mut record = common(draw, "identity", own);
    let members = json!({
        "account": id(draw, "acc_", 8),
        "limits": {"requestsPerHour": draw.one_in(2).then(|| draw.byte())},
        "deleted": draw.one_in(2),
    });
    record.extend(members.as_object().expect("an object").clone());
    Value::Object(record)
}

fn member(draw: &mut Draw<'_>) -> Value {
    let own = id(draw, "mem_", 16);
    let mut record = common(draw, "member", own);
    let members = json!({
        "account": id(draw, "acc_", 8),
        "role": draw.pick(&["owner", "viewer", "role_1", "emperor", ""]),
        "removed": draw.one_in(2),
    });
    record.extend(members.as_object().expect("an object").clone());
    Value::Object(record)
}

fn role(draw: &mut Draw<'_>) -> Value {
    let own = id(draw, "role_", 16);
    let mut record = common(draw, "role", own);
    let members = json!({
        "account": id(draw, "acc_", 8),
        "permissions": draw.list(3, |draw| draw.pick(&["a.read", "a.*", "*"])),
        "deleted": draw.one_in(2),
    });
    record.extend(members.as_object().expect("an object").clone());
    Value::Object(record)
}

fn credits(draw: &mut Draw<'_>) -> Value {
    let interval = draw.pick(&["daily", "monthly", "yearly"]);
    let refill = json!({"amount": draw.number(), "interval": interval});
    json!({"serial": draw.number(), "granted": draw.number(), "refill": draw.one_in(2).then_some(refill)})
}

fn key(draw: &mut Draw<'_>) -> Value {
    let own = id(draw, "key_", 20);
    let mut record = common(draw, "key", own);
    let hashes = draw.list(2, |draw| {
        let hash: String = draw
            .array::<32>()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        json!({"hash": hash, "notAfter": draw.one_in(2).then(|| draw.number())})
    });
    let members = json!({
        "account": id(draw, "acc_", 8),
        "owner": draw.one_in(2).then_some("mem_1"),
        "environment": "prod",
        "state": draw.pick(&["active", "revoked", "deleted", "owner_removed", "paused"]),
        "credentials": hashes,
        "expiresAt": draw.one_in(2).then(|| draw.number()),
        "permissions": draw.list(3, |draw| draw.pick(&["a.read", "a.*", "*"])),
        "rolePermissions": draw.one_in(2).then_some(["*"]),
        "resources": draw.list(2, |draw| draw.pick(&["agent:a_1", "customer:é:1"])),
        "allowedOrigins": draw.list(2, |draw| draw.pick(&["https://a.test", "https://*.b.test:8443", "*"])),
        "allowMissingOrigin": draw.one_in(2),
        "allowedIps": draw.list(2, |draw| draw.pick(&["10.0.0.0/8", "::1", "203.0.113.7"])),
        "limits": {"requestsPerMinute": draw.one_in(2).then(|| draw.byte()), "requestsPerDay": 5},
        "enforcement": draw.pick(&["leased", "strict", "quantum"]),
        "credits": draw.one_in(2).then(|| credits(draw)),
        "identity": draw.one_in(2).then_some("idn_1"),
    });
    record.extend(members.as_object().expect("an object").clone());
    Value::Object(record)
}

fn api(draw: &mut Draw<'_>) -> Value {
    let own = id(draw, "api_", 16);
    let mut record = common(draw, "api", own);
    let routes = draw.list(3, |draw| {
        json!({
            "method": draw.pick(&["GET", "*"]), "path": draw.pick(&["/a", "/{x}", "/b/{*rest}"]), "cost": 1 + u32::from(draw.byte()),
            "permission": draw.one_in(2).then_some("a.read"), "resource": draw.one_in(2).then(|| json!({"kind": "a", "param": "x"})),
        })
    });
    let members = json!({
        "account": id(draw, "acc_", 8),
        "name": draw.text(&["An API", "\"", "\\", "é", "\u{1}"], 4),
        "endpoints": [{"host": "api.example", "environment": "production", "code": "prod", "upstream": draw.one_in(2).then_some("http://u")}],
        "upstream": "http://upstream.test",
        "upstreamTimeoutMs": draw.byte(),
        "routes": routes,
        "unlisted": draw.pick(&["open", "closed", "ajar"]),
        "cors": {"allowedOrigins": ["*"], "allowCredentials": draw.one_in(2), "maxAgeSeconds": draw.byte()},
        "onGuardFailure": draw.pick(&["allow", "refuse", "shrug"]),
        "acceptImported": draw.one_in(2),
        "deleted": draw.one_in(2),
    });
    record.extend(members.as_object().expect("an object").clone());
    Value::Object(record)
}
