/*!
The folder of a fitted forecaster, and the names in it, which are spelled nowhere else.

model.json alone is needed to go on: it has the models and the values that they go on from. The other files are results, to
read and to show.
*/

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::consistency;
use super::method::{FitOptions, Method};
use super::model::Model;
use super::selection::Score;
use crate::checkpoint::numbers::Strategy;
use crate::data::series::calendar::Cycle;
use crate::data::series::fill::Fill;
use crate::data::series::options::SeriesOptions;
use crate::data::series::time_series::Series;
use crate::error::{Error, Result};
use crate::files;

const MODEL: &str = "model.json";
const TABLE: &str = "forecast.csv";
const RESULT: &str = "forecast.json";
const PICTURE: &str = "forecast.svg";
const PARTS: &str = "decomposition.svg";
const CORRELATIONS: &str = "autocorrelations.svg";
const RESIDUALS: &str = "residuals.svg";
/// The version of model.json.
const FORMAT: u32 = 1;
/// Most values of a series that are kept: what a model says of the next ones does not depend on those before.
const MOST_VALUES: usize = 100_000;

/// The folder, which may still be empty.
#[derive(Clone, Debug)]
pub struct ForecastFolder {
    path: PathBuf,
}

/// Pictures of an explanation, as SVG; none where there was nothing to draw.
#[derive(Clone, Debug, Default)]
pub struct ExplanationPictures {
    /// The series and its parts.
    pub decomposition: Option<String>,
    /// Autocorrelations and partial ones.
    pub autocorrelations: Option<String>,
    /// Residuals of the model.
    pub residuals: Option<String>,
}

/// Fitted models, and the values that they go on from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecaster {
    format: u32,
    /// The program's version.
    version: String,
    /// How files of the series are read.
    pub reading: SeriesOptions,
    /// What stands in the place of missing values, if that was given.
    pub fill: Option<Fill>,
    /// The series, each with its models.
    pub series: Vec<FittedSeries>,
    /// The cycles of the calendar that the networks read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calendar: Vec<Cycle>,
    /// The networks that read all of them, each in a folder of its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkName>,
}

/// A recurrent network that forecasts all series of a forecaster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkName {
    /// Its method, which names the cell.
    pub method: Method,
    /// How several steps ahead are predicted.
    pub strategy: Strategy,
    /// How long the training took.
    pub seconds: f64,
}

impl NetworkName {
    /// Name of its folder.
    pub fn folder(&self) -> String {
        format!("{}-{}", self.method.name(), self.strategy.name())
    }

    /// The name that is shown.
    pub fn shown(&self) -> String {
        format!("{} ({})", self.method.name(), self.strategy.name())
    }
}

/// A series with its models.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedSeries {
    /// The values.
    pub series: Series,
    /// What the fits depended on.
    pub options: FitOptions,
    /// The models, with the methods that they were fitted by.
    pub models: Vec<FittedModel>,
}

/// A model with its method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedModel {
    /// The method.
    pub method: Method,
    /// The model.
    pub model: Model,
    /// Names of the columns that it uses beside the values, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regressors: Vec<String>,
    /// How long the fit took.
    pub seconds: f64,
    /// What candidates did in a backtest, from the best, if the method chooses by one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<Score>,
    /// Sentences that say what was not tried, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

impl Forecaster {
    /// The forecaster of fitted series.
    pub fn new(reading: SeriesOptions, fill: Option<Fill>, series: Vec<FittedSeries>) -> Self {
        Forecaster {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_string(),
            reading,
            fill,
            series,
            calendar: Vec::new(),
            networks: Vec::new(),
        }
    }

    /// What is wrong with it, if it was damaged.
    fn check(&self) -> std::result::Result<(), String> {
        if self.series.is_empty() {
            return Err("it has no series".to_string());
        }
        for fitted in &self.series {
            consistency::of_series(&fitted.series)?;
            consistency::of_options(&fitted.options)?;
            let mut models = fitted.models.iter();
            models.try_for_each(|fitted| consistency::of_model(&fitted.model))?;
        }
        Ok(())
    }
}

impl ForecastFolder {
    /// The folder at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        ForecastFolder { path: path.into() }
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a forecaster was saved in it.
    pub fn holds_forecaster(&self) -> bool {
        self.path.join(MODEL).exists()
    }

