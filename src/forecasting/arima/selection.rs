/*!
Choice of the orders of a seasonal ARIMA: differences by tests, the other orders by AICc, stepwise (Hyndman and Khandakar
2008; `auto.arima` in R).

Every candidate is estimated by its exact likelihood, from the parameters of the model that it is a neighbour of or from the
regression of Hannan and Rissanen, whichever is better.
*/

use super::super::unit_roots::{Differences, SeasonalDifferences, known};
use super::choice::Choice;
use super::fit::{Estimate, TOLERANCE, Terms, estimate};
use super::model::Arima;
use super::orders::Orders;
use super::problem::Problem;
use super::search::{Candidate, Search};
use crate::error::{Error, Result};

/// Number of values at the end of a series by which orders are chosen and estimated.
const LONGEST: usize = 20_000;
/// The chosen model, and what led to it.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The model.
    pub model: Arima,
    /// Models tried, in this order.
    pub tried: Vec<Candidate>,
    /// Tests for differences, if they were asked.
    pub differences: Option<Differences>,
    /// Test for seasonal differences, if it was asked.
    pub seasonal: Option<SeasonalDifferences>,
    /// Sentences that say what was not tried, and why.
    pub left_out: Vec<String>,
}

/// The seasonal ARIMA with the least AICc among those that the steps come by. NaN in `values` is a missing value.
pub fn select(values: &[f64], season: usize, choice: &Choice<'_>) -> Result<Selection> {
    let mut left_out = Vec::new();
    let plain = Terms {
        constant: false,
        regressors: choice.regressors,
        fourier: None,
    };
    plain.check(values, &Orders::new(0, 0, 0))?;
    let begin = values.len().saturating_sub(LONGEST);
    if begin > 0 {
        left_out.push(format!(
            "the first {begin} of {} values: an ARIMA is chosen and estimated by the last {LONGEST}",
            values.len()
        ));
    }
    let count = known(&values[begin..]).len();
    if count < 4 {
        return Err(Error::new(format!(
            "choosing an ARIMA needs at least 4 known values, and the series has {count}; naive methods need fewer"
        )));
    }
    let mut problem = Problem::new(values, begin, season, plain);
    problem.choose_waves(&mut left_out);
    problem.choose_differences(choice);
    let mut search = Search::new(&problem, choice, &mut left_out);
    search.run(choice.exhaustive);
    let (tried, best) = search.finish();
    let (best, estimate) = best.ok_or_else(|| {
        Error::new(format!(
            "no ARIMA can be estimated from the {count} known values of the series"
        ))
    })?;
    Ok(Selection {
        model: polished(&problem, &tried[best], estimate),
        tried,
        differences: problem.tests,
        seasonal: problem.seasonal,
        left_out,
    })
}

/// The model of the search, estimated to the end.
fn polished(problem: &Problem, best: &Candidate, found: Estimate) -> Arima {
    let sample = problem.sample(&best.orders, best.constant, problem.terms.fourier);
    let start = &found.partials;
    let polished = estimate(&sample, best.orders, start, TOLERANCE);
    let terms = Terms {
        constant: best.constant,
        ..problem.terms
    };
    let estimate = polished.unwrap_or(found);
    estimate.model(best.orders, &terms)
}

#[cfg(test)]
mod tests {
    use super::super::super::test_series::{mixed, noise, seasonal};
    use super::*;

    fn chosen(values: &[f64], season: usize) -> Selection {
        select(values, season, &Choice::default()).expect("a model")
    }

    /// The best of all models with at most 5 coefficients is not better by much than that of the steps.
    #[test]
    fn steps_find_a_model_near_to_the_best_of_all() {
        for (values, season) in [(mixed(130), 1), (seasonal(), 12), (noise(90, 8), 4)] {
            let steps = chosen(&values, season);
            let all = Choice {
                exhaustive: true,
                ..Choice::default()
            };
            let all = select(&values, season, &all).expect("a model");
            assert!(steps.tried.len() < all.tried.len() || season == 1);
            assert!(
                steps.model.aicc < all.model.aicc + 0.5,
                "{} {}, {} {}",
                steps.model.name(),
                steps.model.aicc,
                all.model.name(),
                all.model.aicc
            );
        }
    }

