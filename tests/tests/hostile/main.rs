//! Nonsense and malice in, a clear refusal out, and the isolate lives on.

mod admin_api;
mod bodies;
mod credentials;
mod headers;
mod hosts;
mod identity;
mod paths;
mod push;
mod records;
mod signed;
mod survival;
mod usage;
mod verify;
