//! What every route shares: reading bodies and parameters, and finishing answers.

pub mod body;
pub mod client;
pub mod client_address;
pub mod finish;
pub mod ndjson;
pub mod observe;
pub mod page;
pub mod params;
pub mod precondition;
pub mod shown_once;
pub mod token_text;
