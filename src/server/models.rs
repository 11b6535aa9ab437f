/*!
The models that are served, by their names.
*/

use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use carousel_kernels::Precision;
use serde_json::{Value, json};

use super::batcher::Batch;
use super::errors::Failure;
use super::limits::Limits;
use super::metrics::ModelMetrics;
use super::work::Turns;
use crate::checkpoint::parts::{Body, Head};
use crate::checkpoint::record::TextRecord;
use crate::checkpoint::{Directory, ModelConfig, WeightsFile};
use crate::error::{Error, Result};
use crate::forecasting::folder::ForecastFolder;
use crate::inference::Model;
use crate::inference::classifier::Classifier;
use crate::inference::label_shares::trained_shares;
use crate::inference::predictor::Predictor;
use crate::inference::translator::Translator;
use crate::text::spelling::Spelling;
use crate::text::tokenizer::Tokenizer;

/// A model to serve: where it is, and how it computes.
pub struct Source {
    /// Its folder.
    pub folder: Folder,
    /// Precision of products; scores are always in float32.
    pub precision: Precision,
    /// Number of threads.
    pub threads: usize,
}

/// The folder of a model.
pub enum Folder {
    /// Of one that was trained.
    Checkpoint(Directory),
    /// Of one that forecasts.
    Forecaster(ForecastFolder),
}

/// A model that is served. It stays as it was loaded, also if its folder is replaced; but a forecaster, whose folder is read
/// for each request.
pub struct Served {
    /// Its name.
    pub id: String,
    /// What it does.
    pub engine: Engine,
    /// All but its texts that grow.
    pub turns: Turns,
    /// Counts.
    pub metrics: Arc<ModelMetrics>,
    /// Number of threads that it computes with.
    pub threads: usize,
    created: u64,
    /// What is seen inside; `None` for a forecaster.
    pub network: Option<Network>,
}

/// A network as its files have it.
pub struct Network {
    /// Its shape.
    pub config: ModelConfig,
    /// Its weights.
    pub weights: WeightsFile,
    /// The tokenizer of what it reads.
    pub tokenizer: Tokenizer,
}

/// What a model does.
pub enum Engine {
    /// Generates text, and scores it.
    Writer(Writer),
    /// Classifies texts.
    Classifier {
        /// The classifier.
        classifier: Arc<Classifier>,
        /// Shares of the labels in training, if they are recorded.
        shares: Option<Vec<f64>>,
    },
    /// Translates texts.
    Translator(Arc<Translator>),
    /// Forecasts series.
    Forecaster(ForecastFolder),
}

/// A language model.
pub struct Writer {
    /// Its texts that grow.
    pub batch: Batch,
    /// How unknown words are scored; `None` where that is not recorded.
    pub spelling: Option<Spelling>,
    model: Arc<Model>,
    /// In float32, to score.
    exact: OnceLock<Arc<Model>>,
}

/// Kinds of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Language models.
    Writer,
    /// Classifiers.
    Classifier,
    /// Translators.
    Translator,
    /// Forecasters.
    Forecaster,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Writer => "writer",
            Kind::Classifier => "classifier",
            Kind::Translator => "translator",
            Kind::Forecaster => "forecaster",
        }
    }

    /// The endpoint that uses it.
    fn endpoint(self) -> &'static str {
        match self {
            Kind::Writer => "/v1/completions",
            Kind::Classifier => "/classify",
            Kind::Translator => "/translate",
            Kind::Forecaster => "/forecast",
        }
    }

    /// The model that the command uses where none is given.
    fn default_model(self) -> Option<&'static str> {
        match self {
            Kind::Writer => Some("reviews"),
            Kind::Classifier => Some("sentiment"),
            Kind::Translator => Some("en-fr"),
            Kind::Forecaster => None,
        }
    }
}

/// All models that are served, each with a name of its own.
pub struct Models(Vec<Arc<Served>>);

