/*!
The windows of a panel as tensors: what each step of each series reads and is to predict, once, and where windows lie in it.
*/

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::numbers::Strategy;
use carousel::error::{Error, Result};
use carousel::forecasting::numeric_series::NumericSeries;
use carousel::forecasting::windows::{SeriesScaling, Windows};

/// Steps of a series that no window ends with, as a fraction: what is known of its level and season is little.
const FIRST_STEPS: usize = 3;
/// Fewest steps of a series before those that validate.
const FEWEST_STEPS: usize = 4;

/// The examples of a panel.
pub struct Examples {
    /// What each step reads, `[1 + steps, input_size]`; first a step of zeros.
    inputs: Tensor,
    /// What each step is to predict in training, `[1 + steps, horizon]`.
    targets: Tensor,
    /// The same with the values that validate.
    valid_targets: Tensor,
    /// The windows to train on.
    pub train: Vec<Place>,
    /// The windows to validate.
    pub valid: Vec<Place>,
    /// Steps of a window.
    window: usize,
    strategy: Strategy,
}

/// A window: the row that its series begins with, and the row that it ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The first row of the series.
    pub begin: usize,
    /// The last row of the window.
    pub end: usize,
}

impl Examples {
    /// The examples of a panel by its scalings, of which the last `valid_steps` values of each series are for validation
    /// alone.
    ///
    /// # Errors
    /// Series that cannot be used, or that are all too short.
    pub fn new(
        panel: &[NumericSeries],
        scalings: &[SeriesScaling],
        config: &ModelConfig,
        valid_steps: usize,
        device: Device,
    ) -> Result<Self> {
        let (numbers, values) = config.forecaster().expect("a forecaster");
        let horizon = values.horizon;
        let mut inputs = vec![0.0; config.input_size()];
        let (mut targets, mut valid_targets) = (vec![f32::NAN; horizon], vec![f32::NAN; horizon]);
        let (mut train, mut valid) = (Vec::new(), Vec::new());
        let mut begin = 1;
        for (series, scaling) in panel.iter().zip(scalings) {
            let windows = Windows::new(series, scaling, numbers, horizon)?;
            let steps = windows.steps();
            let split = split(steps, valid_steps);
            for now in 0..steps {
                windows.read(now, &mut inputs);
                windows.targets(now, split, &mut targets);
                windows.targets(now, steps, &mut valid_targets);
            }
            let place = |now: usize| Place {
                begin,
                end: begin + now,
            };
            let first = (split / FIRST_STEPS).min(numbers.lags.max(numbers.season));
            train.extend((first..split.saturating_sub(1)).map(place));
            if split < steps {
                valid.extend((split - 1..steps.saturating_sub(horizon).max(split)).map(place));
            }
            begin += steps;
        }
        if train.is_empty() || valid.is_empty() {
            return Err(Error::new(format!(
                "the series are too short for a network: to learn and to validate {horizon} steps ahead, one needs {} values or \
                 more; the methods ets and theta do with fewer",
                FEWEST_STEPS + valid_steps
            )));
        }
        let tensor = |values: &[f32], width: usize| {
            Tensor::from_slice(values)
                .view([-1, width as i64])
                .to_device(device)
        };
        Ok(Examples {
            inputs: tensor(&inputs, config.input_size()),
            targets: tensor(&targets, horizon),
            valid_targets: tensor(&valid_targets, horizon),
            train,
            valid,
            window: numbers.window,
            strategy: values.strategy,
        })
    }

    /// Inputs and targets of some windows for training, `[steps, windows, input_size]` and `[steps or 1, windows, horizon]`.
    pub fn batch(&self, places: &[Place]) -> (Tensor, Tensor) {
        let rows = self.rows(places);
        let targets = match self.strategy {
            Strategy::Every => self.gather(&self.targets, &rows),
            Strategy::Repeated | Strategy::AtOnce => self.ends(&self.targets, places),
        };
        (self.gather(&self.inputs, &rows), targets)
    }

    /// The same for validation, where the last step alone counts.
    pub fn valid_batch(&self, places: &[Place]) -> (Tensor, Tensor) {
        let inputs = self.gather(&self.inputs, &self.rows(places));
        (inputs, self.ends(&self.valid_targets, places))
    }

    /// The training windows of a step of a pass, in an order of its own for each pass.
    pub fn order(&self, seed: u64, pass: u64) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(pass);
        let mut order: Vec<usize> = (0..self.train.len()).collect();
        order.shuffle(&mut random);
        order
    }

    /// The row of each step of some windows, time-major; the row of zeros before a series begins.
    fn rows(&self, places: &[Place]) -> Vec<Vec<i64>> {
        let row = |place: &Place, step: usize| {
            let row = (place.end + 1 + step).checked_sub(self.window);
            row.filter(|row| *row >= place.begin).unwrap_or(0) as i64
        };
        (0..self.window)
            .map(|step| places.iter().map(|place| row(place, step)).collect())
            .collect()
    }

    fn gather(&self, table: &Tensor, rows: &[Vec<i64>]) -> Tensor {
        let index = Tensor::from_slice(&rows.concat()).to_device(table.device());
        let width = table.size()[1];
        (table.index_select(0, &index)).view([rows.len() as i64, -1, width])
    }

    fn ends(&self, table: &Tensor, places: &[Place]) -> Tensor {
        let ends: Vec<i64> = places.iter().map(|place| place.end as i64).collect();
        self.gather(table, &[ends])
    }
}

/// The first step of those that validate; the number of steps where there are too few to spare.
pub fn split(steps: usize, valid_steps: usize) -> usize {
    match steps.checked_sub(valid_steps) {
        Some(split) if split >= FEWEST_STEPS => split,
        _ => steps,
    }
}
