//! The allocator: freed blocks, in a list for each size.
//!
//! Rust's own, dlmalloc, is 9 KB of code, and an isolate must load all of it before its first answer. It joins freed
//! neighbours, so that memory that was small blocks can become a large one. An isolate has no use for that: it makes
//! blocks of the same sizes again and again. So a freed block waits here for the next of its size, and memory is
//! what was in use at most of each size, and up to a quarter of each block (of large ones a half) more. Large blocks
//! are of few sizes, so that those of a push, each a little larger than the last, can be used again.

#[cfg(target_arch = "wasm32")]
mod blocks;

/// What every block is aligned to, and the least size.
const UNIT: usize = 16;
/// Blocks up to this size come in multiples of [`UNIT`].
const SMALL: usize = 4 * UNIT;
/// Blocks from this size on come in powers of two; those between in four sizes for each.
const LARGE: usize = 64 * 1024;
/// Four sizes for each power of two that a size can have.
const CLASSES: usize = 4 * usize::BITS as usize;

/// The class of blocks for so many bytes, and their size; `None`: more than there can be.
fn class_of(bytes: usize) -> Option<(usize, usize)> {
    let last = bytes.max(1) - 1;
    if last < SMALL {
        let class = last / UNIT;
        return Some((class, (class + 1) * UNIT));
    }
    let power = last.ilog2() as usize;
    let step = if last < LARGE { power - 2 } else { power };
    let parts = last >> step;
    let size = parts.checked_add(1)?.checked_mul(1 << step)?;
    Some((4 * power + (parts & 3), size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_block_is_large_enough_and_not_much_larger_and_a_class_is_of_one_size() {
        let mut sizes = BTreeMap::new();
        let large = (17..31).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]);
        for bytes in (0..200_000).chain(large) {
            let (class, size) = class_of(bytes).unwrap();
            assert!(class < CLASSES && size >= bytes && size.is_multiple_of(UNIT));
            let spare = size - bytes.max(1);
            let most = if bytes > LARGE {
                bytes
            } else {
                UNIT.max(bytes / 4)
            };
            assert!(spare < most, "{bytes}: {size}");
            assert_eq!(*sizes.entry(class).or_insert(size), size, "{bytes}");
        }
        assert_eq!(class_of(usize::MAX), None);
    }
}
