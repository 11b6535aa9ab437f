/*!
Flags of `carousel forecast`.
*/

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Command, FromArgMatches};

use super::time::time;
use crate::checkpoint::numbers::{Distribution, Strategy};
use crate::data::series::cells::Decimal;
use crate::data::series::date_column::DayOrder;
use crate::data::series::dates::{Period, Windows};
use crate::data::series::fill::Fill;
use crate::data::series::options::SeriesOptions;
use crate::error::Error;
use crate::forecasting::method::{Method, Transform};

/// Forecast series of numbers.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel forecast sales.csv --horizon 12
  carousel forecast sales.csv --method auto,ets,seasonal-naive --backtest 4
  carousel forecast sales.csv --method sarima -o forecasts
  carousel forecast -m forecasts more.csv
  carousel forecast rides.csv --date-column date --value-column bus,rail --horizon 7
  carousel forecast rides.csv --train-until 2018 --test-from 2019-03 --test-until 2019-05 --horizon 1

A file has a row for each date, with a column of dates and one or several of values; or a row for each date of each of
many series, with a column that says which; or a whole series in each row: id,values, with spaces between the values.
What was read and guessed is told. The forecasts go to standard output, with intervals that hold the value with a
probability of 80 % and of 95 %.")]
pub struct Arguments {
    /// The file of the series, CSV or TSV; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "model")]
    pub file: Option<PathBuf>,
    /// Go on with the models in a folder, from their own values and those of FILE
    #[arg(short, long, value_name = "DIR", conflicts_with_all = ["method", "season", "order", "seasonal", "transform"])]
    pub model: Option<PathBuf>,
    /// The folder for the model, forecast.csv, forecast.json and forecast.svg
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Replace the model in the folder
    #[arg(long, requires = "output")]
    pub overwrite: bool,
    /// Number of steps to forecast [default: a season, or 10; the test window with --test-from]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub horizon: Option<u32>,
    /// Methods: auto, combination, naive, seasonal-naive, drift, mean, ses, holt, holt-winters, ets, theta, ar, ma, arma, arima,
    /// sarima, rnn, gru, lstm
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "auto"
    )]
    pub method: Vec<Method>,
    /// How rnn, gru and lstm predict several steps ahead: one after another (repeated), all at once from the last step
    /// (at-once), or all at once at every step (every); several are compared
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        value_enum,
        default_value = "every"
    )]
    pub strategy: Vec<Strategy>,
    /// What networks predict of each value, from which its intervals follow
    #[arg(
        long,
        value_enum,
        default_value = "quantiles",
        conflicts_with = "model"
    )]
    pub distribution: Distribution,
    /// Networks also read where in the day, the week and the year a date is, as far as the step of the series lets it
    #[arg(long, conflicts_with = "model")]
    pub calendar: bool,
    /// How long to train each network: 30s, 2m [default: some 1000 steps, more for many series]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub time: Option<Duration>,
    /// Number of steps to train each of a network's members
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "time")]
    pub steps: Option<u64>,
    /// Seed of everything random in networks [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Show the windows that networks would read, and what they would predict, without training anything
    #[arg(long, conflicts_with_all = ["model", "output", "backtest", "explain"])]
    pub plan: bool,
    /// Numbers of steps after which the series repeats itself, such as 12, or 24,168; 1 for none [default: those of its step]
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub season: Vec<u32>,
    /// Compare the methods at N origins within the series, a horizon apart, and print their errors in place of forecasts
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000), conflicts_with_all = ["model", "output", "test_from"])]
    pub backtest: Option<u32>,
    /// Show what was found in each series step by step, and what it means for the choice; with -o also pictures of it
    #[arg(long, conflicts_with = "backtest")]
    pub explain: bool,
    /// Print a JSON object for each series and model
    #[arg(long)]
    pub json: bool,
    /// Print nothing but the forecasts
    #[arg(short, long)]
    pub quiet: bool,
    /// Number of threads, for files of many series [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,

    #[command(flatten)]
    reading: ReadingFlags,
    /// What stands in the place of missing dates and values [default: seasonal, or linear without a season; none for methods
    /// that can]
    #[arg(long, value_enum, help_heading = "Reading")]
    pub fill: Option<Fill>,

    /// Orders p,d,q of an ARIMA [default: chosen]
    #[arg(long, value_name = "P,D,Q", value_parser = order, help_heading = "Model")]
    pub order: Option<[usize; 3]>,
    /// Orders P,D,Q of its season, and the season, if it is another: 0,1,1 or 0,1,1,12 [default: chosen]
    #[arg(long, value_name = "P,D,Q[,M]", value_parser = seasonal_order, help_heading = "Model")]
    pub seasonal: Option<SeasonalOrder>,
    /// What is done with the values first [default: none]
    #[arg(long, value_enum, help_heading = "Model")]
    pub transform: Option<Transform>,

    #[command(flatten)]
    windows: WindowFlags,
    /// Estimate parameters anew after every N steps of the test window, from all values until then
    #[arg(long, value_name = "N|never", default_value = "never", value_parser = refit, requires = "test_from", help_heading = "Windows")]
    pub refit: Refit,
}

