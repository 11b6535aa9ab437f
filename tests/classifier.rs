use crate::sandbox::Sandbox;

/// Reviews with labels that are easy to learn.
fn reviews() -> String {
    const GOOD: [&str; 6] = ["good", "lovely", "moving", "bright", "funny", "warm"];
    const BAD: [&str; 6] = ["bad", "dull", "flat", "loud", "clumsy", "cold"];
    const WHAT: [&str; 5] = ["film", "book", "soup", "kettle", "journey"];
    let row = |i: usize| {
        let (label, list) = if i.is_multiple_of(2) {
            ("positive", GOOD)
        } else {
            ("negative", BAD)
        };
        let (one, two) = (list[i / 2 % 6], list[(i / 3 + 1) % 6]);
        let what = WHAT[i / 5 % 5];
        format!("{label},\"The {what} number {i} was {one}, and its end was {two}.\"\n")
    };
    std::iter::once("label,text\n".to_string())
        .chain((0..240).map(row))
        .collect()
}

/// Options of a small network that is trained in a few seconds.
const SMALL: &str = "--hidden-size 16 --embedding-size 16 --batch-size 8 --epochs 4 -q";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("reviews.csv", reviews());
    sandbox
}

fn sandbox_with_classifier() -> Sandbox {
    let sandbox = sandbox();
    let line = format!("train-classifier reviews.csv -o model {SMALL}");
    sandbox.carousel(&line).success();
    sandbox
}

fn json(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn json_file(sandbox: &Sandbox, name: &str) -> serde_json::Value {
    serde_json::from_slice(&sandbox.read(name)).unwrap()
}

#[test]
fn a_classifier_is_trained_used_and_evaluated() {
    let sandbox = sandbox_with_classifier();
    let outcome = sandbox
        .carousel("classify -m model --json 'a lovely and funny thing' 'it was cold and clumsy'")
        .success();
    let predictions = json(&outcome.out);
    assert_eq!(predictions[0]["label"], "positive");
    assert_eq!(predictions[1]["label"], "negative");
    assert_eq!(predictions[0]["text"], "a lovely and funny thing");
    let probabilities = predictions[0]["probabilities"].as_object().unwrap();
    let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert_eq!(predictions[0]["probability"], probabilities["positive"]);

    let figures = sandbox
        .carousel("evaluate -m model reviews.csv --json")
        .success();
    let figures = &json(&figures.out)[0];
    for key in [
        "examples",
        "accuracy",
        "macro_f1",
        "per_label",
        "confusion",
        "calibration_error",
        "examples_per_second",
        "baselines",
    ] {
        assert!(!figures[key].is_null(), "{key}");
    }
    assert_eq!(figures["examples"], 240);
    assert!(figures["accuracy"].as_f64().unwrap() > 0.9, "{figures}");
    assert_eq!(figures["baselines"]["majority"]["accuracy"], 0.5);
    let outcome = sandbox
        .carousel("evaluate -m model reviews.csv --baseline-from reviews.csv")
        .success();
    assert!(outcome.out.contains("naive Bayes"), "{}", outcome.out);
    let inspected = sandbox.carousel("inspect model").success();
    assert!(
        inspected.out.contains("negative (108), positive (108)"),
        "{}",
        inspected.out
    );
}

#[test]
fn documents_are_learnt_from_standard_input() {
    let sandbox = sandbox();
    let line = format!("train-classifier - -o model {SMALL}");
    sandbox.carousel_reading("reviews.csv", &line).success();
    let named = format!("train-classifier reviews.csv -o named {SMALL}");
    sandbox.carousel(&named).success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("model") == weights("named"));
    sandbox.write("empty.csv", "");
    let outcome = sandbox.carousel_reading("empty.csv", &line.replace("-o model", "-o none"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(!sandbox.path("none").exists());
}

#[test]
fn rows_are_classified_in_order_and_broken_ones_skipped() {
    let sandbox = sandbox_with_classifier();
    let rows = "text,id\n\"good, lovely\",1\nbad\n\"dull\",3\n";
    sandbox.write("rows.csv", rows);
    let outcome = sandbox.carousel("classify -m model --input rows.csv --json");
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.err,
        "note: rows.csv: the first row is taken for a header; texts in column 1 (text)\n\
         row 2 (line 3) is skipped: number of columns is 1, expected 2\n\
         carousel: 1 of 3 rows could not be read\n"
    );
    let predictions = json(&outcome.out);
    let values = |key: &str| {
        predictions
            .iter()
            .map(|p| p[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("row"), [1, 3]);
    assert_eq!(values("label"), ["positive", "negative"]);

    // More lines than a batch holds.
    let lines: String = (0..1000)
        .map(|i| ["good and warm\n", "a flat, dull soup\n"][i % 3 % 2])
        .collect();
    sandbox.write("lines.txt", lines);
    let outcome = sandbox
        .carousel("classify -m model --input lines.txt")
        .success();
    assert_eq!(outcome.out.lines().count(), 1000);
    for (index, line) in outcome.out.lines().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        assert_eq!(fields[0], (index + 1).to_string());
        assert_eq!(fields[1], ["positive", "negative"][index % 3 % 2]);
    }
}

#[test]
fn evaluation_skips_and_reports_broken_rows() {
    let sandbox = sandbox_with_classifier();
    sandbox.write(
        "rows.csv",
        "label,text\npositive,good\nbad\nnegative,\"dull\n",
    );
    let outcome = sandbox.carousel("evaluate -m model rows.csv --json");
    assert_eq!(outcome.code, Some(1));
    assert_eq!(json(&outcome.out)[0]["examples"], 1);
    assert_eq!(
        outcome.err,
        "rows.csv: row 2 (line 3) is skipped: number of columns is 1, expected 2\n\
         rows.csv: row 3 (line 4) is skipped: a quotation mark is never closed\n\
         carousel: 2 of 3 rows could not be read\n"
    );
}

#[test]
fn outputs_that_are_not_finite_are_reported_as_unsure() {
    let sandbox = sandbox_with_classifier();
    let path = "model/model.safetensors";
    let mut file = sandbox.read(path);
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let head = tensors.tensor("head.weight").unwrap().data();
    let start = head.as_ptr() as usize - file.as_ptr() as usize;
    let length = head.len();
    // With the largest finite weights the outputs overflow.
    for bytes in file[start..start + length].as_chunks_mut::<4>().0 {
        *bytes = f32::MAX.to_le_bytes();
    }
    sandbox.write(path, file);
    let outcome = sandbox.carousel("classify -m model good --json").success();
    let prediction = &json(&outcome.out)[0];
    assert_eq!(
        (&prediction["label"], &prediction["unsure"]),
        (&"negative".into(), &true.into())
    );
    assert_eq!(prediction["probability"], 0.5);
    assert_eq!(
        prediction["note"],
        "the model's outputs are not finite numbers; it is damaged, or its training diverged"
    );
    let outcome = sandbox.carousel("evaluate -m model reviews.csv");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("are not finite numbers"),
        "{}",
        outcome.err
    );
}

#[test]
fn uncertain_predictions_are_unsure() {
    let sandbox = sandbox_with_classifier();
    let outcome = sandbox
        .carousel("classify -m model '' 'какой ужасный фильм' 'good' --json --threshold 0")
        .success();
    let predictions = json(&outcome.out);
    let unsure: Vec<bool> = predictions
        .iter()
        .map(|p| p["unsure"].as_bool().unwrap())
        .collect();
    assert_eq!(unsure, [true, true, false]);
    for prediction in &predictions {
        let probabilities = &prediction["probabilities"];
        let label = prediction["label"].as_str().unwrap();
        assert_eq!(probabilities[label], prediction["probability"]);
        assert!(prediction["probability"].as_f64().unwrap() >= 0.5);
    }
    assert_eq!(predictions[0]["note"], "there is nothing to read");
    assert_eq!(
        predictions[1]["note"],
        "the model has met almost none of these words"
    );
    assert_eq!(predictions[2]["label"], "positive");
    let outcome = sandbox
        .carousel("classify -m model 'the book' --threshold 1")
        .success();
    let fields: Vec<&str> = outcome.out.trim_end().split('\t').collect();
    assert!(["positive", "negative"].contains(&fields[0]), "{fields:?}");
    assert_eq!(fields[2..], ["unsure: the probability is below 1"]);
    let two_labels = sandbox
        .carousel("classify -m model good '' --top-k 2")
        .success();
    let columns: Vec<usize> = two_labels
        .out
        .lines()
        .map(|line| line.split('\t').count())
        .collect();
    assert_eq!(columns, [4, 5], "{}", two_labels.out);
}

/// The reviews with other labels.
fn reviews_labelled(good: &str, bad: &str) -> String {
    let quoted = |label: &str| format!("\"{label}\",");
    reviews()
        .replace("positive,", &quoted(good))
        .replace("negative,", &quoted(bad))
}

#[test]
fn labels_break_no_column_and_reach_no_terminal() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "odd.csv",
        reviews_labelled("fine\tday\n\u{1b}[31mred", "so\\so"),
    );
    let line = format!("train-classifier odd.csv -o model {SMALL}").replace(" -q", "");
    let trained = sandbox.carousel(&line).success();
    let shown = "fine\\tday\\n\\x1b[31mred";
    assert!(
        trained
            .err
            .contains(&format!("{shown} (108), so\\\\so (108)")),
        "{}",
        trained.err
    );
    assert!(!trained.err.contains('\u{1b}'), "{}", trained.err);

    let texts = "'a lovely and funny thing' 'it was cold and clumsy'";
    let outcome = sandbox
        .carousel(&format!("classify -m model {texts} --explain"))
        .success();
    let answers: Vec<Vec<&str>> = outcome
        .out
        .lines()
        .filter(|l| !l.starts_with(' '))
        .map(|l| l.split('\t').collect())
        .collect();
    assert_eq!(
        answers.iter().map(|fields| fields[0]).collect::<Vec<_>>(),
        [shown, "so\\\\so"]
    );
    assert!(
        answers.iter().all(|fields| fields.len() == 2),
        "{answers:?}"
    );
    assert!(
        outcome.out.contains(&format!("against {shown}:")),
        "{}",
        outcome.out
    );
    for line in [
        "evaluate -m model odd.csv",
        "inspect model",
        "classify -m model 'cold \u{1b}[5m\u{7}' --explain",
    ] {
        let out = sandbox.carousel(line).success().out;
        assert!(
            !out.contains(['\t', '\u{1b}', '\u{7}']) || line.starts_with("classify"),
            "{line}: {out}"
        );
        assert!(!out.contains(['\u{1b}', '\u{7}']), "{line}: {out}");
    }
    let json = json(
        &sandbox
            .carousel(&format!("classify -m model {texts} --json"))
            .success()
            .out,
    );
    assert_eq!(json[0]["label"], "fine\tday\n\u{1b}[31mred");
    assert_eq!(json[1]["label"], "so\\so");
}

