//! The slow and plain way to know what is right.

/// The six last characters of a token, by the definition of CRC-32 (ISO-HDLC), bit after bit.
pub fn crc(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let poly = if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
            crc = (crc >> 1) ^ poly;
        }
    }
    let mut rest = !crc;
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(super::draw::ALPHANUMERIC.as_bytes()[(rest % 62) as usize]);
        rest /= 62;
    }
    digits.reverse();
    String::from_utf8(digits).expect("ASCII")
}

/// Whether a text has a token's form and checksum.
pub fn is_token(text: &str) -> bool {
    let parts: Vec<&str> = text.split('_').collect();
    let &[prefix, env_code, "sk", body] = parts.as_slice() else {
        return false;
    };
    let is_code = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9'))
    };
    let is_body = body.len() == 46 && body.chars().all(|c| c.is_ascii_alphanumeric());
    is_code(prefix, 12)
        && prefix.starts_with(|c: char| c.is_ascii_lowercase())
        && is_code(env_code, 10)
        && is_body
        && text.ends_with(&crc(&text[..text.len() - 6]))
}

/// The bytes of a percent-encoded text; `%` stands for itself where no hexadecimal digits follow.
pub fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text;
    while let [byte, more @ ..] = rest {
        rest = more;
        let digits = more.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        let value = digits
            .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|d| u8::from_str_radix(d, 16).ok());
        match value {
            Some(value) if *byte == b'%' => {
                decoded.push(value);
                rest = &more[2..];
            }
            _ => decoded.push(*byte),
        }
    }
    decoded
}

/// The segments that an easy-going server makes of a path's bytes: backslashes are slashes, what follows a semicolon is
/// dropped, empty segments too, and dot segments are gone up.
pub fn easy_going(path: &[u8]) -> Vec<Vec<u8>> {
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in path.split(|b| matches!(b, b'/' | b'\\')) {
        let name = segment.split(|b| *b == b';').next().unwrap_or_default();
        match name {
            b"" if segment.is_empty() => {}
            b"." => {}
            b".." => drop(segments.pop()),
            _ => segments.push(segment.to_vec()),
        }
    }
    segments
}

/// A template's segment: what stands before a parameter, its name and what stands after it.
fn parameter(segment: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = segment.split_once('{')?;
    let (name, after) = rest.split_once('}')?;
    Some((before, name, after))
}

/// Whether a path has the form of a template, segment by segment; what its parameters hold.
pub fn fits(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let split = |text: &str| {
        text.split('/')
            .skip(1)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let [template, path]: [Vec<String>; 2] = [template, path].map(split);
    let mut params = Vec::new();
    for (place, segment) in template.iter().enumerate() {
        let here = path.get(place)?;
        match parameter(segment) {
            None if segment == here => {}
            None => return None,
            Some((_, name, _)) if name.starts_with('*') => return Some(params),
            Some((before, name, after)) => {
                let value = here.strip_prefix(before)?.strip_suffix(after)?;
                if value.is_empty() {
                    return None;
                }
                params.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    (template.len() == path.len()).then_some(params)
}

/// How broad a template is, segment by segment: a literal before a parameter, that with the least text around it last, and
/// a rest after all. Two templates are of one form when this is the same.
pub fn breadth(template: &str) -> Vec<(u8, usize, &str, &str)> {
    let of_segment = |segment| match parameter(segment) {
        None => (0, 0, "", segment),
        Some((_, name, _)) if name.starts_with('*') => (2, 0, "", ""),
        Some((before, _, after)) => (1, usize::MAX - before.len() - after.len(), before, after),
    };
    template.split('/').map(of_segment).collect()
}
