use crate::sandbox::Sandbox;

/// Documents that a few seconds are enough to learn.
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

/// Options of a small network that learns in a moment.
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

#[test]
fn labels_are_learnt_told_and_measured() {
    let sandbox = sandbox_with_classifier();
    let told = sandbox
        .carousel("classify -m model --json 'a lovely and funny thing' 'it was cold and clumsy'")
        .success();
    let told = json(&told.out);
    assert_eq!(told[0]["label"], "positive");
    assert_eq!(told[1]["label"], "negative");
    assert_eq!(told[0]["text"], "a lovely and funny thing");
    let probabilities = told[0]["probabilities"].as_object().unwrap();
    let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-9);
    assert_eq!(told[0]["probability"], probabilities["positive"]);

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
    let shown = sandbox
        .carousel("evaluate -m model reviews.csv --baseline-from reviews.csv")
        .success();
    assert!(shown.out.contains("naive Bayes"), "{}", shown.out);
    let inspected = sandbox.carousel("inspect model").success();
    assert!(
        inspected.out.contains("negative (108), positive (108)"),
        "{}",
        inspected.out
    );
}

#[test]
fn rows_are_answered_in_their_order_and_broken_ones_are_skipped() {
    let sandbox = sandbox_with_classifier();
    let rows = "text,id\n\"good, lovely\",1\nbad\n\"dull\",3\n";
    sandbox.write("rows.csv", rows);
    let said = sandbox.carousel("classify -m model --input rows.csv --json");
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        "row 2 (line 3) is skipped: number of columns is 1, expected 2\n\
         carousel: 1 of 3 rows could not be read\n"
    );
    let told = json(&said.out);
    let of = |key: &str| told.iter().map(|o| o[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("row"), [1, 3]);
    assert_eq!(of("label"), ["positive", "negative"]);

    // A thousand lines, in batches, as one by one.
    let lines: String = (0..1000)
        .map(|i| ["good and warm\n", "a flat, dull soup\n"][i % 3 % 2])
        .collect();
    sandbox.write("lines.txt", lines);
    let said = sandbox
        .carousel("classify -m model --input lines.txt")
        .success();
    let told: Vec<Vec<&str>> = said.out.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(told.len(), 1000);
    for (index, line) in told.iter().enumerate() {
        assert_eq!(line[0], (index + 1).to_string());
        assert_eq!(line[1], ["positive", "negative"][index % 3 % 2]);
    }
}

#[test]
fn broken_rows_are_measured_without_and_told() {
    let sandbox = sandbox_with_classifier();
    sandbox.write(
        "rows.csv",
        "label,text\npositive,good\nbad\nnegative,\"dull\n",
    );
    let said = sandbox.carousel("evaluate -m model rows.csv --json");
    assert_eq!(said.code, Some(1));
    assert_eq!(json(&said.out)[0]["examples"], 1);
    assert_eq!(
        said.err,
        "rows.csv: row 2 (line 3) is skipped: number of columns is 1, expected 2\n\
         rows.csv: row 3 (line 4) is skipped: a quotation mark is never closed\n\
         carousel: 2 of 3 rows could not be read\n"
    );
}

#[test]
fn figures_that_are_no_numbers_are_no_answer() {
    let sandbox = sandbox_with_classifier();
    let path = "model/model.safetensors";
    let mut file = sandbox.read(path);
    let tensors = safetensors::SafeTensors::deserialize(&file).unwrap();
    let head = tensors.tensor("head.weight").unwrap().data();
    let place = head.as_ptr() as usize - file.as_ptr() as usize;
    let length = head.len();
    // As large as a number can be: what comes of it is none.
    for bytes in file[place..place + length].as_chunks_mut::<4>().0 {
        *bytes = f32::MAX.to_le_bytes();
    }
    sandbox.write(path, file);
    let told = sandbox.carousel("classify -m model good --json").success();
    let told = &json(&told.out)[0];
    assert_eq!(told["label"], "unsure");
    assert_eq!(told["probability"], 0.5);
    assert_eq!(
        told["note"],
        "the model's outputs are not finite numbers; it is damaged, or its training diverged"
    );
    let said = sandbox.carousel("evaluate -m model reviews.csv");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("are not finite numbers"), "{}", said.err);
}

