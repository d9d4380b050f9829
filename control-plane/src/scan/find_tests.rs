use std::io::{self, Read};

use shared::secret::Secret;
use shared::token::{MAX_TOKEN, Token};

use super::*;

fn token(prefix: &str, code: &str, seed: u8) -> String {
    let secret = Secret::from_text("a tag secret for the tests only").unwrap();
    let token = Token::mint(prefix, code, "LOCATOR1", &[seed; 32], &secret).unwrap();
    token.expose().to_owned()
}

fn scan_with(with_binary: bool, input: impl Read) -> (Vec<Hit>, Outcome) {
    let mut hits = Vec::new();
    let outcome = Scanner::new(with_binary).scan(input, &mut |hit| hits.push(hit));
    (hits, outcome.unwrap())
}

fn scan(bytes: &[u8]) -> Vec<Hit> {
    scan_with(false, bytes).0
}

fn places(bytes: &[u8]) -> Vec<(u64, u64)> {
    scan(bytes)
        .iter()
        .map(|hit| (hit.line, hit.column))
        .collect()
}

#[test]
fn a_hit_tells_where_and_which_but_not_the_token() {
    let token = token("kw", "prod", 1);
    let hits = scan(format!("one\ntwo = \"{token}\"\n").as_bytes());
    let [hit] = hits.as_slice() else {
        panic!("{hits:?}");
    };
    assert_eq!((hit.line, hit.column), (2, 8));
    assert_eq!(hit.start, token[..15]);
    assert_eq!(hit.last8, token[token.len() - 8..]);
    assert_eq!(
        hit.hash,
        ParsedToken::parse(&token).unwrap().hash().to_hex()
    );
    assert!(!format!("{hit:?}").contains(&token[11..40]));
}

#[test]
fn any_prefix_and_code_is_found_whatever_stands_around_it() {
    for (prefix, code) in [
        ("k", "p"),
        ("kw", "prod"),
        ("sk", "sk"),
        ("a12345678901", "0123456789"),
        ("acme", "preview"),
    ] {
        let token = token(prefix, code, 2);
        for (before, after) in [
            ("", ""),
            ("\"", "\""),
            ("\\n", "\\n"),
            ("%20", "%20"),
            ("abcdefghijklmnopqrstuvwxyz", "abc"),
            ("sk_sk_", "_sk_"),
            ("_sk_", "."),
            ("é", "é"),
            ("\u{0}x", "\n"),
        ] {
            let text = format!("{before}{token}{after}");
            let (hits, _) = scan_with(true, text.as_bytes());
            let columns: Vec<_> = hits.iter().map(|hit| hit.column).collect();
            assert_eq!(columns, [before.len() as u64 + 1], "{text}");
        }
    }
}

#[test]
fn what_is_no_token_is_not_found() {
    let token = token("kw", "prod", 3);
    let mut mistyped = token.clone();
    mistyped.replace_range(20..21, if &token[20..21] == "x" { "y" } else { "x" });
    let cut = &token[..token.len() - 1];
    let upper = token.replacen("kw", "KW", 1);
    let spaced = token.replacen("_sk_", "_sk_ ", 1);
    for text in [
        &mistyped,
        cut,
        &upper,
        &spaced,
        &token[3..],
        "",
        "_sk_",
        "x_sk_",
    ] {
        assert_eq!(scan(text.as_bytes()), [], "{text}");
    }
}

#[test]
fn tokens_in_a_row_are_all_found() {
    let (a, b) = (token("kw", "prod", 4), token("kw", "dev", 5));
    let column = a.len() as u64 + 1;
    assert_eq!(places(format!("{a}{b}").as_bytes()), [(1, 1), (1, column)]);
    assert_eq!(places(format!("{a}\n\n{b}").as_bytes()), [(1, 1), (3, 1)]);
}

#[test]
fn tokens_across_the_border_of_two_chunks_are_found_once_and_at_the_right_place() {
    let token = token("a12345678901", "0123456789", 6);
    assert_eq!(token.len(), MAX_TOKEN);
    for before in CHUNK - 2 * MAX_TOKEN..CHUNK + 2 {
        let mut text = vec![b'.'; before];
        text[before / 2] = b'\n';
        text.extend(token.as_bytes());
        let expected = [(2, (before - before / 2) as u64)];
        assert_eq!(places(&text), expected, "at the end, {before}");
        text.extend(vec![b'.'; 2 * CHUNK]);
        assert_eq!(places(&text), expected, "{before}");
    }
}

/// Gives one byte at a time.
struct Trickle<'a>(&'a [u8]);

impl Read for Trickle<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let (Some((first, rest)), Some(to)) = (self.0.split_first(), out.first_mut()) else {
            return Ok(0);
        };
        (*to, self.0) = (*first, rest);
        Ok(1)
    }
}

#[test]
fn a_slow_stream_is_read_to_its_end() {
    let text = format!("{}\n{}", ".".repeat(CHUNK), token("kw", "prod", 7));
    let (hits, outcome) = scan_with(false, Trickle(text.as_bytes()));
    assert_eq!(hits.len(), 1);
    assert_eq!(outcome, Outcome::Read(text.len() as u64));
}

#[test]
fn binary_files_are_left_out_unless_they_are_wanted() {
    let text = format!("ELF\0{}", token("kw", "prod", 8));
    assert_eq!(scan_with(false, text.as_bytes()), (vec![], Outcome::Binary));
    assert_eq!(scan_with(true, text.as_bytes()).0.len(), 1);
}

#[test]
fn utf_16_is_text() {
    let text = format!("\u{feff}é = 1\r\nkey = {}\r\n", token("kw", "prod", 9));
    let units: Vec<u16> = text.encode_utf16().collect();
    let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
    let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
    for mut bytes in [little, big] {
        assert_eq!(places(&bytes), [(2, 7)]);
        bytes.push(b'k');
        let (hits, _) = scan_with(false, Trickle(&bytes));
        assert_eq!(hits.len(), 1);
    }
}

#[test]
fn random_bytes_neither_crash_nor_alarm() {
    let mut state = 1u64;
    let mut bytes = vec![0; 3 * CHUNK];
    for byte in &mut bytes {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        // An alphabet in which marks, heads and bodies are common.
        *byte = b"_sk_kwprod_skAZ09\n"[(state >> 33) as usize % 18];
    }
    assert_eq!(scan_with(true, bytes.as_slice()).0, []);
}
