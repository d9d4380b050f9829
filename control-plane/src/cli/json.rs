//! JSON that a terminal may show.

use std::fmt::Write;

use serde_json::Value;

/// On several lines.
pub fn pretty(value: &Value) -> String {
    escaped(&serde_json::to_string_pretty(value).unwrap_or_default())
}

/// On one line.
pub fn compact(value: &Value) -> String {
    escaped(&value.to_string())
}

/// JSON itself escapes only the first 32 characters; those others that a terminal obeys are escaped here, which changes
/// nothing for who reads it: outside of strings none of them can stand.
fn escaped(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || !crate::terminal::is_unsafe(character) {
            safe.push(character);
            continue;
        }
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            // A String takes everything.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_written_and_nothing_is_lost() {
        let value = json!({"a": "\u{1b}[1m\u{9b}2J\n\u{7f}\u{202e}\u{e0041} é 漢", "b": [1, null]});
        for text in [pretty(&value), compact(&value)] {
            let is_safe = |c| c == '\n' || !crate::terminal::is_unsafe(c);
            assert!(text.chars().all(is_safe), "{text}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }
}
