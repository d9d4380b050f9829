//! Every entry of the denial catalogue, provoked through the real Worker: status, headers, body.

mod catalogue;
mod credentials;
mod guard;
mod keys;
mod quota;
mod routes;
mod upstream;
