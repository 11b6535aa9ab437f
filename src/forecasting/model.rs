/*!
Forecasting models of one interface: parameters, which with a history of values give predictions and forecasts.
*/

use serde::{Deserialize, Serialize};

use super::arima::Arima;
use super::box_cox::BoxCox;
use super::combination::{means, median_forecast, medians, weighted_forecast};
use super::decomposed::Seasons;
use super::ets::model::Ets;
use super::forecast::Forecast;
use super::naive::{Naive, NaiveKind};
use super::naive2::Naive2;
use super::theta::Theta;

/// A fitted model. It holds parameters alone: what it says follows from the history that it is given, so that it goes on
/// with new values without being fitted again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// A naive forecaster.
    Naive(Naive),
    /// The last value with the season's indices.
    Naive2(Naive2),
    /// Exponential smoothing.
    Ets(Ets),
    /// Theta.
    Theta(Theta),
    /// Seasonal ARIMA.
    Arima(Arima),
    /// A model of transformed values.
    Transformed {
        /// The transformation.
        transformation: BoxCox,
        /// The model.
        model: Box<Model>,
    },
    /// A model of what is left without the seasons, which are repeated.
    Decomposed {
        /// The seasons.
        seasons: Seasons,
        /// The model.
        model: Box<Model>,
    },
    /// The median of several models.
    Median(Vec<Model>),
    /// The weighted mean of several models.
    Mean {
        /// The models.
        models: Vec<Model>,
        /// Their weights, which sum to 1.
        weights: Vec<f64>,
        /// What the widths of the intervals are multiplied by.
        spread: f64,
    },
}

impl Model {
    /// Name of the model with its orders.
    pub fn name(&self) -> String {
        let joined = |models: &[Model]| -> String {
            let names: Vec<String> = models.iter().map(Model::name).collect();
            names.join(", ")
        };
        match self {
            Model::Naive(naive) => match naive.kind {
                NaiveKind::Naive => "naive".to_string(),
                NaiveKind::SeasonalNaive => format!("seasonal naive ({})", naive.season),
                NaiveKind::Drift => "drift".to_string(),
                NaiveKind::Mean => "mean".to_string(),
            },
            Model::Naive2(naive2) => naive2.name(),
            Model::Ets(ets) => ets.form.to_string(),
            Model::Theta(theta) => theta.name(),
            Model::Arima(arima) => arima.name(),
            Model::Transformed {
                transformation,
                model,
            } => match transformation.lambda == 0.0 {
                true => format!("{} of logarithms", model.name()),
                false => format!("{}, Box–Cox {:.2}", model.name(), transformation.lambda),
            },
            Model::Decomposed { seasons, model } => {
                let lengths: Vec<String> = seasons.lengths.iter().map(usize::to_string).collect();
                let scale = if seasons.logarithms { "log " } else { "" };
                format!("{scale}MSTL({}) + {}", lengths.join(","), model.name())
            }
            Model::Median(models) => format!("median of {}", joined(models)),
            Model::Mean { models, .. } if models.len() == 1 => models[0].name(),
            Model::Mean { models, .. } => format!("mean of {}", joined(models)),
        }
    }

    /// What was expected of each value from those before it, with the regressors' columns, each at least as long as `values`;
    /// models without regressors ignore them. NaN where too little came before.
    pub fn predictions(&self, values: &[f64], columns: &[Vec<f64>]) -> Vec<f64> {
        let of = |models: &[Model]| -> Vec<Vec<f64>> {
            models
                .iter()
                .map(|model| model.predictions(values, columns))
                .collect()
        };
        match self {
            Model::Naive(naive) => naive.predictions(values),
            Model::Naive2(naive2) => naive2.predictions(values),
            Model::Ets(ets) => ets.predictions(values),
            Model::Theta(theta) => theta.predictions(values),
            Model::Arima(arima) => arima.predictions(values, arima.own_columns(columns)),
            Model::Transformed {
                transformation,
                model,
            } => {
                let values = transformed(transformation, values);
                let predictions = model.predictions(&values, columns);
                let restored = predictions.into_iter();
                restored
                    .map(|value| transformation.restored(value))
                    .collect()
            }
            Model::Decomposed { seasons, model } => match seasons.parts(values) {
                Ok(parts) => {
                    let predictions = model.predictions(&parts.adjusted, columns);
                    seasons.restored(&parts, &predictions)
                }
                Err(_) => model.predictions(values, columns),
            },
            Model::Median(models) => medians(&of(models)),
            Model::Mean {
                models, weights, ..
            } => means(&of(models), weights),
        }
    }

