/*!
Forecasts of series by recurrent networks that read numbers and predict quantiles of the next ones, or a normal distribution.

What is further ahead than a network predicts follows from the predictions, repeated: the point forecast from its
medians, the intervals from paths that are drawn from its quantiles.
*/

use std::borrow::Cow;
use std::cmp::Ordering;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::quantile_network::QuantileNetwork;
use crate::checkpoint::numbers::{Distribution, LEAST_DEVIATION, Numbers, Values};
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::{Error, Result};
use crate::forecasting::forecast::{Forecast, Interval, LEVELS, normal_quantile};
use crate::forecasting::numeric_series::NumericSeries;
use crate::forecasting::windows::{SeriesScaling, Windows};

/// Paths that are drawn for the intervals of what is further ahead than the network predicts.
const PATHS: usize = 200;
/// Windows that are read side by side.
const BATCH: usize = 64;

/// Networks that forecast series by the mean of their predictions, with the scalings of those that they have learnt.
pub struct QuantileForecaster {
    /// Configuration of each network.
    pub config: ModelConfig,
    numbers: Numbers,
    values: Values,
    scalings: Vec<SeriesScaling>,
    networks: Vec<QuantileNetwork>,
}

impl QuantileForecaster {
    /// Opens a checkpoint. It computes with up to `threads` threads.
    ///
    /// # Errors
    /// A checkpoint that is damaged, or of a model of text.
    pub fn open(directory: &Directory, threads: usize) -> Result<Self> {
        let config = directory.load_config()?;
        if config.forecaster().is_none() {
            return Err(Error::new(format!(
                "{} is a model of text and forecasts no numbers; `carousel forecast FILE --method gru -o DIR` makes one that does",
                directory.path().display()
            )));
        }
        let scalings = directory.load_scaling()?;
        let (numbers, values) = config.forecaster().expect("checked just before");
        let network = |number: usize| {
            let weights = directory.member(number).load_weights(&config)?;
            QuantileNetwork::load(&config, |name| weights.floats(name), threads)
        };
        Ok(QuantileForecaster {
            numbers: numbers.clone(),
            values: values.clone(),
            networks: (1..=values.members).map(network).collect::<Result<_>>()?,
            scalings,
            config,
        })
    }

    /// Values that a step predicts at once.
    pub fn horizon(&self) -> usize {
        self.values.horizon
    }

    /// Means of the networks' quantiles for windows, in their numbers, `[streams, horizon, quantiles]`.
    fn means(&self, inputs: &[f32], streams: usize) -> Vec<f64> {
        let values = &self.values;
        let mut sum = vec![0.0; streams * values.horizon * values.quantiles.len()];
        for network in &self.networks {
            let outputs = network.outputs(inputs, streams);
            let quantiles = outputs
                .chunks(values.outputs_a_value())
                .flat_map(|outputs| quantiles_of(values, outputs));
            sum.iter_mut()
                .zip(quantiles)
                .for_each(|(sum, quantile)| *sum += quantile);
        }
        let count = self.networks.len() as f64;
        sum.into_iter().map(|sum| sum / count).collect()
    }