#[test]
fn what_is_not_sure_is_said_to_be_unsure() {
    let sandbox = sandbox_with_classifier();
    let said = sandbox
        .carousel("classify -m model '' 'какой ужасный фильм' 'good' --json --threshold 0")
        .success();
    let told = json(&said.out);
    assert_eq!(told[0]["label"], "unsure");
    assert_eq!(told[0]["note"], "there is nothing to read");
    assert_eq!(told[1]["label"], "unsure");
    assert_eq!(
        told[1]["note"],
        "the model has met almost none of these words"
    );
    assert_eq!(told[2]["label"], "positive");
    let said = sandbox
        .carousel("classify -m model 'the book' --threshold 1")
        .success();
    assert!(said.out.starts_with("unsure\t"), "{}", said.out);
    let both = sandbox
        .carousel("classify -m model good --top-k 2")
        .success();
    assert_eq!(both.out.split('\t').count(), 4, "{}", both.out);
}

#[test]
fn a_very_long_text_is_read_whole() {
    let sandbox = sandbox_with_classifier();
    let text = "and its end was cold, ".repeat(20_000) + "and its end was dull.";
    sandbox.write("long.txt", &text);
    let said = sandbox
        .carousel("classify -m model --input long.txt --json --explain")
        .success();
    let told = json(&said.out);
    assert_eq!(told.len(), 1);
    let pieces = told[0]["explanation"].as_array().unwrap();
    assert!(pieces.len() > 1);
    let joined: usize = pieces
        .iter()
        .map(|p| p["text"].as_str().unwrap().split_whitespace().count())
        .sum();
    assert_eq!(joined, text.split_whitespace().count());
}

#[test]
fn an_explanation_names_the_words_that_count() {
    let sandbox = sandbox_with_classifier();
    let text = "The kettle was lovely";
    let said = sandbox
        .carousel(&format!("classify -m model '{text}' --explain --json"))
        .success();
    let pieces = json(&said.out)[0]["explanation"]
        .as_array()
        .unwrap()
        .clone();
    let most = pieces
        .iter()
        .max_by(|a, b| {
            let by = |p: &serde_json::Value| p["by_leaving_out"].as_f64().unwrap();
            by(a).total_cmp(&by(b))
        })
        .unwrap();
    assert_eq!(most["text"], "lovely");
    let shown = sandbox
        .carousel(&format!("classify -m model '{text}' --explain"))
        .success();
    assert!(shown.out.contains("  lovely\n"), "{}", shown.out);
}

#[test]
fn an_interrupted_run_ends_bit_for_bit_as_an_uninterrupted_one() {
    let sandbox = Sandbox::new();
    // Besides short documents some long ones, of which excerpts are drawn.
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
    // Another is learnt where nothing is pushed.
    let line = line.replace("-o whole", "-o plain");
    sandbox
        .carousel(&line.replace("--adversarial 3", ""))
        .success();
    assert!(weights("whole") != weights("plain"));
    let refused = sandbox.carousel("train reviews.csv -o no --adversarial 3");
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let told = "unexpected argument '--adversarial'";
    assert!(refused.err.contains(told), "{}", refused.err);
}

