/*!
`carousel compare`: networks side by side on one corpus.
*/

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory, ValueEnum};

use super::comparison_runs::Runner;
use super::flags::DocumentFlags;
use super::standard;
use super::time::time;
use crate::checkpoint::Lock;
use crate::checkpoint::arguments::CellChoice;
use crate::checkpoint::data_paths::DataPaths;
use crate::checkpoint::record::Budget;
use crate::comparison::data;
use crate::comparison::entry::Known;
use crate::comparison::folder::Folder;
use crate::comparison::plan::Plan;
use crate::comparison::report::Report;
use crate::comparison::request::{Matching, Request};
use crate::comparison::table;
use crate::data::labelled::DocumentOptions;
use crate::error::{Error, Result};
use crate::files;
use crate::pictures;
use crate::text::Level;
use carousel_kernels::recurrent::Cell;

/// The budget of each run by default.
const DEFAULT_TIME: Duration = Duration::from_secs(120);

/// Compare networks on one corpus.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel compare book.txt --cells lstm,lstm:autograd --time 1m -o comparison
  carousel compare book.txt --match params --seeds 3 -o comparison
  carousel compare book.txt --steps 500 --match params -- --num-layers 2
  carousel compare reviews.csv --time 30s
  carousel compare --resume comparison
  carousel compare --resume comparison moved/book.txt")]
pub struct Arguments {
    /// Files and folders of text, or labelled files for classifiers; - is standard input
    #[arg(value_name = "CORPUS", required_unless_present = "resume")]
    corpus: Vec<PathBuf>,
    /// The folder for compare.json, compare.svg and the models [default: a temporary one]
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Continue the comparison in a folder; its data is found, or given, where that was moved
    #[arg(long, value_name = "DIR", conflicts_with_all = ["output", "cells", "time", "steps", "matching", "seeds", "level",
        "labelled", "format", "label_column", "text_column", "lossy", "flags"])]
    resume: Option<PathBuf>,
    /// What to compare: cells or transformer, with variants after a colon, as in lstm:autograd
    /// [default: every cell, and lstm:autograd]
    #[arg(long, value_name = "LIST")]
    cells: Option<String>,
    /// The time of each run, by the wall clock [default: 2m]
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "steps")]
    time: Option<Duration>,
    /// The length of each run, in updates of the weights
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// What is equal, besides the data [default: time; with --steps the number of steps]
    #[arg(
        long = "match",
        id = "matching",
        value_name = "params|time",
        value_enum
    )]
    matching: Option<Matching>,
    /// Number of runs of each, with different seeds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=100))]
    seeds: u64,
    /// Print the entries as JSON, an object a line
    #[arg(long)]
    json: bool,

    /// What a token is [default: char; word for classifiers]
    #[arg(long, value_enum, help_heading = "Text")]
    level: Option<Level>,
    /// The validation data: a file, or a fraction of the corpus [default: 0.1]
    #[arg(long, value_name = "FILE|FRACTION", help_heading = "Text")]
    valid: Option<String>,
    /// Whether to compare classifiers [default: if every file has columns of labels and texts]
    #[arg(long, value_name = "true|false", num_args = 0..=1,
        require_equals = true, default_missing_value = "true", help_heading = "Documents")]
    labelled: Option<bool>,
    #[command(flatten)]
    documents: DocumentFlags,
    /// Flags of `carousel train`, or `train-classifier`, for every run
    #[arg(last = true, value_name = "FLAGS")]
    flags: Vec<String>,
}

impl ValueEnum for Matching {
    fn value_variants<'a>() -> &'a [Self] {
        &[Matching::Time, Matching::Params]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        use clap::builder::PossibleValue;
        Some(match self {
            Matching::Time => {
                PossibleValue::new("time").help("The time; each has the width that suits it")
            }
            Matching::Params => PossibleValue::new("params")
                .help("The number of parameters without the embedding, within 2 %"),
        })
    }
}

