/*!
Options of a forecaster's training, and their defaults.
*/

use super::examples::split;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::Recurrent;
use carousel::checkpoint::arguments::{
    GradientMethod, GradientPrecision, RecurrentInit, Schedule, TrainingPrecision,
};
use carousel::checkpoint::numbers::{Distribution, Numbers, QUANTILES, Strategy, Values};
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::record::{Budget, TrainingConfig};
use carousel::error::{Error, Result};
use carousel::forecasting::numeric_series::NumericSeries;
use carousel::forecasting::scaling::Scaling;
use carousel_kernels::recurrent::Cell;

/// Width of the layers for one series and for a panel.
const HIDDEN_SIZES: [usize; 2] = [32, 64];
/// Steps of a budget: for one series, and least and most for a panel.
const STEPS: u64 = 1000;
const PANEL_STEPS: (usize, usize) = (1500, 6000);
/// Values of a panel for each step.
const VALUES_A_STEP: usize = 70;
/// Networks whose predictions are averaged.
const MEMBERS: usize = 3;
/// Windows of a step.
const BATCH_SIZE: usize = 32;
/// Steps between evaluations.
const EVALUATE_EVERY: u64 = 50;
/// Shortest and longest window by default.
const WINDOWS: (usize, usize) = (12, 64);
/// Values that a step reads of a column by default, of a panel: a single series is too little to learn more than one from.
const PANEL_LAGS: usize = 3;
/// Most values that a step reads of a column by default.
const MOST_LAGS: usize = 28;
/// Least steps of a series for each step that validates.
const STEPS_A_VALID_STEP: usize = 10;

/// What a forecaster is to be, and how it is trained. What is `None` is chosen for the series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesOptions {
    /// The layers.
    pub layers: Recurrent,
    /// How several steps ahead are predicted.
    pub strategy: Strategy,
    /// What is predicted of each value.
    pub distribution: Distribution,
    /// Steps ahead that are wanted.
    pub horizon: usize,
    /// Steps in a season; 1 without one.
    pub season: usize,
    /// Steps in a longer season, such as the week of hourly values beside their day; 0 without one.
    pub long_season: usize,
    /// Steps of a window.
    pub window: Option<usize>,
    /// Values that a step reads of a column.
    pub lags: Option<usize>,
    /// Whether logarithms are taken of series that are positive throughout. By default they are for a panel, so that one
    /// network sees relative changes of all, and for one series if level and season then predict it better.
    pub logarithms: Option<bool>,
    /// Values at the end of each series that validate.
    pub validation: Option<usize>,
    /// Networks that differ by their seeds, and whose predictions are averaged.
    pub members: usize,
    /// How it is trained; its window follows from the series.
    pub training: TrainingConfig,
}

impl SeriesOptions {
    /// The defaults for a cell, a horizon and a season, and the series that are to be learnt.
    pub fn new(cell: Cell, horizon: usize, season: usize, panel: &[NumericSeries]) -> Self {
        let values: usize = panel.iter().map(|series| series.values.len()).sum();
        let (hidden_size, steps) = match panel.len() {
            0 | 1 => (HIDDEN_SIZES[0], STEPS),
            _ => {
                let steps = (values / VALUES_A_STEP).clamp(PANEL_STEPS.0, PANEL_STEPS.1);
                (HIDDEN_SIZES[1], steps as u64)
            }
        };
        SeriesOptions {
            layers: Recurrent::new(cell, hidden_size, 1),
            strategy: Strategy::default(),
            distribution: Distribution::default(),
            horizon,
            season,
            long_season: 0,
            window: None,
            lags: None,
            logarithms: None,
            validation: None,
            members: MEMBERS,
            training: TrainingConfig {
                budget: Budget::Steps(steps),
                batch_size: BATCH_SIZE,
                bptt: WINDOWS.0,
                learning_rate: 5e-3,
                schedule: Schedule::Cosine,
                warmup: 0.02,
                weight_decay: 0.1,
                clip_norm: 1.0,
                embedding_dropout: 0.0,
                input_dropout: 0.0,
                weight_drop: 0.0,
                adversarial: 0.0,
                label_smoothing: 0.0,
                candidates: 0,
                ema: 0.98,
                patience: 0,
                evaluate_every: EVALUATE_EVERY,
                seed: 1,
                precision: TrainingPrecision::F32,
                gradients: GradientMethod::Autograd,
                recurrent_init: RecurrentInit::default(),
                device: "cpu".to_string(),
                threads: tch::get_num_threads(),
                world_size: 1,
                gradient_precision: GradientPrecision::F32,
                sync_every: 1,
            },
        }
    }

