use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};

use carousel::checkpoint::Lock;

use crate::sandbox::{Outcome, Sandbox, model_by_hand};

/// Forecasts of a file with a method that repeats the last season, as objects, and what was told.
fn forecast(sandbox: &Sandbox, text: impl AsRef<[u8]>, flags: &str) -> (Vec<Value>, String) {
    sandbox.write("series.csv", text);
    let line = format!("forecast series.csv --method seasonal-naive --json {flags}");
    let outcome = sandbox.carousel(&line).success();
    (objects(&outcome.out), outcome.err)
}

fn objects(text: &str) -> Vec<Value> {
    let object = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(object).collect()
}

/// Dates and forecasts of the first object.
fn next(objects: &[Value]) -> (Vec<String>, Vec<f64>) {
    let list = |key: &str| objects[0][key].as_array().unwrap().clone();
    let dates = list("dates")
        .iter()
        .map(|date| date.as_str().unwrap().to_string())
        .collect();
    let numbers = list("forecast")
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect();
    (dates, numbers)
}

fn failure(sandbox: &Sandbox, line: &str) -> Outcome {
    let outcome = sandbox.carousel(line);
    assert!(matches!(outcome.code, Some(1 | 2)), "{outcome:#?}");
    assert!(!outcome.err.contains("panicked"), "{}", outcome.err);
    outcome
}

/// A file of months from 2020-01 on.
fn monthly(values: &[&str]) -> String {
    let mut text = "date,value\n".to_string();
    for (at, value) in values.iter().enumerate() {
        writeln!(text, "{}-{:02},{value}", 2020 + at / 12, at % 12 + 1).unwrap();
    }
    text
}

/// Hours of a day in March, each with a value, on a clock that is set forward or back.
fn hourly(hours: &[&str], day: &str) -> String {
    let mut text = "time,value\n".to_string();
    for (at, hour) in hours.iter().enumerate() {
        writeln!(text, "{day} {hour}:00,{at}").unwrap();
    }
    text
}

#[test]
fn dates_in_every_usual_form_go_on() {
    let sandbox = Sandbox::new();
    for (rows, step, expected) in [
        ("2020-01,1\n2020-02,2\n2020-03,3", "monthly", "2020-04"),
        (
            "2020-01-31,1\n2020-02-29,2\n2020-03-31,3",
            "monthly",
            "2020-04-30",
        ),
        ("2020Q1,1\n2020Q2,2\n2020Q3,3", "quarterly", "2020Q4"),
        ("1990,1\n1991,2\n1992,3", "yearly", "1993"),
        (
            "03.01.2020,1\n04.01.2020,2\n13.01.2020,3\n14.01.2020,4",
            "daily",
            "2020-01-15",
        ),
        (
            "1/3/2020,1\n1/4/2020,2\n1/13/2020,3\n1/14/2020,4",
            "daily",
            "2020-01-15",
        ),
        (
            "\"Jan 3, 2020\",1\n\"Jan 4, 2020\",2\n\"Jan 5, 2020\",3",
            "daily",
            "2020-01-06",
        ),
        ("2020-W01,1\n2020-W02,2\n2020-W03,3", "weekly", "2020-01-20"),
        (
            "2020-01-01T10:00Z,1\n2020-01-01T10:30Z,2\n2020-01-01T11:00Z,3",
            "every 30 minutes",
            "2020-01-01 11:30Z",
        ),
        (
            "1577836800,1\n1577836810,2\n1577836820,3",
            "every 10 seconds",
            "2020-01-01 00:00:30Z",
        ),
        (
            "2020-01-01 00:00:00,1\n2020-01-02 00:00:00,2\n2020-01-03 00:00:00,3",
            "daily",
            "2020-01-04",
        ),
    ] {
        let (objects, told) = forecast(&sandbox, format!("date,value\n{rows}\n"), "--horizon 1");
        assert_eq!(next(&objects).0, [expected], "{rows}\n{told}");
        assert!(told.contains(step), "{told}");
    }
}