    /// The scaling that was learnt with a series, or one of its own.
    fn scaling(&self, series: &NumericSeries) -> Result<Cow<'_, SeriesScaling>> {
        series.check()?;
        let known = self.scalings.iter().find(|scaling| scaling.id == series.id);
        let fitted = || Cow::Owned(SeriesScaling::fit(series, &self.numbers));
        Ok(known.map_or_else(fitted, Cow::Borrowed))
    }

    fn windows(&self, series: &NumericSeries, scaling: &SeriesScaling) -> Result<Windows> {
        Windows::new(series, scaling, &self.numbers, self.values.horizon)
    }

    /// Quantiles that the windows which end with the given steps predict, `[horizon][quantiles]` for each, in the values' own
    /// unit and in ascending order.
    fn quantiles(&self, windows: &[(&Windows, usize)]) -> Vec<Vec<Vec<f64>>> {
        let size = self.config.input_size();
        let mut all = Vec::with_capacity(windows.len());
        for batch in windows.chunks(BATCH) {
            let mut inputs = vec![0.0; self.numbers.window * batch.len() * size];
            let mut read = Vec::with_capacity(size);
            for (stream, (windows, end)) in batch.iter().enumerate() {
                for (index, step) in windows.window(*end).enumerate() {
                    let Some(step) = step else { continue };
                    read.clear();
                    windows.read(step, &mut read);
                    let first = (index * batch.len() + stream) * size;
                    inputs[first..first + size].copy_from_slice(&read);
                }
            }
            let means = self.means(&inputs, batch.len());
            let count = self.values.quantiles.len();
            let means = means.chunks(self.values.horizon * count);
            for ((windows, end), means) in batch.iter().zip(means) {
                let restored = (1..).zip(means.chunks(count)).map(|(ahead, means)| {
                    let restore = |mean: &f64| windows.restore(*end, ahead, *mean);
                    let mut quantiles: Vec<f64> = means.iter().map(restore).collect();
                    quantiles.sort_by(f64::total_cmp);
                    quantiles
                });
                all.push(restored.collect());
            }
        }
        all
    }

    /// What was expected of each value from those before it: the medians one step ahead; NaN for the first.
    ///
    /// # Errors
    /// A series without values, or with other columns than the network reads.
    pub fn predictions(&self, series: &NumericSeries) -> Result<Vec<f64>> {
        let windows = self.windows(series, &*self.scaling(series)?)?;
        let ends: Vec<_> = (1..series.values.len())
            .map(|step| (&windows, step - 1))
            .collect();
        let medians = self
            .quantiles(&ends)
            .into_iter()
            .map(|ahead| self.median(&ahead[0]));
        Ok(std::iter::once(f64::NAN).chain(medians).collect())
    }

    /// The `horizon` values that follow a series. Columns that are known ahead should reach as far; of other columns, what
    /// the network reads of its own predictions is the level and season that they had.
    ///
    /// # Errors
    /// As [`QuantileForecaster::predictions`].
    pub fn forecast(&self, series: &NumericSeries, horizon: usize) -> Result<Forecast> {
        let windows = self.windows(series, &*self.scaling(series)?)?;
        let first = self.quantiles(&[(&windows, windows.steps() - 1)]).remove(0);
        let mut quantiles: Vec<Vec<f64>> = first;
        if horizon > quantiles.len() {
            quantiles = self.repeated(&windows, quantiles, horizon);
        }
        quantiles.truncate(horizon);
        let mean: Vec<f64> = quantiles.iter().map(|all| self.median(all)).collect();
        let intervals = LEVELS.map(|level| {
            let outside = (100.0 - f64::from(level)) / 200.0;
            let ends = |probability: f64| {
                let all = quantiles.iter();
                all.map(|all| interpolated(&self.values.quantiles, all, probability))
                    .collect()
            };
            Interval {
                lower: ends(outside),
                upper: ends(1.0 - outside),
            }
        });
        Ok(Forecast { mean, intervals })
    }

    /// Quantiles of `horizon` steps, of which the `first` are predicted from the series and the others from drawn paths.
    fn repeated(&self, series: &Windows, first: Vec<Vec<f64>>, horizon: usize) -> Vec<Vec<f64>> {
        let mut random = ChaCha8Rng::seed_from_u64(series.steps() as u64);
        // The first path is that of the medians.
        let mut windows: Vec<Windows> = vec![series.clone(); PATHS + 1];
        let mut paths: Vec<Vec<f64>> = vec![Vec::with_capacity(horizon); windows.len()];
        let mut ahead = vec![first.clone(); windows.len()];
        loop {
            for (index, (path, ahead)) in paths.iter_mut().zip(&ahead).enumerate() {
                let rank = match index {
                    0 => 0.5,
                    _ => random.random_range(0.0..1.0),
                };
                let drawn = ahead.iter();
                let drawn = drawn.map(|all| interpolated(&self.values.quantiles, all, rank));
                let begin = path.len();
                path.extend(drawn);
                windows[index].extend(&path[begin..]);
            }
            if paths[0].len() >= horizon {
                break;
            }
            let ends = windows.iter().map(|all| (all, all.steps() - 1));
            ahead = self.quantiles(&ends.collect::<Vec<_>>());
        }
        let later = (first.len()..horizon).map(|step| {
            let drawn = paths[1..].iter().map(|path| path[step]);
            self.quantiles_around(drawn.collect(), paths[0][step])
        });
        first.iter().cloned().chain(later).collect()
    }

    /// The quantiles of drawn values, around a median that is known.
    fn quantiles_around(&self, mut drawn: Vec<f64>, median: f64) -> Vec<f64> {
        drawn.sort_by(f64::total_cmp);
        let count = drawn.len() as f64;
        let ranks: Vec<f64> = (0..drawn.len()).map(|i| (i as f64 + 0.5) / count).collect();
        let quantile = |&probability: &f64| match probability.total_cmp(&0.5) {
            Ordering::Equal => median,
            Ordering::Less => interpolated(&ranks, &drawn, probability).min(median),
            Ordering::Greater => interpolated(&ranks, &drawn, probability).max(median),
        };
        self.values.quantiles.iter().map(quantile).collect()
    }

    fn median(&self, quantiles: &[f64]) -> f64 {
        interpolated(&self.values.quantiles, quantiles, 0.5)
    }
}

