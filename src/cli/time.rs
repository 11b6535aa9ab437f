/*!
Times as people type them.
*/

use std::time::Duration;

/// A time such as 90s, 2m or 1h30m; a number alone is of seconds.
///
/// # Errors
/// What is no time, with examples of some.
pub fn time(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    match seconds.map(Duration::try_from_secs_f64) {
        Some(Ok(time)) => Ok(time),
        Some(Err(_)) => Err("a time is not negative, and not endless: 90s, 2m, 1h30m".to_string()),
        None => humantime::parse_duration(text)
            .map_err(|e| format!("{e}; give 90s, 2m, 1h30m, or a number of seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_alone_are_seconds() {
        assert_eq!(time("20"), Ok(Duration::from_secs(20)));
        assert_eq!(time("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1m30s"), Ok(Duration::from_secs(90)));
        for wrong in ["-1", "soon", "inf", "NaN", "5x"] {
            let message = time(wrong).unwrap_err();
            assert!(message.contains("90s"), "{wrong}: {message}");
        }
    }
}
