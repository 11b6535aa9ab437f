/*!
Output of `carousel forecast`: a table, JSON, a line of blocks, and the files of a folder.
*/

use serde_json::{Map, Value, json};

use super::digits::{DIGITS, significant};
use super::forecast_answer::Answer;
use super::forecast_explanation;
use super::standard::{json_line, line, message};
use crate::data::series::time_series::label;
use crate::error::Result;
use crate::forecasting::accuracy::Accuracy;
use crate::forecasting::folder::ForecastFolder;
use crate::forecasting::forecast::LEVELS;
use crate::forecasting::method::Method;
use crate::pictures::bounds::bounds;
use crate::pictures::curves::sparkline_within;
use crate::pictures::forecast::{ForecastChart, svg};
use crate::text::escape::escaped;

/// Number of values that the line of blocks shows before the forecasts.
const BLOCKS_BEFORE: usize = 60;
/// Number of forecasts that it shows at most.
const BLOCKS_AFTER: usize = 40;
/// Number of series that are shown by blocks and in the picture.
const SHOWN: usize = 6;

/// Prints the forecasts, with blocks on standard error.
pub(super) fn print(answers: &[Answer], json: bool, quiet: bool) -> Result<()> {
    for (at, answer) in answers.iter().enumerate() {
        if !quiet && at < SHOWN {
            answer.tell();
        }
        if json {
            json_line(&answer.object())?;
            continue;
        }
        if let Some(explanation) = &answer.explanation {
            let goes_on = at > 0 && answers[at - 1].series == answer.series;
            forecast_explanation::print(explanation, &answer.series, goes_on)?;
        }
        if answers.len() > 1 {
            if at > 0 && answer.explanation.is_none() {
                line("")?;
            }
            line(format!(
                "{}: {}",
                escaped(&answer.series),
                answer.model.name
            ))?;
        }
        answer.table()?;
    }
    Ok(())
}

/// Writes the forecasts and their picture.
pub(super) fn save(folder: &ForecastFolder, answers: &[Answer]) -> Result<()> {
    let mut csv = "series,model,date,forecast".to_string();
    for level in LEVELS {
        csv += &format!(",lower_{level},upper_{level}");
    }
    csv.push('\n');
    answers.iter().for_each(|answer| answer.rows(&mut csv));
    let objects: Vec<Value> = answers.iter().map(Answer::object).collect();
    let charts: Vec<ForecastChart> = answers.iter().take(SHOWN).map(Answer::chart).collect();
    folder.save_results(&csv, &objects, svg(&charts).as_deref())
}

impl Answer {
    /// Tells the model, its errors in a test window, and how the forecasts go on from the history.
    fn tell(&self) {
        message(format!(
            "model       {}: {}",
            escaped(&self.series),
            self.model.name
        ));
        let is_shown = self.model.method == Method::Auto && self.explanation.is_none();
        for score in self.model.scores.iter().filter(|_| is_shown) {
            let smape = match score.smape {
                Some(smape) => format!("sMAPE {smape:.2} %"),
                None => "no backtest".to_string(),
            };
            message(format!(
                "{:12}weight {:.2}  {smape:16}  {}",
                "", score.weight, score.name
            ));
        }
        if let Some(accuracy) = &self.accuracy {
            message(format!(
                "test        {} values, {} at a time: MAE {}, sMAPE {:.2} %, MASE {:.3}; {:.1} % within 80 %, {:.1} % within \
                 95 %",
                self.dates.len(),
                self.horizon,
                significant(accuracy.mae),
                accuracy.smape,
                accuracy.mase,
                100.0 * accuracy.coverage[0],
                100.0 * accuracy.coverage[1]
            ));
        }
        let start = self.history.len().saturating_sub(BLOCKS_BEFORE);
        let (before, after) = (&self.history[start..], &self.forecast.mean);
        let after = &after[..after.len().min(BLOCKS_AFTER)];
        if let Some(range) = bounds(before.iter().chain(after).copied()) {
            message(format!(
                "{:12}{}│{}",
                "",
                sparkline_within(before, &range),
                sparkline_within(after, &range)
            ));
        }
    }