/// Compares, or goes on, and prints the result.
pub fn run(arguments: &Arguments) -> Result<()> {
    let temporary;
    let kept = arguments.resume.as_ref().or(arguments.output.as_ref());
    let folder = match kept {
        Some(path) => Folder::at(path),
        None => {
            temporary = standard::temporary_folder()?;
            Folder::at(temporary.path())
        }
    };
    if arguments.resume.is_some() && !folder.holds_comparison() {
        return Err(Error::new(format!(
            "{0} holds no comparison to resume; `carousel compare CORPUS -o {0}` begins one",
            folder.path().display()
        )));
    }
    let lock = Lock::take(folder.path())?;
    standard::notes(lock.note().map(String::from).as_slice());
    let compared = compare(arguments, &folder, &lock, kept.is_some());
    let report = compared.inspect_err(|_| folder.leave_nothing())?;
    print(&report, arguments.json)?;
    if kept.is_some() {
        standard::message(format!(
            "figures, picture and models are in {}",
            folder.path().display()
        ));
    }
    Ok(())
}

/// Does what is left of a comparison, in a folder that is locked.
fn compare(arguments: &Arguments, folder: &Folder, lock: &Lock, kept: bool) -> Result<Report> {
    let given = given(arguments)?;
    let mut plan = match arguments.resume {
        Some(_) => folder.load_plan()?,
        None => begin(arguments, folder)?,
    };
    let begun = !plan.networks.is_empty();
    if begun && (given.is_some() || !folder.holds_result()) {
        find_data(&mut plan, folder, given.as_ref())?;
    }
    let entries = Runner::new(folder, lock, kept)?.run(plan)?;
    let report = entries.report(folder)?;
    folder.save_result(&report.object())?;
    if let Some(svg) = pictures::comparison::svg(&report.rows, report.labelled()) {
        folder.save_picture(&svg)?;
    }
    Ok(report)
}

/// The data of a comparison to be continued, where the user says where it is.
fn given(arguments: &Arguments) -> Result<Option<DataPaths>> {
    let paths = &arguments.corpus;
    let valid = arguments.valid.as_ref();
    match arguments.resume {
        None => Ok(None),
        Some(_)
            if paths.iter().any(|path| standard::is_input(path))
                || (paths.is_empty() && valid.is_some()) =>
        {
            Err(Error::usage(
                "--resume continues with the data and the options that the comparison began with; give it alone, or with the \
                 files of the data where these were moved",
            ))
        }
        Some(_) if paths.is_empty() => Ok(None),
        Some(_) => Ok(Some(DataPaths {
            paths: files::absolute(paths.clone())?,
            valid: files::absolute(valid.map(PathBuf::from).into_iter().collect())?.pop(),
        })),
    }
}

/// Puts into a plan where its data is now.
fn find_data(plan: &mut Plan, folder: &Folder, given: Option<&DataPaths>) -> Result<()> {
    let found = data::find(plan, folder, given)?;
    if found == plan.request.data() {
        return Ok(());
    }
    standard::message(format!("the data is now {}", files::names(&found.paths)));
    plan.request.move_data(&found);
    folder.save_plan(plan)
}

/// The plan of a new comparison, or that of the same one that was begun in the folder.
fn begin(arguments: &Arguments, folder: &Folder) -> Result<Plan> {
    let request = request(arguments, folder)?;
    request.check()?;
    if folder.holds_comparison() {
        let plan = folder.load_plan()?;
        return match plan.request == request {
            true => Ok(plan),
            false => Err(Error::usage(format!(
                "{0} holds another comparison already; continue it with --resume {0}, or choose another folder",
                folder.path().display()
            ))),
        };
    }
    if arguments.corpus.iter().any(|path| standard::is_input(path)) {
        standard::keep_input(&folder.standard_input())?;
    }
    Ok(Plan::new(request))
}

