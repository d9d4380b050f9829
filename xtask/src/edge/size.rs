//! How large the Worker is when it is deployed: Cloudflare limits the gzipped size.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::exec;
use crate::setup::Node;

/// The most that the Worker may have, gzipped, in bytes: an isolate loads all of it before its first answer, so what it
/// has shrunk to it shall not exceed again.
const MOST_GZIPPED: usize = 120_000;

/// Writes one script of all the JavaScript, as wrangler makes it with what `wrangler.toml` says: by esbuild, minified.
/// Arguments: the package of esbuild, the entry.
const BUNDLE: &str = "
const [, esbuild, entry] = process.argv;
const options = { bundle: true, minify: true, format: 'esm', target: 'es2024', write: false };
const external = ['cloudflare:*', '*.wasm'];
const { outputFiles } = require(esbuild).buildSync({ ...options, external, entryPoints: [entry] });
process.stdout.write(outputFiles[0].contents);
";

/// The sizes of wasm and JavaScript in bytes, as they are deployed and together gzipped.
pub struct Sizes {
    wasm: usize,
    script: usize,
    gzipped: usize,
}

impl Sizes {
    /// Measures a built Worker.
    pub fn measure(node: &Node, wasm: &Path, entry: &Path) -> Result<Self> {
        let wasm = fs::read(wasm).with_context(|| format!("{} is missing", wasm.display()))?;
        let mut bundle = Command::new(node.binary());
        bundle.args(["-e", BUNDLE]);
        bundle.args([&node.modules().join("esbuild"), entry]);
        let script = exec::capture(&mut bundle)
            .context("esbuild refused the edge's JavaScript")?
            .stdout;
        Ok(Self {
            wasm: wasm.len(),
            script: script.len(),
            gzipped: gzipped_size(&wasm)? + gzipped_size(script.as_bytes())?,
        })
    }

    /// Fails for a Worker that has grown too large.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.gzipped <= MOST_GZIPPED,
            "the Worker has {} gzipped, more than {}",
            kilobytes(self.gzipped),
            kilobytes(MOST_GZIPPED),
        );
        Ok(())
    }

    /// Wasm and JavaScript, gzipped, in bytes.
    pub fn gzipped(&self) -> usize {
        self.gzipped
    }

    /// The sizes, for people.
    pub fn describe(&self) -> String {
        format!(
            "{} of wasm and {} of JavaScript when deployed, together {} gzipped",
            kilobytes(self.wasm),
            kilobytes(self.script),
            kilobytes(self.gzipped),
        )
    }
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