#[test]
fn a_class_named_unsure_is_told_from_an_answer_that_is() {
    let sandbox = Sandbox::new();
    sandbox.write("unsure.csv", reviews_labelled("sure", "unsure"));
    sandbox
        .carousel(&format!("train-classifier unsure.csv -o model {SMALL}"))
        .success();
    let texts = "'it was cold and clumsy' ''";
    let outcome = sandbox
        .carousel(&format!("classify -m model {texts}"))
        .success();
    let lines: Vec<Vec<&str>> = outcome
        .out
        .lines()
        .map(|line| line.split('\t').collect())
        .collect();
    assert_eq!((lines[0][0], lines[0].len()), ("unsure", 2));
    assert_eq!(lines[1][2..], ["unsure: there is nothing to read"]);
    let json = json(
        &sandbox
            .carousel(&format!("classify -m model {texts} --json"))
            .success()
            .out,
    );
    assert_eq!(
        (&json[0]["label"], &json[0]["unsure"]),
        (&"unsure".into(), &false.into())
    );
    assert_eq!(json[1]["unsure"], true);
    assert_eq!(json[1]["label"], lines[1][0]);
}

#[test]
fn documents_that_a_model_learnt_from_are_noticed() {
    let sandbox = sandbox_with_classifier();
    let evaluate = |files: &str| {
        let outcome = sandbox
            .carousel(&format!("evaluate -m model {files} --json"))
            .success();
        (json(&outcome.out).remove(0), outcome.err)
    };
    let (all, note) = evaluate("reviews.csv");
    assert_eq!(
        (&all["learnt_from"], &all["examples"]),
        (&216.into(), &240.into())
    );
    assert_eq!(all["unseen"]["examples"], 24);
    assert!(
        note.contains("the model learnt from 216 of these 240 documents"),
        "{note}"
    );
    // The others are the validation documents: the model's figures stand beside those of the baselines there.
    assert_eq!(all["validation"]["examples"], 24);
    assert_eq!(all["baselines"]["naive_bayes"]["examples"], 24);
    for key in ["accuracy", "macro_f1", "balanced_accuracy"] {
        assert_eq!(all["unseen"][key], all["validation"][key], "{key}");
    }
    let table = sandbox
        .carousel("evaluate -m model reviews.csv")
        .success()
        .out;
    for expected in [
        "model                240",
        "  new to it           24",
        "naive Bayes           24",
    ] {
        assert!(table.contains(expected), "{expected}: {table}");
    }

    let rows: Vec<String> = reviews()
        .lines()
        .map(|line| line.replace("The ", "Our "))
        .collect();
    sandbox.write("others.csv", rows.join("\n"));
    let (others, note) = evaluate("others.csv");
    assert_eq!((&others["learnt_from"], &note[..]), (&0.into(), ""));
    assert!(others["unseen"].is_null());
    let (compared, note) = evaluate("others.csv --baseline-from others.csv");
    assert!(
        note.contains("240 of the 240 documents are among those of --baseline-from"),
        "{note}"
    );
    assert_eq!(compared["baselines"]["naive_bayes"]["examples"], 240);
    assert!(compared["validation"].is_null());

    // A model that goes on has learnt from the documents of both, and a copy knows them too.
    sandbox
        .carousel("train-classifier others.csv -o on --from model --steps 1 -q")
        .success();
    sandbox.carousel("export -m on -o copy").success();
    let line = "evaluate -m copy reviews.csv others.csv --json";
    let learnt = json(&sandbox.carousel(line).success().out)[0]["learnt_from"]
        .as_u64()
        .unwrap();
    assert_eq!(learnt, 2 * 216);
}