impl Models {
    /// Models whose names differ.
    ///
    /// # Errors
    /// Two of one name.
    pub fn new(models: Vec<Served>) -> Result<Self> {
        for (index, model) in models.iter().enumerate() {
            if models[..index].iter().any(|other| other.id == model.id) {
                return Err(Error::usage(format!(
                    "two models have the name {}; rename one of the folders",
                    model.id
                )));
            }
        }
        Ok(Models(models.into_iter().map(Arc::new).collect()))
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Served>] {
        &self.0
    }

    /// The model of a name.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn named(&self, name: &str) -> std::result::Result<Arc<Served>, Failure> {
        let found = self.0.iter().find(|model| model.id == name);
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = self.0.iter().map(|model| &model.id[..]).collect();
            let shown: String = name.chars().take(100).collect();
            let message = format!(
                "there is no model {shown:?}; served are {}",
                names.join(", ")
            );
            Failure::not_found(message)
                .param("model")
                .code("model_not_found")
        })
    }

    /// The model of a name, which is to be of a kind; without a name the only one of that kind, or the one that the command
    /// uses.
    ///
    /// # Errors
    /// If there is no such model, or it is of another kind.
    pub fn of_kind(
        &self,
        kind: Kind,
        name: Option<&str>,
    ) -> std::result::Result<Arc<Served>, Failure> {
        if let Some(name) = name {
            let found = self.named(name)?;
            return match found.engine.kind() {
                own if own == kind => Ok(found),
                own => Err(Failure::malformed(format!(
                    "{} is a {}, which {} uses",
                    found.id,
                    own.name(),
                    own.endpoint()
                ))
                .param("model")),
            };
        }
        let all: Vec<_> = self
            .0
            .iter()
            .filter(|one| one.engine.kind() == kind)
            .collect();
        let default = || {
            all.iter()
                .find(|one| Some(&one.id[..]) == kind.default_model())
        };
        match (&all[..], default()) {
            ([only], _) => Ok(Arc::clone(only)),
            (_, Some(default)) => Ok(Arc::clone(default)),
            ([], None) => Err(Failure::not_found(format!("no {} is served", kind.name()))
                .param("model")
                .code("model_not_found")),
            (_, None) => {
                let names: Vec<&str> = all.iter().map(|model| &model.id[..]).collect();
                let message = format!("give a model: {}", names.join(", "));
                Err(Failure::malformed(message).param("model"))
            }
        }
    }

    /// The answer to `/v1/models`.
    pub fn object(&self) -> Value {
        let all: Vec<Value> = self.0.iter().map(|model| model.object()).collect();
        json!({"object": "list", "data": all})
    }
}

impl Engine {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Engine::Writer(_) => Kind::Writer,
            Engine::Classifier { .. } => Kind::Classifier,
            Engine::Translator(_) => Kind::Translator,
            Engine::Forecaster(_) => Kind::Forecaster,
        }
    }
}

impl Writer {
    /// The model in float32, by which `carousel score` scores.
    ///
    /// # Errors
    /// Weights that are damaged.
    pub fn exact(&self, network: &Network, threads: usize) -> Result<Arc<Model>> {
        if let Some(exact) = self.exact.get() {
            return Ok(Arc::clone(exact));
        }
        let Network {
            config,
            weights,
            tokenizer,
        } = network;
        let line_end = tokenizer.line_end();
        let precision = Precision::Float32;
        let model = Model {
            config: config.clone(),
            tokenizer: tokenizer.clone(),
            predictor: Predictor::load(config, weights, line_end, precision, threads)?,
        };
        Ok(Arc::clone(self.exact.get_or_init(|| Arc::new(model))))
    }

    /// The model that generates.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }
}