    fn table(&self) -> Result<()> {
        let width = self
            .dates
            .iter()
            .map(String::len)
            .max()
            .unwrap_or_default()
            .max(4);
        let names = LEVELS.map(|level| {
            format!(
                "{:>14}{:>14}",
                format!("lower {level}"),
                format!("upper {level}")
            )
        });
        let name = if self.calendar.is_none() {
            "row"
        } else {
            "date"
        };
        let actual = if self.actual.is_some() {
            format!("{:>14}", "value")
        } else {
            String::new()
        };
        line(format!(
            "{name:width$}{:>14}{}{actual}",
            "forecast",
            names.concat()
        ))?;
        let decimals = self.decimals();
        for (step, date) in self.dates.iter().enumerate() {
            let mut numbers = vec![self.forecast.mean[step]];
            for interval in &self.forecast.intervals {
                numbers.extend([interval.lower[step], interval.upper[step]]);
            }
            numbers.extend(self.actual.as_ref().map(|actual| actual[step]));
            let numbers: Vec<String> = numbers
                .iter()
                .map(|&number| shown(number, decimals))
                .collect();
            line(format!("{date:width$}{}", numbers.concat()))?;
        }
        Ok(())
    }

    /// Number of decimals of a table, as the largest of its numbers asks for; `None` for a power of ten beside them.
    fn decimals(&self) -> Option<usize> {
        let ends = self
            .forecast
            .intervals
            .iter()
            .flat_map(|interval| interval.lower.iter().chain(&interval.upper));
        let all = self
            .forecast
            .mean
            .iter()
            .chain(ends)
            .filter(|number| number.is_finite());
        let largest = all.fold(0.0f64, |largest, number| largest.max(number.abs()));
        match largest {
            0.0 => Some(2),
            largest => {
                let digits = DIGITS - 1 - largest.log10().floor() as i32;
                (-5..=9).contains(&digits).then(|| digits.max(0) as usize)
            }
        }
    }

    fn rows(&self, csv: &mut String) {
        for (step, date) in self.dates.iter().enumerate() {
            let mut fields = vec![quoted(&self.series), quoted(&self.model.name), date.clone()];
            fields.push(self.forecast.mean[step].to_string());
            for interval in &self.forecast.intervals {
                fields.extend([
                    interval.lower[step].to_string(),
                    interval.upper[step].to_string(),
                ]);
            }
            *csv += &fields.join(",");
            csv.push('\n');
        }
    }

    /// As an object.
    pub(super) fn object(&self) -> Value {
        let ends =
            |of: fn(&crate::forecasting::forecast::Interval) -> &Vec<f64>| -> Map<String, Value> {
                let levels = LEVELS.iter().zip(&self.forecast.intervals);
                levels
                    .map(|(level, interval)| (level.to_string(), json!(of(interval))))
                    .collect()
            };
        let mut object = json!({
            "series": self.series,
            "model": self.model.name,
            "method": self.model.method,
            "seconds": self.model.seconds,
            "aicc": self.model.aicc,
            "horizon": self.horizon,
            "dates": self.dates,
            "forecast": self.forecast.mean,
            "lower": ends(|interval| &interval.lower),
            "upper": ends(|interval| &interval.upper),
        });
        if let Some(explanation) = &self.explanation {
            object["explanation"] = json!(explanation);
        }
        if let Some(accuracy) = &self.accuracy {
            object["values"] = json!(self.actual);
            add_errors(&mut object, accuracy);
        }
        object
    }

    fn chart(&self) -> ForecastChart<'_> {
        ForecastChart {
            title: format!("{}: {}", self.series, self.model.name),
            history: &self.history,
            predictions: &self.predictions,
            forecast: &self.forecast,
            actual: self.actual.as_deref(),
            label: Box::new(|at| label(self.calendar.as_ref(), at)),
            season: self.season,
        }
    }
}

/// Adds the errors of forecasts to an object.
pub(super) fn add_errors(object: &mut Value, accuracy: &Accuracy) {
    object["smape"] = json!(accuracy.smape);
    object["mase"] = json!(accuracy.mase);
    object["mae"] = json!(accuracy.mae);
    object["coverage"] = json!({ "80": accuracy.coverage[0], "95": accuracy.coverage[1] });
}

/// A number in a column, with a number of decimals.
fn shown(number: f64, decimals: Option<usize>) -> String {
    match decimals {
        Some(decimals) => format!("{number:>14.decimals$}"),
        None => format!("{number:>14.4e}"),
    }
}

/// A field of a CSV file.
fn quoted(field: &str) -> String {
    match field.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_commas_are_quoted() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a, \"b\""), "\"a, \"\"b\"\"\"");
    }
}