#[test]
fn columns_are_found_and_told() {
    let sandbox = Sandbox::new();
    let (objects, told) = forecast(
        &sandbox,
        "year,quarter,gdp,cpi\n2000,1,5,50\n2000,2,6,60\n2000,3,7,70\n",
        "--horizon 1",
    );
    assert_eq!(
        (&objects[0]["series"], &objects[1]["series"]),
        (&"gdp".into(), &"cpi".into())
    );
    assert_eq!(next(&objects), (vec!["2000Q4".to_string()], vec![7.0]));
    assert!(
        told.contains("dates in column 1 (year), column 2 (quarter)"),
        "{told}"
    );
    let (objects, _) = forecast(
        &sandbox,
        "a;b\n2020-01;1\n2020-02;2\n",
        "--value-column B --horizon 2",
    );
    assert_eq!(next(&objects).0, ["2020-03", "2020-04"]);
    let (objects, told) = forecast(&sandbox, "5\n6\n7\n", "--horizon 2");
    assert_eq!(
        next(&objects),
        (vec!["4".to_string(), "5".to_string()], vec![7.0, 7.0])
    );
    assert!(told.contains("no dates"), "{told}");
    let outcome = failure(&sandbox, "forecast series.csv --value-column nothing");
    assert!(
        outcome
            .err
            .contains("has no column nothing (--value-column)"),
        "{}",
        outcome.err
    );
    sandbox.write("words.csv", "name,word\na,b\nc,d\n");
    let outcome = failure(&sandbox, "forecast words.csv");
    assert!(
        outcome.err.contains("name one with --value-column"),
        "{}",
        outcome.err
    );
}

#[test]
fn panels_are_read_in_both_forms() {
    let sandbox = Sandbox::new();
    let (objects, _) = forecast(
        &sandbox,
        "id,values\nA 1,1 2 3\nB,4 NA 6 7\n",
        "--horizon 1",
    );
    assert_eq!(objects.len(), 2);
    assert_eq!(
        (&objects[0]["series"], &objects[1]["forecast"][0]),
        (&"A 1".into(), &7.0.into())
    );
    assert_eq!(objects[1]["dates"][0], "5");
    let long = "date,shop,sold\n2020-01-01,x,1\n2020-01-01,y,5\n2020-01-02,x,2\n2020-01-02,y,6\n";
    let (objects, told) = forecast(&sandbox, long, "--horizon 1");
    assert_eq!(
        (&objects[1]["series"], &objects[1]["forecast"][0]),
        (&"y".into(), &6.0.into())
    );
    assert!(told.contains("column 2 (shop) says which series"), "{told}");
    let table = sandbox
        .carousel("forecast series.csv --method naive --horizon 1")
        .success();
    assert!(
        table.out.contains("x: naive") && table.out.contains("y: naive"),
        "{}",
        table.out
    );
}

/// Each file of these has something wrong with it; what was done is told, and a forecast is given.
#[test]
fn bad_input_is_told_and_answered() {
    let sandbox = Sandbox::new();
    for (text, told, last) in [
        (monthly(&["1", "two", "3", "4"]), "line 3 “two”", 4.0),
        (monthly(&["1", "", "NaN", "4"]), "(2 missing)", 4.0),
        (
            monthly(&["1", "inf", "3", "4"]),
            "infinite numbers of column 2 (value)",
            4.0,
        ),
        (
            monthly(&["\"1,5\"", "\"2,5\"", "\"3,25\""]),
            "a decimal comma, as in 1,5",
            3.25,
        ),
        (
            monthly(&["\"1,234\"", "\"2,345\""]),
            "--decimal , reads them otherwise",
            2345.0,
        ),
        (
            monthly(&["\"1.234,5\"", "\"12.345,5\""]),
            "a decimal comma",
            12_345.5,
        ),
        (
            "date;value\n2020-01;1,5\n2020-02;2,5\n".to_string(),
            "a decimal comma",
            2.5,
        ),
        (
            "date,value\n2020-01-01,1\n2020-01-02,2\n2020-01-02,4\n2020-01-03,5\n2020-01-04,6\n"
                .to_string(),
            "of rows with the same date the mean is taken: 2020-01-02 on lines 3 and 4",
            6.0,
        ),
        (
            "date,value\n2020-01-01,1\n2020-01-03,3\n2020-01-02,2\n2020-01-04,4\n".to_string(),
            "dates that go backwards are put in order: line 4 2020-01-02",
            4.0,
        ),
        (
            "date,value\n2020-03,3\n2020-02,2\n2020-01,1\n".to_string(),
            "the newest rows stand first",
            3.0,
        ),
        (
            "date,value\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n2020-01-06,4\n".to_string(),
            "missing dates are missing values: 2 from 2020-01-04",
            4.0,
        ),
        (
            "date,value\n01/02/2020,1\n01/03/2020,2\n01/04/2020,3\n".to_string(),
            "--date-order",
            3.0,
        ),
        (
            "date,value\n2020-01-01,1\n2020-01-05,2\n2020-01-06,3\n2020-03-09,4\n2020-04-30,5\n"
                .to_string(),
            "dates without a regular step",
            5.0,
        ),
        (
            "date,value\n2020-01-01,1\n2020-01-02,2\n9999-01-03,3\n".to_string(),
            "one may be wrong: 9999-01-03 after 2020-01-02",
            3.0,
        ),
        (
            "date,value\n2020-03-01,3\n".to_string(),
            "1 value, daily",
            3.0,
        ),
        (
            "date,value\n2020-01-01,1\nsoon,7\n2020-01-02,2\n2020-01-03,3\n".to_string(),
            "rows without a date are left out: line 3 “soon”",
            3.0,
        ),
        (
            "date,value\n2020-01,1\n2020-02,2\n2020-03,\n".to_string(),
            "rows without a value at the end are left out: 1 of value",
            2.0,
        ),
        (monthly(&["5", "5", "5", "5"]), "4 values", 5.0),
        (monthly(&["-1", "-2", "-3"]), "3 values", -3.0),
        (monthly(&["1e300", "1e300"]), "2 values", 1e300),
        (
            hourly(&["00", "01", "03", "04"], "2020-03-29"),
            "hours that never were, as clocks were set forward",
            3.0,
        ),
        (
            hourly(&["00", "01", "02", "02", "03"], "2020-10-25"),
            "hours that come twice, as clocks are set back, become their mean",
            4.0,
        ),
    ] {
        let (objects, err) = forecast(&sandbox, &text, "--horizon 1");
        assert!(err.contains(told), "{text}\n{err}");
        assert_eq!(next(&objects).1, [last], "{text}\n{err}");
    }
}

