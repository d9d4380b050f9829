//! Answers of lines of JSON, made page by page while they are sent: however many there are, memory holds one page.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Serialize;

use crate::error::ApiError;

/// The media type.
pub const MEDIA_TYPE: &str = "application/x-ndjson";

/// One page, written.
#[derive(Debug, Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    /// Adds a line.
    ///
    /// # Errors
    /// When the value can't be written as JSON.
    pub fn add<T: Serialize>(&mut self, value: &T) -> Result<(), ApiError> {
        serde_json::to_writer(&mut self.0, value).map_err(|e| ApiError::Internal(e.into()))?;
        self.0.push(b'\n');
        Ok(())
    }
}

/// An answer of the pages that `next` gives from a place on, each with the place after it; `None` ends it. The first page is
/// made before the answer begins, so that a failure is told as one; a later one cuts the answer off, which callers can tell
/// from its end.
///
/// # Errors
/// When the first page can't be made.
pub async fn answer<P, F, Fut>(first: P, next: F) -> Result<Response, ApiError>
where
    P: Send + 'static,
    F: Fn(P) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Option<(Lines, P)>, ApiError>> + Send + 'static,
{
    let begun = next(first).await?;
    let pages = stream::unfold(begun.map(|page| (page, next)), |state| async move {
        let ((lines, place), next) = state?;
        let after = next(place).await;
        let bytes = Bytes::from(lines.0);
        match after {
            Ok(after) => Some((Ok(bytes), after.map(|page| (page, next)))),
            Err(error) => {
                tracing::error!(error = format!("{error:?}"), "an answer was cut off");
                Some((Err(std::io::Error::other("cut off")), None))
            }
        }
    });
    let kind = [(header::CONTENT_TYPE, MEDIA_TYPE)];
    Ok((kind, Body::from_stream(pages)).into_response())
}