/// What is asked for, with defaults.
fn request(arguments: &Arguments, folder: &Folder) -> Result<Request> {
    let named = |path: &PathBuf| match standard::is_input(path) {
        true => folder.standard_input(),
        false => path.clone(),
    };
    if let Some(missing) = arguments
        .corpus
        .iter()
        .find(|path| !standard::is_input(path) && !path.exists())
    {
        let missing_file = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::file("read", missing, missing_file));
    }
    let documents = documents(arguments)?;
    let known = known(match documents {
        None => "train",
        Some(_) => "train-classifier",
    });
    let budget = match (arguments.steps, arguments.time) {
        (Some(steps), _) => Budget::Steps(steps),
        (None, time) => Budget::Seconds(time.unwrap_or(DEFAULT_TIME).as_secs_f64()),
    };
    Ok(Request {
        version: env!("CARGO_PKG_VERSION").to_string(),
        corpus: files::absolute(arguments.corpus.iter().map(named).collect())?,
        documents,
        entries: known.entries(arguments.cells.as_deref())?,
        budget,
        matching: arguments.matching.or(match budget {
            Budget::Seconds(_) => Some(Matching::Time),
            _ => None,
        }),
        seeds: arguments.seeds,
        flags: flags(arguments)?,
    })
}

/// Flags for every run, with the name of a validation file that is found from any folder.
fn flags(arguments: &Arguments) -> Result<Vec<String>> {
    let mut flags = Vec::new();
    if let Some(level) = arguments.level.and_then(|level| level.to_possible_value()) {
        flags.push(format!("--level={}", level.get_name()));
    }
    if let Some(valid) = &arguments.valid {
        let valid = match valid.parse::<f64>() {
            Ok(_) => valid.clone(),
            Err(_) => files::absolute(vec![valid.into()])?[0]
                .display()
                .to_string(),
        };
        flags.push(format!("--valid={valid}"));
    }
    if arguments.documents.options().lossy {
        flags.push("--lossy".to_string());
    }
    flags.extend(arguments.flags.iter().cloned());
    Ok(flags)
}

/// The cells, and the flags of a training command.
fn known(command: &str) -> Known {
    let program = super::Cli::command();
    let flags = program.find_subcommand(command).map(|command| {
        let flags = command.get_arguments().filter_map(|flag| flag.get_long());
        flags.map(String::from).collect()
    });
    let flags: Vec<String> = flags.unwrap_or_default();
    let names = |choice: CellChoice| choice.name().to_string();
    let has_transformers = flags.iter().any(|flag| flag == "heads");
    let others = [CellChoice::Transformer]
        .into_iter()
        .filter(|_| has_transformers);
    Known {
        cells: Cell::ALL
            .map(|cell| names(CellChoice::Recurrent(cell)))
            .to_vec(),
        others: others.map(names).collect(),
        flags,
    }
}

/// How labelled documents are laid out; `None` for text.
fn documents(arguments: &Arguments) -> Result<Option<DocumentOptions>> {
    let given = arguments.documents.options();
    let options = DocumentOptions {
        labels: true,
        ..given.clone()
    };
    let has_flags = given.give_layout();
    let labelled = match arguments.labelled {
        Some(false) if has_flags => {
            return Err(Error::usage(
                "--labelled=false is for text, which has no columns; leave --format, --label-column and --text-column away",
            ));
        }
        Some(labelled) => labelled,
        None => {
            has_flags
                || arguments
                    .corpus
                    .iter()
                    .all(|path| standard::is_labelled(path, &options))
        }
    };
    let has_input = arguments.corpus.iter().any(|path| standard::is_input(path));
    match labelled {
        true if has_input => Err(Error::usage(
            "labelled documents are read from files, not from standard input",
        )),
        true => Ok(Some(options)),
        false => Ok(None),
    }
}

fn print(report: &Report, json: bool) -> Result<()> {
    if !json {
        return table::lines(report).iter().try_for_each(standard::line);
    }
    for row in &report.rows {
        standard::json_line(&serde_json::json!(row))?;
    }
    Ok(())
}
