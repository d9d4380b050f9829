//! `keyward completions`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::failure::Failure;
use crate::config::Cli;

/// Options of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "bash:  source <(keyward completions bash)\n\
zsh:   keyward completions zsh > \"${fpath[1]}/_keyward\"\n\
fish:  keyward completions fish > ~/.config/fish/completions/keyward.fish")]
pub struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    /// Writes the script.
    pub fn write(&self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "keyward", &mut script);
        std::io::stdout().write_all(&script).map_err(Failure::from)
    }
}
