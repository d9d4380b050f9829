//! What `keyward login` keeps: a server and an admin token, in a file that only its owner can read.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::json;

use super::failure::Failure;
use crate::config::SecretText;

/// The most that is read of the file, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// What anybody but the owner may do.
const OTHERS: u32 = 0o077;

/// A server, and who we are there.
pub struct Settings {
    /// Its address.
    pub server: String,
    /// The admin token.
    pub token: SecretText,
}

#[derive(Deserialize)]
struct Written {
    server: String,
    token: String,
}

impl Settings {
    /// Reads them; `None` when nobody has logged in.
    ///
    /// # Errors
    /// When others may read the file, or it can't be understood.
    pub fn read() -> Result<Option<Self>, Failure> {
        let Some(path) = path() else {
            return Ok(None);
        };
        let shown = path.display();
        let failed = |why: &str| Failure::Usage(format!("{shown}: {why}"));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error.to_string())),
        };
        let mode = file.metadata().map(|about| about.mode());
        if mode.is_ok_and(|mode| mode & OTHERS != 0) {
            return Err(failed(
                "others may read the token in it: `chmod 600` it, and think of a new token",
            ));
        }
        let mut text = String::new();
        file.take(MAX_FILE)
            .read_to_string(&mut text)
            .map_err(|error| failed(&error.to_string()))?;
        // What is wrong with it is not told: the message could hold the token.
        let written: Written = serde_json::from_str(&text)
            .map_err(|_| failed("it can't be read: run `keyward login` again"))?;
        Ok(Some(Self {
            server: written.server,
            token: SecretText::new(written.token),
        }))
    }

    /// Writes them in place of what was there; gives where.
    ///
    /// # Errors
    /// When there is no place for them.
    pub fn write(&self) -> Result<PathBuf, Failure> {
        let path = path().ok_or_else(|| Failure::Usage("there is no home folder".to_owned()))?;
        let failed = |error: std::io::Error| Failure::Usage(format!("{}: {error}", path.display()));
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        let text = json!({"server": self.server, "token": self.token.expose()});
        // Beside it and then renamed: at no time is there half a file, or one that others may read.
        let beside = path.with_extension(format!("{}.new", std::process::id()));
        let written = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| writeln!(file, "{text}"))
            .and_then(|()| fs::rename(&beside, &path));
        if written.is_err() {
            // The error says enough; what stays behind can be read by nobody else.
            let _ = fs::remove_file(&beside);
        }
        written.map_err(failed)?;
        Ok(path)
    }

    /// Removes them; whether there were any.
    ///
    /// # Errors
    /// When the file can't be removed.
    pub fn remove() -> Result<bool, Failure> {
        let Some(path) = path() else {
            return Ok(false);
        };
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Failure::Usage(format!("{}: {error}", path.display()))),
        }
    }
}

/// `$XDG_CONFIG_HOME/keyward/config.json`; that variable is `~/.config` unless it is set to an absolute path.
fn path() -> Option<PathBuf> {
    let configured = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = match configured.filter(|folder| folder.is_absolute()) {
        Some(folder) => folder,
        None => env::home_dir()?.join(".config"),
    };
    Some(folder.join("keyward").join("config.json"))
}
