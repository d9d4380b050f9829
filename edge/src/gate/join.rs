//! Doing several things at a time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Something to be done.
pub type Task<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Does all of them. There are few at a time, so each is asked whenever any may have come further.
pub async fn all(mut tasks: Vec<Task<'_>>) {
    poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if tasks.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}
