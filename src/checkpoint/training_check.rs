/*!
The ranges of a training run's options: of those that were asked for, and of those that a record has, which may be damaged.
*/

use super::config::LARGEST_SIZE;
use super::record::{Budget, TrainingConfig};
use crate::error::{Error, Result};

/// Most threads that a run computes with.
const MOST_THREADS: i32 = 1024;

impl TrainingConfig {
    /// Checks the options. `named` gives an option's name for messages, as in `--clip-norm` for `clip_norm`.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn check(&self, named: impl Fn(&str) -> String) -> Result<()> {
        let number = |name: &str, value: f64, is_in: bool, what: &str| {
            let name = named(name);
            let message = format!("{name} {value} is out of range; give {what}");
            is_in.then_some(()).ok_or_else(|| Error::usage(message))
        };
        number(
            "learning_rate",
            self.learning_rate,
            self.learning_rate > 0.0 && self.learning_rate.is_finite(),
            "a number above 0",
        )?;
        let warmup = self.warmup;
        let whole = (0.0..=1.0).contains(&warmup);
        number("warmup", warmup, whole, "a fraction from 0 to 1")?;
        for (name, value) in [
            ("weight_decay", self.weight_decay),
            ("clip_norm", self.clip_norm),
            ("adversarial", self.adversarial),
        ] {
            let is_in = value >= 0.0 && value.is_finite();
            number(name, value, is_in, "0 or more")?;
        }
        for (name, value) in [
            ("embedding_dropout", self.embedding_dropout),
            ("input_dropout", self.input_dropout),
            ("weight_drop", self.weight_drop),
            ("label_smoothing", self.label_smoothing),
            ("ema", self.ema),
        ] {
            fraction(&named(name), value)?;
        }
        let threads = i64::from(self.threads);
        for (name, value, most) in [
            ("batch_size", self.batch_size as i64, LARGEST_SIZE as i64),
            ("bptt", self.bptt as i64, LARGEST_SIZE as i64),
            ("threads", threads, MOST_THREADS.into()),
            ("world_size", self.world_size as i64, LARGEST_SIZE as i64),
            ("sync_every", self.sync_every as i64, i64::MAX),
        ] {
            let is_in = (1..=most).contains(&value);
            number(name, value as f64, is_in, "1 or more, and no enormous one")?;
        }
        match self.budget {
            Budget::Seconds(seconds) => number("time", seconds, seconds > 0.0, "more than 0"),
            Budget::Epochs(epochs) => {
                let is_in = epochs > 0.0 && epochs <= 1e9;
                number("epochs", epochs, is_in, "a number above 0")
            }
            Budget::Steps(steps) => number("steps", steps as f64, steps > 0, "1 or more"),
        }
    }
}

/// Checks a fraction that is dropped, or kept, by the option's name.
///
/// # Errors
/// A value outside [0, 1).
pub fn fraction(name: &str, value: f64) -> Result<()> {
    match (0.0..1.0).contains(&value) {
        true => Ok(()),
        false => Err(Error::usage(format!(
            "{name} {value} is out of range; give a fraction from 0 to below 1"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(key: &str, value: serde_json::Value) -> Result<()> {
        let mut json = serde_json::json!({
            "budget": {"steps": 9}, "batch_size": 4, "bptt": 8, "learning_rate": 0.1, "schedule": "cosine", "warmup": 0.1,
            "weight_decay": 0.0, "clip_norm": 1.0, "patience": 0, "evaluate_every": 1, "seed": 1, "device": "cpu", "threads": 2,
        });
        json[key] = value;
        let config: TrainingConfig = serde_json::from_value(json).unwrap();
        config.check(|name| format!("--{name}"))
    }

    #[test]
    fn options_out_of_range_are_named() {
        assert!(changed("warmup", 1.into()).is_ok());
        for (key, value) in [
            ("learning_rate", serde_json::json!(0)),
            ("warmup", serde_json::json!(1.5)),
            ("clip_norm", serde_json::json!(-1)),
            ("ema", serde_json::json!(1)),
            ("batch_size", serde_json::json!(0)),
            ("bptt", serde_json::json!(1u64 << 60)),
            ("threads", serde_json::json!(0)),
            ("threads", serde_json::json!(i32::MAX)),
            ("sync_every", serde_json::json!(0)),
            ("sync_every", serde_json::json!(u64::MAX)),
        ] {
            let error = changed(key, value.clone()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("--{key} ")), "{value}: {error}");
        }
        for budget in [
            serde_json::json!({"seconds": 0}),
            serde_json::json!({"epochs": -1}),
            serde_json::json!({"steps": 0}),
        ] {
            assert!(changed("budget", budget).is_err());
        }
    }
}
