/*!
Networks that read numbers and predict numbers: what a step reads of a series, and what it predicts.
*/

use serde::{Deserialize, Serialize};

use super::architecture::{OUTPUT_BIAS, OUTPUT_WEIGHT, TensorShapes};

/// The quantiles that are predicted: the ends of the intervals of 95 and 80 %, and the median.
pub const QUANTILES: [f64; 5] = [0.025, 0.1, 0.5, 0.9, 0.975];
/// The least standard deviation that a network predicts, in the unit of its numbers: a likelihood has no upper bound without.
pub const LEAST_DEVIATION: f64 = 1e-3;
/// Most steps of a window, of a season, and of what is predicted at once.
const MOST_STEPS: usize = 1 << 16;
/// Most networks whose predictions are averaged.
const MOST_MEMBERS: usize = 100;

/// Numbers of series of equal steps, and how a step reads them.
///
/// A step reads, of the series and of each other column, the last `lags` values without their season and level; the season
/// of the steps that it predicts, and where there is a longer season what was left of the steps that long before these; the columns that are known ahead at these steps and a season before; and how widely the
/// series scatters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbers {
    /// Steps that are read, from a state of zeros, before a prediction.
    pub window: usize,
    /// Values that a step reads, the last ones first.
    pub lags: usize,
    /// Steps in a season; 1 without one.
    pub season: usize,
    /// Steps in a longer season, which is not taken out but read; 0 without one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub long_season: usize,
    /// Whether logarithms are taken of series that are positive throughout.
    pub logarithms: bool,
    /// Other columns of which the past is known.
    #[serde(default)]
    pub others: usize,
    /// Columns that are known ahead, such as those of a calendar.
    #[serde(default)]
    pub known: usize,
}

/// How several steps ahead are predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// The last step of a window predicts the next value; what is further ahead follows from the predictions.
    Repeated,
    /// The last step of a window predicts all values at once.
    AtOnce,
    /// Every step of a window predicts the values after it; the last step's count.
    #[default]
    Every,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 3] = [Strategy::Repeated, Strategy::AtOnce, Strategy::Every];

    /// Its name, in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Repeated => "repeated",
            Strategy::AtOnce => "at-once",
            Strategy::Every => "every",
        }
    }
}

/// How a network says what the next values may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// By quantiles, learnt with the pinball loss (Koenker and Bassett 1978).
    #[default]
    Quantiles,
    /// By the mean and the standard deviation of a normal distribution, learnt by its likelihood (as Salinas et al. 2020 do).
    /// The deviation is the softplus of an output.
    Gaussian,
}

impl Distribution {
    fn is_default(&self) -> bool {
        *self == Distribution::default()
    }
}

/// The distribution of the next values at each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// How several steps ahead are predicted.
    pub strategy: Strategy,
    /// Values that a step predicts.
    pub horizon: usize,
    /// How they are predicted.
    #[serde(default, skip_serializing_if = "Distribution::is_default")]
    pub distribution: Distribution,
    /// The quantiles of each that are predicted, in ascending order; those of a normal distribution follow from it.
    pub quantiles: Vec<f64>,
    /// Networks that differ by their seeds, and whose predictions are averaged.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub members: usize,
}

impl Numbers {
    /// Steps ahead of which a step that predicts `horizon` values reads the season: each phase once.
    pub fn seasons_ahead(&self, horizon: usize) -> usize {
        match self.season {
            0 | 1 => 0,
            season => season.min(horizon),
        }
    }

    /// Steps ahead of which a step that predicts `horizon` values reads what was left a long season before: each phase once.
    pub fn long_season_ahead(&self, horizon: usize) -> usize {
        self.long_season.min(horizon)
    }

    /// Values of a column known ahead that a step reads which predicts `horizon` values.
    pub fn known_ahead(&self, horizon: usize) -> usize {
        match self.season {
            0 | 1 => horizon,
            _ => 2 * horizon,
        }
    }

    /// Numbers that a step reads which predicts `horizon` values.
    pub fn input_size(&self, horizon: usize) -> usize {
        (1 + self.others) * self.lags
            + self.seasons_ahead(horizon)
            + self.long_season_ahead(horizon)
            + self.known * self.known_ahead(horizon)
            + 1
    }

    /// Checks the sizes.
    ///
    /// # Errors
    /// One that is zero or too large.
    pub fn check(&self) -> Result<(), String> {
        let sizes = [
            ("window", self.window),
            ("lags", self.lags),
            ("season", self.season),
            ("long_season + 1", self.long_season.saturating_add(1)),
        ];
        match sizes
            .iter()
            .find(|(_, size)| !(1..=MOST_STEPS).contains(size))
        {
            Some((name, size)) => Err(format!(
                "{name} is {size}; it must be between 1 and {MOST_STEPS}"
            )),
            None => Ok(()),
        }
    }
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Values {
    /// Number of outputs of each value.
    pub fn outputs_a_value(&self) -> usize {
        match self.distribution {
            Distribution::Quantiles => self.quantiles.len(),
            Distribution::Gaussian => 2,
        }
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        self.horizon * self.outputs_a_value()
    }

    /// The output's tensors, the rows of the next value first.
    pub fn tensors(&self, hidden_size: usize) -> TensorShapes {
        vec![
            (OUTPUT_WEIGHT.to_string(), vec![self.outputs(), hidden_size]),
            (OUTPUT_BIAS.to_string(), vec![self.outputs()]),
        ]
    }

    /// Checks what is predicted.
    ///
    /// # Errors
    /// Nothing or too much to predict; quantiles that are no ascending probabilities.
    pub fn check(&self) -> Result<(), String> {
        if !(1..=MOST_STEPS).contains(&self.horizon) {
            return Err(format!(
                "horizon is {}; it must be between 1 and {MOST_STEPS}",
                self.horizon
            ));
        }
        if !(1..=MOST_MEMBERS).contains(&self.members) {
            return Err(format!(
                "members are {}; between 1 and {MOST_MEMBERS} networks are averaged",
                self.members
            ));
        }
        let are_probabilities = self.quantiles.iter().all(|q| *q > 0.0 && *q < 1.0);
        if !are_probabilities || !self.quantiles.is_sorted() || !self.quantiles.contains(&0.5) {
            return Err(format!(
                "quantiles are {:?}; they must be ascending probabilities with 0.5 among them",
                self.quantiles
            ));
        }
        Ok(())
    }
}
