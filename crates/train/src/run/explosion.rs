/*!
What a run saw before and when it exploded, and what helps against it.
*/

use carousel::checkpoint::architecture::Recurrent;
use carousel::checkpoint::record::TrainingConfig;
use carousel_kernels::recurrent::{Activation, Cell};

/// A norm that many times the recent one, and above the second number, is worth a note.
const NORM_JUMP: f64 = 100.0;
const LARGE_NORM: f64 = 1000.0;

/// The norms of the gradients of a run, watched for a sudden rise.
#[derive(Clone, Debug, Default)]
pub struct GradientWatch {
    /// The usual norm: a running mean over recent steps.
    usual: Option<f64>,
    /// The largest norm so far, and its step.
    peak: Option<(f64, u64)>,
    noted: bool,
}

impl GradientWatch {
    /// Takes the norm of a step. Returns a note the first time that it is far above the usual one and nothing limits it, or
    /// not finite.
    pub fn see(
        &mut self,
        norm: f64,
        step: u64,
        layers: Option<&Recurrent>,
        training: &TrainingConfig,
    ) -> Option<String> {
        if norm.is_finite() && self.peak.is_none_or(|(peak, _)| norm > peak) {
            self.peak = Some((norm, step));
        }
        let usual = *self.usual.get_or_insert(norm);
        let jumped = norm > LARGE_NORM && (norm > NORM_JUMP * usual || usual > LARGE_NORM);
        if norm.is_finite() {
            self.usual = Some(0.9 * usual + 0.1 * norm);
        }
        let unlimited = training.clip_norm == 0.0 && (jumped || !norm.is_finite());
        if self.noted || !unlimited {
            return None;
        }
        self.noted = true;
        let before = match step > 1 && usual.is_finite() && usual < norm {
            true => format!(" from about {}", number(usual)),
            false => String::new(),
        };
        let saw = match norm.is_finite() {
            true => format!("reached {} at step {step}", number(norm)),
            false => format!("went beyond what numbers can hold at step {step}"),
        };
        Some(format!(
            "the gradient norm {saw}{before}, and no --clip-norm limits it; what helps: {}",
            advice(layers, training)
        ))
    }

    /// What helps, the first time that a run needs it; later it is empty.
    pub fn help(&mut self, layers: Option<&Recurrent>, training: &TrainingConfig) -> String {
        match std::mem::replace(&mut self.noted, true) {
            true => String::new(),
            false => format!("; what helps: {}", advice(layers, training)),
        }
    }

    /// The largest norm so far, in words; empty if there was none.
    pub fn peak(&self) -> String {
        self.peak.map_or_else(String::new, |(norm, step)| {
            format!(
                "; the largest gradient norm was {} at step {step}",
                number(norm)
            )
        })
    }

    /// Forgets the norms before a rescue.
    pub fn restart(&mut self) {
        (self.usual, self.peak) = (None, None);
    }
}

/// What helps against explosions, and is not what was chosen already. `layers` are recurrent layers, if there are any.
pub fn advice(layers: Option<&Recurrent>, training: &TrainingConfig) -> String {
    let mut advice = Vec::new();
    if training.clip_norm == 0.0 {
        advice.push("--clip-norm 1".to_string());
    } else if training.clip_norm > 1.0 {
        advice.push(format!(
            "a --clip-norm below {}, such as 1",
            training.clip_norm
        ));
    }
    advice.push(format!(
        "a --learning-rate well below {}",
        training.learning_rate
    ));
    if layers.is_some_and(|layers| layers.activation == Activation::Relu) {
        advice.push("--activation tanh".to_string());
    }
    if layers.is_some_and(|layers| !matches!(layers.cell, Cell::Lstm | Cell::Gru)) {
        advice.push("--cell lstm or gru".to_string());
    }
    match advice.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{}, or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A number for people: `2.41`, `15.3`, `1.2e6`.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "beyond what numbers can hold".to_string(),
        size if size >= 1e5 => format!("{value:.1e}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::testing::training;

    #[test]
    fn a_sudden_rise_is_noted_once_and_only_without_clipping() {
        let network = Recurrent {
            activation: Activation::Relu,
            ..Recurrent::new(Cell::Rnn, 8, 4)
        };
        let free = TrainingConfig {
            clip_norm: 0.0,
            learning_rate: 0.05,
            ..training(1)
        };
        let mut watch = GradientWatch::default();
        assert_eq!(watch.see(3.0, 1, Some(&network), &free), None);
        assert_eq!(watch.see(900.0, 2, Some(&network), &free), None);
        let note = watch.see(1.2e6, 40, Some(&network), &free).unwrap();
        assert!(
            note.contains("reached 1.2e6 at step 40 from about 92.70"),
            "{note}"
        );
        assert!(
            note.ends_with("--clip-norm 1, a --learning-rate well below 0.05, --activation tanh, or --cell lstm or gru"),
            "{note}"
        );
        assert_eq!(watch.see(1e9, 41, Some(&network), &free), None);
        assert_eq!(watch.help(Some(&network), &free), "");
        let help = GradientWatch::default().help(Some(&network), &free);
        assert!(help.starts_with("; what helps: --clip-norm 1,"), "{help}");
        assert!(
            watch.peak().contains("1.0e9 at step 41"),
            "{}",
            watch.peak()
        );
        let clipped = training(1);
        assert_eq!(
            GradientWatch::default().see(1e9, 1, Some(&network), &clipped),
            None
        );
        let mut watch = GradientWatch::default();
        let note = watch.see(f64::INFINITY, 1, Some(&network), &free).unwrap();
        assert!(
            note.contains("beyond what numbers can hold at step 1,"),
            "{note}"
        );
    }

    #[test]
    fn advice_is_about_what_was_not_chosen_already() {
        let lstm = Recurrent::new(Cell::Lstm, 8, 1);
        let clipped = TrainingConfig {
            clip_norm: 1.0,
            learning_rate: 0.5,
            ..training(1)
        };
        assert_eq!(
            advice(Some(&lstm), &clipped),
            "a --learning-rate well below 0.5"
        );
        let loose = TrainingConfig {
            clip_norm: 20.0,
            ..clipped
        };
        assert_eq!(
            advice(Some(&lstm), &loose),
            "a --clip-norm below 20, such as 1, or a --learning-rate well below 0.5"
        );
    }
}
