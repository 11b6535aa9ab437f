/*!
Numbers and times for people.
*/

use std::time::Duration;

use indicatif::HumanCount;

/// A number with commas between thousands.
pub fn count(n: u64) -> String {
    HumanCount(n).to_string()
}

/// Formats whole seconds in units for people.
pub fn duration(seconds: f64) -> String {
    humantime::format_duration(Duration::from_secs(seconds.clamp(0.0, 1e9) as u64)).to_string()
}
