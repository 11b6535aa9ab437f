/*!
Parameters of exponential smoothing: what the states follow and where they begin.
*/

use serde::{Deserialize, Serialize};

use super::form::{EtsForm, SeasonKind, TrendKind};

/// Smoothing parameters and the states before the first value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameters {
    /// Part of an error that the level takes over.
    pub alpha: f64,
    /// Part of an error that the slope takes over; 0 without a trend.
    pub beta: f64,
    /// Part of an error that the season takes over; 0 without one.
    pub gamma: f64,
    /// Part of the slope that is left after a step; 1 where it is not damped.
    pub phi: f64,
    /// Level before the first value.
    pub level: f64,
    /// Slope before the first value; 0 without a trend.
    pub slope: f64,
    /// Season of each of the first values; empty without one. Their sum is 0, or their number where they are factors.
    pub seasons: Vec<f64>,
}

/// Ends of the range of α, and of β/α and γ/(1 − α).
const RATES: [f64; 2] = [1e-4, 0.9999];
/// Ends of the range of φ: below it a trend is hardly one, above it it is hardly damped (the R package forecast).
const DAMPING: [f64; 2] = [0.8, 0.98];

/// Numbers without bounds for the parameters of one form: its coordinates. The smoothing parameters pass through a
/// logistic function into the usual region, 0 < α < 1, 0 < β < α, 0 < γ < 1 − α; states are counted from those of the
/// start, in a unit of their own.
pub(super) struct Coordinates<'a> {
    /// Form of the model.
    pub form: EtsForm,
    /// States where all coordinates are 0.
    pub start: &'a Parameters,
    /// A step of the level.
    pub unit: f64,
}

impl Coordinates<'_> {
    /// How many coordinates there are.
    pub fn count(&self) -> usize {
        let trend = match self.form.trend {
            TrendKind::None => 0,
            TrendKind::Additive => 2,
            TrendKind::Damped => 3,
        };
        2 + trend + self.start.seasons.len()
    }

    /// A step of a season.
    fn season_unit(&self) -> f64 {
        match self.form.season {
            SeasonKind::Multiplicative => self.unit / self.start.level.abs().max(self.unit),
            _ => self.unit,
        }
    }

    /// Writes the parameters at a point.
    pub fn parameters(&self, point: &[f64], parameters: &mut Parameters) {
        let mut rest = point.iter();
        let mut next = || rest.next().copied().unwrap_or(0.0);
        parameters.alpha = between(RATES, next());
        parameters.level = self.start.level + self.unit * next();
        if self.form.has_trend() {
            parameters.beta = parameters.alpha * between(RATES, next());
            parameters.slope = self.start.slope + self.unit * SLOPE * next();
        }
        if self.form.trend == TrendKind::Damped {
            parameters.phi = between(DAMPING, next());
        }
        if let Some((last, free)) = parameters.seasons.split_last_mut() {
            parameters.gamma = (1.0 - parameters.alpha) * between(RATES, next());
            let unit = self.season_unit();
            // The sum of the seasons stays that of the start.
            let (starts, mut moved) = (&self.start.seasons, 0.0);
            for (season, start) in free.iter_mut().zip(starts) {
                let step = unit * next();
                *season = start + step;
                moved += step;
            }
            *last = starts[starts.len() - 1] - moved;
        }
    }

    /// The point at given smoothing parameters and the states of the start.
    pub fn point(&self, smoothing: &Parameters) -> Vec<f64> {
        let mut point = vec![coordinate(RATES, smoothing.alpha), 0.0];
        if self.form.has_trend() {
            point.push(coordinate(RATES, smoothing.beta / smoothing.alpha));
            point.push(0.0);
        }
        if self.form.trend == TrendKind::Damped {
            point.push(coordinate(DAMPING, smoothing.phi));
        }
        if self.form.is_seasonal() {
            point.push(coordinate(RATES, smoothing.gamma / (1.0 - smoothing.alpha)));
        }
        point.resize(self.count(), 0.0);
        point
    }

    /// What is taken as likely of each coordinate before the values are seen.
    pub fn priors(&self) -> Vec<Prior> {
        let mut priors = vec![Prior::NONE; 2];
        if self.form.has_trend() {
            priors.extend([Prior::BETA, Prior::SLOPE]);
        }
        if self.form.trend == TrendKind::Damped {
            priors.push(Prior::NONE);
        }
        if self.form.is_seasonal() {
            priors.push(Prior::GAMMA);
        }
        priors.resize(self.count(), Prior::NONE);
        priors
    }

    /// Writes the slopes along the coordinates, from those along the parameters at the same point.
    pub fn gradient(&self, at: &Parameters, along: &Parameters, gradient: &mut [f64]) {
        let share = |part: f64, range: [f64; 2]| {
            (part - range[0]) * (range[1] - part) / (range[1] - range[0])
        };
        let beta_share = at.beta / at.alpha;
        let gamma_share = at.gamma / (1.0 - at.alpha);
        // α also moves β and γ, which are shares of it and of what it leaves.
        let mut alpha = along.alpha;
        let mut index = 2;
        let mut put = |slope: f64| {
            gradient[index] = slope;
            index += 1;
        };
        if self.form.has_trend() {
            alpha += along.beta * beta_share;
            put(along.beta * at.alpha * share(beta_share, RATES));
            put(along.slope * self.unit * SLOPE);
        }
        if self.form.trend == TrendKind::Damped {
            put(along.phi * share(at.phi, DAMPING));
        }
        if let Some((last, free)) = along.seasons.split_last() {
            alpha -= along.gamma * gamma_share;
            put(along.gamma * (1.0 - at.alpha) * share(gamma_share, RATES));
            let unit = self.season_unit();
            for slope in free {
                put((slope - last) * unit);
            }
        }
        gradient[0] = alpha * share(at.alpha, RATES);
        gradient[1] = along.level * self.unit;
    }
}

/// A normal distribution of a coordinate before the values are seen. Slope and season of short series otherwise follow
/// chance: without it, and with no doubt of a trend that goes on, OWA on held-out ends of M3 was 0.945 for monthly and
/// 0.902 for quarterly series; with both it is 0.884 and 0.891.
#[derive(Clone, Copy)]
pub(super) struct Prior {
    centre: f64,
    /// One over the variance; 0 where nothing is known.
    weight: f64,
}

impl Prior {
    const NONE: Self = Prior::new(0.0, 0.0);
    const BETA: Self = Prior::new(-4.0, 0.5);
    const GAMMA: Self = Prior::new(-3.0, 0.5);
    const SLOPE: Self = Prior::new(0.0, 1.0);

    const fn new(centre: f64, weight: f64) -> Self {
        Prior { centre, weight }
    }

    /// −2 logarithm of the density, but for constants.
    pub fn loss(&self, coordinate: f64) -> f64 {
        self.weight * (coordinate - self.centre).powi(2)
    }

    /// Slope of that.
    pub fn slope(&self, coordinate: f64) -> f64 {
        2.0 * self.weight * (coordinate - self.centre)
    }
}

/// A step of the slope, in steps of the level.
const SLOPE: f64 = 0.1;

/// A number of any size, brought into a range.
fn between(range: [f64; 2], coordinate: f64) -> f64 {
    range[0] + (range[1] - range[0]) / (1.0 + (-coordinate).exp())
}

/// The number that [`between`] brings to `value`.
fn coordinate(range: [f64; 2], value: f64) -> f64 {
    let share = ((value - range[0]) / (range[1] - range[0])).clamp(1e-3, 1.0 - 1e-3);
    (share / (1.0 - share)).ln()
}
