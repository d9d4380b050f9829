//! Putting texts together.

/// The parts as one text, with something between them. The standard library's `join` and `concat` are fast for long lists,
/// and much code.
pub fn join<S: AsRef<str>>(parts: &[S], between: &str) -> String {
    let mut text = String::with_capacity(64);
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push_str(between);
        }
        text.push_str(part.as_ref());
    }
    text
}
