//! What must hold whatever the input is. Each check makes an input from bytes and panics when something does not hold:
//! proptest brings the bytes in `cargo test`, libFuzzer in `fuzz/`.

mod draw;
mod reference;

mod credential;
mod host;
mod ip;
mod origin;
mod owner;
mod path;
mod permission;
mod push;
mod record;
mod route;
mod token;

pub use credential::credential;
pub use host::host;
pub use ip::ip;
pub use origin::origin;
pub use owner::owner;
pub use path::path;
pub use permission::permission;
pub use push::push;
pub use record::record;
pub use route::route;
pub use token::token;
