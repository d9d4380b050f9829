//! Finds tokens in a stream of bytes, with bounded memory.

use std::io::{self, Cursor, Read};

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memrchr};
use shared::token::{BODY, MARK, MAX_ENV_CODE, MAX_PREFIX, ParsedToken};

use super::utf16::Narrow;

/// How much is read at once.
const CHUNK: usize = 256 * 1024;
/// The mark and what follows it in a token.
const AFTER: usize = MARK.len() + BODY;
/// What of one chunk has to be seen again with the next: a token that lies across the border.
const KEPT: usize = MAX_PREFIX + 1 + MAX_ENV_CODE + AFTER;
/// Where a NUL makes a file binary: git's own rule.
const PROBE: usize = 8000;

/// A token, as far as it may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// Counted from 1.
    pub line: u64,
    /// Of the token's first byte, counted from 1 in bytes; in UTF-16 in code units.
    pub column: u64,
    /// Its beginning, through the first 4 random characters.
    pub start: String,
    /// Its last 8 characters.
    pub last8: String,
    /// SHA-256 of the whole token, in hex.
    pub hash: String,
}

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was read to its end: so many bytes.
    Read(u64),
    /// It is binary and was left out.
    Binary,
}

/// Reads streams, one after the other, through one buffer.
pub struct Scanner {
    mark: Finder<'static>,
    buffer: Vec<u8>,
    with_binary: bool,
}

impl Scanner {
    /// A scanner that leaves out what is binary, or does not.
    pub fn new(with_binary: bool) -> Self {
        Self {
            mark: Finder::new(MARK),
            buffer: vec![0; CHUNK],
            with_binary,
        }
    }

    /// Hands every token in a stream to `found`.
    ///
    /// # Errors
    /// When the stream can't be read; what was found before has been handed over.
    pub fn scan(
        &mut self,
        mut input: impl Read,
        found: &mut dyn FnMut(Hit),
    ) -> io::Result<Outcome> {
        let filled = fill(&mut input, &mut self.buffer)?;
        let head = self.buffer.get(..filled).unwrap_or_default();
        if let Some(is_big_endian) = super::utf16::byte_order(head) {
            let whole = Cursor::new(head.to_vec()).chain(input);
            let mut narrow = Narrow::new(whole, is_big_endian);
            let filled = fill(&mut narrow, &mut self.buffer)?;
            return self.run(filled, narrow, found);
        }
        let probe = head.get(..PROBE).unwrap_or(head);
        if !self.with_binary && memchr(0, probe).is_some() {
            return Ok(Outcome::Binary);
        }
        self.run(filled, input, found)
    }

    /// Goes on from a buffer that was filled once.
    fn run(
        &mut self,
        mut filled: usize,
        mut input: impl Read,
        found: &mut dyn FnMut(Hit),
    ) -> io::Result<Outcome> {
        let mut place = Place::default();
        // Where the first mark may be that was not looked at.
        let mut from = 0;
        loop {
            let is_last = filled < self.buffer.len();
            let window = self.buffer.get(..filled).unwrap_or_default();
            from = self.examine(window, from, &place, found);
            if is_last {
                return Ok(Outcome::Read(place.offset + filled as u64));
            }
            let passed = filled.saturating_sub(KEPT);
            place.pass(window.get(..passed).unwrap_or_default());
            self.buffer.copy_within(passed..filled, 0);
            from = from.saturating_sub(passed);
            let kept = filled - passed;
            let free = self.buffer.get_mut(kept..).unwrap_or_default();
            filled = kept + fill(&mut input, free)?;
        }
    }

    /// Looks at each mark from `from` on; gives where to go on.
    fn examine(
        &self,
        window: &[u8],
        mut from: usize,
        place: &Place,
        found: &mut dyn FnMut(Hit),
    ) -> usize {
        while let Some(at) = window.get(from..).and_then(|rest| self.mark.find(rest)) {
            let at = from + at;
            if window.len() - at < AFTER {
                return at;
            }
            if let Some((start, token)) = token_at(window, at) {
                let (line, column) = place.of(window, start);
                let hints = token.hints();
                found(Hit {
                    line,
                    column,
                    start: hints.start,
                    last8: hints.last8,
                    hash: token.hash().to_hex(),
                });
            }
            // Marks may overlap: `sk` may be an environment's code.
            from = at + 1;
        }
        // The mark itself may lie across the border.
        from.max(window.len().saturating_sub(MARK.len() - 1))
    }
}

/// How far a stream has been read.
#[derive(Default)]
struct Place {
    /// Bytes that have left the window.
    offset: u64,
    /// Lines that ended in them.
    lines: u64,
    /// Where the line begins that the window begins in.
    line_start: u64,
}

impl Place {
    fn pass(&mut self, bytes: &[u8]) {
        self.lines += memchr_iter(b'\n', bytes).count() as u64;
        if let Some(last) = memrchr(b'\n', bytes) {
            self.line_start = self.offset + last as u64 + 1;
        }
        self.offset += bytes.len() as u64;
    }

    /// Line and column of a place in the window.
    fn of(&self, window: &[u8], at: usize) -> (u64, u64) {
        let mut here = Self {
            offset: self.offset,
            lines: self.lines,
            line_start: self.line_start,
        };
        here.pass(window.get(..at).unwrap_or_default());
        (here.lines + 1, here.offset - here.line_start + 1)
    }
}

/// The token whose mark stands at `at`, and where it begins.
fn token_at(window: &[u8], at: usize) -> Option<(usize, ParsedToken<'_>)> {
    let end = at + AFTER;
    let body = window.get(at + MARK.len()..end)?;
    if !body.iter().all(u8::is_ascii_alphanumeric) {
        return None;
    }
    let code = word_before(window, at, MAX_ENV_CODE);
    let underscore = at.checked_sub(code + 1)?;
    if code == 0 || window.get(underscore) != Some(&b'_') {
        return None;
    }
    // Where the prefix begins only the checksum knows: `\nkw_…` in a JSON text ends in `nkw`.
    let longest = word_before(window, underscore, MAX_PREFIX);
    (1..=longest).rev().find_map(|length| {
        let start = underscore - length;
        let text = std::str::from_utf8(window.get(start..end)?).ok()?;
        let token = ParsedToken::parse(text).ok()?;
        Some((start, token))
    })
}

/// How many of the characters that prefixes and codes are made of stand before `at`, counted up to `most`.
fn word_before(window: &[u8], at: usize, most: usize) -> usize {
    let before = window.get(at.saturating_sub(most)..at).unwrap_or_default();
    let is_part = |byte: &&u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    before.iter().rev().take_while(is_part).count()
}

/// Reads until the buffer is full or the stream ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match input.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
