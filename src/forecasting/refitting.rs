/*!
Estimation of a model's parameters anew on another history, with everything that was chosen left as it was: orders, forms,
transformations, weights.
*/

use super::arima::{Arima, Terms};
use super::decomposition::indices::SeasonalIndices;
use super::ets::model::Ets;
use super::model::{Model, transformed};
use super::naive2::Naive2;
use super::theta::Theta;
use crate::error::Result;

impl Model {
    /// The model with its parameters estimated on `values`, with the regressors' columns, each at least as long.
    ///
    /// # Errors
    /// Values that the model cannot do with.
    pub fn refitted(&self, values: &[f64], columns: &[Vec<f64>]) -> Result<Model> {
        let all = |models: &[Model]| -> Result<Vec<Model>> {
            let models = models.iter();
            models
                .map(|model| model.refitted(values, columns))
                .collect()
        };
        Ok(match self {
            Model::Naive(naive) => Model::Naive(*naive),
            Model::Naive2(naive2) => {
                Model::Naive2(Naive2::fit(values, length(naive2.season.as_ref()))?)
            }
            Model::Ets(ets) => Model::Ets(Ets::fit(
                values,
                ets.form,
                ets.parameters.seasons.len().max(1),
            )?),
            Model::Theta(theta) => Model::Theta(Theta::fit(
                values,
                theta.kind,
                length(theta.season.as_ref()),
            )?),
            Model::Arima(arima) => Model::Arima(arima.refitted(values, columns)?),
            Model::Transformed {
                transformation,
                model,
            } => Model::Transformed {
                transformation: *transformation,
                model: Box::new(model.refitted(&transformed(transformation, values), columns)?),
            },
            Model::Decomposed { seasons, model } => Model::Decomposed {
                seasons: seasons.clone(),
                model: Box::new(model.refitted(&seasons.parts(values)?.adjusted, columns)?),
            },
            Model::Median(models) => Model::Median(all(models)?),
            Model::Mean {
                models,
                weights,
                spread,
            } => Model::Mean {
                models: all(models)?,
                weights: weights.clone(),
                spread: *spread,
            },
        })
    }
}

impl Arima {
    fn refitted(&self, values: &[f64], columns: &[Vec<f64>]) -> Result<Arima> {
        let terms = Terms {
            constant: self.constant.is_some(),
            regressors: self.own_columns(columns),
            fourier: self.fourier,
        };
        Arima::fit(values, self.orders, &terms)
    }
}

/// Number of steps in the season that a model takes out; 1 for none.
fn length(season: Option<&SeasonalIndices>) -> usize {
    season.map_or(1, |season| season.indices.len())
}