#[test]
fn a_model_is_tested_on_documents_that_nothing_is_chosen_by() {
    let sandbox = sandbox();
    let rows: Vec<String> = reviews()
        .lines()
        .map(|line| line.replace("The ", "Our "))
        .collect();
    sandbox.write("test.csv", rows[..101].join("\n"));
    let line = format!("train-classifier reviews.csv -o model --test test.csv {SMALL}");
    let outcome = sandbox.carousel(&line).success();
    assert!(
        outcome.err.contains("on the 100 test documents: accuracy "),
        "{}",
        outcome.err
    );
    let record: serde_json::Value =
        serde_json::from_slice(&sandbox.read("model/training.json")).unwrap();
    let tested = &record["tested"];
    assert_eq!(
        (&tested["examples"], &record["valid_documents"]),
        (&100.into(), &24.into())
    );
    assert_eq!(tested["baselines"]["naive_bayes"]["examples"], 100);
    assert_eq!(
        tested["accuracy"].as_f64().unwrap(),
        accuracy(&sandbox, "model", "test.csv")
    );
    let inspected = sandbox.carousel("inspect model").success().out;
    assert!(inspected.contains("on the test documents:"), "{inspected}");

    sandbox.write("other.csv", "label,text\npositive,good\nmixed,so so\n");
    let line = line
        .replace("test.csv", "other.csv")
        .replace("model", "other");
    let refused = sandbox.carousel(&line);
    let message = "the test documents have the label mixed, which no training document has";
    assert!(
        refused.code == Some(1) && refused.err.contains(message),
        "{}",
        refused.err
    );
    let line = line
        .replace("other.csv", "reviews.csv")
        .replace("-q", "--steps 1")
        .replace("--epochs 4", "");
    let outcome = sandbox.carousel(&line).success();
    let note = "240 of the 240 test documents are also training documents";
    assert!(outcome.err.contains(note), "{}", outcome.err);
}

#[test]
fn class_weights_find_rare_labels() {
    let sandbox = Sandbox::new();
    // The word that all of the rare documents have is more frequent among the others.
    let row = |i: usize| match i % 12 {
        0 => format!("rare,\"number {i}, odd\"\n"),
        1 | 2 => format!("usual,\"number {i}, odd\"\n"),
        _ => format!("usual,\"number {i}, plain\"\n"),
    };
    let rows: String = (0..480).map(row).collect();
    sandbox.write("rows.csv", format!("label,text\n{rows}"));
    let options = SMALL.replace("--epochs 4", "--epochs 1").replace(" -q", "");
    let answer = |weights: &str| {
        let line = format!("train-classifier rows.csv -o model --overwrite {options} {weights}");
        let outcome = sandbox.carousel(&line).success();
        let says = |hint| outcome.err.contains(hint);
        let hints = [
            says("with --class-weights balanced labels do"),
            says("with --class-weights none documents do"),
        ];
        let answer = sandbox
            .carousel("classify -m model 'number 999, odd' --json")
            .success();
        (
            json(&answer.out)[0]["label"].as_str().unwrap().to_string(),
            hints,
        )
    };
    let rare = ("rare".to_string(), [false, true]);
    assert_eq!(answer(""), rare);
    assert_eq!(answer("--class-weights balanced"), rare);
    let usual = ("usual".to_string(), [true, false]);
    assert_eq!(answer("--class-weights none"), usual);
}

