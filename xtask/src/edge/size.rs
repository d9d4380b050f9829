//! How large the built Worker is: Cloudflare limits the gzipped size.

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

/// The most that the Worker may have, gzipped, in bytes: an isolate loads all of it before its first answer, so what it
/// has shrunk to it shall not exceed again.
const MOST_GZIPPED: usize = 185_000;

/// The sizes of wasm and JavaScript in bytes, as they are and together gzipped.
struct Sizes {
    wasm: usize,
    script: usize,
    gzipped: usize,
}

/// Fails for a Worker that has grown too large.
pub fn check(build: &Path) -> Result<()> {
    let gzipped = measure(build)?.gzipped;
    ensure!(
        gzipped <= MOST_GZIPPED,
        "the Worker has {} gzipped, more than {}",
        kilobytes(gzipped),
        kilobytes(MOST_GZIPPED),
    );
    Ok(())
}

/// The sizes, for people.
pub fn describe(build: &Path) -> Result<String> {
    let sizes = measure(build)?;
    Ok(format!(
        "{} of wasm and {} of JavaScript in {}, together {} gzipped",
        kilobytes(sizes.wasm),
        kilobytes(sizes.script),
        build.display(),
        kilobytes(sizes.gzipped),
    ))
}

fn measure(build: &Path) -> Result<Sizes> {
    let (mut wasm, mut script, mut gzipped) = (0, 0, 0);
    for entry in fs::read_dir(build)? {
        let path = entry?.path();
        let extension = path.extension().unwrap_or_default();
        let total = match extension.to_str() {
            Some("wasm") => &mut wasm,
            Some("js" | "mjs") => &mut script,
            _ => continue,
        };
        let content = fs::read(&path)?;
        *total += content.len();
        gzipped += gzipped_size(&content)?;
    }
    Ok(Sizes {
        wasm,
        script,
        gzipped,
    })
}

fn gzipped_size(content: &[u8]) -> Result<usize> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    Ok(encoder.finish()?.len())
}

fn kilobytes(bytes: usize) -> String {
    format!("{}.{} KB", bytes / 1000, bytes % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_in_kilobytes_with_one_decimal() {
        assert_eq!(kilobytes(0), "0.0 KB");
        assert_eq!(kilobytes(64_259), "64.2 KB");
    }

    #[test]
    fn what_repeats_is_small_when_gzipped() -> Result<()> {
        assert!(gzipped_size(&[7; 10_000])? < 200);
        Ok(())
    }
}
