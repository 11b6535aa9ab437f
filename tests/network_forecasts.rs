//! Recurrent networks that forecast numbers, as users meet them.

use std::fmt::Write;

use serde_json::{Value, json};

use super::sandbox::Sandbox;

/// A week that repeats itself, with a column that says ahead on which days nothing happens.
fn table(rows: usize, known: usize) -> String {
    let mut text = "step,closed,value\n".to_string();
    for row in 0..rows {
        let closed = row % 11 == 3;
        let value = match closed {
            true => 5.0,
            false => 50.0 + 10.0 * (row % 7) as f64,
        };
        let value = match row < known {
            true => value.to_string(),
            false => String::new(),
        };
        writeln!(text, "{row},{},{value}", if closed { "yes" } else { "no" }).unwrap();
    }
    text
}

fn objects(out: &str) -> Vec<Value> {
    let lines = out.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_network_forecasts_is_kept_and_goes_on_without_training() {
    let sandbox = Sandbox::new();
    sandbox.write("days.csv", table(252, 245));
    let asked =
        "forecast days.csv --value-column value --known closed --season 7 --horizon 7 --json";
    let line = format!("{asked} --method gru,seasonal-naive --strategy at-once --time 6s -o kept");
    let forecasts = objects(&sandbox.carousel(&line).success().out);
    let names: Vec<&str> = forecasts
        .iter()
        .map(|one| one["model"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["seasonal naive (7)", "gru (at-once)"]);
    let network = forecasts[1]["forecast"].as_array().unwrap();
    assert_eq!(network.len(), 7);
    let alone =
        "forecast days.csv --value-column value --horizon 7 --method rnn --time 1s -o alone --json";
    assert_eq!(objects(&sandbox.carousel(alone).success().out).len(), 1);
    let over = format!("{alone} --overwrite");
    assert_eq!(objects(&sandbox.carousel(&over).success().out).len(), 1);
    assert!(!sandbox.path("alone/.new-network").exists());
    let again = objects(
        &sandbox
            .carousel("forecast -m kept --horizon 7 --json")
            .success()
            .out,
    );
    assert_eq!(again[1]["forecast"], forecasts[1]["forecast"]);
    assert!(sandbox.path("kept/gru-at-once/model.safetensors").exists());
}

#[test]
fn strategies_stand_side_by_side_in_a_backtest() {
    let sandbox = Sandbox::new();
    sandbox.write("days.csv", table(240, 240));
    let line = "forecast days.csv --value-column value --season 7 --horizon 7 --method rnn,naive \
                --strategy repeated,every --time 3s --backtest 2 --json";
    let rows = objects(&sandbox.carousel(line).success().out);
    let names: Vec<&str> = rows
        .iter()
        .map(|one| one["model"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["naive", "rnn-repeated", "rnn-every"]);
    for row in &rows {
        assert!(row["owa"].as_f64().unwrap() > 0.0, "{row}");
    }
    // The week is easier than the last day repeated.
    assert!(
        rows[2]["mae"].as_f64() < rows[0]["mae"].as_f64(),
        "{rows:?}"
    );
}

#[test]
fn a_plan_shows_the_windows_of_each_strategy_and_trains_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("days.csv", table(240, 240));
    let line = "forecast days.csv --value-column value --season 7 --horizon 2 --plan --method";
    let networks = format!("{line} gru --strategy repeated,at-once,every --json");
    let plans = objects(&sandbox.carousel(&networks).success().out);
    // The first values are 50, 60, 70, 5 (closed), 90, …: what follows each.
    let targets = |plan: &Value| plan["data"]["rows"][0]["targets"][0].clone();
    let expected = [json!([]), json!([]), json!(["60", "70"])];
    assert_eq!(plans.iter().map(targets).collect::<Vec<_>>(), expected);
    let last = |plan: &Value| {
        let all = plan["data"]["rows"][0]["targets"].as_array().unwrap();
        all.last().unwrap().as_array().unwrap().len()
    };
    assert_eq!(plans.iter().map(last).collect::<Vec<_>>(), [1, 2, 2]);
    let other = sandbox.carousel(&format!("{line} gru,naive"));
    assert_eq!(other.code, Some(2));
    assert!(other.err.contains("naive is none"), "{}", other.err);
}
