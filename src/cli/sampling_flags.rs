/*!
Flags of `carousel generate` that decide how a token is chosen.
*/

use clap::Args;

use crate::error::{Error, Result};
use crate::inference::sampling::{Choice, Repetition, Sampling};

/// How a token is chosen.
#[derive(Args)]
pub struct SamplingFlags {
    /// Below 1 more likely text, above 1 more varied text; 0 is --greedy
    #[arg(
        short,
        long,
        visible_alias = "temp",
        value_name = "T",
        default_value_t = 0.9,
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    temperature: f32,
    /// Choose among the K most probable tokens
    #[arg(long, value_name = "K", help_heading = "Sampling")]
    top_k: Option<usize>,
    /// Choose among the most probable tokens that together have the probability P, above 0, up to 1
    #[arg(
        long,
        value_name = "P",
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    top_p: Option<f32>,
    /// Choose among the tokens at least P times as probable as the most probable one, from 0 (all) to 1
    #[arg(
        long,
        value_name = "P",
        default_value_t = 0.02,
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    min_p: f32,
    /// Make recent tokens less probable: above 1, such as 1.1 [default: 1, no penalty]
    #[arg(
        long,
        value_name = "X",
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    repeat_penalty: Option<f32>,
    /// Number of recent tokens that the penalty applies to, those of the prompt included
    #[arg(
        long,
        value_name = "N",
        default_value_t = 64,
        help_heading = "Sampling"
    )]
    repeat_last_n: usize,
    /// Always choose the most probable token
    #[arg(long, help_heading = "Sampling")]
    greedy: bool,
}

impl SamplingFlags {
    /// Checks the values, and returns the sampling that they describe.
    ///
    /// # Errors
    /// The first value that is out of range.
    pub fn sampling(&self) -> Result<Sampling> {
        self.check()?;
        let repetition = self
            .repeat_penalty
            .filter(|&penalty| penalty != 1.0)
            .map(|penalty| Repetition {
                penalty,
                last_n: self.repeat_last_n,
            });
        let choice = if self.greedy || self.temperature == 0.0 {
            Choice::Greedy
        } else {
            Choice::Random {
                top_k: self.top_k,
                top_p: self.top_p.filter(|&p| p < 1.0),
                min_p: Some(self.min_p).filter(|&p| p > 0.0),
                temperature: self.temperature,
            }
        };
        Ok(Sampling { repetition, choice })
    }

    fn check(&self) -> Result<()> {
        let temperature = self.temperature;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Error::usage(format!(
                "--temperature {temperature} is out of range; give 0 (always the most probable token) or more"
            )));
        }
        if self.top_k == Some(0) {
            return Err(Error::usage(
                "--top-k 0 leaves no token to choose from; give 1 or more",
            ));
        }
        if let Some(p) = self.top_p
            && !(p > 0.0 && p <= 1.0)
        {
            return Err(Error::usage(format!(
                "--top-p {p} is out of range; give a probability above 0, up to 1"
            )));
        }
        if !(0.0..=1.0).contains(&self.min_p) {
            return Err(Error::usage(format!(
                "--min-p {} is out of range; give a fraction from 0 to 1",
                self.min_p
            )));
        }
        if let Some(penalty) = self.repeat_penalty
            && !(penalty > 0.0 && penalty.is_finite())
        {
            return Err(Error::usage(format!(
                "--repeat-penalty {penalty} is out of range; give a number above 0, where 1 is no penalty"
            )));
        }
        Ok(())
    }
}
