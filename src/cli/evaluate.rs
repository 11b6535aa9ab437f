/*!
`carousel evaluate`: its flags, and the choice between text, labelled documents, pairs and series by the kind of model.
*/

use std::path::PathBuf;

use clap::Args;

use super::evaluate_documents::DocumentsRequest;
use super::evaluate_pairs::PairEvaluation;
use super::evaluate_series::SeriesEvaluation;
use super::flags::DocumentFlags;
use super::model::{ModelArguments, default_model, default_precision};
use super::pair_flags::PairFlags;
use super::{evaluate_documents, evaluate_text};
use crate::answers::prior::PriorChoice;
use crate::checkpoint::parts::Head;
use crate::error::{Error, Result};
use crate::forecasting::folder::ForecastFolder;
use crate::inference::beam_search::Search;
use crate::inference::computation::PrecisionChoice;

/// Evaluate a model on a text, on labelled texts, on translated sentences or on numbers.
#[derive(Args)]
#[command(
    mut_arg("model", default_model(None)),
    mut_arg("precision", default_precision(PrecisionChoice::F32))
)]
#[command(after_help = "Examples:
  carousel evaluate -m model other-book.txt
  carousel evaluate -m sentiment corpora/tries.csv
  carousel evaluate -m sentiment corpora/tries.csv --baseline-from corpora/verdicts.csv
  carousel evaluate -m en-de pairs.tsv
  carousel evaluate -m en-de --source test.en --target test.de
  carousel evaluate -m forecasts later.csv --horizon 1

Give texts that the model has not learnt from. There is no default model.")]
pub struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Files and folders of text, - is standard input; for a classifier CSV, TSV, JSONL or fastText files; for a translator
    /// CSV, TSV or JSONL files; for a forecaster a file with rows after those that it knows
    #[arg(
        value_name = "FILE",
        required_unless_present = "source",
        conflicts_with = "source"
    )]
    files: Vec<PathBuf>,
    /// For a classifier: train the baselines on these documents and evaluate them on the same documents as the model,
    /// instead of repeating the scores of both from the model's training. For a translator: look for the nearest sentences in
    /// these pairs, instead of in the training pairs
    #[arg(long, value_name = "FILE")]
    baseline_from: Option<PathBuf>,
    /// For a classifier: choose among all its labels, also where the documents have only some of them
    #[arg(long)]
    all_labels: bool,
    /// For a classifier: how frequent the labels are among the documents, where that is otherwise than in training: a share of
    /// each, as in negative=0.2,positive=0.8; uniform; or estimate, from the texts
    #[arg(long, value_name = "SHARES")]
    prior: Option<PriorChoice>,
    /// For a translator: number of translations that are followed at once [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    beam: Option<u16>,
    /// For a forecaster: number of steps that are forecast at a time [default: as many as it was made for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    horizon: Option<u32>,
    #[command(flatten)]
    layout: DocumentFlags,
    #[command(flatten)]
    pairs: PairFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Evaluates a model.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Arguments {
        model,
        files,
        baseline_from,
        all_labels,
        prior,
        beam,
        horizon,
        layout,
        pairs,
        json,
    } = arguments;
    let options = layout.options();
    if let Some(folder) = model.forecaster() {
        return series(arguments, folder);
    }
    if horizon.is_some() {
        return Err(Error::usage(
            "--horizon is for forecasters, and this model forecasts no numbers",
        ));
    }
    let config = model.directory(None)?.load_config()?;
    let labelled = matches!(config.head, Head::Labels(_));
    let given = [("--all-labels", *all_labels), ("--prior", prior.is_some())];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given && !labelled) {
        return Err(Error::usage(format!(
            "{flag} is for classifiers, and this model has no labels"
        )));
    }
    if config.target().is_some() {
        return translator(arguments);
    }
    if let Some(flag) = pairs.given().or(beam.map(|_| "--beam")) {
        return Err(Error::usage(format!(
            "{flag} is for translators, and this model does not translate"
        )));
    }
    match config.head {
        Head::NextToken(_) if baseline_from.is_some() || options.give_layout() => {
            Err(Error::usage(
                "--baseline-from, --format, --label-column and --text-column are for classifiers, and this is a language model",
            ))
        }
        Head::NextToken(_) => evaluate_text::run(model, files, options.lossy, *json),
        Head::Values(_) => Err(Error::usage(
            "this is one of a forecaster's networks; give the folder around it",
        )),
        Head::Labels(_) => {
            let request = DocumentsRequest {
                files,
                options,
                baseline_from: baseline_from.as_deref(),
                all_labels: *all_labels,
                prior: prior.as_ref(),
            };
            evaluate_documents::run(model, request, *json)
        }
    }
}

/// Evaluates a translator.
fn translator(arguments: &Arguments) -> Result<()> {
    let (options, search) = (arguments.layout.options(), Search::default());
    let evaluation = PairEvaluation {
        files: &arguments.files,
        flags: &arguments.pairs,
        options: arguments.pairs.options(options.format, options.lossy),
        baseline_from: arguments.baseline_from.as_deref(),
        search: Search {
            beam: arguments.beam.map_or(search.beam, usize::from),
            ..search
        },
    };
    evaluation.run(&arguments.model, arguments.json)
}

/// Evaluates a forecaster.
fn series(arguments: &Arguments, folder: ForecastFolder) -> Result<()> {
    let [file] = &arguments.files[..] else {
        return Err(Error::usage("a forecaster is evaluated on one file"));
    };
    let is_for_text = arguments.pairs.given().is_some()
        || arguments.beam.is_some()
        || arguments.baseline_from.is_some()
        || arguments.all_labels
        || arguments.prior.is_some()
        || arguments.layout.options().give_layout();
    if is_for_text {
        return Err(Error::usage(
            "a forecaster is evaluated with --horizon and --json alone; the other options are for models of text",
        ));
    }
    let horizon = arguments.horizon.map(|horizon| horizon as usize);
    let evaluation = SeriesEvaluation {
        folder,
        file,
        horizon,
    };
    evaluation.run(arguments.json)
}
