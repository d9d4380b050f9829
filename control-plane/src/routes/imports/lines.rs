//! A body taken apart into lines, as it comes, in bounded memory.

use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt;
use futures_util::stream::Peekable;
use tokio::time::timeout;

use crate::error::ApiError;

/// The longest line, in bytes; what is beyond it is dropped, and the line is refused.
pub const MAX_LINE: usize = 64 * 1024;
/// How long the next bytes may take to come.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long lines that are there wait for others.
const GATHER: Duration = Duration::from_secs(1);

/// The lines of a body, numbered from 1. Empty ones are counted and left out.
pub struct Lines {
    body: Pin<Box<Peekable<BodyDataStream>>>,
    /// Bytes that came and are not looked at yet.
    rest: Bytes,
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    number: u64,
    is_over: bool,
}

impl Lines {
    /// The lines of a body.
    pub fn of(body: Body) -> Self {
        Self {
            body: Box::pin(body.into_data_stream().peekable()),
            rest: Bytes::new(),
            begun: Vec::new(),
            number: 0,
            is_over: false,
        }
    }

    /// The next lines, at most so many, fewer when they come slowly; none: it is over. A line that is too long is given one byte longer than
    /// [`MAX_LINE`].
    ///
    /// # Errors
    /// When the body breaks off, or nothing comes for long.
    pub async fn next(&mut self, most: usize) -> Result<Vec<(u64, Vec<u8>)>, ApiError> {
        let mut lines = Vec::new();
        while lines.len() < most && !self.is_over {
            match self.rest.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = self.rest.split_to(end + 1);
                    self.keep(line.get(..end).unwrap_or_default());
                    self.end(&mut lines);
                }
                None => {
                    let rest = std::mem::take(&mut self.rest);
                    self.keep(&rest);
                    if !lines.is_empty() && timeout(GATHER, self.ready()).await.is_err() {
                        return Ok(lines);
                    }
                    self.fetch().await?;
                    if self.is_over && !self.begun.is_empty() {
                        self.end(&mut lines);
                    }
                }
            }
        }
        Ok(lines)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = (MAX_LINE + 1).saturating_sub(self.begun.len());
        self.begun.extend(bytes.iter().take(room));
    }

    fn end(&mut self, lines: &mut Vec<(u64, Vec<u8>)>) {
        self.number += 1;
        let line = std::mem::take(&mut self.begun);
        if !line.trim_ascii().is_empty() {
            lines.push((self.number, line));
        }
    }

    /// Waits until something of the body has come, and takes nothing.
    async fn ready(&mut self) {
        self.body.as_mut().peek().await;
    }

    async fn fetch(&mut self) -> Result<(), ApiError> {
        let broken = |why: &str| ApiError::BadRequest(why.to_owned());
        match timeout(PATIENCE, self.body.next()).await {
            Err(_) => Err(broken("Nothing more of the body came in time")),
            Ok(None) => {
                self.is_over = true;
                Ok(())
            }
            Ok(Some(Ok(bytes))) => {
                self.rest = bytes;
                Ok(())
            }
            Ok(Some(Err(_))) => Err(broken("The body could not be read to its end")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(chunks: &[&[u8]], most: usize) -> Vec<(u64, Vec<u8>)> {
        let chunks: Vec<Result<Bytes, std::io::Error>> = chunks
            .iter()
            .map(|chunk| Ok(Bytes::copy_from_slice(chunk)))
            .collect();
        let mut lines = Lines::of(Body::from_stream(futures_util::stream::iter(chunks)));
        let mut found = Vec::new();
        loop {
            let some = lines.next(most).await.unwrap();
            assert!(some.len() <= most);
            if some.is_empty() {
                return found;
            }
            found.extend(some);
        }
    }

    #[tokio::test]
    async fn lines_are_found_wherever_the_body_is_cut() {
        let text = b"one\n\n  \ntwo\r\nthree";
        let expected = [
            (1, b"one".to_vec()),
            (4, b"two\r".to_vec()),
            (5, b"three".to_vec()),
        ];
        for at in 0..text.len() {
            let (a, b) = text.split_at(at);
            assert_eq!(all(&[a, b], 2).await, expected, "cut at {at}");
        }
        assert!(all(&[], 1).await.is_empty());
    }

    #[tokio::test]
    async fn a_line_without_an_end_takes_bounded_memory_and_the_next_is_read() {
        let long = vec![b'x'; 3 * MAX_LINE];
        let found = all(&[&long, &long, b"\nnext\n"], 10).await;
        assert_eq!(found[0].1.len(), MAX_LINE + 1);
        assert_eq!(found[1], (2, b"next".to_vec()));
    }
}
