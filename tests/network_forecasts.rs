//! Recurrent networks that forecast numbers, as users meet them.

use std::fmt::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::program;
use super::sandbox::{Outcome, Sandbox, words};

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
    assert!(!sandbox.path("alone/.new-networks").exists());
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

/// Interrupts a command as soon as a file exists. Returns its last message.
#[cfg(unix)]
fn interrupt_at(sandbox: &Sandbox, line: &str, file: &str) -> String {
    let mut command = sandbox.command(&program());
    let mut child = command
        .args(words(line))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !sandbox.path(file).exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let outcome = Outcome::new(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, Some(130), "{outcome:?}");
    outcome.err.lines().last().unwrap().to_string()
}

#[test]
#[cfg(unix)]
fn an_interrupted_training_goes_on_to_the_same_weights_and_another_begins_anew() {
    let sandbox = Sandbox::new();
    sandbox.write("days.csv", table(120, 120));
    let line = "forecast days.csv --value-column value --season 7 --horizon 2 --strategy repeated \
                --steps 120 --method";
    sandbox
        .carousel(&format!("{line} rnn,gru -o whole"))
        .success();
    let cut = format!("{line} rnn,gru -o cut");
    let last = interrupt_at(
        &sandbox,
        &cut,
        "cut/.new-networks/gru-repeated/member-2/resume.safetensors",
    );
    assert_eq!(
        last,
        "carousel: interrupted while gru (repeated) was trained; everything is saved in cut, and the same command goes on"
    );
    // The last network is killed, which saves nothing.
    let third = "cut/.new-networks/gru-repeated/member-3/resume.safetensors";
    assert!(sandbox.kill_at(&cut, third));
    let outcome = sandbox.carousel(&cut).success();
    for told in ["going on with network 3 of 3", "resuming after step "] {
        assert!(outcome.err.contains(told), "{}", outcome.err);
    }
    for place in ["rnn-repeated", "gru-repeated", "gru-repeated/member-3"] {
        let weights = |folder| sandbox.read(&format!("{folder}/{place}/model.safetensors"));
        assert!(weights("whole") == weights("cut"), "{place}");
    }
    assert!(!sandbox.path("cut/.new-networks").exists());

    let network = "other/.new-networks/gru-repeated/resume.safetensors";
    interrupt_at(&sandbox, &format!("{line} gru -o other"), network);
    let outcome = sandbox.carousel(&format!("{line} gru --seed 2 -o other"));
    let told = "what was trained before is of other options: beginning anew";
    assert!(outcome.success().err.contains(told));
}

/// Days from January to April with a week and a payday, as a table with dates.
fn days(rows: std::ops::Range<usize>) -> String {
    let lengths = [31, 28, 31, 30];
    let all = (1..)
        .zip(lengths)
        .flat_map(|(month, length)| (1..=length).map(move |day| (month, day)));
    let mut text = "date,value\n".to_string();
    for (row, (month, day)) in all.enumerate().skip(rows.start).take(rows.len()) {
        let value = 10.0 * (row % 7) as f64 + if day == 15 { -40.0 } else { 3.0 };
        writeln!(text, "2021-{month:02}-{day:02},{value}").unwrap();
    }
    text
}

#[test]
fn a_network_reads_the_calendar_and_makes_its_columns_again() {
    let sandbox = Sandbox::new();
    sandbox.write("days.csv", days(0..112));
    let line = "forecast days.csv --method gru --strategy at-once --season 7 --horizon 3 --steps 30 --calendar";
    let told = "calendar    day of week, day of year; a sine and a cosine of each are known ahead";
    let plan = sandbox.carousel(&format!("{line} --plan --json")).success();
    assert!(plan.err.contains(told), "{}", plan.err);
    assert_eq!(objects(&plan.out)[0]["config"]["input"]["known"], 4);
    let kept = sandbox
        .carousel(&format!("{line} --json -o kept"))
        .success();
    assert!(kept.err.contains(told), "{}", kept.err);
    let again = objects(&sandbox.carousel("forecast -m kept --json").success().out);
    assert_eq!(again[0]["forecast"], objects(&kept.out)[0]["forecast"]);
    // Further ahead than it predicts at once, and after new rows.
    sandbox.write("more.csv", days(112..120));
    let later = "forecast -m kept more.csv --horizon 8 --json";
    let later = objects(&sandbox.carousel(later).success().out);
    assert_eq!(later[0]["forecast"].as_array().unwrap().len(), 8);
    sandbox.write("rows.csv", table(60, 60));
    let other = sandbox.carousel("forecast rows.csv --value-column value --method gru --calendar");
    assert_eq!(other.code, Some(2));
    assert!(
        other.err.contains("no dates for --calendar"),
        "{}",
        other.err
    );
}

#[test]
fn intervals_of_a_gaussian_are_those_of_a_normal_distribution() {
    let sandbox = Sandbox::new();
    sandbox.write("days.csv", days(0..112));
    let line = "forecast days.csv --method gru --strategy at-once --season 7 --horizon 2 --steps 30 \
                --distribution gaussian --json -o kept";
    let forecast = &objects(&sandbox.carousel(line).success().out)[0];
    for step in 0..2 {
        let mean = forecast["forecast"][step].as_f64().unwrap();
        let distance = |end: &str, level: &str| {
            let end = forecast[end][level][step].as_f64().unwrap();
            (end - mean).abs()
        };
        let deviation = distance("upper", "95") / 1.959964;
        assert!(deviation > 0.0, "{forecast}");
        for (end, level, quantile) in [
            ("lower", "95", 1.959964),
            ("lower", "80", 1.281552),
            ("upper", "80", 1.281552),
        ] {
            let found = distance(end, level) / quantile;
            assert!((found / deviation - 1.0).abs() < 1e-4, "{end} {level}");
        }
    }
    let report = String::from_utf8(sandbox.read("kept/gru-at-once/report.svg")).unwrap();
    assert!(report.contains("negative log-likelihood"));
    sandbox.write("more.csv", days(112..120));
    let line = "evaluate -m kept more.csv --json";
    let evaluated: Value = serde_json::from_str(&sandbox.carousel(line).success().out).unwrap();
    assert_eq!(
        (&evaluated["horizon"], &evaluated["values"]),
        (&json!(2), &json!(8))
    );
    let models = evaluated["models"].as_array().unwrap();
    let named = |name: &str| models.iter().find(|model| model["model"] == name).unwrap();
    // There was no payday in these days, nor in the week before.
    assert!(named("naive")["mae"].as_f64() > named("gru (at-once)")["mae"].as_f64());
    assert_eq!(named("seasonal-naive")["mae"], 0.0);
}
