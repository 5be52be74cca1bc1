//! What people ask without packets, and how it is shown.

mod end;
mod explain;
mod matrix;
mod route;

pub use end::{AskedEnd, AskedPort, ParseEndError, Question};
pub use explain::{Explained, json as explained_json, schema as explained_schema, text as explained_text};
pub use matrix::*;
pub use route::RouteError;
