//! Texts of others on a terminal.

use std::borrow::Cow;
use std::fmt::Write;

/// A text without what a terminal obeys: control characters, and those that change the direction of writing, are shown by
/// their numbers, such as `\u{1b}`.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut cleaned = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_unsafe(character) {
            // A String takes everything.
            let _ = write!(cleaned, "{}", character.escape_unicode());
        } else {
            cleaned.push(character);
        }
    }
    Cow::Owned(cleaned)
}

/// Whether a terminal obeys a character instead of showing it.
pub fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_by_its_number() {
        assert_eq!(clean("\u{1b}[2Jred\u{7}"), "\\u{1b}[2Jred\\u{7}");
        assert_eq!(clean("a\nb\tc\u{9b}d"), "a\\u{a}b\\u{9}c\\u{9b}d");
        assert_eq!(clean("abc\u{202e}fed"), "abc\\u{202e}fed");
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["", "plain", "naïve 漢字 🦀 key", "a\\b"] {
            assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
        }
    }
}
