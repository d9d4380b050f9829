//! The way to the upstream and back, through the real Worker, with the test itself at both ends of the wire.

mod assertion;
mod encodings;
mod failures;
mod forwarded;
mod hang_up;
mod headers;
mod hop_by_hop;
mod large;
mod methods;
mod paths;
mod statuses;
mod streams;
mod way;
mod websocket;