impl Served {
    /// Loads a model.
    ///
    /// # Errors
    /// A folder without a model, or with a damaged one.
    pub fn open(source: &Source, limits: &Limits) -> Result<Self> {
        let metrics = Arc::new(ModelMetrics::default());
        let (id, engine, network, path) = match &source.folder {
            Folder::Forecaster(folder) => {
                folder.load()?;
                let name = Directory::at(folder.path()).name();
                let engine = Engine::Forecaster(ForecastFolder::at(folder.path()));
                (name, engine, None, folder.path())
            }
            Folder::Checkpoint(directory) => {
                let config = directory.load_config()?;
                let engine = engine(directory, &config, source, (limits, &metrics))?;
                let network = Network {
                    weights: directory.load_weights(&config)?,
                    tokenizer: match config.target() {
                        Some(_) => directory.load_tokenizers(&config)?.0,
                        None => directory.load_tokenizer(&config)?,
                    },
                    config,
                };
                (directory.name(), engine, Some(network), directory.path())
            }
        };
        let modified = path.metadata().and_then(|found| found.modified());
        let created = modified.unwrap_or(SystemTime::now());
        Ok(Served {
            id,
            engine,
            turns: Turns::new(Arc::clone(&metrics), limits.queue),
            metrics,
            threads: source.threads,
            created: created
                .duration_since(UNIX_EPOCH)
                .map_or(0, |time| time.as_secs()),
            network,
        })
    }

    /// The network.
    ///
    /// # Errors
    /// A forecaster, which has none.
    pub fn network(&self) -> std::result::Result<&Network, Failure> {
        let none = || {
            Failure::malformed(format!(
                "{} is a forecaster; nothing is shown inside it",
                self.id
            ))
        };
        self.network.as_ref().ok_or_else(none)
    }

    /// As `/v1/models` has it.
    pub fn object(&self) -> Value {
        let mut object = json!({
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": "carousel",
            "kind": self.engine.kind().name(),
            "description": self.description(),
        });
        if let Some(Network { config, .. }) = &self.network {
            object["level"] = json!(config.tokens().level);
            object["parameters"] = json!(config.parameters());
            if !matches!(config.body, Body::Ngram(_)) {
                object["layers"] = json!(config.num_layers());
                object["units"] = json!(config.hidden_size());
            }
            object["inside"] = json!(config.carried().is_some());
            if let Head::Labels(_) = config.head {
                object["labels"] = json!(config.labels());
            }
        }
        if let Engine::Translator(translator) = &self.engine {
            object["attention"] = json!(translator.has_attention());
        }
        object
    }

    /// What it does, in a line.
    pub fn description(&self) -> String {
        let Some(Network { config, .. }) = &self.network else {
            return "forecasts the series that it was fitted to".to_string();
        };
        let body = match &config.body {
            Body::Ngram(_) => "n-grams".to_string(),
            _ => config.body_description(),
        };
        let does = match self.engine.kind() {
            Kind::Writer => "generates text",
            Kind::Classifier => "classifies texts",
            Kind::Translator => "translates",
            Kind::Forecaster => "forecasts",
        };
        format!("{does}: {body}, {} parameters", config.parameters())
    }
}

fn engine(
    directory: &Directory,
    config: &ModelConfig,
    source: &Source,
    (limits, metrics): (&Limits, &Arc<ModelMetrics>),
) -> Result<Engine> {
    let (precision, threads) = (source.precision, source.threads);
    Ok(match config.head {
        _ if config.target().is_some() => {
            Engine::Translator(Arc::new(Translator::open(directory, precision, threads)?))
        }
        Head::Labels(_) => Engine::Classifier {
            classifier: Arc::new(Classifier::open(directory, precision, threads)?),
            shares: directory
                .load_record()
                .ok()
                .map(|record| trained_shares(&record)),
        },
        _ => {
            let model = Arc::new(Model::open(directory, precision, threads)?);
            let record: Option<TextRecord> = directory.load_record().ok();
            let exact = OnceLock::new();
            if precision == Precision::Float32 {
                let _ = exact.set(Arc::clone(&model));
            }
            Engine::Writer(Writer {
                batch: Batch::start(Arc::clone(&model), limits, Arc::clone(metrics)),
                spelling: record.map(|record| record.statistics.spelling),
                model,
                exact,
            })
        }
    })
}