    /// The configuration of a network for a panel.
    ///
    /// # Errors
    /// A panel without series, or whose series have different columns; sizes that are impossible.
    pub fn config(&self, panel: &[NumericSeries]) -> Result<ModelConfig> {
        let first = panel
            .first()
            .ok_or_else(|| Error::new("there are no series to learn from"))?;
        let columns = |series: &NumericSeries| [series.others.len(), series.known.len()];
        if let Some(other) = panel.iter().find(|other| columns(other) != columns(first)) {
            return Err(Error::new(format!(
                "series {} and {} have different columns beside their values, and one network reads all series of a panel",
                first.id, other.id
            )));
        }
        let season = self.season.max(1);
        let values = Values {
            strategy: self.strategy,
            horizon: match self.strategy {
                Strategy::Repeated => 1,
                Strategy::AtOnce | Strategy::Every => self.horizon,
            },
            distribution: self.distribution,
            quantiles: QUANTILES.to_vec(),
            members: self.members,
        };
        let config = ModelConfig {
            input: Input::Numbers(Numbers {
                window: (self.window).unwrap_or((2 * season).clamp(WINDOWS.0, WINDOWS.1)),
                lags: self.lags.unwrap_or(match self.long_season {
                    _ if panel.len() == 1 => 1,
                    0 => PANEL_LAGS,
                    _ => season.clamp(PANEL_LAGS, MOST_LAGS),
                }),
                season,
                long_season: self.long_season,
                logarithms: self.logarithms.unwrap_or_else(|| {
                    let learnt = self.learnt(first, panel);
                    panel.len() > 1 || Scaling::is_better_with_logarithms(&learnt.values, season)
                }),
                others: first.others.len(),
                known: first.known.len(),
            }),
            body: Body::Recurrent(self.layers.clone()),
            head: Head::Values(values),
        };
        config.check()?;
        Ok(config)
    }

    /// How a network of a configuration is trained.
    pub fn training_of(&self, config: &ModelConfig) -> TrainingConfig {
        let (numbers, _) = config.forecaster().expect("a forecaster");
        TrainingConfig {
            bptt: numbers.window,
            ..self.training.clone()
        }
    }

    /// The options of one of the networks, by its number from 1: a seed of its own, and its part of the time.
    pub fn of_member(&self, number: usize) -> Self {
        let mut options = self.clone();
        options.training.seed = self.training.seed.wrapping_add(number as u64 - 1);
        if let Budget::Seconds(seconds) = &mut options.training.budget {
            *seconds /= self.members as f64;
        }
        options
    }

    /// The part of a series that is learnt from.
    pub fn learnt(&self, series: &NumericSeries, panel: &[NumericSeries]) -> NumericSeries {
        series.until(split(series.values.len(), self.valid_steps(panel)))
    }

    /// Values at the end of each series that validate: as many as are forecast, and a tenth of the shortest series that is
    /// long enough.
    pub fn valid_steps(&self, panel: &[NumericSeries]) -> usize {
        let shortest = panel.iter().map(|series| series.values.len()).min();
        let part = shortest.unwrap_or(0) / STEPS_A_VALID_STEP;
        self.validation.unwrap_or(part.max(self.horizon).max(1))
    }
}