#[test]
fn emoji_are_read_by_their_names() {
    let sandbox = Sandbox::new();
    let row = |i: usize| match i % 2 {
        0 => format!("positive,\"day {i} :)\"\n"),
        _ => format!("negative,\"day {i} :(\"\n"),
    };
    let rows: String = (0..240).map(row).collect();
    sandbox.write("rows.csv", format!("label,text\n{rows}"));
    let answers = |preprocessing: &str| {
        let line =
            format!("train-classifier rows.csv -o model --overwrite {SMALL} {preprocessing}");
        sandbox.carousel(&line).success();
        // No training document has an emoji.
        let line = "classify -m model 'a week ☹️' 'a week 🙂' --json";
        let answers = json(&sandbox.carousel(line).success().out);
        let told = |answer: &serde_json::Value| answer["label"].as_str().unwrap().to_string();
        answers.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(answers(""), ["negative", "positive"]);
    let [first, second] = &answers("--preprocessing none")[..] else {
        panic!("two answers");
    };
    assert_eq!(first, second);
}

#[test]
fn training_says_what_the_best_was_chosen_by() {
    let sandbox = sandbox();
    let line = format!("train-classifier reviews.csv -o model {SMALL}").replace(" -q", "");
    let outcome = sandbox.carousel(&line).success();
    for expected in [
        "(best so far by balanced accuracy, saved)",
        "done: the best balanced accuracy is ",
    ] {
        assert!(
            outcome.err.contains(expected),
            "{expected}: {}",
            outcome.err
        );
    }
    let inspected = sandbox.carousel("inspect model").success().out;
    assert!(
        inspected.contains(" best by balanced accuracy"),
        "{inspected}"
    );
    let report = String::from_utf8(sandbox.read("model/report.svg")).unwrap();
    for expected in [
        "loss, nats per document",
        "accuracy on the validation documents",
        "naive Bayes",
    ] {
        assert!(report.contains(expected), "{expected}");
    }
    let metrics = String::from_utf8(sandbox.read("model/metrics.jsonl")).unwrap();
    assert!(
        json(&metrics)
            .iter()
            .any(|line| line["balanced_accuracy"].is_number())
    );
}

/// A third label, of sentences that say neither.
fn reviews_and_facts() -> String {
    let fact = |i: usize| format!("neutral,\"Number {i} stands on shelf {}.\"\n", i % 7);
    (0..120).map(fact).fold(reviews(), |all, row| all + &row)
}

#[test]
fn a_model_chooses_among_the_labels_that_the_documents_have() {
    let sandbox = Sandbox::new();
    sandbox.write("three.csv", reviews_and_facts());
    let line = format!("train-classifier three.csv -o model {SMALL}");
    sandbox.carousel(&line).success();
    // Sentences of no feeling under two labels: with three, most would be neutral.
    let two =
        "label,text\npositive,Number 5 stands on shelf 2.\nnegative,Number 8 stands on shelf 1.\n";
    sandbox.write("two.csv", two);
    let evaluate = |flags: &str| {
        let line = format!("evaluate -m model two.csv --json {flags}");
        let outcome = sandbox.carousel(&line).success();
        (json(&outcome.out).remove(0), outcome.err)
    };
    let neutral = |figures: &serde_json::Value| {
        let row = figures["confusion"].as_array().unwrap().iter();
        row.map(|row| row[1].as_u64().unwrap()).sum::<u64>()
    };
    let (figures, said) = evaluate("");
    assert_eq!(figures["per_label"][1]["label"], "neutral");
    assert_eq!(neutral(&figures), 0, "{figures}");
    assert_eq!(
        figures["chosen_among"],
        serde_json::json!(["negative", "positive"])
    );
    assert!(said.contains("2 of the model's 3 labels"), "{said}");
    let (figures, said) = evaluate("--all-labels");
    assert_eq!(neutral(&figures), 2, "{figures}");
    assert!(
        figures["chosen_among"].is_null() && !said.contains("3 labels"),
        "{said}"
    );
}

#[test]
fn labels_may_be_more_or_less_frequent_than_in_training() {
    let sandbox = sandbox_with_classifier();
    let probability = |flags: &str| {
        let line = format!("classify -m model --json {flags} 'the film was good and dull'");
        let outcome = sandbox.carousel(&line).success();
        json(&outcome.out)[0]["probabilities"]["positive"]
            .as_f64()
            .unwrap()
    };
    let plain = probability("");
    assert!((probability("--prior uniform") - plain).abs() < 1e-9);
    // The training has as many of both.
    let odds = |p: f64| p / (1.0 - p);
    let rare = probability("--prior positive=0.1,negative=0.9");
    assert!(
        (odds(rare) * 9.0 / odds(plain) - 1.0).abs() < 1e-6,
        "{rare} {plain}"
    );
    assert_eq!(probability("--prior positive=0,negative=1"), 0.0);

    let rows: String = (0..50)
        .map(|i| match i % 10 {
            0 => format!("The soup number {i} was lovely.\n"),
            _ => format!("The soup number {i} was dull and cold.\n"),
        })
        .collect();
    sandbox.write("rows.txt", rows);
    let outcome = sandbox
        .carousel("classify -m model --input rows.txt --prior estimate")
        .success();
    assert_eq!(outcome.out.lines().count(), 50);
    let said = outcome
        .err
        .lines()
        .find(|line| line.contains("estimated shares"))
        .unwrap();
    let share: f64 = said
        .split("negative ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((75.0..=100.0).contains(&share), "{said}");
    for (flags, message) in [
        ("--prior positive=0.5", "no share of the label negative"),
        ("--prior good=1,negative=1", "does not know"),
        ("--prior some", "give estimate, uniform"),
    ] {
        let outcome = sandbox.carousel(&format!("classify -m model {flags} text"));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.contains(message), "{}", outcome.err);
    }
}

#[test]
fn very_long_texts_are_read_whole() {
    let sandbox = sandbox_with_classifier();
    let text = "and its end was cold, ".repeat(20_000) + "and its end was dull.";
    sandbox.write("long.txt", &text);
    let outcome = sandbox
        .carousel("classify -m model --input long.txt --json --explain")
        .success();
    let predictions = json(&outcome.out);
    assert_eq!(predictions.len(), 1);
    let pieces = predictions[0]["explanation"].as_array().unwrap();
    assert!(pieces.len() > 1);
    let words: usize = pieces
        .iter()
        .map(|p| p["text"].as_str().unwrap().split_whitespace().count())
        .sum();
    assert_eq!(words, text.split_whitespace().count());
}

#[test]
fn explanations_find_the_word_that_decides() {
    let sandbox = sandbox_with_classifier();
    let text = "The kettle was lovely";
    let outcome = sandbox
        .carousel(&format!("classify -m model '{text}' --explain --json"))
        .success();
    let pieces = json(&outcome.out)[0]["explanation"]
        .as_array()
        .unwrap()
        .clone();
    let most = pieces
        .iter()
        .max_by(|a, b| {
            let contribution = |p: &serde_json::Value| p["contribution"].as_f64().unwrap();
            contribution(a).total_cmp(&contribution(b))
        })
        .unwrap();
    assert_eq!(most["text"], "lovely");
    let outcome = sandbox
        .carousel(&format!("classify -m model '{text}' --explain"))
        .success();
    assert!(outcome.out.contains("  lovely\n"), "{}", outcome.out);
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    let sandbox = Sandbox::new();
    // Some documents are long enough for excerpts.
    let all = reviews();
    let texts = |skip: usize| {
        let lines = all.lines().skip(1 + skip).step_by(2).take(30);
        lines.map(|line| line.split('"').nth(1).unwrap().to_string() + " ")
    };
    let long = (0..5).map(|i| format!("positive,\"{}\"\n", texts(2 * i).collect::<String>()));
    let long: String = long.collect();
    sandbox.write("reviews.csv", format!("{all}{long}"));
    let line = format!("train-classifier reviews.csv -o whole {SMALL} --epochs 6 --adversarial 3");
    let line = line.replace("--epochs 4 ", "");
    sandbox.carousel(&line).success();
    let cut = line.replace("-o whole", "-o cut");
    sandbox.kill_at(&cut, "cut/resume.safetensors");
    sandbox
        .carousel("train-classifier --resume cut -q")
        .success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("whole") == weights("cut"));
    // Adversarial training changes the weights.
    let line = line.replace("-o whole", "-o plain");
    sandbox
        .carousel(&line.replace("--adversarial 3", ""))
        .success();
    assert!(weights("whole") != weights("plain"));
    let refused = sandbox.carousel("train reviews.csv -o no --adversarial 3");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let message = "unexpected argument '--adversarial'";
    assert!(refused.err.contains(message), "{}", refused.err);
}

#[test]
fn folds_test_each_document_once_and_leave_the_model_as_it_is_without_them() {
    let sandbox = sandbox();
    let line = format!("train-classifier reviews.csv -o whole {SMALL} --folds 3");
    let outcome = sandbox.carousel(&line.replace(" -q", "")).success();
    for expected in [
        "folds       3, each tested by a classifier trained on the others; then the model itself: 4 runs of 4 epochs each\n",
        "fold 2 of 3: accuracy ",
        "standard deviation ",
        "confusion of all 240 documents: lines true, columns predicted\n",
        "cross-validation with 3 folds: accuracy ",
    ] {
        assert!(
            outcome.err.contains(expected),
            "{expected}\n{}",
            outcome.err
        );
    }
    let record = json_file(&sandbox, "whole/training.json");
    let found = &record["cross_validation"];
    let folds = found["folds"].as_array().unwrap();
    assert_eq!(folds.len(), 3);
    assert!(folds.iter().all(|fold| fold["examples"] == 80), "{folds:?}");
    let confusion = found["pooled"]["confusion"].as_array().unwrap();
    let of_label = |row: &serde_json::Value| -> u64 {
        let row = row.as_array().unwrap();
        row.iter().map(|count| count.as_u64().unwrap()).sum()
    };
    assert_eq!(
        confusion.iter().map(of_label).collect::<Vec<_>>(),
        [120, 120]
    );
    let accuracies = folds.iter().map(|fold| fold["accuracy"].as_f64().unwrap());
    let mean = accuracies.sum::<f64>() / 3.0;
    for accuracy in [&found["mean"]["accuracy"], &found["pooled"]["accuracy"]] {
        assert!((accuracy.as_f64().unwrap() - mean).abs() < 1e-12, "{found}");
    }
    assert!(mean > 0.9, "{found}");
    assert!(!sandbox.path("whole/.folds").exists());
    let inspected = sandbox.carousel("inspect whole").success().out;
    assert!(
        inspected.contains("in cross-validation, the mean of 3 folds:"),
        "{inspected}"
    );

    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    let plain = line.replace("whole", "plain").replace(" --folds 3", "");
    sandbox.carousel(&plain).success();
    assert!(weights("whole") == weights("plain"));

    // Interrupted in the second fold, it goes on there.
    sandbox.kill_at(
        &line.replace("whole", "cut"),
        "cut/.folds/2/resume.safetensors",
    );
    assert!(!sandbox.path("cut/.folds/1").exists());
    let outcome = sandbox.carousel("classify -m cut good");
    let message = "`carousel train-classifier --resume cut` continues it";
    assert!(outcome.err.contains(message), "{}", outcome.err);
    let outcome = sandbox
        .carousel("train-classifier --resume cut -q")
        .success();
    let message = "1 of 3 folds are finished already\n";
    assert!(outcome.err.contains(message), "{}", outcome.err);
    assert!(
        !outcome.err.contains("nothing was saved"),
        "{}",
        outcome.err
    );
    assert!(weights("whole") == weights("cut"));
    let cut = json_file(&sandbox, "cut/training.json");
    assert_eq!(&cut["cross_validation"], found);
}

