use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox};

const WEATHER: &str = include_str!("../corpora/series/weather.csv");
const DAILY: &str = include_str!("../corpora/series/daily.csv");

fn object(outcome: &Outcome) -> Value {
    let line = outcome.out.lines().next().unwrap_or_default();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {outcome:#?}"))
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|number| number.as_f64().unwrap()).collect()
}

fn failure(sandbox: &Sandbox, line: &str) -> String {
    let outcome = sandbox.carousel(line);
    assert!(matches!(outcome.code, Some(1 | 2)), "{outcome:#?}");
    assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
    outcome.err
}

/// The weather of 180 days, and the temperatures of as many days after them.
fn weather(days_after: usize) -> String {
    let mut text = WEATHER.to_string();
    for (at, row) in WEATHER.lines().skip(1).take(days_after).enumerate() {
        let temperature = row.split(',').nth(1).unwrap();
        let date = match at {
            0 => "2023-09-30".to_string(),
            _ => format!("2023-10-{at:02}"),
        };
        text += &format!("{date},{temperature},\n");
    }
    text
}

/// Expected: statsmodels 0.15, tests/data/arima.json.
#[test]
fn forecasts_with_regressors_are_those_of_statsmodels() {
    let data: Value = serde_json::from_str(include_str!("data/arima.json")).unwrap();
    let lists = data.as_object().unwrap().values();
    let cases = lists.filter_map(Value::as_array).flatten();
    let mut weather_cases = cases.filter(|case| case["series"] == "weather");
    let case = weather_cases.next().expect("a case with regressors");
    let sandbox = Sandbox::new();
    sandbox.write("weather.csv", weather(8));
    let line = "forecast weather.csv --known temperature --method arima --order 1,0,0 --json";
    let outcome = sandbox.carousel(line).success();
    let found = object(&outcome);
    assert!((found["aicc"].as_f64().unwrap() - case["aicc"].as_f64().unwrap()).abs() < 1e-3);
    assert_eq!(found["model"], "ARIMA(1,0,0) with mean and 1 regressor");
    let pairs = numbers(&found["forecast"])
        .into_iter()
        .zip(numbers(&case["forecast"]));
    // The horizon is as long as the temperatures are known.
    assert_eq!(pairs.len(), 8);
    for (found, expected) in pairs {
        assert!((found / expected - 1.0).abs() < 1e-4, "{found} {expected}");
    }
}

/// Expected: statsmodels 0.15, ARIMA(exog, order=(1, 0, 0), trend="c"), fitted to all before each day, to all before each
/// seventh day, and once; mean absolute errors of the forecasts of September, each of the next day.
#[test]
fn parameters_are_estimated_anew_as_often_as_asked() {
    let sandbox = Sandbox::new();
    sandbox.write("weather.csv", WEATHER);
    let line = "forecast weather.csv --known temperature --method arima --order 1,0,0 --test-from 2023-09 --horizon 1 \
                --json --refit";
    for (refit, expected) in [("1", 7.952637), ("7", 7.957434), ("never", 7.967966)] {
        let found = object(&sandbox.carousel(&format!("{line} {refit}")).success());
        let mae = found["mae"].as_f64().unwrap();
        assert!((mae - expected).abs() < 0.0025, "{refit}: {mae}");
    }
    assert!(failure(&sandbox, &format!("{line} 0")).contains("1 or more, or never"));
    let error = failure(&sandbox, "forecast weather.csv --refit 1");
    assert!(error.contains("--test-from"), "{error}");
}

#[test]
fn what_is_not_known_ahead_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("weather.csv", weather(2));
    let line = "forecast weather.csv --value-column ices --method sarima --regressors temperature";
    let error = failure(&sandbox, &format!("{line} --horizon 3"));
    for part in [
        "temperature is not known for 2023-10-02",
        "--horizon of 2",
        "rows with their dates and temperature",
    ] {
        assert!(error.contains(part), "{error}");
    }
    sandbox.carousel(&format!("{line} --horizon 2")).success();
    // auto measures by a backtest, which may know what is known ahead alone.
    sandbox.write("weather.csv", weather(8));
    let line = "forecast weather.csv --value-column ices --method auto";
    let outcome = sandbox
        .carousel(&format!("{line} --regressors temperature"))
        .success();
    let told = &outcome.err;
    assert!(told.contains("auto leaves temperature out"), "{told}");
    assert!(!told.contains("1 regressor"), "{told}");
    let outcome = sandbox
        .carousel(&format!("{line} --known temperature"))
        .success();
    let best = outcome.err.lines().find(|line| line.contains("weight"));
    assert!(best.unwrap().contains("1 regressor"), "{}", outcome.err);
    let line = "forecast weather.csv --known temperature --method ets,naive";
    let told = sandbox.carousel(line).success().err;
    let expected = "columns beside the values are not used by ets, naive, but by auto";
    assert!(told.contains(expected), "{told}");
}

/// A category is a column for each of its texts, of which one follows from the others; a holiday is far from other days.
#[test]
fn a_folder_goes_on_with_categories() {
    let sandbox = Sandbox::new();
    let rows: Vec<&str> = DAILY.lines().collect();
    let without_value = |row: &str| row[..=row.rfind(',').unwrap()].to_string();
    let until = |known: usize, ahead: usize| {
        let mut text = rows[..=known].join("\n") + "\n";
        for row in &rows[known + 1..][..ahead] {
            text += &(without_value(row) + "\n");
        }
        text
    };
    sandbox.write("old.csv", until(1000, 20));
    sandbox.write("all.csv", until(1030, 30));
    // New rows of one kind of day alone, and what is known ahead of the old file.
    let new = format!("{}\n{}\n", rows[0], rows[1001..=1002].join("\n"));
    sandbox.write("new.csv", new);
    let line =
        "forecast old.csv --known day --method sarima --order 1,0,0 --seasonal 0,1,1,7 -o kept";
    let outcome = sandbox.carousel(line).success();
    assert!(
        outcome.err.contains("day=working is left out"),
        "{}",
        outcome.err
    );
    let outcome = sandbox
        .carousel("forecast -m kept new.csv --json")
        .success();
    let found = object(&outcome);
    // Of the 20 days, 2 are past.
    assert_eq!(numbers(&found["forecast"]).len(), 18, "{outcome:#?}");
    let error = failure(&sandbox, "forecast -m kept new.csv --horizon 19");
    assert!(error.contains("day is not known for"), "{error}");
    let found = object(
        &sandbox
            .carousel("forecast -m kept all.csv --json")
            .success(),
    );
    let forecast = numbers(&found["forecast"]);
    let actual = rows[1031..]
        .iter()
        .map(|row| row.rsplit(',').next().unwrap());
    let errors = actual.zip(&forecast).map(|(actual, forecast)| {
        let actual: f64 = actual.parse().unwrap();
        (actual / forecast - 1.0).abs()
    });
    let errors: Vec<f64> = errors.collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    assert!(errors.len() == 20 && mean < 0.15, "{errors:?}");
}
