use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq)]
struct Thing {
    id: String,
    count: u32,
    note: Option<String>,
    list: Vec<u64>,
}

wire!(Thing { id: "id", count: "count" or 7, note: "note", list: "list" or Vec::new() });

#[derive(Debug, PartialEq)]
enum Colour {
    Red,
    Other,
}

wire!(Colour: "red" => Red, _ | "other" => Other);

#[derive(Debug, PartialEq)]
struct Lower(String);

impl Lower {
    fn parse(text: &str) -> Result<Self, ()> {
        let is_lower = text.bytes().all(|b| b.is_ascii_lowercase());
        is_lower.then(|| Self(text.to_owned())).ok_or(())
    }

    fn to_text(&self) -> &str {
        &self.0
    }
}

wire!(Lower: Lower::parse, "a text in lower case" or Self(String::new()));

fn thing(json: &str) -> Result<Thing, String> {
    from_str(json).map_err(|e| e.to_string())
}

#[test]
fn members_are_taken_by_name_and_unknown_ones_passed_over() {
    let read =
        thing(r#"{"novelty":{"a":[-1,2.5e300,null]},"list":[1,2],"id":"\u0061\"","note":null}"#);
    let want = Thing {
        id: "a\"".into(),
        count: 7,
        note: None,
        list: vec![1, 2],
    };
    assert_eq!(read, Ok(want));
}

#[test]
fn what_does_not_fit_is_named_by_its_member() {
    for (json, why) in [
        (r#"{"count":1}"#, "id must be there"),
        (r#"{"id":"a","id":"b"}"#, "id must be there once"),
        (r#"{"id":7}"#, "id must be a text"),
        (
            r#"{"id":"a","count":-1}"#,
            "count must be an integer of 0 or more",
        ),
        (
            r#"{"id":"a","count":1.0}"#,
            "count must be an integer of 0 or more",
        ),
        (
            r#"{"id":"a","count":4294967296}"#,
            "count must be a smaller number",
        ),
        (
            r#"{"id":"a","count":null}"#,
            "count must be an integer of 0 or more",
        ),
        (
            r#"{"id":"a","list":[1,"2"]}"#,
            "list must be an integer of 0 or more",
        ),
        (r#"["a"]"#, "it must be an object"),
        (r#"{"id":"a"} x"#, "it must be JSON"),
        ("", "it must be JSON"),
    ] {
        assert_eq!(thing(json), Err(why.to_owned()), "{json}");
    }
}

#[test]
fn words_and_texts_are_read_as_they_say() {
    assert_eq!(from_str(r#""red""#), Ok(Colour::Red));
    assert_eq!(from_str(r#""blue""#), Ok(Colour::Other));
    assert!(from_str::<Colour>("1").is_err());
    assert_eq!(from_str(r#""a""#), Ok(Lower("a".into())));
    assert_eq!(
        from_str::<Lower>(r#""A""#).unwrap_err().to_string(),
        "it must be a text in lower case"
    );
}

#[test]
fn serde_reads_the_same_with_the_same_complaints() {
    let json = r#"{"id":"a","list":[18446744073709551615]}"#;
    assert_eq!(
        serde_json::from_str::<Thing>(json).unwrap(),
        thing(json).unwrap()
    );
    let owned: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(
        serde_json::from_value::<Thing>(owned).unwrap(),
        thing(json).unwrap()
    );
    let error = serde_json::from_str::<Thing>("{}").unwrap_err().to_string();
    assert!(error.starts_with("id must be there"), "{error}");
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(parse(&deep).is_err());
}

#[test]
fn a_tree_has_at_most_so_many_values() {
    for (text, values) in [("1", 1), ("[]", 1), (r#"{"a":1}"#, 2), ("[[1,{}],null]", 5)] {
        assert_eq!(parse_at_most(text, values), parse(text), "{text}");
        assert!(parse_at_most(text, values - 1).is_err(), "{text}");
    }
}

/// Pieces of JSON, and of what only looks like it.
fn jsonish() -> impl Strategy<Value = String> {
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"a\"",
        "\"\"",
        " ",
        "\n",
        "\u{b}",
        "true",
        "false",
        "null",
        "nul",
        "0",
        "-0",
        "01",
        "7",
        "-",
        "18446744073709551615",
        "18446744073709551616",
        "1.5",
        "1.",
        ".5",
        "2e9",
        "2E-1",
        "2e",
        "\"\\n\\u00e9\"",
        "\"\\ud834\\udd1e\"",
        "\"\\ud834\"",
        "\"\\udd1e\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\u{1}\"",
        "\"é\u{7f}\"",
        "\"",
        "\"a\":1",
        "\"a\":[{}]",
    ];
    let piece = prop::sample::select(pieces.to_vec());
    prop::collection::vec(piece, 0..8).prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn texts_are_json_as_serde_json_has_it(text in jsonish()) {
        let listed = format!("[{text}]");
        for text in [&text, &listed] {
            let want = serde_json::from_str::<Json<'_>>(text);
            // serde_json refuses what no double holds, before it looks at the rest.
            if want.as_ref().is_err_and(|e| e.to_string().starts_with("number out of range")) {
                continue;
            }
            prop_assert_eq!(parse(text).ok(), want.ok(), "{}", text);
        }
    }
}

#[test]
fn a_number_that_no_double_holds_is_one_that_is_not_ours() {
    for number in ["2e999", "-2e999", "2.5e918446744073709551615"] {
        assert_eq!(parse(number), Ok(Json::OtherNumber), "{number}");
    }
}

#[test]
fn nesting_goes_as_deep_as_serde_json_goes() {
    for depth in [1, 127, 128, 129] {
        let text = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let want = serde_json::from_str::<Json<'_>>(&text).is_ok();
        assert_eq!(parse(&text).is_ok(), want, "{depth}");
    }
}