/// A version that recorded neither option had other defaults than today's.
#[test]
fn a_run_of_an_older_version_goes_on_with_the_defaults_of_then() {
    let sandbox = sandbox();
    let whole = format!("train-classifier reviews.csv -o whole {SMALL} --folds 2");
    let former = format!("{whole} --class-weights none --preprocessing none");
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    sandbox.carousel(&whole).success();
    sandbox.carousel(&former.replace("whole", "old")).success();
    assert!(weights("whole") != weights("old"));

    let cut = former.replace("whole", "cut");
    sandbox.kill_at(&cut, "cut/.folds/2/resume.safetensors");
    let mut record = json_file(&sandbox, "cut/training.json");
    let settings = record["request"]["settings"].as_object_mut().unwrap();
    for option in ["class_weights", "preprocessing"] {
        assert_eq!(settings.remove(option), Some("none".into()), "{option}");
    }
    sandbox.write("cut/training.json", record.to_string());
    let line = "train-classifier --resume cut -q";
    sandbox.carousel(line).success();
    assert!(weights("cut") == weights("old"));
}

#[test]
fn folds_that_cannot_be_are_refused() {
    let sandbox = sandbox();
    sandbox.write(
        "twice.csv",
        "label,text\na,one\na,two\nb,three\nb,three\na,four\nb,five\n",
    );
    let table = [
        (
            "reviews.csv --folds 1",
            "--folds 1 is no cross-validation; give 2 or more",
        ),
        (
            "reviews.csv --folds 121",
            "--folds 121 needs as many different texts of each label, and negative has 120; give 2 to 120",
        ),
        (
            "twice.csv --folds 3",
            "--folds 3 needs as many different texts of each label, and b has 2; give 2\n",
        ),
        (
            "reviews.csv --folds 2 --valid 0.2",
            "cannot be used with '--valid <FILE|FRACTION>'",
        ),
    ];
    for (line, message) in table {
        let outcome = sandbox.carousel(&format!("train-classifier {line} -o model"));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.err.contains(message), "{}", outcome.err);
        assert!(!sandbox.path("model").exists(), "{line}");
    }
    let failing = "--folds 3 --learning-rate 1e30 --clip-norm 0 --dropout 0";
    let outcome = sandbox.carousel(&format!(
        "train-classifier reviews.csv -o model {SMALL} {failing}"
    ));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let last = outcome.err.lines().last().unwrap();
    assert!(last.starts_with("carousel: fold 1 of 3: "), "{last}");
    assert!(!sandbox.path("model").exists());
}

#[test]
fn the_time_is_that_of_all_folds_together() {
    let sandbox = sandbox();
    let line = "train-classifier reviews.csv --plan --time 60s --folds 5";
    let outcome = sandbox.carousel(line).success();
    let first = outcome.err.lines().find(|line| line.starts_with("folds "));
    assert!(
        first.is_some_and(|line| line.ends_with("6 runs of 10s each, 1m in all")),
        "{}",
        outcome.err
    );
    let plan = &json(&sandbox.carousel(&format!("{line} --json")).success().out)[0];
    assert_eq!(plan["folds"], 5);
    let seconds = |key: &str| plan[key].as_f64().unwrap();
    assert!(
        seconds("seconds") <= 10.0 && seconds("seconds") > 9.0,
        "{plan}"
    );
    assert!((seconds("total_seconds") - 6.0 * seconds("seconds")).abs() < 1e-9);
}

#[test]
fn the_report_shows_what_was_predicted() {
    let sandbox = sandbox();
    let line = format!("train-classifier reviews.csv -o model {SMALL} --folds 2");
    sandbox.carousel(&line).success();
    let report = String::from_utf8(sandbox.read("model/report.svg")).unwrap();
    for expected in [
        "confusion: rows true, columns predicted",
        "validation documents, by the best weights",
        "reliability of the validation documents",
        "cross-validation, all documents",
        "accuracy of each fold",
    ] {
        assert!(report.contains(expected), "{expected}");
    }
    let record = json_file(&sandbox, "model/training.json");
    let validated = &record["validated"];
    let best = record["evaluations"].as_array().unwrap().iter();
    let accuracies = best.map(|one| one["accuracy"].as_f64().unwrap());
    assert_eq!(validated["examples"], 24);
    assert_eq!(
        validated["accuracy"].as_f64(),
        accuracies.max_by(f64::total_cmp)
    );
    let bins = validated["confidence_bins"].as_array().unwrap();
    let documents = bins.iter().map(|bin| bin["documents"].as_u64().unwrap());
    assert_eq!(documents.sum::<u64>(), 24);
}

#[test]
fn a_device_that_is_not_there_is_refused_before_anything_is_read() {
    let sandbox = sandbox();
    let outcome = sandbox.carousel("train-classifier nowhere.csv -o model --device cuda:7");
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert_eq!(
        outcome.err,
        "carousel: libtorch finds no GPU number 7; use --device cpu, or a libtorch with CUDA (make libtorch CUDA=1)\n"
    );
    assert!(!sandbox.path("model").exists());
    let line = format!("train-classifier reviews.csv -o cut {SMALL} --device cpu");
    let line = line.replace("--epochs 4", "--epochs 400");
    assert!(sandbox.kill_at(&line, "cut/resume.safetensors"));
    let mut record = json_file(&sandbox, "cut/training.json");
    assert_eq!(record["options"]["device"], "cpu");
    record["options"]["device"] = "cuda:7".into();
    sandbox.write("cut/training.json", record.to_string());
    std::fs::remove_file(sandbox.path("reviews.csv")).unwrap();
    let outcome = sandbox.carousel("train-classifier --resume cut");
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (
            Some(1),
            "carousel: the run began on cuda:7, which is not here; resume it there, or start again with -o\n"
        )
    );
}

