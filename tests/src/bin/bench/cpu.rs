//! What a process has used, by /proc.

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks of /proc/…/stat in a second: USER_HZ, 100 on every architecture that workerd runs on.
const TICKS_PER_SECOND: u64 = 100;

/// The CPU time of all threads of a process so far, user and system.
///
/// # Errors
/// When there is no such process.
pub fn used(process: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is the program's name in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("/proc/…/stat has a name")?;
    let ticks: u64 = fields
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap_or(0))
        .sum();
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

/// The resident memory of a process, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident(process: u32) -> Result<u64> {
    memory(process, "VmRSS:")
}

/// The most resident memory that a process ever had, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn peak(process: u32) -> Result<u64> {
    memory(process, "VmHWM:")
}

fn memory(process: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok());
    Ok(kilobytes.with_context(|| format!("/proc/…/status has {name}"))? * 1_024)
}
