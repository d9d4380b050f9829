//! Small work on files.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::Path;

use anyhow::{Context, Result};

/// A short text that differs when the parts do. Good for "has it changed", not against forgery.
pub fn fingerprint(parts: &[&[u8]]) -> String {
    let mut hasher = DefaultHasher::new();
    for part in parts {
        hasher.write_usize(part.len());
        hasher.write(part);
    }
    format!("{:016x}", hasher.finish())
}

/// Removes a file that may be absent.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} can't be removed", path.display()))
        }
        _ => Ok(()),
    }
}

/// Makes a folder, or empties it.
pub fn empty_dir(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path).with_context(|| format!("{} can't be removed", path.display()))?;
    }
    fs::create_dir_all(path).with_context(|| format!("{} can't be made", path.display()))
}

/// Copies the files with this extension where content differs, and removes copies whose original is gone.
pub fn copy_changed(from: &Path, to: &Path, extension: &str) -> Result<()> {
    let has_extension = |path: &Path| path.extension().is_some_and(|found| found == extension);
    let mut kept = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("{} can't be read", from.display()))? {
        let path = entry?.path();
        if !has_extension(&path) {
            continue;
        }
        let Some(name) = path.file_name() else {
            continue;
        };
        let content = fs::read(&path)?;
        let copy = to.join(name);
        if fs::read(&copy).ok().as_ref() != Some(&content) {
            let fresh = to.join(format!(".{}.new", name.to_string_lossy()));
            fs::write(&fresh, content)?;
            fs::rename(&fresh, &copy)?;
        }
        kept.push(name.to_owned());
    }
    for entry in fs::read_dir(to)? {
        let path = entry?.path();
        let is_kept = path
            .file_name()
            .is_some_and(|name| kept.iter().any(|kept| kept == name));
        if has_extension(&path) && !is_kept {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Moves every file and folder of `from` into `to`, over what is there.
pub fn replace_with(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if target.is_dir() {
            fs::remove_dir_all(&target)?;
        }
        fs::rename(entry.path(), &target)
            .with_context(|| format!("{} can't be replaced", target.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_where_parts_end() {
        assert_eq!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"ab", b"c"]));
        assert_ne!(fingerprint(&[b"ab", b"c"]), fingerprint(&[b"a", b"bc"]));
    }

    #[test]
    fn copies_follow_their_originals_and_leave_the_rest() -> Result<()> {
        let work = std::env::temp_dir().join(format!("keyward-xtask-files-{}", std::process::id()));
        let (from, to) = (work.join("from"), work.join("to"));
        empty_dir(&from)?;
        empty_dir(&to)?;
        fs::write(from.join("a.mjs"), "1")?;
        fs::write(from.join("notes.txt"), "1")?;
        fs::write(to.join("old.mjs"), "1")?;
        fs::write(to.join("x.wasm"), "1")?;
        copy_changed(&from, &to, "mjs")?;
        let first = fs::metadata(to.join("a.mjs"))?.modified()?;
        copy_changed(&from, &to, "mjs")?;
        assert_eq!(fs::metadata(to.join("a.mjs"))?.modified()?, first);
        assert!(!to.join("old.mjs").exists() && !to.join("notes.txt").exists());
        assert!(to.join("x.wasm").exists());
        fs::write(from.join("a.mjs"), "2")?;
        copy_changed(&from, &to, "mjs")?;
        assert_eq!(fs::read_to_string(to.join("a.mjs"))?, "2");
        fs::remove_dir_all(&work)?;
        Ok(())
    }
}