/// How the file is laid out.
#[derive(Args)]
#[command(next_help_heading = "Reading")]
struct ReadingFlags {
    /// The columns of the dates, or of their parts, by name or number [default: date, ds, timestamp, year and quarter …]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    date_column: Vec<String>,
    /// The columns of the values, a series each [default: value, y …, or all columns of numbers]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    value_column: Vec<String>,
    /// The column that says which series a row belongs to [default: id, series … where dates come again and again]
    #[arg(long, value_name = "NAME|N")]
    id_column: Option<String>,
    /// Columns that a model may use beside the values; categories become a number for each. What a forecast needs of them,
    /// rows without a value at the end of the file say
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    regressors: Vec<String>,
    /// The same, for what is always known ahead, such as holidays: backtests may know it too
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    known: Vec<String>,
    /// Whether the day or the month comes first [default: as the whole column says]
    #[arg(long, value_enum, value_name = "dmy|mdy")]
    date_order: Option<DayOrder>,
    /// The decimal mark [default: as the whole column says]
    #[arg(long, value_enum, value_name = "MARK")]
    decimal: Option<Decimal>,
}

/// What is learnt from and tested on.
#[derive(Args)]
#[command(next_help_heading = "Windows")]
struct WindowFlags {
    /// The first date to learn from: 2016, 2016-03 or 2016-03-01
    #[arg(long, value_name = "DATE")]
    train_from: Option<Period>,
    /// The last date to learn from [default: before the test window]
    #[arg(long, value_name = "DATE")]
    train_until: Option<Period>,
    /// The first date to be tested on
    #[arg(long, value_name = "DATE")]
    test_from: Option<Period>,
    /// The last date to be tested on
    #[arg(long, value_name = "DATE")]
    test_until: Option<Period>,
}

/// How often parameters are estimated anew in a test window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refit {
    /// They stay as they were.
    Never,
    /// After so many steps, and at the first one.
    Every(NonZeroUsize),
}

impl Refit {
    /// Number of steps, if there is one.
    pub fn every(self) -> Option<usize> {
        match self {
            Refit::Never => None,
            Refit::Every(steps) => Some(steps.get()),
        }
    }

    /// Name of a model that is refitted so often.
    pub fn name_of(self, model: &str) -> String {
        match self.every() {
            None => model.to_string(),
            Some(1) => format!("{model}, refitted at every step"),
            Some(steps) => format!("{model}, refitted every {steps} steps"),
        }
    }
}

/// Orders of the season of an ARIMA, and the season, if it was given with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeasonalOrder {
    /// Orders P, D and Q.
    pub order: [usize; 3],
    /// Number of steps in a season.
    pub season: Option<usize>,
}