#[test]
fn a_run_interrupted_during_its_language_model_is_resumed_there() {
    let sandbox = Sandbox::new();
    // Enough text for a language model to be trained first.
    let rows = reviews();
    let (header, rows) = rows.split_once('\n').unwrap();
    let many = rows.repeat(7_500_000 / rows.len());
    sandbox.write("many.csv", format!("{header}\n{many}"));
    let options = "--hidden-size 16 --embedding-size 16 --steps 30 --valid 0.02 -q";
    let line = format!("train-classifier many.csv -o whole {options}");
    sandbox.carousel(&line).success();
    let outcome = sandbox.carousel("inspect whole/language-model").success();
    assert!(outcome.out.contains("word, "), "{}", outcome.out);
    assert!(
        !sandbox
            .path("whole/language-model/standard-input.txt")
            .exists()
    );

    let cut = line.replace("-o whole", "-o cut");
    assert!(sandbox.kill_at(&cut, "cut/language-model/config.json"));
    assert!(!sandbox.path("cut/config.json").exists());
    sandbox
        .carousel("train-classifier --resume cut -q")
        .success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("whole") == weights("cut"));
}

#[test]
fn word_vectors_of_a_language_model_help_a_classifier() {
    let sandbox = Sandbox::new();
    // Two hundred words of two kinds, whose pieces do not tell them apart; each text has words of one kind only.
    let letter = |digit: char| char::from(b'a' + digit as u8 - b'0');
    let word = |i: usize| -> String {
        let number = format!("{:05}", (i * 48_271 + 7) % 99_991);
        number.chars().map(letter).collect()
    };
    let text = |i: usize| -> String {
        let index = |j: usize| (i * 37 + j * j * 11 + j) % 100 * 2 + i % 2;
        (0..40)
            .map(|j| format!("the {} ", word(index(j))))
            .collect()
    };
    let lines: String = (0..600).map(|i| text(i) + "\n").collect();
    sandbox.write("days.txt", lines);
    let options = "--level word --hidden-size 8 --batch-size 4 --bptt 8 --steps 3 -q";
    sandbox
        .carousel(&format!("train days.txt -o lm {options}"))
        .success();
    // Only twenty of the words are in the training documents.
    let rows = |range: std::ops::Range<usize>| {
        let row = |i: usize| format!("{},the {}\n", ["good", "bad"][i % 2], word(i));
        "label,text\n".to_string() + &range.map(row).collect::<String>()
    };
    sandbox.write("few.csv", rows(0..20));
    sandbox.write("others.csv", rows(20..200));
    let accuracy = |model: &str| accuracy(&sandbox, model, "others.csv");
    let line = "train-classifier few.csv --steps 3 --valid few.csv -q";
    sandbox
        .carousel(&format!("{line} -o with --from lm"))
        .success();
    sandbox.carousel(&format!("{line} -o without")).success();
    assert!(accuracy("with") > 0.7, "{}", accuracy("with"));
    assert!(accuracy("without") < 0.6, "{}", accuracy("without"));

    // An exported copy keeps the vectors, and so does a model that goes on to another text.
    sandbox.carousel("export -m lm -o copy").success();
    sandbox.write("more.txt", "the night was long and dark ".repeat(50));
    let options = "--batch-size 2 --bptt 4 --steps 2 -q";
    sandbox
        .carousel(&format!("train more.txt -o on --from copy {options}"))
        .success();
    sandbox
        .carousel(&format!("{line} -o after --from on"))
        .success();
    assert!(accuracy("after") > 0.7, "{}", accuracy("after"));
}

/// Trains a small language model on texts.txt.
const LANGUAGE_MODEL: &str =
    "train texts.txt --level word --hidden-size 12 --batch-size 4 --bptt 8 -q";

/// Trains a language model on the reviews' texts.
fn train_language_model(sandbox: &Sandbox, options: &str) {
    let texts = reviews().replace("positive,", "").replace("negative,", "");
    sandbox.write("texts.txt", texts);
    let line = format!("{LANGUAGE_MODEL} {options}");
    sandbox.carousel(&line).success();
}

fn accuracy(sandbox: &Sandbox, model: &str, file: &str) -> f64 {
    let line = format!("evaluate -m {model} {file} --json");
    let outcome = sandbox.carousel(&line).success();
    json(&outcome.out)[0]["accuracy"].as_f64().unwrap()
}

#[test]
fn a_classifier_is_fine_tuned_from_a_language_model() {
    let sandbox = sandbox();
    train_language_model(&sandbox, "-o lm --steps 20");
    let line = "train-classifier reviews.csv -o from-lm --from lm --epochs 3 -q";
    sandbox.carousel(line).success();
    assert_eq!(
        sandbox.read("from-lm/tokenizer.json"),
        sandbox.read("lm/tokenizer.json")
    );
    for (option, message) in [
        ("--hidden-size 30", "--hidden-size 12"),
        ("--level char", "--level"),
        ("--bptt 9", "--bptt"),
    ] {
        let refused = sandbox.carousel(&format!("{line} --overwrite {option}"));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(message), "{}", refused.err);
    }
}

#[test]
fn a_classifier_goes_on_from_a_classifier_of_the_same_labels() {
    let sandbox = sandbox_with_classifier();
    sandbox
        .carousel("train-classifier reviews.csv -o again --from model --steps 1 -q")
        .success();
    assert!(accuracy(&sandbox, "again", "reviews.csv") > 0.9);

    // The n-grams of the first classifier keep their weights besides those of a few new documents.
    let documents = reviews();
    let few: Vec<&str> = documents.lines().take(41).collect();
    sandbox.write("few.csv", few.join("\n"));
    train_language_model(&sandbox, "-o lm --steps 20");
    let ngrams = |base: &str| {
        let line = format!("train-classifier few.csv -o from-{base} --from {base} --steps 1 -q");
        sandbox.carousel(&line).success();
        let config = sandbox.read(&format!("from-{base}/config.json"));
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        config["head"]["ngrams"].as_u64().unwrap()
    };
    let (with, without) = (ngrams("model"), ngrams("lm"));
    assert!(with > 2 * without, "{with} {without}");
}

#[test]
fn bidirectional_language_models_are_trained_resumed_and_used() {
    let sandbox = sandbox();
    train_language_model(&sandbox, "--bidirectional --steps 41 -o whole");
    let line = format!("{LANGUAGE_MODEL} --bidirectional --steps 41 -o cut");
    sandbox.kill_at(&line, "cut/resume.safetensors");
    sandbox.carousel("train --resume cut -q").success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("whole") == weights("cut"));
    let outcome = sandbox.carousel("inspect whole").success();
    assert!(
        outcome.out.contains("1 x 12, bidirectional"),
        "{}",
        outcome.out
    );
    sandbox
        .carousel("generate -m whole -p The --length 5")
        .success();
    sandbox.carousel("evaluate -m whole texts.txt").success();
}

