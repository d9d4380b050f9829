//! Being told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Remembers Ctrl-C, SIGTERM and a closed terminal instead of dying of them.
pub struct Signals(Arc<AtomicBool>);

impl Signals {
    /// Takes the signals over from the system.
    pub fn watch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .context("signals can't be watched")?;
        }
        Ok(Self(flag))
    }

    /// No signal ever comes.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// Whether a signal came since the last call.
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}
