//! What a run found: Markdown for people, JSON for scripts.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::compare::{Measured, Ratio};

/// A bar, and whether it was met.
#[derive(Debug, Clone, Serialize)]
struct Bar {
    what: String,
    found: String,
    bound: String,
    met: bool,
}

/// The report of a run. Tables are printed as they are made, the bars at the end.
pub struct Report {
    began: Instant,
    bars: Vec<Bar>,
    figures: Map<String, Value>,
}

impl Report {
    /// An empty one.
    pub fn new() -> Self {
        Self {
            began: Instant::now(),
            bars: Vec::new(),
            figures: Map::new(),
        }
    }

    /// Begins a section.
    pub fn section(&self, title: &str, how: &str) {
        println!("\n### {title}\n\n{how}\n");
    }

    /// A table.
    pub fn table(&self, header: &[&str], rows: &[Vec<String>]) {
        println!("| {} |", header.join(" | "));
        println!("|{}", "---|".repeat(header.len()));
        for row in rows {
            println!("| {} |", row.join(" | "));
        }
        println!();
    }

    /// The table of a comparison: each entrant, and its ratios to the named baseline of its own.
    pub fn comparison(&self, measured: &[Measured], baselines: &[(&str, &str)]) {
        let find = |name: &str| measured.iter().find(|m| m.name == name);
        let mut rows = Vec::new();
        for entrant in measured {
            let mut row = vec![
                entrant.name.clone(),
                format!("{:.0}", crate::compare::median(&entrant.per_second)),
                format!(
                    "{:.1} ({:.1})",
                    crate::compare::median(&entrant.cpu),
                    entrant.cpu.iter().copied().fold(f64::INFINITY, f64::min)
                ),
            ];
            let ratios: Vec<(&str, Ratio, Ratio)> = baselines
                .iter()
                .filter(|(of, _)| *of == entrant.name)
                .filter_map(|(_, base)| {
                    let baseline = find(base)?;
                    Some((
                        *base,
                        entrant.throughput(baseline),
                        entrant.cheapness(baseline),
                    ))
                })
                .collect();
            let list = |show: fn(&(&str, Ratio, Ratio)) -> String| {
                ratios.iter().map(show).collect::<Vec<_>>().join("<br>")
            };
            row.push(list(|(base, t, _)| format!("{t} of {base}")));
            row.push(list(|(_, _, c)| c.to_string()));
            rows.push(row);
        }
        let header = [
            "what",
            "requests/s",
            "CPU µs/request, median (best)",
            "throughput ratio, median (min–max)",
            "same of CPU",
        ];
        self.table(&header, &rows);
    }

    /// A bar.
    pub fn bar(&mut self, what: &str, found: &str, bound: &str, met: bool) {
        self.bars.push(Bar {
            what: what.to_owned(),
            found: found.to_owned(),
            bound: bound.to_owned(),
            met,
        });
    }

    /// A bar on a throughput ratio.
    pub fn ratio_bar(&mut self, what: &str, found: Ratio, least: f64) {
        self.bar(
            what,
            &found.to_string(),
            &format!("≥ {least:.2}"),
            found.median >= least,
        );
    }

    /// Keeps figures for the JSON.
    pub fn keep(&mut self, name: &str, figures: Value) {
        self.figures.insert(name.to_owned(), figures);
    }

    /// Prints the bars and the last line, and writes the JSON.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn finish(self, file: &Path) -> Result<()> {
        println!("\n### The bar\n");
        let rows: Vec<Vec<String>> = self
            .bars
            .iter()
            .map(|bar| {
                let met = if bar.met { "met" } else { "missed" };
                vec![
                    bar.what.clone(),
                    bar.found.clone(),
                    bar.bound.clone(),
                    met.to_owned(),
                ]
            })
            .collect();
        self.table(&["what", "found", "bar", ""], &rows);
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let all = json!({ "bars": self.bars, "figures": self.figures });
        std::fs::write(file, serde_json::to_string_pretty(&all)?)?;
        let met = self.bars.iter().filter(|bar| bar.met).count();
        println!(
            "bench: {met} of {} bars met, {} missed; {:.0} s; figures in {}",
            self.bars.len(),
            self.bars.len() - met,
            self.began.elapsed().as_secs_f64(),
            file.display()
        );
        Ok(())
    }
}
