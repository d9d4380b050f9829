//! Short names for what wasm and glue have in common.
//!
//! wasm-bindgen puts hashes into the names of imports and of some exports, so that those of different crates stay apart.
//! They stand in the wasm and in the glue, and no compression makes a hash smaller.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

/// The names that become short: each old one with the new one.
pub struct Names {
    /// Where exports that are used stand in the glue.
    used: BTreeMap<String, usize>,
    imports: BTreeMap<String, String>,
    exports: BTreeMap<String, String>,
}

impl Names {
    /// For this glue; no name is short yet.
    pub fn of(glue: &str) -> Self {
        let mut used = BTreeMap::new();
        for (_, word, is_export) in words(glue) {
            if is_export {
                *used.entry(word.to_owned()).or_default() += 1;
            }
        }
        Self {
            used,
            imports: BTreeMap::new(),
            exports: BTreeMap::new(),
        }
    }

    /// Shortens the name of an import.
    pub fn shorten_import(&mut self, name: &mut String) {
        let short = format!("i{}", self.imports.len());
        self.imports
            .insert(std::mem::replace(name, short.clone()), short);
    }

    /// Shortens the name of an export, if the glue uses it.
    pub fn shorten_export(&mut self, name: &mut String) {
        if self.used.contains_key(name) {
            let short = format!("e{}", self.exports.len());
            self.exports
                .insert(std::mem::replace(name, short.clone()), short);
        }
    }

    /// The glue with the short names.
    ///
    /// # Errors
    /// When it is not as expected: each import defined once, each export where it was found.
    pub fn written_in(&self, glue: &str) -> Result<String> {
        let mut text = String::with_capacity(glue.len());
        let (mut imports, mut exports) = (0, 0);
        for (before, word, is_export) in words(glue) {
            let short = if is_export {
                &self.exports
            } else {
                &self.imports
            }
            .get(word);
            imports += usize::from(short.is_some() && !is_export);
            exports += usize::from(short.is_some() && is_export);
            text.push_str(before);
            text.push_str(short.map_or(word, String::as_str));
        }
        let used = self.exports.keys().filter_map(|name| self.used.get(name));
        let expected: usize = used.sum();
        ensure!(
            imports == self.imports.len() && exports == expected,
            "the glue has {imports} imports and {exports} uses of exports, not {} and {expected}",
            self.imports.len(),
        );
        Ok(text)
    }
}

/// A text in pieces: what is no word, the word after it, and whether that is an export's name: `wasm.name`.
fn words(text: &str) -> impl Iterator<Item = (&str, &str, bool)> {
    let is_of_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let (mut rest, mut last) = (text, "");
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let start = rest.find(is_of_word).unwrap_or(rest.len());
        let (before, after) = rest.split_at(start);
        let end = after.find(|c| !is_of_word(c)).unwrap_or(after.len());
        let (word, left) = after.split_at(end);
        let is_export = last == "wasm" && before == ".";
        (rest, last) = (left, word);
        Some((before, word, is_export))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GLUE: &str = "f(wasm.go_1);wasm.go_1();x.go_1;const i={ask_2: function(a) {}};";

    fn short(glue: &str) -> Result<String> {
        let mut names = Names::of(GLUE);
        let (mut import, mut export) = ("ask_2".to_owned(), "go_1".to_owned());
        names.shorten_import(&mut import);
        names.shorten_export(&mut export);
        assert_eq!((&*import, &*export), ("i0", "e0"));
        let mut unused = "x".to_owned();
        names.shorten_export(&mut unused);
        assert_eq!(unused, "x");
        names.written_in(glue)
    }

    #[test]
    fn names_are_short_wherever_they_stand_and_nothing_else_changes() -> Result<()> {
        let expected = "f(wasm.e0);wasm.e0();x.go_1;const i={i0: function(a) {}};";
        assert_eq!(short(GLUE)?, expected);
        Ok(())
    }

    #[test]
    fn glue_that_is_not_as_expected_is_refused() {
        for glue in [
            "",
            "wasm.go_1(wasm.go_1)",
            "ask_2 wasm.go_1",
            &GLUE.replace("wasm.go_1", "wasm .go_1"),
        ] {
            assert!(short(glue).is_err(), "{glue}");
        }
    }
}
