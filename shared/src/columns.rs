//! Rows of numbers as a short text: each number less the one above it, so that what grows slowly takes few characters.
//!
//! A ledger is written with every grant, and its counts and leases are most of it.

use crate::read::Misfit;

/// The text of rows.
pub fn write<const N: usize>(rows: &mut dyn Iterator<Item = [u64; N]>) -> String {
    let mut text = String::new();
    let mut above = [0_u64; N];
    for row in rows {
        for (number, above) in row.into_iter().zip(&mut above) {
            if !text.is_empty() {
                text.push(' ');
            }
            // Two's complement: a step down is a negative number.
            let step = number.wrapping_sub(*above) as i64;
            text.push_str(itoa::Buffer::new().format(step));
            *above = number;
        }
    }
    text
}

/// The rows of a text.
///
/// # Errors
/// When it is not one that [`write`] makes.
pub fn read<const N: usize>(text: &str) -> Result<Vec<[u64; N]>, Misfit> {
    const WANTED: Misfit = Misfit::wanted("rows of numbers");
    let mut rows = Vec::new();
    let mut row = [0_u64; N];
    let mut column = 0;
    for word in text.split_ascii_whitespace() {
        let step: i64 = word.parse().map_err(|_| WANTED)?;
        if let Some(number) = row.get_mut(column) {
            *number = number.wrapping_add(step as u64);
        }
        column += 1;
        if column == N {
            rows.push(row);
            column = 0;
        }
    }
    match column {
        0 => Ok(rows),
        // A row was cut off.
        _ => Err(WANTED),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_are_read_as_they_were_written(rows in prop::collection::vec(any::<[u64; 3]>(), 0..20)) {
            let text = write(&mut rows.iter().copied());
            prop_assert_eq!(read::<3>(&text).unwrap(), rows);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[-0-9 ]{0,40}|.*") {
            let _ = read::<2>(&text);
        }
    }

    #[test]
    fn a_row_that_was_cut_off_is_refused() {
        assert_eq!(write(&mut [[5, 7], [6, 3]].into_iter()), "5 7 1 -4");
        assert!(read::<2>("5 7 1").is_err());
    }
}