#[test]
fn time_zones_are_put_on_one_clock() {
    let sandbox = Sandbox::new();
    let text = "time,value\n2020-10-25T01:00+02:00,1\n2020-10-25T02:00+02:00,2\n2020-10-25T02:00+01:00,3\n\
                2020-10-25T03:00+01:00,4\n";
    let (objects, told) = forecast(&sandbox, text, "--horizon 1");
    assert_eq!(
        next(&objects),
        (vec!["2020-10-25 04:00+01:00".to_string()], vec![4.0])
    );
    assert!(told.contains("zones +01:00 and +02:00"), "{told}");
    assert!(told.contains("4 values, hourly"), "{told}");
}

#[test]
fn asking_decides_what_is_ambiguous() {
    let sandbox = Sandbox::new();
    let dates = "date,value\n01/02/2020,1\n01/03/2020,2\n01/04/2020,3\n";
    let (objects, _) = forecast(&sandbox, dates, "--date-order mdy --horizon 1");
    assert_eq!(next(&objects).0, ["2020-01-05"]);
    let (objects, _) = forecast(&sandbox, dates, "--date-order dmy --horizon 1");
    assert_eq!(next(&objects).0, ["2020-05-01"]);
    let (objects, _) = forecast(
        &sandbox,
        monthly(&["\"1,234\"", "\"2,345\""]),
        "--decimal , --horizon 1",
    );
    assert_eq!(next(&objects).1, [2.345]);
    for (fill, expected) in [
        ("zero", 0.0),
        ("previous", 1.0),
        ("linear", 2.0),
        ("mean", 2.0),
    ] {
        let text = monthly(&["1", "", "3"]);
        let flags = format!("--fill {fill} --season 2 --horizon 1");
        assert_eq!(
            next(&forecast(&sandbox, text, &flags).0).1,
            [expected],
            "{fill}"
        );
    }
}

