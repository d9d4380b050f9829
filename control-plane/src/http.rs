//! What every route shares: reading bodies and parameters, and finishing answers.

pub mod body;
pub mod finish;
pub mod ndjson;
pub mod page;
pub mod params;
pub mod token_text;
