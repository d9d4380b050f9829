//! A secret that is given itself or as the name of a file that holds it, as containers are given theirs.

use std::path::Path;

use anyhow::{Context, bail};

use super::SecretText;

/// More than any secret of ours, in bytes.
const MAX_FILE: usize = 64 * 1024;

/// The two places where one secret may stand.
#[derive(Debug, Clone, Copy)]
pub struct SecretSource<'a> {
    name: &'static str,
    value: Option<&'a SecretText>,
    file: Option<&'a Path>,
}

impl<'a> SecretSource<'a> {
    /// The secret with this name in the environment. One that is set to nothing is not given.
    pub fn new(name: &'static str, value: Option<&'a SecretText>, file: Option<&'a Path>) -> Self {
        Self {
            name,
            value: value.filter(|text| !text.expose().is_empty()),
            file: file.filter(|path| !path.as_os_str().is_empty()),
        }
    }

    /// The secret, if there is one. Spaces and line ends around it don't count.
    ///
    /// # Errors
    /// When both places are given, or the file can't be read or is empty. The message does not repeat the secret.
    pub fn read(self) -> anyhow::Result<Option<SecretText>> {
        let name = self.name;
        let Some(path) = self.file else {
            return Ok(self.value.cloned());
        };
        if self.value.is_some() {
            bail!("{name} and {name}_FILE are both set: give one of them");
        }
        let bytes = std::fs::read(path)
            .with_context(|| format!("{name}_FILE: {} can't be read", path.display()))?;
        let text = String::from_utf8(bytes).ok().map(SecretText::new);
        match text {
            Some(text) if !text.expose().is_empty() && text.expose().len() <= MAX_FILE => {
                Ok(Some(text))
            }
            _ => bail!("{name}_FILE: {} holds no secret", path.display()),
        }
    }

    /// The secret, which has to be there.
    ///
    /// # Errors
    /// As [`Self::read`], and when it is not there.
    pub fn required(self) -> anyhow::Result<SecretText> {
        self.read()?
            .with_context(|| format!("{} is not set", self.name))
    }
}
