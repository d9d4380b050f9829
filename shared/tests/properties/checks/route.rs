use shared::path::canonical;
use shared::permission::Permission;
use shared::route::{Lookup, ResourceParam, Route, RouteTable};

use super::draw::Draw;
use super::reference::{breadth, fits};

const SEGMENTS: &[&str] = &[
    "a", "b", "ab", "v1", "{x}", "{x}", "{y}", "{*rest}", "a{x}", "{y}b", "{x}.json", "a{y}b",
    "é{x}",
];
const ODD: &[&str] = &[
    "{", "}", "{}", "{*}", "{{a}}", "é", "%41", "{x", "x}", "*", ".", "..", "{a{b}}", "{x}{y}", "",
];
const METHODS: &[&str] = &["GET", "POST", "HEAD", "*", "PROPFIND"];

/// A request gets the route that reading the table slowly gives, with what the path names.
pub fn route(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let is_odd = draw.one_in(4);
    let mut rows = draw.list(10, |draw| row(draw, is_odd));
    // Rows that can't stand with those above are left out, as an admin would.
    while let Err(error) = RouteTable::compile(&rows) {
        let bad = rows.remove(error.index);
        excusable(&bad, &rows);
    }
    let table = RouteTable::compile(&rows).expect("the bad rows are out");
    for _ in 0..8 {
        let segments = draw.list(4, |draw| {
            draw.pick(&[
                "a", "b", "ab", "v1", "c", "a.json", "aab", "é", "éé", "{x}", "*",
            ])
        });
        let raw = format!("/{}", segments.join("/"));
        let path = canonical(&raw).expect("it is clear");
        let method = draw.pick(&["GET", "POST", "HEAD", "DELETE", "PROPFIND"]);
        let found = table.lookup(method, &path);
        agrees(&rows, method, &path, &found);
    }
}

fn row(draw: &mut Draw<'_>, is_odd: bool) -> Route {
    let segments = draw.list(4, |draw| {
        if is_odd && draw.one_in(2) {
            draw.pick(ODD)
        } else {
            draw.pick(SEGMENTS)
        }
    });
    Route {
        method: draw.pick(METHODS).to_owned(),
        path: format!("/{}", segments.join("/")),
        permission: Permission::parse(draw.pick(&["a.read", "*"])).ok(),
        cost: 1 + draw.byte() as u32,
        account_param: draw.one_in(4).then(|| "x".to_owned()),
        resource: draw.one_in(4).then(|| ResourceParam {
            kind: "thing".into(),
            param: "y".into(),
        }),
    }
}

/// Why a row may be refused: what it is itself, or a row above of the same form.
fn excusable(bad: &Route, rows: &[Route]) {
    let segments: Vec<&str> = bad.path.split('/').skip(1).collect();
    let has = |name: &str| bad.path.contains(&format!("{{{name}}}"));
    let names: Vec<&str> = segments
        .iter()
        .filter_map(|s| Some(s.split_once('{')?.1.split_once('}')?.0))
        .collect();
    let mut once = names.clone();
    once.sort_unstable();
    once.dedup();
    let own = once.len() < names.len()
        || segments.iter().any(|s| ODD.contains(s))
        || segments.iter().rev().skip(1).any(|s| s.starts_with("{*"))
        || bad.account_param.as_deref().is_some_and(|p| !has(p))
        || bad.resource.as_ref().is_some_and(|r| !has(&r.param));
    let is_alike = |row: &Route| {
        breadth(&row.path) == breadth(&bad.path)
            && (row.path != bad.path || row.method == bad.method)
    };
    assert!(
        own || rows.iter().any(is_alike),
        "{bad:?} was refused after {rows:?}"
    );
}

fn agrees(rows: &[Route], method: &str, path: &str, found: &Lookup<'_>) {
    let fitting = rows.iter().filter(|row| fits(&row.path, path).is_some());
    let narrowest = fitting
        .min_by_key(|row| breadth(&row.path))
        .map(|row| row.path.as_str());
    let of_path: Vec<&Route> = rows
        .iter()
        .filter(|row| Some(row.path.as_str()) == narrowest)
        .collect();
    let of = |wanted: &str| of_path.iter().find(|row| row.method == wanted).copied();
    let as_get = (method == "HEAD").then(|| of("GET")).flatten();
    match (of(method).or(as_get).or(of("*")), found) {
        (Some(want), Lookup::Found(got)) => {
            assert_eq!(got.route, want, "{method} {path}");
            let params = fits(&want.path, path).expect("it fits");
            let param = |name: &str| {
                params
                    .iter()
                    .find(|(n, _)| n == name)
                    .map(|(_, value)| value.as_str())
            };
            assert_eq!(got.account, want.account_param.as_deref().and_then(param));
            let resource = want
                .resource
                .as_ref()
                .and_then(|r| Some((r.kind.as_str(), param(&r.param)?)));
            assert_eq!(got.resource, resource);
        }
        (None, Lookup::OtherMethods(methods)) => {
            let want: Vec<&str> = of_path.iter().map(|row| row.method.as_str()).collect();
            assert!(!want.is_empty() && want == *methods, "{method} {path}");
        }
        (None, Lookup::None) => assert_eq!(narrowest, None, "{method} {path}"),
        (want, got) => panic!("{method} {path}: {want:?}, not {got:?}"),
    }
}
