use shared::permission::{Permission, allows, effective};
use shared::resource::{ResourceScope, reaches};

use super::draw::Draw;

const SEGMENTS: &[&str] = &["a", "b", "ab", "a-b", "_", "*", "", "A", "é", "**", "0"];

/// Wildcards cover what is below them, and a key does what both it and its owner's role allow: no more, no less.
pub fn permission(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let [key, role] = [0, 1].map(|_| {
        draw.list(5, |draw| any(draw))
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    });
    let texts = effective(&key, Some(&role));
    let both: Vec<Permission> = texts
        .iter()
        .map(|text| Permission::parse(text).expect("it was one"))
        .collect();
    for _ in 0..6 {
        let Some(needed) = any(&mut draw) else {
            continue;
        };
        let by_reference =
            |held: &[Permission]| held.iter().any(|p| covers(p.as_str(), needed.as_str()));
        assert_eq!(
            allows(&key, &needed),
            by_reference(&key),
            "{key:?} {needed}"
        );
        let want = allows(&key, &needed) && allows(&role, &needed);
        assert_eq!(
            allows(&both, &needed),
            want,
            "{key:?} under {role:?}: {needed}"
        );
    }
    let alone = effective(&key, None);
    assert!(key.iter().map(Permission::as_str).eq(alone));
    scopes(&mut draw);
}

fn any(draw: &mut Draw<'_>) -> Option<Permission> {
    let length = 1 + draw.below(3);
    let segments: Vec<&str> = (0..length).map(|_| draw.pick(SEGMENTS)).collect();
    let text = segments.join(".");
    let read = Permission::parse(&text);
    assert_eq!(read.is_ok(), is_permission(&segments), "{text}");
    let read = read.ok()?;
    assert_eq!(read.to_string(), text);
    assert!(read.covers(&read));
    Some(read)
}

fn is_permission(segments: &[&str]) -> bool {
    let is_name = |s: &&str| {
        !s.is_empty()
            && s.chars()
                .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'))
    };
    let Some((last, first)) = segments.split_last() else {
        return false;
    };
    first.iter().all(is_name) && (is_name(last) || *last == "*")
}

/// Segment by segment.
fn covers(held: &str, needed: &str) -> bool {
    let [held, needed]: [Vec<&str>; 2] = [held, needed].map(|text| text.split('.').collect());
    match held.split_last() {
        Some((&"*", stem)) => needed.len() > stem.len() && needed.starts_with(stem),
        _ => held == needed,
    }
}

/// A scope binds its own kind, to itself.
fn scopes(draw: &mut Draw<'_>) {
    let text = draw.text(&["agent", "customer", ":", "a_1", "é", " ", "\n", "A"], 4);
    let Ok(scope) = ResourceScope::parse(&text) else {
        return;
    };
    assert_eq!(String::from(scope.clone()), text);
    let (kind, id) = text.split_once(':').expect("it was read");
    let scopes = [scope];
    assert!(reaches(&scopes, kind, id) && !reaches(&scopes, kind, &format!("{id}x")));
    assert!(reaches(&scopes, &format!("{kind}x"), "anything"));
}