/// Names and bytes of a model's tensors whose names begin with `prefix`, sorted.
fn tensors(sandbox: &Sandbox, model: &str, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let bytes = sandbox.read(&format!("{model}/model.safetensors"));
    let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<_> = all
        .iter()
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, tensor)| (name.to_string(), tensor.data().to_vec()))
        .collect();
    tensors.sort();
    tensors
}

#[test]
fn a_step_trains_one_direction_of_a_bidirectional_language_model() {
    let sandbox = sandbox();
    train_language_model(&sandbox, "--bidirectional --steps 4 -o base");
    let changed = |model: &str, prefix: &str| {
        let before = tensors(&sandbox, "base", prefix);
        let after = tensors(&sandbox, model, prefix);
        assert_eq!(after.len(), 4);
        after
            .iter()
            .zip(&before)
            .all(|(after, before)| after != before)
    };
    let line = "train texts.txt --from base --batch-size 4 --bptt 8 -q";
    for (steps, both) in [(1, false), (2, true)] {
        let model = format!("steps-{steps}");
        sandbox
            .carousel(&format!("{line} --steps {steps} -o {model}"))
            .success();
        assert!(changed(&model, "rnn."), "{steps}");
        assert_eq!(changed(&model, "reverse."), both, "{steps}");
    }
    let refused = sandbox.carousel(&format!("{line} --steps 1 -o no --bidirectional=false"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let message = "base has --bidirectional true, and --from keeps that";
    assert!(refused.err.contains(message), "{}", refused.err);
}

#[test]
fn bidirectional_classifiers_are_trained_and_used() {
    let sandbox = sandbox();
    train_language_model(&sandbox, "--bidirectional --steps 41 -o lm");
    let line = "train-classifier reviews.csv --from lm --epochs 3 -q -o labels";
    sandbox.carousel(line).success();
    let outcome = sandbox.carousel("inspect labels").success();
    assert!(outcome.out.contains("bidirectional"), "{}", outcome.out);
    assert!(accuracy(&sandbox, "labels", "reviews.csv") > 0.9);
    sandbox
        .carousel("classify -m labels --explain 'a lovely and funny thing'")
        .success();
    let refused = sandbox.carousel(&format!("{line} --overwrite --bidirectional=false"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[test]
fn an_exported_model_is_smaller_and_predicts_the_same() {
    let sandbox = sandbox_with_classifier();
    sandbox.carousel("export -m model -o small").success();
    let size = |model: &str| sandbox.read(&format!("{model}/model.safetensors")).len();
    assert!(size("small") < size("model") * 2 / 3);
    let predictions = |model: &str| {
        let line = format!("classify -m {model} --input reviews.csv");
        let outcome = sandbox.carousel(&line).success();
        let label = |line: &str| line.split('\t').nth(1).unwrap().to_string();
        outcome.out.lines().map(label).collect::<Vec<_>>()
    };
    assert_eq!(predictions("small"), predictions("model"));
    let record = String::from_utf8(sandbox.read("small/training.json")).unwrap();
    let folder = sandbox.path("").display().to_string();
    assert!(!record.contains(folder.trim_end_matches('/')), "{record}");
    sandbox.carousel("inspect small").success();
    let refused = sandbox.carousel("export -m model -o small");
    assert_eq!(refused.code, Some(2));
}

#[test]
fn commands_refuse_models_of_the_wrong_kind() {
    let sandbox = sandbox_with_classifier();
    let outcome = sandbox.carousel("generate -m model -p x");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.err.contains("model is a classifier"),
        "{}",
        outcome.err
    );
    let outcome = sandbox.carousel("train --resume model");
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.err,
        "carousel: model holds the run of a classifier; `carousel train-classifier --resume model` continues it\n"
    );
    let outcome = sandbox.carousel("classify -m gone good");
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("no model gone"), "{}", outcome.err);
}

#[test]
fn unusable_documents_are_refused() {
    let sandbox = Sandbox::new();
    let table = [
        (
            "label,text\na,one\na,two\n",
            "all documents have the label a; a classifier needs at least two labels",
        ),
        (
            "id,text\n1,one\n2,two\n",
            "no label column was found in x.csv: its columns are “id”, “text”; name it with --label-column",
        ),
        ("\n", "there are no documents in x.csv"),
        (
            "label,text\na,one\nb,two\n",
            "there are too few documents to hold some out for validation; give more, or validation documents with --valid FILE",
        ),
    ];
    for (text, message) in table {
        sandbox.write("x.csv", text);
        let outcome = sandbox.carousel(&format!("train-classifier x.csv -o model {SMALL}"));
        assert_eq!(outcome.code, Some(1), "{text:?} {outcome:?}");
        let last = outcome.err.lines().last().unwrap();
        // Paths in messages are absolute.
        let folder = format!("{}/", sandbox.path("").display()).replace("//", "/");
        let last = last.replace(&folder, "");
        assert_eq!(last, format!("carousel: {message}"), "{text:?}");
        assert!(!sandbox.path("model").exists(), "{text:?}");
    }
}

#[test]
fn peculiarities_of_documents_are_reported() {
    let sandbox = Sandbox::new();
    let mut text = reviews();
    text += "seldom,\"once only\"\nbroken\npositive,\"  \"\n";
    sandbox.write("x.csv", &text);
    sandbox.write("valid.csv", reviews()[..2000].rsplit_once('\n').unwrap().0);
    let line = format!("train-classifier x.csv -o model {SMALL}");
    let outcome = sandbox.carousel(&line).success();
    for note in [
        "x.csv: row 242 (line 243) is skipped: number of columns is 1, expected 2",
        "1 broken rows of ",
        "1 empty rows of ",
        "only one document has the label seldom; it is used for training, not for validation",
    ] {
        assert!(outcome.err.contains(note), "{note}\n{}", outcome.err);
    }
    let line = format!("{line} --valid valid.csv --overwrite");
    let outcome = sandbox.carousel(&line).success();
    assert!(
        outcome.err.contains("are also training documents"),
        "{}",
        outcome.err
    );
}

#[test]
fn unknown_labels_are_named() {
    let sandbox = sandbox_with_classifier();
    sandbox.write("other.csv", "label,text\npositive,good\nmixed,so so\n");
    let outcome = sandbox.carousel("evaluate -m model other.csv");
    assert_eq!(
        outcome.err,
        "carousel: row 2 (line 3) of other.csv has the label mixed, which the model does not know; it knows negative, positive\n"
    );
}

#[test]
fn documents_in_any_encoding_are_the_same_training_data() {
    let sandbox = sandbox();
    let bytes = format!("\u{FEFF}{}", reviews());
    let bytes: Vec<u8> = bytes.encode_utf16().flat_map(u16::to_le_bytes).collect();
    sandbox.write("sheet.csv", bytes);
    let rows = reviews();
    let rows = rows.split_once('\n').unwrap().1;
    sandbox.write("bare.csv", rows);
    let lines: String = rows
        .lines()
        .map(|row| row.split_once(',').unwrap())
        .map(|(label, text)| format!("__label__{label} {}\n", text.trim_matches('"')))
        .collect();
    sandbox.write("lines.txt", lines);
    let plan = |file: &str| {
        let line = format!(
            "train-classifier {file} --plan --json {}",
            SMALL.trim_end_matches(" -q")
        );
        let outcome = sandbox.carousel(&line).success();
        let plan = json(&outcome.out).remove(0);
        let keys = ["train_documents", "train_tokens", "valid_documents"];
        (
            keys.map(|key| plan["data"][key].as_u64().unwrap()),
            outcome.err,
        )
    };
    let expected = plan("reviews.csv").0;
    assert_eq!(expected[0] + expected[2], 240);
    for (file, note) in [
        ("sheet.csv", "is decoded as UTF-16"),
        ("bare.csv", "the first row is taken for data"),
        ("lines.txt", "is taken for fastText's lines"),
    ] {
        let (figures, err) = plan(file);
        assert_eq!(figures, expected, "{file}");
        assert!(err.contains(note), "{err}");
    }
}

#[test]
fn a_classifier_stays_until_there_are_weights_to_replace_it() {
    let sandbox = sandbox_with_classifier();
    let weights = sandbox.read("model/model.safetensors");
    let line = format!("train-classifier reviews.csv -o model --overwrite {SMALL}");
    let outcome = sandbox.carousel(&format!("{line} --learning-rate 1e30 --clip-norm 0"));
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let expected = "what was in model is still there, unchanged";
    assert!(outcome.err.contains(expected), "{}", outcome.err);
    assert_eq!(sandbox.read("model/model.safetensors"), weights);
    assert!(!sandbox.path("model/.new-run").exists());

    let long = line.replace("--epochs 4", "--epochs 4000 --seed 5");
    assert!(sandbox.kill_at(&long, "model/.new-run/config.json"));
    assert_eq!(sandbox.read("model/model.safetensors"), weights);
    sandbox.carousel("classify -m model good").success();
    sandbox.carousel(&line).success();
    assert!(!sandbox.path("model/.new-run").exists());
}

#[test]
fn a_language_model_in_the_folder_is_not_replaced_without_asking() {
    let sandbox = sandbox();
    train_language_model(&sandbox, "-o work/language-model --steps 3");
    let weights = sandbox.read("work/language-model/model.safetensors");
    let line = format!("train-classifier reviews.csv -o work {SMALL}");
    let outcome = sandbox.carousel(&line);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    let expected = "carousel: work/language-model holds a model already; ";
    assert!(outcome.err.starts_with(expected), "{}", outcome.err);
    // Replaced is only what the new model has too, and never what it goes on from.
    sandbox
        .carousel(&format!("{line} --overwrite --epochs 1").replace("--epochs 4 ", ""))
        .success();
    let from = "train-classifier reviews.csv -o work --from work/language-model --steps 2 -q";
    sandbox.carousel(&format!("{from} --overwrite")).success();
    assert_eq!(
        sandbox.read("work/language-model/model.safetensors"),
        weights
    );
    sandbox.carousel("classify -m work good").success();
}

#[test]
fn documents_that_were_moved_are_found_by_their_content_or_asked_for() {
    let sandbox = sandbox();
    let line = format!("train-classifier reviews.csv -o cut {SMALL} --seed 4");
    sandbox
        .carousel(&line.replace("-o cut", "-o whole"))
        .success();
    sandbox.kill_at(&line, "cut/resume.safetensors");
    let rename = |old: &str, new: &str| {
        std::fs::rename(sandbox.path(old), sandbox.path(new)).unwrap();
    };
    rename("reviews.csv", "others.csv");
    let outcome = sandbox.carousel("train-classifier --resume cut");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let asks = "say where it is now: `carousel train-classifier --resume cut PATH`\n";
    assert!(outcome.err.ends_with(asks), "{}", outcome.err);
    sandbox.write("changed.csv", reviews().replace("soup", "stew"));
    let outcome = sandbox.carousel("train-classifier --resume cut changed.csv");
    assert!(outcome.err.contains("have changed"), "{}", outcome.err);
    sandbox
        .carousel("train-classifier --resume cut others.csv -q")
        .success();
    assert!(sandbox.read("whole/model.safetensors") == sandbox.read("cut/model.safetensors"));
}

#[test]
fn invalid_bytes_of_documents_are_refused_or_replaced() {
    let sandbox = sandbox();
    let bytes = reviews().replacen("film", "f\u{EF}lm", 1);
    sandbox.write(
        "latin.csv",
        bytes.chars().map(|c| c as u8).collect::<Vec<u8>>(),
    );
    let line = "train-classifier latin.csv --plan --epochs 1";
    let outcome = sandbox.carousel(line);
    assert_eq!(outcome.code, Some(1));
    let message = "line 2, byte offset 26, found byte 0xEF; convert the file, or replace invalid bytes (--lossy)\n";
    assert!(outcome.err.ends_with(message), "{}", outcome.err);
    let outcome = sandbox.carousel(&format!("{line} --lossy")).success();
    assert!(
        outcome
            .err
            .contains("invalid byte sequences replaced by U+FFFD (--lossy): 1"),
        "{}",
        outcome.err
    );
}

#[test]
fn both_unicode_forms_of_a_document_are_classified_alike() {
    let sandbox = Sandbox::new();
    let composed = reviews()
        .replace("lovely", "adorée")
        .replace("dull", "gênant");
    let decomposed = composed.replace('é', "e\u{301}").replace('ê', "e\u{302}");
    sandbox.write("composed.csv", composed);
    sandbox.write("decomposed.csv", decomposed);
    let train = |file: &str| {
        let line = format!("train-classifier {file}.csv -o {file} {SMALL}");
        sandbox.carousel(&line).success();
        let texts = "'so adorée and warm' 'so adore\u{301}e and warm'";
        json(
            &sandbox
                .carousel(&format!("classify -m {file} --json {texts}"))
                .success()
                .out,
        )
    };
    let (one, other) = (train("composed"), train("decomposed"));
    assert_eq!(one[0]["probabilities"], one[1]["probabilities"]);
    assert_eq!(other[0]["probabilities"], other[1]["probabilities"]);
    assert_eq!(one[0]["probabilities"], other[0]["probabilities"]);
    // Nor does an explanation depend on the form.
    let contributions = |text: &str| {
        let line = format!("classify -m composed --explain --json '{text}'");
        let answer = json(&sandbox.carousel(&line).success().out);
        let pieces = answer[0]["explanation"].as_array().unwrap().iter();
        let contributions = pieces.map(|piece| piece["contribution"].as_f64().unwrap());
        contributions.collect::<Vec<f64>>()
    };
    let found = contributions("so adorée and warm");
    assert_eq!(found, contributions("so adore\u{301}e and warm"));
}

#[test]
fn a_vocabulary_without_a_word_is_refused() {
    let sandbox = sandbox();
    let line =
        format!("train-classifier reviews.csv -o model --level word --min-count 999 {SMALL}");
    let outcome = sandbox.carousel(&line);
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(
        outcome.err.contains("no word of the text occurs 999 times"),
        "{}",
        outcome.err
    );
    assert!(!sandbox.path("model/config.json").exists());
}