#[test]
fn what_cannot_be_is_said() {
    let sandbox = Sandbox::new();
    let (_, told) = forecast(
        &sandbox,
        monthly(&["1", "2", "3"]),
        "--horizon 9 --season 365",
    );
    assert!(
        told.contains("9 steps are more than the history of 3 values"),
        "{told}"
    );
    assert!(
        told.contains("a season of 365 is longer than the history"),
        "{told}"
    );
    for (text, flags, expected) in [
        (
            monthly(&["1", "-2", "3"]),
            "--transform log --method naive",
            "only numbers above zero have logarithms",
        ),
        (
            monthly(&["", "NA"]),
            "",
            "every value of column 2 (value) is missing",
        ),
        (
            monthly(&["a", "b", "1"]),
            "--value-column value",
            "line 2 “a”, line 3 “b”",
        ),
        (String::new(), "", "it is empty"),
        ("{\"a\": 1}\n".to_string(), "", "begins as JSON"),
        ("date,value\n".to_string(), "", "no row follows its header"),
        (
            "date,value\n2020-01,1,5\n2020-02,2,5\n".to_string(),
            "",
            "semicolons between columns",
        ),
        (
            monthly(&["1", "2"]),
            "--date-column value --value-column value",
            "asked for as a column of values",
        ),
        (
            monthly(&["1", "2"]),
            "--method prophecy",
            "there is no method prophecy; give auto",
        ),
        (monthly(&["1", "2"]), "--horizon 0", "--horizon"),
        (monthly(&["1", "2"]), "--order 1,2", "orders are three"),
        (
            monthly(&["1", "2"]),
            "--train-until 2030-13",
            "give one as 2019-03-01",
        ),
        (
            monthly(&["1", "2"]),
            "--test-from 2030",
            "its dates are 2020-01 to 2020-02",
        ),
        ("1\n2\n".to_string(), "--train-until 2019", "--date-column"),
    ] {
        sandbox.write("bad.csv", text);
        let outcome = failure(&sandbox, &format!("forecast bad.csv {flags}"));
        assert!(outcome.err.contains(expected), "{flags}\n{}", outcome.err);
        assert!(outcome.out.is_empty());
    }
    sandbox.write("binary.csv", b"\x00\xff\x00");
    let outcome = failure(&sandbox, "forecast binary.csv");
    assert!(outcome.err.contains("binary.csv"), "{}", outcome.err);
    failure(&sandbox, "forecast nothing.csv");
    failure(&sandbox, "forecast");
}

#[test]
fn files_are_read_by_the_same_rules_as_any_text() {
    let sandbox = Sandbox::new();
    let text = monthly(&["1", "2", "3"]).replace('\n', "\r\n");
    let utf16: Vec<u8> = [0xFF, 0xFE]
        .into_iter()
        .chain(text.encode_utf16().flat_map(u16::to_le_bytes))
        .collect();
    let expected = next(&forecast(&sandbox, &text, "--horizon 2").0);
    let (objects, told) = forecast(&sandbox, utf16, "--horizon 2");
    assert_eq!(next(&objects), expected);
    assert!(told.contains("UTF-16"), "{told}");
    let separated = format!("\u{feff}sep=;\n{}", text.replace(',', ";"));
    assert_eq!(
        next(&forecast(&sandbox, separated, "--horizon 2").0),
        expected
    );
    sandbox.write("series.csv", &text);
    let outcome = sandbox
        .carousel_reading("series.csv", "forecast - --method naive --horizon 2 --json")
        .success();
    assert_eq!(next(&objects_of_naive(&outcome)), expected);
    assert!(outcome.err.contains("standard input"), "{}", outcome.err);
}

fn objects_of_naive(outcome: &Outcome) -> Vec<Value> {
    objects(&outcome.out)
}

