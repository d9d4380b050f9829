//! Reading a JSON text (RFC 8259) into a tree.

use std::borrow::Cow;

use super::Json;

/// How deep lists and objects may stand in each other: reading them takes stack.
const MAX_DEPTH: usize = 127;

/// The tree of a text; `None` when it is not JSON, or of more values than it may have.
pub fn parse(text: &str, most_values: usize) -> Option<Json<'_>> {
    let mut reader = Reader {
        text,
        at: 0,
        values_left: most_values,
    };
    let json = reader.value(MAX_DEPTH)?;
    reader.skip_space();
    reader.peek().is_none().then_some(json)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    values_left: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Takes a byte, if it comes next.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let takes = self.peek() == Some(byte);
        self.at += usize::from(takes);
        takes
    }

    fn word(&mut self, word: &str, json: Json<'a>) -> Option<Json<'a>> {
        let found = self.text.as_bytes().get(self.at..)?;
        self.at += word.len();
        found.starts_with(word.as_bytes()).then_some(json)
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        self.values_left = self.values_left.checked_sub(1)?;
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(depth.checked_sub(1)?),
            b'[' => self.list(depth.checked_sub(1)?),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Flag(true)),
            b'f' => self.word("false", Json::Flag(false)),
            b'n' => self.word("null", Json::Null),
            _ => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json<'a>> {
        self.at += 1;
        let mut items = Vec::new();
        if self.takes(b']') {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            if !self.takes(b',') {
                return self.takes(b']').then_some(Json::List(items));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.at += 1;
        let mut members = Vec::new();
        if self.takes(b'}') {
            return Some(Json::Object(members));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            if !self.takes(b':') {
                return None;
            }
            members.push((name, self.value(depth)?));
            if !self.takes(b',') {
                return self.takes(b'}').then_some(Json::Object(members));
            }
        }
    }

    fn number(&mut self) -> Option<Json<'a>> {
        let start = self.at;
        let negative = self.takes(b'-');
        let digits_at = self.at;
        let mut whole = Some(0_u64);
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            let digit = u64::from(digit - b'0');
            whole = whole.and_then(|n| n.checked_mul(10)?.checked_add(digit));
            self.at += 1;
        }
        let begins_with_zero = self.text.as_bytes().get(digits_at) == Some(&b'0');
        match self.at - digits_at {
            0 => return None,
            1 => {}
            _ if begins_with_zero => return None,
            _ => {}
        }
        let whole_end = self.at;
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        let is_ours = !negative && self.at == whole_end && start == digits_at;
        let ours = whole.filter(|_| is_ours).map(Json::Number);
        Some(ours.unwrap_or(Json::OtherNumber))
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.next()? != b'"' {
            return None;
        }
        let mut unescaped = String::new();
        let mut start = self.at;
        loop {
            let end = self.at;
            let byte = self.next()?;
            if byte == b'"' {
                let rest = self.text.get(start..end)?;
                if unescaped.is_empty() {
                    return Some(Cow::Borrowed(rest));
                }
                unescaped.push_str(rest);
                return Some(Cow::Owned(unescaped));
            }
            if byte == b'\\' {
                unescaped.push_str(self.text.get(start..end)?);
                unescaped.push(self.escaped()?);
                start = self.at;
            }
            if byte < b' ' {
                return None;
            }
        }
    }

    fn escaped(&mut self) -> Option<char> {
        Some(match self.next()? {
            same @ (b'"' | b'\\' | b'/') => char::from(same),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// The character of `\u`: two of them, where one alone is half of a character.
    fn unicode(&mut self) -> Option<char> {
        let unit = self.unit()?;
        if unit & 0xfc00 != 0xd800 {
            return char::from_u32(unit);
        }
        let is_pair = self.next()? == b'\\' && self.next()? == b'u';
        let low = self
            .unit()
            .filter(|low| is_pair && low & 0xfc00 == 0xdc00)?;
        char::from_u32(0x1_0000 + ((unit & 0x3ff) << 10 | low & 0x3ff))
    }

    fn unit(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            unit = unit << 4 | char::from(self.next()?).to_digit(16)?;
        }
        Some(unit)
    }
}
