//! Writing small JSON objects, member by member.
//!
//! The edge answers refusals and verdicts at the rate of its traffic, and must load quickly: a writer without an
//! intermediate tree is fast and small.

/// A JSON object (RFC 8259) in the making.
#[derive(Debug, Clone)]
pub struct Object(String);

impl Default for Object {
    fn default() -> Self {
        let mut text = String::with_capacity(512);
        text.push('{');
        Self(text)
    }
}

impl Object {
    /// Adds a text.
    pub fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        push_text(&mut self.0, value);
        self
    }

    /// Adds a text, or null.
    pub fn text_or_null(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// Adds a number.
    pub fn number(&mut self, name: &str, value: u64) -> &mut Self {
        self.raw(name, itoa::Buffer::new().format(value))
    }

    /// Adds true or false.
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, if value { "true" } else { "false" })
    }

    /// Adds a list of texts.
    pub fn texts<'a>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'a str>,
    ) -> &mut Self {
        self.name(name);
        self.0.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            push_text(&mut self.0, value);
        }
        self.0.push(']');
        self
    }

    /// Adds a list of objects.
    pub fn objects(&mut self, name: &str, values: impl IntoIterator<Item = Self>) -> &mut Self {
        self.name(name);
        self.0.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.0.push_str(&value.finish());
        }
        self.0.push(']');
        self
    }

    /// Adds a value that is JSON already.
    pub fn raw(&mut self, name: &str, json: &str) -> &mut Self {
        self.name(name);
        self.0.push_str(json);
        self
    }

    /// The object's text.
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn name(&mut self, name: &str) {
        push_name(&mut self.0, name);
    }
}

/// Adds the name of a member to an object that is being written.
pub fn push_name(to: &mut String, name: &str) {
    if to.as_bytes().last() != Some(&b'{') {
        to.push(',');
    }
    push_text(to, name);
    to.push(':');
}

/// Adds a text, in quotes.
pub fn push_text(to: &mut String, text: &str) {
    to.push('"');
    if is_plain(text) {
        to.push_str(text);
    } else {
        text.chars().for_each(|c| push_char(to, c));
    }
    to.push('"');
}

/// A loop: where code is to be small, an iterator's closure is a call for every byte.
fn is_plain(text: &str) -> bool {
    for b in text.as_bytes() {
        if *b < b' ' || matches!(b, b'"' | b'\\') {
            return false;
        }
    }
    true
}

fn push_char(to: &mut String, c: char) {
    let short = match c {
        '"' | '\\' => c,
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\0'..' ' => return push_unit(to, c as u16),
        _ => return to.push(c),
    };
    to.push('\\');
    to.push(short);
}

/// `\u` and four digits.
fn push_unit(to: &mut String, unit: u16) {
    to.push_str("\\u");
    for shift in [12, 8, 4, 0] {
        to.extend(char::from_digit(u32::from(unit >> shift) & 15, 16));
    }
}

/// The same JSON in ASCII alone, so that it can stand in a header field: other characters are there only in texts, where
/// an escape means the same (RFC 8259, section 7).
pub fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                push_unit(&mut text, *unit);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_is_written_reads_back() {
        let mut inner = Object::default();
        inner.number("n", u64::MAX);
        let mut object = Object::default();
        object
            .text("plain", "ä b")
            .text("hostile \"\\", "\"\\\u{1}\n\u{7f}</script>\u{2028}")
            .text_or_null("null", None)
            .flag("flag", true)
            .texts("texts", ["a", "\"b"])
            .objects("objects", [inner, Object::default()])
            .raw("raw", "[1]");
        let read: Value = serde_json::from_str(&object.finish()).unwrap();
        assert_eq!(
            read,
            json!({
                "plain": "ä b", "hostile \"\\": "\"\\\u{1}\n\u{7f}</script>\u{2028}", "null": null, "flag": true,
                "texts": ["a", "\"b"], "objects": [{ "n": u64::MAX }, {}], "raw": [1],
            })
        );
        assert_eq!(Object::default().finish(), "{}");
    }

    #[test]
    fn json_in_ascii_reads_back_the_same() {
        let json = json!({"ä…": "\u{7f}\u{80}\u{2028}𝒳\"\\ plain"});
        let text = ascii(&json.to_string());
        assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json);
    }
}