    /// The `horizon` values that follow `values`, with the regressors' columns, each at least as long as `values` and the
    /// horizon together; models without regressors ignore them.
    pub fn forecast(&self, values: &[f64], columns: &[Vec<f64>], horizon: usize) -> Forecast {
        let of = |models: &[Model]| -> Vec<Forecast> {
            let models = models.iter();
            models
                .map(|model| model.forecast(values, columns, horizon))
                .collect()
        };
        match self {
            Model::Naive(naive) => naive.forecast(values, horizon),
            Model::Naive2(naive2) => naive2.forecast(values, horizon),
            Model::Ets(ets) => ets.forecast(values, horizon),
            Model::Theta(theta) => theta.forecast(values, horizon),
            Model::Arima(arima) => arima.forecast(values, arima.own_columns(columns), horizon),
            Model::Transformed {
                transformation,
                model,
            } => model
                .forecast(&transformed(transformation, values), columns, horizon)
                .map(|_, value| transformation.restored(value)),
            Model::Decomposed { seasons, model } => match seasons.parts(values) {
                Ok(parts) => {
                    let forecast = model.forecast(&parts.adjusted, columns, horizon);
                    seasons.restored_forecast(&parts, &forecast)
                }
                // A history that has lost its seasons, as one that was cut.
                Err(_) => model.forecast(values, columns, horizon),
            },
            Model::Median(models) => median_forecast(&of(models)),
            Model::Mean {
                models,
                weights,
                spread,
            } => weighted_forecast(&of(models), weights).widened(*spread),
        }
    }

    /// Whether missing values may stay missing in the history that it is given.
    pub fn leaves_gaps(&self) -> bool {
        match self {
            Model::Arima(_) => true,
            Model::Transformed { model, .. } => model.leaves_gaps(),
            _ => false,
        }
    }

    /// Corrected information criterion of Akaike, of a model that has a likelihood.
    pub fn aicc(&self) -> Option<f64> {
        match self {
            Model::Ets(ets) => ets.aicc,
            Model::Arima(arima) => Some(arima.aicc),
            _ => None,
        }
    }
}

pub(super) fn transformed(transformation: &BoxCox, values: &[f64]) -> Vec<f64> {
    let values = values.iter();
    values
        .map(|value| transformation.transformed(*value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naive(kind: NaiveKind, season: usize) -> Model {
        Model::Naive(Naive { kind, season })
    }

    #[test]
    fn a_transformed_model_works_on_transformed_values() {
        let model = Model::Transformed {
            transformation: BoxCox { lambda: 0.0 },
            model: Box::new(naive(NaiveKind::Drift, 1)),
        };
        // Logarithms of doubling values lie on a line.
        let forecast = model.forecast(&[1.0, 2.0, 4.0, 8.0], &[], 2);
        assert!((forecast.mean[0] - 16.0).abs() < 1e-9 && (forecast.mean[1] - 32.0).abs() < 1e-9);
        let predictions = model.predictions(&[1.0, 2.0, 4.0, 8.0], &[]);
        assert!((predictions[3] - 8.0).abs() < 1e-9);
        assert_eq!(model.name(), "drift of logarithms");
    }

    #[test]
    fn combinations_are_medians_or_weighted_means() {
        let models = vec![
            naive(NaiveKind::Naive, 1),
            naive(NaiveKind::Mean, 1),
            naive(NaiveKind::Drift, 1),
        ];
        let values = [0.0, 0.0, 6.0];
        assert_eq!(
            Model::Median(models.clone()).forecast(&values, &[], 1).mean,
            [6.0]
        );
        let mean = Model::Mean {
            models,
            weights: vec![0.5, 0.5, 0.0],
            spread: 1.0,
        };
        assert_eq!(mean.forecast(&values, &[], 1).mean, [4.0]);
        assert_eq!(mean.name(), "mean of naive, mean, drift");
    }

    #[test]
    fn a_model_is_the_same_after_saving_and_loading() {
        let model = Model::Decomposed {
            seasons: Seasons {
                lengths: vec![4],
                logarithms: true,
            },
            model: Box::new(naive(NaiveKind::SeasonalNaive, 4)),
        };
        let saved = serde_json::to_string(&model).unwrap();
        assert_eq!(serde_json::from_str::<Model>(&saved).unwrap(), model);
        assert_eq!(model.name(), "log MSTL(4) + seasonal naive (4)");
    }
}
