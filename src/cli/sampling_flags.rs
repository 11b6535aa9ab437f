/*!
Flags of `carousel generate` that decide how a token is chosen.
*/

use clap::Args;

use crate::error::Result;
use crate::inference::sampling::{Sampling, SamplingOptions};

/// How a token is chosen.
#[derive(Args)]
pub struct SamplingFlags {
    /// Below 1 more likely text, above 1 more varied text; 0 is --greedy
    #[arg(
        short,
        long,
        visible_alias = "temp",
        value_name = "T",
        default_value_t = SamplingOptions::default().temperature,
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
        default_value_t = SamplingOptions::default().min_p.unwrap_or(0.0),
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
        default_value_t = SamplingOptions::default().repeat_last_n,
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
        let options = SamplingOptions {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: Some(self.min_p),
            repeat_penalty: self.repeat_penalty,
            repeat_last_n: self.repeat_last_n,
        };
        let sampling = options.sampling(|name| format!("--{}", name.replace('_', "-")))?;
        Ok(match self.greedy {
            true => sampling.at_temperature(0.0),
            false => sampling,
        })
    }
}