/// The quantiles that a network's outputs for a value stand for, in the network's numbers.
fn quantiles_of(values: &Values, outputs: &[f32]) -> Vec<f64> {
    let outputs = outputs.iter().map(|output| f64::from(*output));
    match values.distribution {
        Distribution::Quantiles => outputs.collect(),
        Distribution::Gaussian => {
            let outputs: Vec<f64> = outputs.collect();
            let deviation = softplus(outputs[1]) + LEAST_DEVIATION;
            let quantile =
                |&probability: &f64| outputs[0] + deviation * normal_quantile(probability);
            values.quantiles.iter().map(quantile).collect()
        }
    }
}

/// log(1 + eˣ), without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The quantile at a probability, on the line between its neighbours; beyond the outermost, that one.
fn interpolated(probabilities: &[f64], quantiles: &[f64], probability: f64) -> f64 {
    let above = probabilities.partition_point(|known| *known < probability);
    let last = probabilities.len() - 1;
    if above == 0 {
        return quantiles[0];
    }
    if above > last {
        return quantiles[last];
    }
    let (low, high) = (probabilities[above - 1], probabilities[above]);
    let part = (probability - low) / (high - low);
    if part == 1.0 {
        return quantiles[above];
    }
    quantiles[above - 1] + part * (quantiles[above] - quantiles[above - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::numbers::Strategy;

    /// Expected: Python, statistics.NormalDist(0.5, math.log1p(math.exp(s)) + 0.001).inv_cdf(q) for s of 0.2 and of −40.
    #[test]
    fn quantiles_of_a_mean_and_a_deviation_are_those_of_their_normal_distribution() {
        let values = Values {
            strategy: Strategy::AtOnce,
            horizon: 1,
            distribution: Distribution::Gaussian,
            quantiles: vec![0.1, 0.5, 0.9],
            members: 1,
        };
        for (output, ends) in [
            (0.2, [-0.5241376691, 1.5241376691]),
            (-40.0, [0.498718448, 0.501281552]),
        ] {
            let found = quantiles_of(&values, &[0.5, output]);
            let expected = [ends[0], 0.5, ends[1]];
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-7, "{found} {expected}");
            }
        }
    }

    #[test]
    fn quantiles_between_two_are_on_their_line() {
        let (probabilities, quantiles) = ([0.1, 0.5, 0.9], [1.0, 5.0, 7.0]);
        for (probability, expected) in [(0.0, 1.0), (0.1, 1.0), (0.3, 3.0), (0.5, 5.0), (0.95, 7.0)]
        {
            let found = interpolated(&probabilities, &quantiles, probability);
            assert!((found - expected).abs() < 1e-12, "{probability}: {found}");
        }
    }
}
