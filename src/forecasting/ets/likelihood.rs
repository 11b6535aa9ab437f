/*!
Likelihood of a form of exponential smoothing at a point of its coordinates, times what is likely of them beforehand, and its
gradient.
*/

use super::form::{ErrorKind, EtsForm, SeasonKind};
use super::parameters::{Coordinates, Parameters, Prior};
use super::recursion::{States, Step, backward, forward};

/// Least mean square of the errors, of values whose greatest is 1: below it a series is taken as free of errors.
const FLOOR: f64 = 1e-24;
/// Likelihood of a form as a function of coordinates.
pub(super) struct Likelihood<'a> {
    /// The coordinates.
    pub coordinates: Coordinates<'a>,
    values: &'a [f64],
    parameters: Parameters,
    along: Parameters,
    states: States,
    tape: Vec<Step>,
    /// Sum of the squared errors.
    squares: f64,
    /// Number of values that are known.
    pub count: f64,
    priors: Vec<Prior>,
    /// −2 logarithm of the likelihood, but for constants.
    likelihood: f64,
}

impl<'a> Likelihood<'a> {
    pub fn new(form: EtsForm, values: &'a [f64], start: &'a Parameters) -> Self {
        let mut likelihood = Likelihood {
            coordinates: Coordinates {
                form,
                start,
                unit: 1.0,
            },
            values,
            parameters: start.clone(),
            along: start.clone(),
            states: States::first(start),
            tape: Vec::with_capacity(values.len()),
            squares: 0.0,
            priors: Vec::new(),
            likelihood: 0.0,
            count: values.iter().filter(|value| value.is_finite()).count() as f64,
        };
        likelihood.coordinates.unit = likelihood.unit();
        likelihood.priors = likelihood.coordinates.priors();
        likelihood
    }

    /// Root mean square of the errors at the start, which is the unit of the level.
    fn unit(&mut self) -> f64 {
        self.run();
        let form = self.coordinates.form;
        let known = self.tape.iter().filter(|step| step.error.is_finite());
        let squares: f64 = known
            .map(|step| match form.season {
                SeasonKind::Multiplicative => (step.error * step.expected(form)).powi(2),
                _ => step.error.powi(2),
            })
            .sum();
        (squares / self.count.max(1.0)).sqrt().clamp(1e-9, 1.0)
    }

    /// Fills the tape at the parameters.
    fn run(&mut self) {
        self.states.reset(&self.parameters);
        let form = self.coordinates.form;
        forward(
            form,
            &self.parameters,
            self.values,
            &mut self.states,
            &mut self.tape,
        );
    }

    /// −2 logarithm of likelihood and priors at a point, but for constants; infinite where something expected is not
    /// above 0 that has to be.
    pub fn loss(&mut self, point: &[f64]) -> f64 {
        self.coordinates.parameters(point, &mut self.parameters);
        self.run();
        let form = self.coordinates.form;
        let (squares, logarithms) = match (form.error, form.season) {
            (ErrorKind::Additive, SeasonKind::Multiplicative) => {
                sums(&self.tape, form, |step, expected| {
                    (step.error * expected, false)
                })
            }
            (ErrorKind::Additive, _) => (plain_squares(&self.tape), 0.0),
            (ErrorKind::Multiplicative, SeasonKind::Multiplicative) => {
                sums(&self.tape, form, |step, _| (step.error, true))
            }
            (ErrorKind::Multiplicative, _) => sums(&self.tape, form, |step, expected| {
                (step.error / expected, true)
            }),
        };
        self.squares = squares + self.count * FLOOR;
        self.likelihood = self.count * self.squares.ln() + 2.0 * logarithms;
        let pairs = point.iter().zip(&self.priors);
        let loss = self.likelihood + pairs.map(|(x, prior)| prior.loss(*x)).sum::<f64>();
        if loss.is_nan() { f64::INFINITY } else { loss }
    }