#[test]
fn a_run_stopped_at_its_language_model_goes_on_there() {
    let sandbox = Sandbox::new();
    // So much text that a language model of it is worth its time.
    let rows = reviews();
    let (header, rows) = rows.split_once('\n').unwrap();
    let many = rows.repeat(7_500_000 / rows.len());
    sandbox.write("many.csv", format!("{header}\n{many}"));
    let options = "--hidden-size 16 --embedding-size 16 --steps 30 --valid 0.02 -q";
    let line = format!("train-classifier many.csv -o whole {options}");
    sandbox.carousel(&line).success();
    let shown = sandbox.carousel("inspect whole/language-model").success();
    assert!(shown.out.contains("word, "), "{}", shown.out);
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
fn a_language_model_knows_which_words_go_together() {
    let sandbox = Sandbox::new();
    // Two hundred words that are met on good days or on bad ones, so that each text holds a few of one kind.
    let word = |i: usize| format!("{}{}", ["calm", "storm"][i % 2], i / 2);
    let text = |i: usize| -> String {
        let place = |j: usize| (i * 37 + j * j * 11 + j) % 100 * 2 + i % 2;
        (0..40)
            .map(|j| format!("the {} ", word(place(j))))
            .collect()
    };
    let lines: String = (0..600).map(|i| text(i) + "\n").collect();
    sandbox.write("days.txt", lines);
    let options = "--level word --hidden-size 8 --batch-size 4 --bptt 8 --steps 3 -q";
    sandbox
        .carousel(&format!("train days.txt -o lm {options}"))
        .success();
    // Twenty of the words have labels.
    let rows = |range: std::ops::Range<usize>| {
        let row = |i: usize| format!("{},the {}\n", ["good", "bad"][i % 2], word(i));
        "label,text\n".to_string() + &range.map(row).collect::<String>()
    };
    sandbox.write("few.csv", rows(0..20));
    sandbox.write("others.csv", rows(20..200));
    let accuracy = |model: &str| {
        let line = format!("evaluate -m {model} others.csv --json");
        json(&sandbox.carousel(&line).success().out)[0]["accuracy"]
            .as_f64()
            .unwrap()
    };
    let line = "train-classifier few.csv --steps 3 --valid few.csv -q";
    sandbox
        .carousel(&format!("{line} -o with --from lm"))
        .success();
    sandbox.carousel(&format!("{line} -o without")).success();
    assert!(accuracy("with") > 0.7, "{}", accuracy("with"));
    assert!(accuracy("without") < 0.6, "{}", accuracy("without"));

    // A copy knows it still, and so does a model that went on to another text, of which it knows nothing else.
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

#[test]
fn models_are_gone_on_from() {
    let sandbox = sandbox_with_classifier();
    let documents = reviews();
    let texts = documents.replace("positive,", "").replace("negative,", "");
    sandbox.write("texts.txt", texts);
    sandbox
        .carousel(
            "train texts.txt -o lm --level word --hidden-size 12 --batch-size 4 --bptt 8 --steps 20 -q",
        )
        .success();
    let line = "train-classifier reviews.csv -o from-lm --from lm --epochs 3 -q";
    sandbox.carousel(line).success();
    assert_eq!(
        sandbox.read("from-lm/tokenizer.json"),
        sandbox.read("lm/tokenizer.json")
    );
    let refused = sandbox.carousel(&format!("{line} --overwrite --hidden-size 30"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("--hidden-size 12"), "{}", refused.err);

    for (option, of) in [("--level char", "--level"), ("--bptt 9", "--bptt")] {
        let refused = sandbox.carousel(&format!("{line} --overwrite {option}"));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(of), "{}", refused.err);
    }

    // A classifier that knows the labels knows them still after a step.
    sandbox
        .carousel("train-classifier reviews.csv -o again --from model --steps 1 -q")
        .success();
    let figures = sandbox
        .carousel("evaluate -m again reviews.csv --json")
        .success();
    let figures = &json(&figures.out)[0];
    assert!(figures["accuracy"].as_f64().unwrap() > 0.9);

    // What its words count stays, besides what a few documents teach.
    let few: Vec<&str> = documents.lines().take(41).collect();
    sandbox.write("few.csv", few.join("\n"));
    let counted = |line: &str, model: &str| {
        sandbox.carousel(line).success();
        let config = sandbox.read(&format!("{model}/config.json"));
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        config["head"]["ngrams"].as_u64().unwrap()
    };
    let alone = counted(
        "train-classifier few.csv -o alone --from lm --steps 1 -q",
        "alone",
    );
    let with = counted(
        "train-classifier few.csv -o with --from model --steps 1 -q",
        "with",
    );
    assert!(with > 2 * alone, "{with} {alone}");
}

#[test]
fn what_reads_both_ways_is_learnt_resumed_and_asked() {
    let sandbox = sandbox();
    let texts = reviews().replace("positive,", "").replace("negative,", "");
    sandbox.write("texts.txt", texts);
    let small = "--level word --hidden-size 12 --batch-size 4 --bptt 8 -q";
    let line = format!("train texts.txt -o whole --bidirectional --steps 41 {small}");
    sandbox.carousel(&line).success();
    let cut = line.replace("-o whole", "-o cut");
    sandbox.kill_at(&cut, "cut/resume.safetensors");
    sandbox.carousel("train --resume cut -q").success();
    let weights = |model: &str| sandbox.read(&format!("{model}/model.safetensors"));
    assert!(weights("whole") == weights("cut"));
    let shown = sandbox.carousel("inspect whole").success();
    assert!(shown.out.contains("1 x 12, bidirectional"), "{}", shown.out);
    sandbox
        .carousel("generate -m whole -p The --length 5")
        .success();
    sandbox.carousel("evaluate -m whole texts.txt").success();

    // One step is of one way only.
    let changed = |model: &str, from: &str, prefix: &str| {
        let tensors = |model: &str| -> Vec<(String, Vec<u8>)> {
            let bytes = weights(model);
            let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
            let named = all.iter().filter(|(name, _)| name.starts_with(prefix));
            named
                .map(|(name, tensor)| (name.to_string(), tensor.data().to_vec()))
                .collect()
        };
        let (mut one, mut other) = (tensors(model), tensors(from));
        one.sort();
        other.sort();
        assert_eq!(one.len(), 4);
        one.iter().zip(&other).all(|(one, other)| one != other)
    };
    let more = "train texts.txt --from whole --batch-size 4 --bptt 8 -q";
    for (steps, both) in [(1, false), (2, true)] {
        let model = format!("more-{steps}");
        sandbox
            .carousel(&format!("{more} --steps {steps} -o {model}"))
            .success();
        assert!(changed(&model, "whole", "rnn."), "{steps}");
        assert_eq!(changed(&model, "whole", "reverse."), both, "{steps}");
    }
    let refused = sandbox.carousel(&format!("{more} --steps 1 -o no --bidirectional=false"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
    let told = "whole has --bidirectional true, and --from keeps that";
    assert!(refused.err.contains(told), "{}", refused.err);

    let line = "train-classifier reviews.csv --from whole --epochs 3 -q -o labels";
    sandbox.carousel(line).success();
    assert!(
        sandbox
            .carousel("inspect labels")
            .success()
            .out
            .contains("bidirectional")
    );
    let figures = sandbox
        .carousel("evaluate -m labels reviews.csv --json")
        .success();
    assert!(json(&figures.out)[0]["accuracy"].as_f64().unwrap() > 0.9);
    sandbox
        .carousel("classify -m labels --explain 'a lovely and funny thing'")
        .success();
    let refused = sandbox.carousel(&format!("{line} --overwrite --bidirectional=false"));
    assert_eq!(refused.code, Some(2), "{refused:?}");
}

#[test]
fn an_exported_model_is_half_as_large_and_says_the_same() {
    let sandbox = sandbox_with_classifier();
    sandbox.carousel("export -m model -o small").success();
    let size = |model: &str| sandbox.read(&format!("{model}/model.safetensors")).len();
    assert!(size("small") < size("model") * 2 / 3);
    let ask = |model: &str| {
        let line = format!("classify -m {model} --input reviews.csv");
        let said = sandbox.carousel(&line).success();
        let label = |line: &str| line.split('\t').nth(1).unwrap().to_string();
        said.out.lines().map(label).collect::<Vec<_>>()
    };
    assert_eq!(ask("small"), ask("model"));
    let record = String::from_utf8(sandbox.read("small/training.json")).unwrap();
    let folder = sandbox.path("").display().to_string();
    assert!(!record.contains(folder.trim_end_matches('/')), "{record}");
    sandbox.carousel("inspect small").success();
    let refused = sandbox.carousel("export -m model -o small");
    assert_eq!(refused.code, Some(2));
}

#[test]
fn each_kind_of_model_says_what_it_is_not_for() {
    let sandbox = sandbox_with_classifier();
    let said = sandbox.carousel("generate -m model -p x");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("model is a classifier"), "{}", said.err);
    let said = sandbox.carousel("train --resume model");
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.err,
        "carousel: model holds the run of a classifier; `carousel train-classifier --resume model` continues it\n"
    );
    let said = sandbox.carousel("classify -m gone good");
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no model gone"), "{}", said.err);
}

#[test]
fn documents_that_cannot_be_learnt_from_are_refused() {
    let sandbox = Sandbox::new();
    let table = [
        (
            "label,text\na,one\na,two\n",
            "all documents have the label a; a classifier needs two or more to tell apart",
        ),
        (
            "id,text\n1,one\n2,two\n",
            "no label column was found in x.csv: its columns are “id”, “text”; name it with --label-column",
        ),
        ("\n", "there are no documents in x.csv"),
        (
            "label,text\na,one\nb,two\n",
            "there are too few documents to measure on a part of them; give more, or others with --valid FILE",
        ),
    ];
    for (text, message) in table {
        sandbox.write("x.csv", text);
        let said = sandbox.carousel(&format!("train-classifier x.csv -o model {SMALL}"));
        assert_eq!(said.code, Some(1), "{text:?} {said:?}");
        let last = said.err.lines().last().unwrap();
        // Files are named with their folders.
        let folder = format!("{}/", sandbox.path("").display()).replace("//", "/");
        let last = last.replace(&folder, "");
        assert_eq!(last, format!("carousel: {message}"), "{text:?}");
        assert!(!sandbox.path("model").exists(), "{text:?}");
    }
}

#[test]
fn oddities_of_documents_are_told() {
    let sandbox = Sandbox::new();
    let mut text = reviews();
    text += "seldom,\"once only\"\nbroken\npositive,\"  \"\n";
    sandbox.write("x.csv", &text);
    sandbox.write("valid.csv", reviews()[..2000].rsplit_once('\n').unwrap().0);
    let line = format!("train-classifier x.csv -o model {SMALL}");
    let said = sandbox.carousel(&line).success();
    for note in [
        "x.csv: row 242 (line 243) is skipped: number of columns is 1, expected 2",
        "1 broken rows of ",
        "1 empty rows of ",
        "the label seldom is met once; it is trained on and never measured",
    ] {
        assert!(said.err.contains(note), "{note}\n{}", said.err);
    }
    let line = format!("{line} --valid valid.csv --overwrite");
    let said = sandbox.carousel(&line).success();
    assert!(
        said.err.contains("are among those to train on"),
        "{}",
        said.err
    );
}

#[test]
fn a_label_that_a_model_does_not_know_is_named() {
    let sandbox = sandbox_with_classifier();
    sandbox.write("other.csv", "label,text\npositive,good\nmixed,so so\n");
    let said = sandbox.carousel("evaluate -m model other.csv");
    assert_eq!(
        said.err,
        "carousel: row 2 (line 3) of other.csv has the label mixed, which the model does not know; it knows negative, positive\n"
    );
}
