//! UTF-16, as shells of Windows write it when output goes to a file: full of NULs, and text all the same.

use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;

/// By a byte order mark: `Some(true)` for big-endian UTF-16, `Some(false)` for little-endian.
pub fn byte_order(head: &[u8]) -> Option<bool> {
    match head {
        [0xfe, 0xff, ..] => Some(true),
        // UTF-32's mark begins like this one; its text is left to those that take binary files.
        [0xff, 0xfe, 0, 0, ..] => None,
        [0xff, 0xfe, ..] => Some(false),
        _ => None,
    }
}

/// One byte for each code unit: ASCII as it is, anything else as 0xff. The byte order mark is left out.
pub struct Narrow<R> {
    input: R,
    is_big_endian: bool,
    raw: Vec<u8>,
    /// Bytes of `raw` that wait for the other half of their unit.
    waiting: usize,
    at_start: bool,
}

impl<R: Read> Narrow<R> {
    /// Reads a stream that begins with a byte order mark.
    pub fn new(input: R, is_big_endian: bool) -> Self {
        Self {
            input,
            is_big_endian,
            raw: vec![0; CHUNK],
            waiting: 0,
            at_start: true,
        }
    }

    fn narrowed(&self, unit: &[u8]) -> u8 {
        match (unit, self.is_big_endian) {
            ([0, low], true) | ([low, 0], false) if low.is_ascii() => *low,
            _ => 0xff,
        }
    }
}

impl<R: Read> Read for Narrow<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let most = (out.len() * 2).min(self.raw.len());
            let free = self.raw.get_mut(self.waiting..most).unwrap_or_default();
            let read = self.input.read(free)?;
            if read == 0 {
                return Ok(0);
            }
            let held = self.waiting + read;
            let skipped = if self.at_start && held >= 2 { 2 } else { 0 };
            let units = self.raw.get(skipped..held).unwrap_or_default();
            let mut written = 0;
            for (to, unit) in out.iter_mut().zip(units.chunks_exact(2)) {
                *to = self.narrowed(unit);
                written += 1;
            }
            self.at_start &= held < 2;
            self.waiting = held % 2;
            if self.waiting == 1 {
                self.raw.copy_within(held - 1..held, 0);
            }
            if written > 0 {
                return Ok(written);
            }
        }
    }
}
