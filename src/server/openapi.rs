/*!
`GET /openapi.json`: what is served, for programs.
*/

use serde_json::{Value, json};

/// The description, without the version.
const DESCRIPTION: &str = include_str!("openapi.json");

/// The description.
pub fn description() -> Value {
    let mut all: Value = serde_json::from_str(DESCRIPTION).expect("it is tested to be JSON");
    all["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    all
}
