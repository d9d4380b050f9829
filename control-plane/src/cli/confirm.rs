//! A question before something ends.

use std::io::{IsTerminal, Write, stderr, stdin};

use super::failure::Failure;

/// Asks on the terminal.
///
/// # Errors
/// When the answer is not yes, or nobody is there to answer.
pub fn confirm(question: &str) -> Result<(), Failure> {
    if !stdin().is_terminal() {
        let detail = "nobody is there to be asked: give --yes if it is meant so";
        return Err(Failure::Usage(detail.to_owned()));
    }
    write!(stderr(), "{question} [y/N] ")?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::Usage("nothing was changed".to_owned())),
    }
}