    #[test]
    fn differences_and_their_tests_are_told() {
        let found = chosen(&seasonal(), 12);
        assert_eq!(found.model.orders.seasonal_d, 1);
        assert!(
            found
                .seasonal
                .and_then(|test| test.strength)
                .is_some_and(|s| s > 0.8)
        );
        assert!(
            found
                .differences
                .is_some_and(|tests| !tests.tests.is_empty())
        );
        let least = found.tried.iter().filter(|tried| !tried.refused);
        let least = least
            .filter_map(|tried| tried.aicc)
            .fold(f64::INFINITY, f64::min);
        assert!((least - found.model.aicc).abs() < 0.01);
        assert!(found.left_out.is_empty());
    }

    #[test]
    fn restrictions_hold() {
        let values = seasonal();
        let orders =
            |choice: Choice<'_>| select(&values, 12, &choice).expect("a model").model.orders;
        let found = orders(Choice::autoregressive());
        assert_eq!(
            (
                found.d,
                found.q,
                found.seasonal_p + found.seasonal_q + found.seasonal_d
            ),
            (0, 0, 0)
        );
        let found = orders(Choice::moving_average());
        assert_eq!((found.p, found.d), (0, 0));
        let found = orders(Choice {
            d: Some(2),
            seasonal_d: Some(0),
            ..Choice::default()
        });
        assert_eq!((found.d, found.seasonal_d), (2, 0));
    }

    #[test]
    fn strange_series_have_a_model_or_an_error() {
        let line: Vec<f64> = (0..40).map(|step| 5.0 - 2.0 * f64::from(step)).collect();
        let found = chosen(&line, 12);
        let forecast = found.model.forecast(&line, &[], 3);
        assert!(
            (forecast.mean[2] - (5.0 - 2.0 * 42.0)).abs() < 1e-6,
            "{found:?}"
        );
        let constant = chosen(&[7.0; 30], 12).model.forecast(&[7.0; 30], &[], 2);
        assert!((constant.mean[1] - 7.0).abs() < 1e-9);
        for unit in [1e300, 1e-300, -1.0] {
            let values: Vec<f64> = seasonal().iter().map(|value| value * unit).collect();
            let forecast = chosen(&values, 12).model.forecast(&values, &[], 12);
            assert!(forecast.mean.iter().all(|value| value.is_finite()));
        }
        for values in [&[][..], &[1.0], &[1.0, 2.0, 5.0], &[f64::NAN; 50]] {
            assert!(select(values, 12, &Choice::default()).is_err());
        }
        for count in 4..30 {
            let values = &seasonal()[..count];
            let forecast = chosen(values, 12).model.forecast(values, &[], 5);
            assert!(
                forecast.mean.iter().all(|value| value.is_finite()),
                "{count}"
            );
        }
    }

    #[test]
    fn gaps_do_not_prevent_a_choice() {
        let mut values = seasonal();
        values[20..23].fill(f64::NAN);
        values[77] = f64::NAN;
        let found = chosen(&values, 12);
        assert_eq!(found.model.orders.seasonal_d, 1);
        assert!(
            found
                .model
                .forecast(&values, &[], 12)
                .mean
                .iter()
                .all(|value| value.is_finite())
        );
    }

    /// A wave of 300 steps, longer than the orders hold, is found as such.
    #[test]
    fn a_long_season_takes_waves() {
        let wave = |step: usize| (std::f64::consts::TAU * step as f64 / 300.0).sin();
        let noise = noise(900, 4).into_iter().enumerate();
        let values: Vec<f64> = noise
            .map(|(step, e)| 5.0 + 3.0 * wave(step) + 0.3 * e)
            .collect();
        let found = chosen(&values, 300);
        assert!(
            found
                .model
                .fourier
                .is_some_and(|fourier| fourier.order >= 1)
        );
        assert_eq!(found.left_out.len(), 1);
        let forecast = found.model.forecast(&values, &[], 225);
        assert!(
            (forecast.mean[74] - 8.0).abs() < 0.5,
            "{}",
            forecast.mean[74]
        );
        assert!(
            (forecast.mean[224] - 2.0).abs() < 0.5,
            "{}",
            forecast.mean[224]
        );
    }

    #[test]
    fn regressors_are_part_of_the_model() {
        let column: Vec<f64> = noise(130, 9);
        let pairs = mixed(130).into_iter().zip(&column);
        let values: Vec<f64> = pairs.map(|(value, x)| value + 4.0 * x).collect();
        let choice = Choice {
            regressors: &[column],
            ..Choice::default()
        };
        let found = select(&values, 1, &choice).expect("a model");
        assert!((found.model.regression[0] - 4.0).abs() < 0.2);
    }
}