    /// Slopes of the loss along the coordinates, at `point`, where it has to have been taken last.
    pub fn gradient(&mut self, point: &[f64], gradient: &mut [f64]) {
        let form = self.coordinates.form;
        let weight = 2.0 * self.count / self.squares;
        let (parameters, tape, along) = (&self.parameters, &self.tape, &mut self.along);
        match (form.error, form.season) {
            (ErrorKind::Additive, SeasonKind::Multiplicative) => {
                backward(
                    form,
                    parameters,
                    tape,
                    |step| -weight * step.error * step.base * step.season,
                    along,
                );
            }
            (ErrorKind::Additive, _) => {
                backward(form, parameters, tape, |step| -weight * step.error, along);
            }
            (ErrorKind::Multiplicative, SeasonKind::Multiplicative) => {
                let loss = |step: &Step| {
                    (2.0 - weight * step.error * (1.0 + step.error)) / (step.base * step.season)
                };
                backward(form, parameters, tape, loss, along);
            }
            (ErrorKind::Multiplicative, _) => {
                let loss = |step: &Step| {
                    let inverse = 1.0 / (step.base + step.season);
                    let error = step.error * inverse;
                    (2.0 - weight * error * (1.0 + error)) * inverse
                };
                backward(form, parameters, tape, loss, along);
            }
        }
        self.coordinates
            .gradient(&self.parameters, &self.along, gradient);
        let pairs = point.iter().zip(&self.priors);
        for (slope, (x, prior)) in gradient.iter_mut().zip(pairs) {
            *slope += prior.slope(*x);
        }
    }

    /// Parameters at the point where the loss was taken last.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// −2 logarithm of the likelihood there, but for constants.
    pub fn without_priors(&self) -> f64 {
        self.likelihood
    }

    /// Standard deviation of the errors there, absolute or relative, for a number of estimated parameters.
    pub fn deviation(&self, estimated: usize) -> f64 {
        let spare = (self.count - estimated as f64).max(1.0);
        ((self.squares - self.count * FLOOR).max(0.0) / spare).sqrt()
    }
}

/// Sum of the squared errors where they are additive, as is the season.
fn plain_squares(tape: &[Step]) -> f64 {
    let known = tape.iter().filter(|step| step.error.is_finite());
    known.map(|step| step.error * step.error).sum()
}

/// Sums over the steps of the squared errors, and of the logarithms of what was expected, where `error` says so;
/// infinite if something expected is not above 0.
fn sums(tape: &[Step], form: EtsForm, error: impl Fn(&Step, f64) -> (f64, bool)) -> (f64, f64) {
    let (mut squares, mut logarithms, mut product) = (0.0, 0.0, 1.0f64);
    for step in tape {
        let expected = step.expected(form);
        if expected.is_nan() || expected <= 0.0 {
            return (f64::INFINITY, 0.0);
        }
        if !step.error.is_finite() {
            continue;
        }
        let (error, relative) = error(step, expected);
        squares += error * error;
        if relative {
            // A logarithm of many factors at a time.
            product *= expected;
            if !(1e-100..1e100).contains(&product) {
                logarithms += product.ln();
                product = 1.0;
            }
        }
    }
    (squares, logarithms + product.ln())
}

#[cfg(test)]
mod tests {
    use super::super::fit::tests::{all_forms, series};
    use super::super::start::start;
    use super::*;

    /// Slopes by central differences, with two values missing.
    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let mut values = series();
        (values[7], values[30]) = (f64::NAN, f64::NAN);
        for form in all_forms() {
            let first = start(&values, form, 12).unwrap();
            let mut likelihood = Likelihood::new(form, &values, &first);
            let count = likelihood.coordinates.count();
            let point: Vec<f64> = (0..count)
                .map(|index| 0.1 * (index % 5) as f64 - 0.3)
                .collect();
            let mut gradient = vec![0.0; count];
            likelihood.loss(&point);
            likelihood.gradient(&point, &mut gradient);
            for index in 0..count {
                let mut at = |step: f64| {
                    let mut moved = point.clone();
                    moved[index] += step;
                    likelihood.loss(&moved)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                let error = (slope - gradient[index]).abs();
                assert!(
                    error < 1e-5 * (1.0 + slope.abs()),
                    "{form} {index}: {slope} {}",
                    gradient[index]
                );
            }
        }
    }
}
