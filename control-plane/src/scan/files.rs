//! Searches files and folders, several at a time.

use std::fs::File;
use std::io::stdin;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder, WalkState};

use super::find::Scanner;
use super::report::{Finding, Report};

/// Searches what is named, folders with all that is in them. Symbolic links inside of folders are not followed; what is
/// neither file nor folder is read only when it is named itself.
pub fn search(paths: &[PathBuf], with_ignore: bool, threads: usize, report: &Report) {
    let (standard_input, paths): (Vec<_>, Vec<_>) =
        paths.iter().partition(|path| path.as_os_str() == "-");
    if !standard_input.is_empty() {
        scan(&mut report.scanner(), report, "-", stdin().lock());
    }
    let Some((first, others)) = paths.split_first() else {
        return;
    };
    let mut walk = WalkBuilder::new(first);
    for path in others {
        walk.add(path);
    }
    walk.standard_filters(with_ignore)
        // Secrets like to be in `.env`.
        .hidden(false)
        .follow_links(false)
        .threads(threads)
        .filter_entry(|entry| entry.depth() == 0 || entry.file_name() != ".git");
    walk.build_parallel().run(|| {
        let mut scanner = report.scanner();
        Box::new(move |entry| {
            match entry {
                Ok(entry) if is_wanted(&entry) => scan_file(&mut scanner, report, entry.path()),
                Ok(_) => {}
                Err(error) => report.fail("scan", &error),
            }
            WalkState::Continue
        })
    });
}

fn is_wanted(entry: &DirEntry) -> bool {
    let Some(kind) = entry.file_type() else {
        return false;
    };
    kind.is_file() || (entry.depth() == 0 && !kind.is_dir() && !entry.path().is_dir())
}

fn scan_file(scanner: &mut Scanner, report: &Report, path: &Path) {
    let name = path.strip_prefix("./").unwrap_or(path).to_string_lossy();
    match File::open(path) {
        Ok(file) => scan(scanner, report, &name, file),
        Err(error) => report.fail(&name, &error),
    }
}

fn scan(scanner: &mut Scanner, report: &Report, name: &str, input: impl std::io::Read) {
    report.scan(scanner, name, input, &mut |hit| {
        report.add(Finding::of(Some(name.to_owned()), hit));
    });
}
