/*!
Recursion of exponential smoothing over a history: forward for what is expected of each value, backward for the slopes
of the likelihood along the parameters.

Additive and multiplicative errors move the states alike (Hyndman et al. 2008, table 2.1, written with the error y − μ);
they differ in the likelihood alone. Seasons are read and written at the index of the value in its season. A missing value
moves the states as if it had been as expected.
*/

use super::form::{EtsForm, SeasonKind};
use super::parameters::Parameters;

/// One step of the recursion, as the way back needs it.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Level expected: the last level and its slope.
    pub base: f64,
    /// Season expected; 0 or 1 without one.
    pub season: f64,
    /// Error, y − μ, over μ where the season is multiplicative; NaN if the value is missing.
    pub error: f64,
    /// Slope before the step.
    pub slope: f64,
}

/// States after the last value.
#[derive(Clone, Debug, Default)]
pub(super) struct States {
    /// Level.
    pub level: f64,
    /// Slope.
    pub slope: f64,
    /// Season by the index of a value in its season; empty without one.
    pub seasons: Vec<f64>,
    /// Index in its season of the value that comes next.
    pub next: usize,
}

impl States {
    /// States before the first value.
    pub fn first(parameters: &Parameters) -> Self {
        let mut states = States::default();
        states.reset(parameters);
        states
    }

    /// Sets the states before the first value, without new memory.
    pub fn reset(&mut self, parameters: &Parameters) {
        self.level = parameters.level;
        self.slope = parameters.slope;
        self.seasons.clone_from(&parameters.seasons);
        self.next = 0;
    }
}

impl Step {
    /// What was expected.
    pub fn expected(&self, form: EtsForm) -> f64 {
        match form.season {
            SeasonKind::Multiplicative => self.base * self.season,
            _ => self.base + self.season,
        }
    }
}

/// Calls a function that is compiled for each kind of season: 0 none, 1 additive, 2 multiplicative.
macro_rules! by_season {
    ($kind:expr, $function:ident($($argument:expr),*)) => {
        match $kind {
            SeasonKind::None => $function::<0>($($argument),*),
            SeasonKind::Additive => $function::<1>($($argument),*),
            SeasonKind::Multiplicative => $function::<2>($($argument),*),
        }
    };
}

/// Runs over `values`, moves the states and fills the tape with a step for each.
pub(super) fn forward(
    form: EtsForm,
    parameters: &Parameters,
    values: &[f64],
    states: &mut States,
    tape: &mut Vec<Step>,
) {
    tape.clear();
    by_season!(form.season, run(parameters, values, states, tape));
}

/// [`forward`] for a kind of season.
fn run<const SEASON: u8>(
    parameters: &Parameters,
    values: &[f64],
    states: &mut States,
    tape: &mut Vec<Step>,
) {
    let Parameters {
        alpha,
        beta,
        gamma,
        phi,
        ..
    } = *parameters;
    let (mut level, mut slope, mut next) = (states.level, states.slope, states.next);
    let seasons = states.seasons.as_mut_slice();
    for &value in values {
        let damped = phi * slope;
        let base = level + damped;
        let season = match SEASON {
            0 => 0.0,
            _ => seasons[next],
        };
        let error = match SEASON {
            2 => value / (base * season) - 1.0,
            _ => value - (base + season),
        };
        tape.push(Step {
            base,
            season,
            error,
            slope,
        });
        let known = if error.is_finite() { error } else { 0.0 };
        let moved = match SEASON {
            2 => base * known,
            _ => known,
        };
        level = base + alpha * moved;
        slope = damped + beta * moved;
        if SEASON > 0 {
            seasons[next] = match SEASON {
                2 => season + gamma * season * known,
                _ => season + gamma * known,
            };
            next += 1;
            if next == seasons.len() {
                next = 0;
            }
        }
    }
    (states.level, states.slope, states.next) = (level, slope, next);
}

/// Runs back over the tape of [`forward`] and writes the slopes along the parameters of a loss, from its slopes along
/// what was expected at each step, which `loss` gives.
pub(super) fn backward(
    form: EtsForm,
    parameters: &Parameters,
    tape: &[Step],
    loss: impl Fn(&Step) -> f64,
    along: &mut Parameters,
) {
    by_season!(form.season, run_back(parameters, tape, loss, along));
}

/// [`backward`] for a kind of season.
fn run_back<const SEASON: u8>(
    parameters: &Parameters,
    tape: &[Step],
    loss: impl Fn(&Step) -> f64,
    along: &mut Parameters,
) {
    let Parameters {
        alpha,
        beta,
        gamma,
        phi,
        ..
    } = *parameters;
    let count = parameters.seasons.len();
    let mut next = if SEASON > 0 { tape.len() % count } else { 0 };
    let seasons = along.seasons.as_mut_slice();
    seasons.fill(0.0);
    // Slopes along the states after the step, and along the smoothing parameters so far.
    let (mut level, mut slope) = (0.0, 0.0);
    let (mut to_alpha, mut to_beta, mut to_gamma, mut to_phi) = (0.0, 0.0, 0.0, 0.0);
    for step in tape.iter().rev() {
        let mut season = 0.0;
        if SEASON > 0 {
            next = if next == 0 { count - 1 } else { next - 1 };
            season = seasons[next];
        }
        let known = step.error.is_finite();
        let error = if known { step.error } else { 0.0 };
        let mut to_expected = if known { loss(step) } else { 0.0 };
        let to_base;
        if SEASON == 2 {
            let expected = step.base * step.season;
            let pull = step.base * (alpha * level + beta * slope) + gamma * step.season * season;
            if known {
                to_expected -= pull * (1.0 + error) / expected;
            }
            to_alpha += step.base * error * level;
            to_beta += step.base * error * slope;
            to_gamma += step.season * error * season;
            to_base =
                level * (1.0 + alpha * error) + beta * error * slope + to_expected * step.season;
            seasons[next] = season * (1.0 + gamma * error) + to_expected * step.base;
        } else {
            if known {
                to_expected -= alpha * level + beta * slope + gamma * season;
            }
            to_alpha += error * level;
            to_beta += error * slope;
            to_base = level + to_expected;
            if SEASON == 1 {
                to_gamma += error * season;
                seasons[next] = season + to_expected;
            }
        }
        to_phi += step.slope * (to_base + slope);
        slope = phi * (to_base + slope);
        level = to_base;
    }
    along.alpha = to_alpha;
    along.beta = to_beta;
    along.gamma = to_gamma;
    along.phi = to_phi;
    along.level = level;
    along.slope = slope;
}