#[test]
fn a_folder_goes_on_with_new_rows() {
    let sandbox = Sandbox::new();
    let values: Vec<String> = (1..=30).map(|value| value.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    sandbox.write("old.csv", monthly(&values[..24]));
    sandbox.write("new.csv", monthly(&values));
    let line = "forecast old.csv --method seasonal-naive,drift --horizon 3 -o kept";
    let first = sandbox.carousel(line).success();
    for name in [
        "forecast.csv",
        "forecast.json",
        "forecast.svg",
        "model.json",
    ] {
        assert!(!sandbox.read(&format!("kept/{name}")).is_empty(), "{name}");
    }
    assert!(sandbox.read("kept/model.json").len() < 4096);
    assert!(!sandbox.path("kept/.lock").exists());
    let csv = String::from_utf8(sandbox.read("kept/forecast.csv")).unwrap();
    assert!(csv.starts_with("series,model,date,forecast,lower_80,upper_80,lower_95,upper_95\n"));
    assert!(csv.contains("value,drift,2022-01,25,"), "{csv}");
    // The same forecasts again, and then those after the new rows.
    assert_eq!(
        sandbox.carousel("forecast -m kept").success().out,
        first.out
    );
    let on = sandbox
        .carousel("forecast -m kept new.csv --json --horizon 1")
        .success();
    assert!(on.err.contains("6 new"), "{}", on.err);
    assert_eq!(
        next(&objects(&on.out)),
        (vec!["2022-07".to_string()], vec![19.0])
    );
    // Nothing was written.
    assert_eq!(
        sandbox.carousel("forecast -m kept").success().out,
        first.out
    );
    sandbox
        .carousel("forecast -m kept new.csv -o kept")
        .success();
    let on = sandbox.carousel("forecast -m kept --json").success();
    assert_eq!(next(&objects(&on.out)).0, ["2022-07", "2022-08", "2022-09"]);
    // One row has no step of its own, and a gap is filled.
    sandbox.write("one.csv", "date,value\n2022-09,99\n");
    let on = sandbox
        .carousel("forecast -m kept one.csv --json --horizon 1")
        .success();
    assert!(on.err.contains("1 new, 2 missing"), "{}", on.err);
    assert_eq!(next(&objects(&on.out)).0, ["2022-10"]);
}

#[test]
fn a_folder_is_replaced_only_when_asked_and_by_one_writer() {
    let sandbox = Sandbox::new();
    sandbox.write("series.csv", monthly(&["1", "2", "3"]));
    let line = "forecast series.csv --method naive --horizon 1 -o kept";
    sandbox.carousel(line).success();
    let before = sandbox.read("kept/model.json");
    let outcome = failure(&sandbox, &line.replace("naive", "drift"));
    assert!(outcome.err.contains("--overwrite"), "{}", outcome.err);
    assert_eq!(sandbox.read("kept/model.json"), before);
    let lock = Lock::take(&sandbox.path("kept")).unwrap();
    failure(&sandbox, &format!("{line} --overwrite"));
    drop(lock);
    sandbox
        .carousel(&format!("{} --overwrite", line.replace("naive", "drift")))
        .success();
    assert_ne!(sandbox.read("kept/model.json"), before);
    // A method that fails leaves no folder behind, and a network's folder stays as it is.
    failure(&sandbox, "forecast series.csv --method sarima -o never");
    assert!(!sandbox.path("never").exists());
    model_by_hand(&sandbox.path("network"), "ab", 1, true);
    let outcome = failure(&sandbox, "forecast series.csv --method naive -o network");
    assert!(
        outcome.err.contains("choose another folder"),
        "{}",
        outcome.err
    );
    fs::write(sandbox.path("kept/model.json"), "{").unwrap();
    let outcome = failure(&sandbox, "forecast -m kept");
    assert!(
        outcome.err.contains("cannot be understood"),
        "{}",
        outcome.err
    );
    let outcome = failure(&sandbox, "forecast -m nowhere");
    assert!(
        outcome.err.contains("holds no forecaster"),
        "{}",
        outcome.err
    );
}

/// Errors by hand: the naive forecasts of 4, 6, 9 one step at a time are 3, 4 and 6.
#[test]
fn windows_are_tested_one_horizon_after_another() {
    let sandbox = Sandbox::new();
    let text = monthly(&["1", "2", "3", "4", "6", "9"]);
    let flags = "--season 1 --test-from 2020-04 --horizon 1";
    let (objects, told) = forecast(&sandbox, text, flags);
    assert_eq!(next(&objects).1, [3.0, 4.0, 6.0]);
    assert_eq!(objects[0]["mae"], 2.0);
    assert_eq!(objects[0]["mase"], 2.0);
    assert!(told.contains("3 values, 1 at a time: MAE 2.0000"), "{told}");
}

/// The last value that is known at the origin is 10; the line to the value after it would be at 15.
#[test]
fn gaps_are_filled_from_what_came_before_a_forecast() {
    let sandbox = Sandbox::new();
    let values = ["10", "10", "10", "10", "10", "10", "", "20", "20"];
    sandbox.write("gap.csv", monthly(&values));
    let line = "forecast gap.csv --method naive --season 1 --fill linear --json";
    for (flags, horizon) in [
        ("--horizon 2 --backtest 1", 2),
        ("--test-from 2020-08 --horizon 2", 2),
        // The second month is forecast from the first, which is known by then.
        ("--test-from 2020-08 --horizon 1", 1),
    ] {
        let found = sandbox.carousel(&format!("{line} {flags}")).success();
        let mae = objects(&found.out)[0]["mae"].as_f64().unwrap();
        assert_eq!(mae, if horizon == 2 { 10.0 } else { 5.0 }, "{flags}");
    }
}

/// What is missing in a backtest is no error and no value.
#[test]
fn a_backtest_compares_with_what_is_known() {
    let sandbox = Sandbox::new();
    let mut values = vec!["10"; 8];
    values.extend(["", "12"]);
    sandbox.write("gap.csv", monthly(&values));
    let line = "forecast gap.csv --method naive --season 1 --horizon 2 --backtest 1 --json";
    let found = sandbox.carousel(line).success();
    assert_eq!(objects(&found.out)[0]["mae"], 2.0);
}

/// A wave that begins after the first origin.
#[test]
fn seasons_of_a_backtest_are_found_before_its_first_origin() {
    let sandbox = Sandbox::new();
    let mut text = "value\n".to_string();
    let mut state = 1u64;
    for step in 0..144 {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let noise = (state >> 33) as f64 / f64::from(1u32 << 31);
        let wave = if step < 24 {
            0.0
        } else {
            20.0 * f64::from(step % 6)
        };
        writeln!(text, "{}", 100.0 + noise + wave).unwrap();
    }
    sandbox.write("wave.csv", text);
    let line = "forecast wave.csv --method naive --horizon 30 --json";
    let found = sandbox.carousel(line).success();
    assert!(found.err.contains("found: 6"), "{}", found.err);
    let found = sandbox.carousel(&format!("{line} --backtest 4")).success();
    assert!(found.err.contains("none was found"), "{}", found.err);
}

/// Trend and season that are multiplied, with a little that no rule has.
fn guests(count: usize) -> String {
    let values: Vec<String> = (0..count)
        .map(|at| {
            let season = 1.0 + 0.3 * (at as f64 * std::f64::consts::TAU / 12.0).sin();
            let rest = 1.0 + 0.02 * ((at * 7919 % 101) as f64 / 50.0 - 1.0);
            format!("{:.2}", 100.0 * (0.02 * at as f64).exp() * season * rest)
        })
        .collect();
    monthly(&values.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn an_explanation_goes_step_by_step() {
    let sandbox = Sandbox::new();
    sandbox.write("guests.csv", guests(96));
    let outcome = sandbox
        .carousel("forecast guests.csv --method arima,naive --horizon 2 --explain -o kept")
        .success();
    for expected in [
        "value, step by step",
        "Guerrero's λ",
        "--transform log is suggested",
        "the values repeat themselves after 12 steps",
        "season of 12, strength",
        "KPSS",
        "ADF",
        "D = 1",
        "PACF",
        "the best by AICc",
        "Ljung–Box of",
        "value: naive",
    ] {
        assert!(
            outcome.out.contains(expected),
            "{expected}\n{}",
            outcome.out
        );
    }
    assert_eq!(outcome.out.matches("step by step").count(), 1);
    assert_eq!(outcome.out.matches("residuals").count(), 2);
    for name in ["decomposition", "autocorrelations", "residuals"] {
        let picture = sandbox.read(&format!("kept/{name}.svg"));
        assert!(picture.starts_with(b"<svg"), "{name}");
        let picture = String::from_utf8_lossy(&picture);
        let has_dates = (2020..2028).any(|year| picture.contains(&format!("{year}-")));
        assert_eq!(has_dates, name != "autocorrelations", "{name}");
    }
    assert!(
        outcome.err.contains("residuals.svg are in"),
        "{}",
        outcome.err
    );
    let again = sandbox.carousel("forecast -m kept --explain").success();
    assert_eq!(again.out, outcome.out);
}

#[test]
fn an_explanation_is_an_object_too() {
    let sandbox = Sandbox::new();
    sandbox.write("guests.csv", guests(60));
    let line = "forecast guests.csv --horizon 2 --explain --json";
    let found = objects(&sandbox.carousel(line).success().out).remove(0);
    let explanation = &found["explanation"];
    assert_eq!(explanation["history"]["count"], 60);
    assert_eq!(explanation["seasons"][0]["season"], 12);
    assert_eq!(explanation["variance"]["suggested"], "log");
    assert_eq!(explanation["stationarity"]["seasonal_differences"], 1);
    assert!(explanation["orders"]["best"].as_array().unwrap().len() > 3);
    assert!(explanation["model"]["candidates"].as_array().unwrap().len() > 3);
    assert!(
        explanation["model"]["residuals"]["deviation"]
            .as_f64()
            .unwrap()
            > 0.0
    );
    let outcome = failure(&sandbox, "forecast guests.csv --explain --backtest 2");
    assert!(outcome.err.contains("--backtest"), "{}", outcome.err);
}

#[test]
fn odd_series_are_explained_as_far_as_that_goes() {
    let sandbox = Sandbox::new();
    for (text, told) in [
        (monthly(&["5"; 30]), "every value is the same"),
        (monthly(&["1", "2", "4"]), "are too few"),
        (
            monthly(&["1", "", "", "4", "NaN", "7", "3", "8"]),
            "3 missing",
        ),
        (
            monthly(&["-1", "2", "-3", "4", "-5", "6", "-7"]),
            "variance    left out",
        ),
        (
            "id,values\nA,1 2 3 4 5 6 7 8\nB,9 8\n".to_string(),
            "B, step by step",
        ),
    ] {
        sandbox.write("odd.csv", text);
        let outcome =
            sandbox.carousel("forecast odd.csv --explain --horizon 1 -o kept --overwrite");
        let out = outcome.success().out;
        assert!(out.contains(told), "{told}\n{out}");
    }
}

/// Series with which something is wrong, and every method: a forecast of finite numbers, or a clear word. Where auto has
/// none, nothing has.
#[test]
fn every_method_has_an_answer_or_a_word_for_odd_series() {
    let sandbox = Sandbox::new();
    let list = |value: &dyn Fn(i32) -> f64| -> Vec<String> {
        (0..48).map(|at| value(at).to_string()).collect()
    };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_string()).collect();
    let odd: [(&str, Vec<String>); 11] = [
        ("constant", list(&|_| 5.0)),
        ("zero", list(&|_| 0.0)),
        ("line", list(&f64::from)),
        ("doubling", list(&|at| 2.0f64.powi(at))),
        ("huge", list(&|at| 1e300 * f64::from(at * at % 7 - 3))),
        ("tiny", list(&|at| 1e-300 * f64::from(at * at % 7))),
        ("negative", list(&|at| -100.0 - f64::from(at * at % 7))),
        ("three", texts(&["1", "2", "4"])),
        ("one", texts(&["7"])),
        (
            "gaps",
            list(&|at| if at % 3 == 0 { f64::from(at) } else { f64::NAN }),
        ),
        (
            "words",
            texts(&["1", "NaN", "inf", "x", "3", "4", "2", "5", "6", "8"]),
        ),
    ];
    let methods = "auto,combination,naive,seasonal-naive,drift,mean,ses,holt,holt-winters,ets,theta,ar,ma,arma,arima,sarima";
    for (name, values) in odd {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        sandbox.write("odd.csv", monthly(&values));
        for flags in [
            "",
            "--season 4",
            "--season 1 --horizon 100",
            "--transform log",
        ] {
            let line = format!("forecast odd.csv --json --method {methods} {flags}");
            let outcome = sandbox.carousel(&line);
            assert!(
                !outcome.err.contains("panicked"),
                "{name} {flags}: {}",
                outcome.err
            );
            let forecasts = objects(&outcome.out);
            if forecasts.is_empty() {
                assert!(
                    outcome.err.contains("only numbers above zero"),
                    "{name}: {outcome:#?}"
                );
                continue;
            }
            let told = methods.split(',').count() - forecasts.len();
            let left_out = outcome.err.matches("is left out: ").count();
            assert!(left_out == told, "{name} {flags}: {}", outcome.err);
            for one in &forecasts {
                let lists = [&one["forecast"], &one["lower"]["95"], &one["upper"]["80"]];
                let numbers = lists.iter().flat_map(|list| list.as_array().unwrap());
                assert!(
                    numbers.clone().count() > 0 && numbers.into_iter().all(Value::is_number),
                    "{name} {flags}: {one}"
                );
            }
        }
    }
}

/// What grows beyond the largest number is an error; ends beyond it are infinite in a table, and null in JSON.
#[test]
fn infinite_numbers_are_told_or_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("large.csv", monthly(&["1", "1", "1", "1", "1e308"]));
    let error = failure(&sandbox, "forecast large.csv --method drift --horizon 9").err;
    assert!(
        error.contains("divide the values by a power of ten"),
        "{error}"
    );
    let line = "forecast large.csv --method naive --horizon 9";
    let table = sandbox.carousel(line).success().out;
    assert!(table.contains("inf") && !table.contains("NaN"), "{table}");
    let objects = objects(&sandbox.carousel(&format!("{line} --json")).success().out);
    assert_eq!(objects[0]["upper"]["95"][8], Value::Null);
    assert!(objects[0]["forecast"][8].is_number());
}

/// Of seven series, the new rows of six lie 90 years later.
#[test]
fn series_that_cannot_be_evaluated_are_told_and_left_out() {
    let sandbox = Sandbox::new();
    let rows = |dates: &dyn Fn(&str) -> Vec<String>| {
        let rows = ["a", "b", "c", "d", "e", "f", "g"].map(|name| {
            let dates = dates(name).into_iter();
            let rows = dates
                .zip(3..)
                .map(|(date, value)| format!("{name},{date},{value}\n"));
            rows.collect::<String>()
        });
        format!("id,date,value\n{}", rows.concat())
    };
    let days = |year: &str, days: std::ops::Range<u32>| -> Vec<String> {
        days.map(|day| format!("{year}-01-{day:02}")).collect()
    };
    sandbox.write("old.csv", rows(&|_| days("2020", 1..9)));
    let year = |name: &str| if name == "c" { "2020" } else { "2110" };
    sandbox.write("some.csv", rows(&|name| days(year(name), 9..12)));
    sandbox.write("none.csv", rows(&|_| days("2110", 9..12)));
    let line = "forecast old.csv --method drift --season 1 --horizon 2 -o kept";
    sandbox.carousel(line).success();
    let outcome = sandbox.carousel("evaluate -m kept some.csv").success();
    let told = outcome
        .err
        .lines()
        .filter(|line| line.contains("left out: "));
    let told: Vec<&str> = told.collect();
    assert_eq!(told.len(), 6, "{}", outcome.err);
    assert!(told[0].contains("the new rows of a are"), "{}", told[0]);
    assert!(told[5].ends_with("left out: 1 more series"), "{}", told[5]);
    assert!(outcome.err.contains("3 values of 1 series, 2 at a time"));
    let error = failure(&sandbox, "evaluate -m kept none.csv").err;
    assert!(error.contains("the new rows of a are"), "{error}");
    let error = failure(&sandbox, "forecast -m kept some.csv").err;
    assert!(error.contains("the new rows of a are"), "{error}");
}

/// Drift expects 5, and after that 6, or 6 at once; the last value is 4, and after that 5.
#[test]
fn a_forecaster_is_evaluated_on_later_rows_beside_the_naive_forecasts() {
    let sandbox = Sandbox::new();
    let rows = |range: std::ops::Range<u32>, value: &dyn Fn(u32) -> u32| {
        let rows = range.map(|day| format!("2020-01-{day:02},{}\n", value(day)));
        format!("date,value\n{}", rows.collect::<String>())
    };
    sandbox.write("old.csv", rows(1..5, &|day| day));
    sandbox.write("all.csv", rows(3..7, &|day| if day == 6 { 8 } else { day }));
    let line = "forecast old.csv --method drift --season 1 --horizon 2 -o kept";
    sandbox.carousel(line).success();
    for (flags, horizon, drift, naive) in [("", 2, 1.0, 2.5), (" --horizon 1", 1, 1.0, 2.0)] {
        let line = format!("evaluate -m kept all.csv --json{flags}");
        let outcome = sandbox.carousel(&line).success();
        let found: Value = serde_json::from_str(&outcome.out).unwrap();
        assert_eq!(found["horizon"], horizon);
        assert_eq!(found["values"], 2);
        let models = found["models"].as_array().unwrap();
        let errors: Vec<_> = models
            .iter()
            .map(|one| (&one["model"], &one["mae"]))
            .collect();
        let expected = [("drift", drift), ("naive", naive)];
        let expected = expected.map(|(name, mae)| (json!(name), json!(mae)));
        let expected: Vec<_> = expected.iter().map(|(name, mae)| (name, mae)).collect();
        assert_eq!(errors, expected);
    }
    let outcome = sandbox.carousel("evaluate -m kept all.csv").success();
    assert!(outcome.err.contains("2 values of 1 series, 2 at a time"));
    assert!(outcome.out.lines().nth(1).unwrap().starts_with("drift "));
    let outcome = sandbox.carousel("evaluate -m kept old.csv");
    assert_eq!(outcome.code, Some(1));
    let told = "old.csv has no rows after the last that the forecaster in kept knows, 2020-01-04";
    assert!(outcome.err.contains(told), "{}", outcome.err);
    let outcome = sandbox.carousel("evaluate -m kept all.csv --beam 3");
    assert_eq!(outcome.code, Some(2));
}
