//! Header fields on their way out, in one text.
//!
//! A hot answer has a dozen of them. One text costs one allocation and goes from wasm to JavaScript in one
//! piece; a list of pairs would cost dozens.

/// Header fields: for each a name, a line feed, its value and a line feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    lines: String,
    count: usize,
}

impl Fields {
    /// No fields yet, and room for this many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            lines: String::with_capacity(bytes),
            count: 0,
        }
    }

    /// Adds a field. A line break in a value would shift every line after it, and is no part of any valid one
    /// (RFC 9110, section 5.5), so it becomes a space.
    pub fn put(&mut self, name: &str, value: &str) {
        self.put_parts(name, &[value]);
    }

    /// Adds a field whose value is these parts together.
    pub fn put_parts(&mut self, name: &str, parts: &[&str]) {
        self.count += 1;
        self.lines.push_str(name);
        self.lines.push('\n');
        for part in parts {
            push_line(&mut self.lines, part);
        }
        self.lines.push('\n');
    }

    /// Adds a field whose value is a number.
    pub fn put_number(&mut self, name: &str, value: u64) {
        self.put(name, itoa::Buffer::new().format(value));
    }

    /// Adds the fields of another.
    pub fn append(&mut self, other: &Self) {
        self.lines.push_str(&other.lines);
        self.count += other.count;
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The value of the first field with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut lines = self.lines.split_terminator('\n');
        std::iter::from_fn(move || Some((lines.next()?, lines.next()?)))
    }

    /// All of it, as lines.
    pub fn as_lines(&self) -> &str {
        &self.lines
    }
}

/// Adds text that must stay on its line.
pub fn push_line(to: &mut String, text: &str) {
    if is_one_line(text) {
        to.push_str(text);
    } else {
        to.extend(text.chars().map(|c| match c {
            '\n' | '\r' => ' ',
            other => other,
        }));
    }
}

/// A loop: where code is to be small, an iterator's closure is a call for every byte.
fn is_one_line(text: &str) -> bool {
    for b in text.as_bytes() {
        if matches!(b, b'\n' | b'\r') {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_out_as_they_went_in() {
        let mut fields = Fields::default();
        fields.put("a", "1");
        fields.put("empty", "");
        fields.put_number("n", u64::MAX);
        fields.put_parts("p", &["x", "=", "y"]);
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(
            all,
            [
                ("a", "1"),
                ("empty", ""),
                ("n", "18446744073709551615"),
                ("p", "x=y")
            ]
        );
        assert_eq!(fields.count(), 4);
        assert_eq!(fields.get("empty"), Some(""));
        assert_eq!(fields.get("missing"), None);
    }

    #[test]
    fn line_breaks_cannot_smuggle_fields() {
        let mut fields = Fields::default();
        fields.put("x-a", "1\r\nx-b: 2");
        assert_eq!(fields.as_lines(), "x-a\n1  x-b: 2\n");
    }
}
