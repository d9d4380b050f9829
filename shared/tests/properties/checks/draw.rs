//! Values drawn from bytes: whatever the bytes are, something comes of them.

use arbitrary::Unstructured;

/// The bytes that are left.
pub struct Draw<'a>(Unstructured<'a>);

impl<'a> Draw<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    /// A number below `end`; 0 when the bytes have run out.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end.saturating_sub(1)).unwrap_or(0)
    }

    /// Yes, one time out of `n`.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    /// One of the items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub fn number(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.byte())
    }

    pub fn char(&mut self) -> char {
        self.0.arbitrary().unwrap_or('a')
    }

    /// Up to `most` items.
    pub fn list<T>(&mut self, most: usize, mut item: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(most + 1);
        (0..length).map(|_| item(self)).collect()
    }

    /// A text of `length` characters of an alphabet.
    pub fn word(&mut self, alphabet: &str, length: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| self.pick(&alphabet)).collect()
    }

    /// A text of up to `most` pieces, now and then with any character among them.
    pub fn text(&mut self, pieces: &[&str], most: usize) -> String {
        self.list(most, |draw| {
            if draw.one_in(16) {
                draw.char().to_string()
            } else {
                draw.pick(pieces).to_owned()
            }
        })
        .concat()
    }

    /// The text with one slip of the pen: a character more, less, another or two that changed places.
    pub fn slip(&mut self, text: &str) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        let at = self.below(chars.len());
        let other = if self.one_in(8) {
            self.char()
        } else {
            let near = chars[self.below(chars.len())];
            let flipped = char::from(near as u8 ^ 0x20);
            self.pick(&[near, flipped, '0', 'O', 'l', '1', '_', ' '])
        };
        match self.below(4) {
            0 => chars[at] = other,
            1 => chars.insert(at, other),
            2 => drop(chars.remove(at)),
            _ => {
                let next = (at + 1).min(chars.len() - 1);
                chars.swap(at, next);
            }
        }
        chars.into_iter().collect()
    }
}

pub const ALPHANUMERIC: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
pub const LOWER: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
