/*!
What all requests share.
*/

use std::path::PathBuf;

use axum::response::Response;
use serde_json::{Value, json};

use super::errors::{Failure, json_body};
use super::forecast_request::Forecast;
use super::guard::Guard;
use super::limits::Limits;
use super::metrics::Metrics;
use super::models::{Engine, Models, Served};
use super::trainer::Trainer;
use super::work::{Cancelled, Turns};

/// The models, who may use them, and what was counted.
pub struct Application {
    /// The models.
    pub models: Models,
    /// Who may ask.
    pub guard: Guard,
    /// Bounds on requests.
    pub limits: Limits,
    /// Counts.
    pub metrics: Metrics,
    /// How forecasts are made.
    pub forecast: Forecast,
    /// The turn of forecasts by models that are fitted anew.
    pub forecasts: Turns,
    /// The folder of runs that are shown, if there is one.
    pub runs: Option<PathBuf>,
    /// What starts runs, if clients may.
    pub trainer: Option<Trainer>,
}

impl Application {
    /// Does work in a model's turn, and answers with its results.
    ///
    /// # Errors
    /// As [`Turns::work`].
    pub async fn results(
        &self,
        served: &Served,
        work: impl FnOnce(&Cancelled) -> Result<Vec<Value>, Failure> + Send + 'static,
    ) -> Result<Response, Failure> {
        let results = served.turns.work(self.limits.time, work).await?;
        Ok(json_body(&json!({"model": served.id, "results": results})))
    }

    /// What starts runs.
    ///
    /// # Errors
    /// 404 where clients may not.
    pub fn trainer(&self) -> Result<&Trainer, Failure> {
        self.trainer.as_ref().ok_or_else(|| {
            Failure::not_found(
                "no runs are started here; `carousel serve --runs DIR --allow-training` lets clients start some",
            )
        })
    }

    /// Ends the texts that grow, and tells their clients.
    pub fn stop(&self) {
        for model in self.models.all() {
            if let Engine::Writer(writer) = &model.engine {
                writer.batch.stop();
            }
        }
    }
}