impl Arguments {
    /// Flags as they would be typed, but quiet and of no file; what is in a value cannot become another flag.
    ///
    /// # Errors
    /// Those of the command line.
    pub(super) fn of(flags: &[(&str, Option<&str>)]) -> crate::error::Result<Self> {
        let given = flags
            .iter()
            .filter_map(|(flag, value)| Some(format!("--{flag}={}", (*value)?)));
        let line = ["forecast", "--quiet", "-"].map(String::from);
        let line = line.into_iter().chain(given);
        let wrong = |e: clap::Error| {
            let text = e.to_string();
            let first = text.split("\n\n").next().unwrap_or_default();
            Error::usage(first.trim_start_matches("error: ").to_string())
        };
        let command = Arguments::augment_args(Command::new("forecast"));
        let matches = command.try_get_matches_from(line).map_err(wrong)?;
        Arguments::from_arg_matches(&matches).map_err(wrong)
    }

    /// Whether a network is to be trained.
    pub fn trains(&self) -> bool {
        self.model.is_none() && self.method.iter().any(|method| method.is_network())
    }

    /// How the file is read.
    pub fn reading(&self) -> SeriesOptions {
        let flags = &self.reading;
        SeriesOptions {
            date_columns: flags.date_column.clone(),
            value_columns: flags.value_column.clone(),
            id_column: flags.id_column.clone(),
            regressors: flags.regressors.clone(),
            known: flags.known.clone(),
            day_order: flags.date_order,
            decimal: flags.decimal,
        }
    }

    /// What is learnt from and tested on.
    pub fn windows(&self) -> Windows {
        let flags = &self.windows;
        Windows {
            train_from: flags.train_from,
            train_until: flags.train_until,
            test_from: flags.test_from,
            test_until: flags.test_until,
        }
    }
}

/// Whole numbers between commas.
fn numbers(text: &str) -> Result<Vec<usize>, String> {
    let number = |part: &str| part.trim().parse::<usize>();
    let numbers: Result<Vec<usize>, _> = text.split(',').map(number).collect();
    numbers.map_err(|_| format!("“{text}” is not a list of whole numbers, such as 2,1,1"))
}

fn order(text: &str) -> Result<[usize; 3], String> {
    let numbers = numbers(text)?;
    let count = numbers.len();
    numbers
        .try_into()
        .map_err(|_| format!("{count} numbers, and orders are three: p,d,q, such as 2,1,1"))
}

fn refit(text: &str) -> Result<Refit, String> {
    match text {
        "never" => Ok(Refit::Never),
        _ => text
            .parse()
            .map(Refit::Every)
            .map_err(|_| format!("“{text}” is no number of steps; give 1 or more, or never")),
    }
}

fn seasonal_order(text: &str) -> Result<SeasonalOrder, String> {
    let numbers = numbers(text)?;
    match numbers[..] {
        [p, d, q] => Ok(SeasonalOrder {
            order: [p, d, q],
            season: None,
        }),
        [p, d, q, season] if season > 1 => Ok(SeasonalOrder {
            order: [p, d, q],
            season: Some(season),
        }),
        _ => Err(
            "orders of a season are three, and the season may follow: 0,1,1 or 0,1,1,12"
                .to_string(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_three_numbers() {
        assert_eq!(order("2,1,1"), Ok([2, 1, 1]));
        assert!(order("2,1").unwrap_err().contains("three"));
        assert!(order("2,1,x").unwrap_err().contains("2,1,x"));
        let seasonal = seasonal_order("0,1,1,12").unwrap();
        assert_eq!((seasonal.order, seasonal.season), ([0, 1, 1], Some(12)));
        assert_eq!(seasonal_order("0,1,1").unwrap().season, None);
        assert!(seasonal_order("0,1,1,1").is_err());
        assert_eq!(refit("never").unwrap().every(), None);
        assert_eq!(refit("7").unwrap().every(), Some(7));
        assert!(refit("0").is_err());
    }
}
