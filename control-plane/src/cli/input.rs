//! A file or standard input as the body of a request, read as it is sent.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, stdin};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use axum::body::Bytes;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc::{self, Receiver, Sender};

use super::failure::Failure;

/// How much is read at once, in bytes.
const PIECE: usize = 64 * 1024;
/// How many pieces wait to be sent.
const AHEAD: usize = 4;

/// Why the rest of an input is missing.
#[derive(Debug)]
pub struct Unreadable {
    name: String,
    error: io::Error,
}

impl Unreadable {
    /// The one that made a request fail, if one did.
    pub fn behind(error: &reqwest::Error) -> Option<&Self> {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(unreadable) = error.downcast_ref() {
                return Some(unreadable);
            }
            cause = error.source();
        }
        None
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.error)
    }
}

impl Error for Unreadable {}

/// An input, piece by piece.
pub struct Input(Receiver<Result<Bytes, Unreadable>>);

impl Input {
    /// Opens a file, or standard input for `-`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let input: Box<dyn Read + Send> = match path.as_os_str() == "-" {
            true => Box::new(stdin()),
            false => match File::open(path) {
                Ok(file) => Box::new(file),
                Err(error) => {
                    return Err(Failure::Usage(Unreadable { name, error }.to_string()));
                }
            },
        };
        let (sender, pieces) = mpsc::channel(AHEAD);
        // A thread of its own: a standard input where nothing comes keeps nobody from ending.
        thread::Builder::new().spawn(move || read(input, &name, &sender))?;
        Ok(Self(pieces))
    }
}

fn read(mut input: impl Read, name: &str, sender: &Sender<Result<Bytes, Unreadable>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(Bytes::copy_from_slice(buffer.get(..read).unwrap_or(&[]))),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                let name = name.to_owned();
                Err(Unreadable { name, error })
            }
        };
        let is_last = piece.is_err();
        // Nobody takes it any more: the request is over.
        if sender.blocking_send(piece).is_err() || is_last {
            return;
        }
    }
}

impl Body for Input {
    type Data = Bytes;
    type Error = Unreadable;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unreadable>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
