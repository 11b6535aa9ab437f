/*!
What all requests share.
*/

use std::path::PathBuf;

use super::forecasts::Forecast;
use super::guard::Guard;
use super::limits::Limits;
use super::metrics::Metrics;
use super::models::{Engine, Models};
use super::work::Turns;

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
}

impl Application {
    /// Ends the texts that grow, and tells their clients.
    pub fn stop(&self) {
        for model in self.models.all() {
            if let Engine::Writer(writer) = &model.engine {
                writer.batch.stop();
            }
        }
    }
}