    /// Loads the forecaster.
    ///
    /// # Errors
    /// A folder without one, one of a later version, or a damaged one.
    pub fn load(&self) -> Result<Forecaster> {
        if !self.holds_forecaster() {
            return Err(Error::new(format!(
                "{0} holds no forecaster; `carousel forecast FILE.csv -o {0}` makes one",
                self.path.display()
            )));
        }
        let path = self.path.join(MODEL);
        let wrong = |e: serde_json::Error| {
            Error::new(format!("{} cannot be understood: {e}", path.display()))
        };
        let text = files::read_text(&path)?;
        let value: serde_json::Value = serde_json::from_str(&text).map_err(wrong)?;
        match value["format"].as_u64() {
            Some(format) if format > u64::from(FORMAT) => Err(Error::new(format!(
                "{} was written by version {} of this program, which is newer than {}; take that one",
                path.display(),
                value["version"].as_str().unwrap_or("?"),
                env!("CARGO_PKG_VERSION")
            ))),
            _ => {
                let forecaster: Forecaster = serde_json::from_value(value).map_err(wrong)?;
                let damaged = |what: String| {
                    Error::new(format!(
                        "{} is damaged: {what}; make the forecaster again",
                        path.display()
                    ))
                };
                forecaster.check().map_err(damaged)?;
                Ok(forecaster)
            }
        }
    }

    /// Saves the forecaster, without the oldest values of very long series. It is written last of a folder's files.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, mut forecaster: Forecaster) -> Result<()> {
        for fitted in &mut forecaster.series {
            let count = fitted.series.values.len();
            if count > MOST_VALUES {
                fitted.series = fitted.series.part(count - MOST_VALUES..count);
            }
        }
        let mut json = serde_json::to_vec(&forecaster).expect("a forecaster is plain data");
        json.push(b'\n');
        files::write_atomically(&self.path.join(MODEL), &json)
    }

    /// Writes the results: the table, the objects, and the picture if there is one.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn save_results(
        &self,
        table: &str,
        objects: &[serde_json::Value],
        svg: Option<&str>,
    ) -> Result<()> {
        files::write_atomically(&self.path.join(TABLE), table.as_bytes())?;
        let mut json = serde_json::to_vec_pretty(objects).expect("results are plain data");
        json.push(b'\n');
        files::write_atomically(&self.path.join(RESULT), &json)?;
        svg.map_or(Ok(()), |svg| {
            files::write_atomically(&self.path.join(PICTURE), svg.as_bytes())
        })
    }

    /// Writes the pictures of an explanation that there are, and returns their names.
    ///
    /// # Errors
    /// Files that cannot be written.
    pub fn save_explanation(&self, pictures: &ExplanationPictures) -> Result<Vec<&'static str>> {
        let all = [
            (PARTS, &pictures.decomposition),
            (CORRELATIONS, &pictures.autocorrelations),
            (RESIDUALS, &pictures.residuals),
        ];
        let mut names = Vec::new();
        for (name, svg) in all {
            if let Some(svg) = svg {
                files::write_atomically(&self.path.join(name), svg.as_bytes())?;
                names.push(name);
            }
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::super::naive::{Naive, NaiveKind};
    use super::*;

    fn forecaster(count: usize) -> Forecaster {
        let series = Series {
            id: "x".to_string(),
            values: (0..count).map(|value| value as f64 / 3.0).collect(),
            dates: None,
            regressors: Vec::new(),
        };
        let model = Model::Naive(Naive {
            kind: NaiveKind::Drift,
            season: 1,
        });
        let fitted = FittedSeries {
            series,
            options: FitOptions {
                horizon: 4,
                ..FitOptions::default()
            },
            models: vec![FittedModel {
                method: Method::Drift,
                model,
                regressors: Vec::new(),
                seconds: 0.5,
                scores: Vec::new(),
                left_out: Vec::new(),
            }],
        };
        Forecaster::new(SeriesOptions::default(), Some(Fill::Linear), vec![fitted])
    }

    #[test]
    fn a_forecaster_is_loaded_as_it_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let folder = ForecastFolder::at(folder.path());
        assert!(folder.load().unwrap_err().to_string().contains("-o"));
        folder.save(forecaster(9)).unwrap();
        assert_eq!(folder.load().unwrap(), forecaster(9));
        folder.save(forecaster(MOST_VALUES + 5)).unwrap();
        let values = &folder.load().unwrap().series[0].series.values;
        assert_eq!((values.len(), values[0]), (MOST_VALUES, 5.0 / 3.0));
    }

    #[test]
    fn a_later_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let text = r#"{"format": 9, "version": "7.0.0"}"#;
        std::fs::write(folder.path().join(MODEL), text).unwrap();
        let error = ForecastFolder::at(folder.path()).load().unwrap_err();
        assert!(error.to_string().contains("7.0.0"), "{error}");
    }
}
