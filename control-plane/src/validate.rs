//! Gathers what is wrong with an input, field by field, so that a caller learns of all mistakes at once.

use std::fmt::Display;

use shared::record::MAX_LIST;

use crate::error::{ApiError, FieldError};

/// The longest name of an account, an API or a key, in characters.
pub const MAX_NAME: usize = 100;
/// The most mistakes that one answer names.
const MAX_ERRORS: usize = 100;

/// The mistakes found so far.
///
/// Checks give a harmless value in place of a bad one; [`Checks::finish`] must stand before any use of them.
#[derive(Debug, Default)]
pub struct Checks(Vec<FieldError>);

impl Checks {
    /// Notes a mistake.
    pub fn fail(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(FieldError {
                field: field.into(),
                detail: detail.into(),
            });
        }
    }

    /// The value, or a noted mistake.
    pub fn accept<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result
            .map_err(|error| self.fail(field, error.to_string()))
            .ok()
    }

    /// Every entry parsed, without repetitions.
    pub fn list<T: PartialEq, E: Display>(
        &mut self,
        field: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        if texts.len() > MAX_LIST {
            self.fail(field, format!("at most {MAX_LIST} entries"));
            return Vec::new();
        }
        let mut values = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            if let Some(value) = self.accept(&format!("{field}[{index}]"), parse(text))
                && !values.contains(&value)
            {
                values.push(value);
            }
        }
        values
    }

    /// A text for people, without the spaces around it: 1 to `max` characters, none of them a control character.
    pub fn text(&mut self, field: &str, text: &str, max: usize) -> String {
        let text = text.trim();
        let length = text.chars().count();
        if length == 0 || length > max {
            self.fail(field, format!("1 to {max} characters are needed"));
        } else if text.chars().any(char::is_control) {
            self.fail(field, "control characters are not allowed");
        }
        text.to_owned()
    }

    /// A number within bounds.
    pub fn number<N: PartialOrd + Display>(&mut self, field: &str, number: N, min: N, max: N) -> N {
        if number < min || number > max {
            self.fail(field, format!("must be {min} to {max}"));
        }
        number
    }

    /// One of a few words.
    pub fn word<T: Copy>(&mut self, field: &str, word: &str, words: &[(&str, T)]) -> Option<T> {
        let found = words.iter().find(|(name, _)| *name == word);
        if found.is_none() {
            let names: Vec<&str> = words.iter().map(|(name, _)| *name).collect();
            self.fail(field, format!("must be one of {}", names.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    /// The refusal that names the mistakes.
    pub fn into_error(self) -> ApiError {
        ApiError::Validation(self.0)
    }

    /// Ends the checks.
    ///
    /// # Errors
    /// [`ApiError::Validation`] when a mistake was noted.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.into_error())
        }
    }
}
