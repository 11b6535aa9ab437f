use std::fs;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use carousel::checkpoint::architecture::{Labels, NextToken, Recurrent};
use carousel::checkpoint::encoder_decoder::Attention;
use carousel::checkpoint::parts::{Body, Head};
use carousel::checkpoint::transformer::Transformer;
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::cli::forecast_values::{KeptForecaster, NewValues};
use carousel::comparison::curve::Curve;
use carousel::convert::pytorch::Found;
use carousel::convert::state_dict::StateFile;
use carousel::convert::vocabulary::Vocabulary;
use carousel::data::labelled::{DocumentOptions, Format, LabelledRows};
use carousel::data::pairs::{PairOptions, Pairs};
use carousel::data::series::file::SeriesFile;
use carousel::data::series::options::SeriesOptions;
use carousel::data::text_rows::TextFile;
use carousel::inference::Model;
use carousel::inference::beam_search::Search;
use carousel::inference::classifier::Classifier;
use carousel::inference::generated_text::samples;
use carousel::inference::generator::{Prompt, StopConditions};
use carousel::inference::sampling::SamplingOptions;
use carousel::inference::translator::Translator;
use carousel::text::preprocessing::Preprocessing;
use carousel::text::source::InvalidBytes;
use carousel::text::text_reader::TextReader;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::{Level, Split};
use carousel_kernels::Precision;
use carousel_kernels::recurrent::Cell;
use proptest::prelude::*;

use crate::mutation::Mutator;
use crate::sandbox::{Sandbox, model_of_tokenizer, save_model, translator_by_hand, words};

/// The time that a case may take.
const MOST_TIME: Duration = Duration::from_secs(5);
/// How far the memory of this process may grow by a target, in kB: what is used, and what is asked for.
const MOST_USED: u64 = 512 << 10;
const MOST_ASKED: u64 = 16 << 20;

/// The case that runs.
struct Current {
    number: u64,
    since: Instant,
}

/// Runs a number of cases, or as many as fit into the seconds that are asked for, each with an input that is made of its
/// number. None may panic or take long.
fn fuzz(
    target: &'static str,
    cases: u64,
    input: impl Fn(&mut Mutator) -> Vec<u8> + Send + 'static,
    case: impl Fn(&[u8]) + Send + 'static,
) {
    let number_of = |name: &str| -> Option<u64> { std::env::var(name).ok()?.parse().ok() };
    let seconds = number_of("CAROUSEL_FUZZ_SECONDS").map(Duration::from_secs);
    let first = number_of("CAROUSEL_FUZZ_FROM").unwrap_or(0);
    // A case that kills the process, or never ends, has left its input too.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}"));
    let failed = {
        let file = file.clone();
        move |number: u64, how: &str| {
            panic!(
                "{target}, case {number}: {how}; its input is {}; again with CAROUSEL_FUZZ_FROM={number}",
                file.display()
            )
        }
    };
    let begin = Instant::now();
    let (used, asked) = (memory("VmHWM:"), memory("VmPeak:"));
    let current = Arc::new(Mutex::new(Current {
        number: first,
        since: begin,
    }));
    let shared = Arc::clone(&current);
    let worker = thread::spawn(move || {
        for number in first.. {
            let is_over = match seconds {
                Some(seconds) => begin.elapsed() >= seconds,
                None => number == first + cases,
            };
            if is_over {
                return Ok(number - first);
            }
            let bytes = input(&mut Mutator::new(number));
            fs::write(&file, &bytes).unwrap();
            *shared.lock().unwrap() = Current {
                number,
                since: Instant::now(),
            };
            if catch_unwind(AssertUnwindSafe(|| case(&bytes))).is_err() {
                return Err(number);
            }
        }
        unreachable!("numbers do not end")
    });
    while !worker.is_finished() {
        thread::sleep(Duration::from_millis(5));
        let current = current.lock().unwrap();
        if current.since.elapsed() > MOST_TIME {
            failed(current.number, "it takes more than five seconds");
        }
    }
    match worker.join().unwrap() {
        Err(number) => failed(number, "it panics, as is said above"),
        Ok(count) => {
            let rate = count as f64 / begin.elapsed().as_secs_f64();
            println!("{target}: {count} cases, {rate:.0} a second");
        }
    }
    let grown = [
        memory("VmHWM:").saturating_sub(used),
        memory("VmPeak:").saturating_sub(asked),
    ];
    assert!(
        grown[0] < MOST_USED && grown[1] < MOST_ASKED,
        "{target}: memory grew by {grown:?} kB"
    );
}

/// A number of kB that Linux tells of this process.
fn memory(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.and_then(|number| number.parse().ok()).unwrap()
}

/// Seeds of our own: the files of `tests/data/fuzz` whose names begin so, and what is given.
fn seeds(name: &str, more: &[&[u8]]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/fuzz");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .starts_with(name)
        })
        .collect();
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).unwrap());
    files
        .chain(more.iter().map(|bytes| bytes.to_vec()))
        .collect()
}

/// Runs cases on bytes that are changed seeds.
fn fuzz_bytes(
    target: &'static str,
    cases: u64,
    seeds: Vec<Vec<u8>>,
    case: impl Fn(&[u8]) + Send + 'static,
) {
    assert!(!seeds.is_empty(), "{target} has no seeds");
    // The seeds themselves, those of bugs that were found among them.
    seeds.iter().for_each(|seed| case(seed));
    fuzz(target, cases, move |mutator| mutator.input(&seeds), case);
}

/// Folders of models with their files, of which one is changed in each case.
fn fuzz_models(
    target: &'static str,
    cases: u64,
    sandbox: Sandbox,
    names: &[&str],
    case: impl Fn(&Path) -> bool + Send + 'static,
) {
    let mut files = Vec::new();
    for name in names {
        assert!(case(&sandbox.path(name)), "{name} is a whole model");
        for entry in fs::read_dir(sandbox.path(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            if file.ends_with(".json") || file.ends_with(".safetensors") {
                files.push((sandbox.path(name), path.clone(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    let whole = files.clone();
    let input = move |mutator: &mut Mutator| {
        let which = mutator.below(files.len());
        // Parts of the same file of another model, such as another body.
        let name = files[which].1.file_name();
        let mut seeds: Vec<Vec<u8>> = files
            .iter()
            .filter(|file| file.1.file_name() == name)
            .map(|file| file.2.clone())
            .collect();
        seeds.push(files[which].2.clone());
        let mut bytes = vec![which as u8];
        bytes.extend(mutator.input(&seeds));
        bytes
    };
    fuzz(target, cases, input, move |bytes| {
        let _kept = &sandbox;
        let (folder, path, before) = &whole[usize::from(bytes[0])];
        // What is mapped is replaced, not written over.
        let replace = |bytes: &[u8]| {
            fs::remove_file(path).unwrap();
            fs::write(path, bytes).unwrap();
        };
        replace(&bytes[1..]);
        case(folder);
        replace(before);
    });
}

fn tokenizers() -> [(&'static str, Tokenizer); 3] {
    let letters: Vec<char> = "\n abcdefgh.é".chars().collect();
    let text = "the cat sat on the mat. the dog sat, and the cat ran.\n";
    [
        ("characters", Tokenizer::characters(&letters)),
        ("bytes", Tokenizer::bytes()),
        (
            "subwords",
            crate::text::train(text, Level::Subword, Split::Natural),
        ),
    ]
}

/// Small language models with made-up weights.
fn language_models() -> (Sandbox, Vec<&'static str>) {
    let sandbox = Sandbox::new();
    let lstm = || Recurrent::new(Cell::Lstm, 12, 1);
    for (name, tokenizer) in tokenizers() {
        model_of_tokenizer(&sandbox.path(name), &tokenizer, lstm(), true);
    }
    let tokenizer = &tokenizers()[0].1;
    let mut config = model_of_tokenizer(
        &sandbox.path("gru"),
        tokenizer,
        Recurrent::new(Cell::Gru, 9, 2),
        false,
    );
    config.body = Body::Transformer(Transformer::new(12, 2, 8));
    config.head = Head::NextToken(NextToken::default());
    save_model(&sandbox.path("transformer"), tokenizer, &config);
    sandbox.write(
        "text.txt",
        "the cat sat on the mat.\nthe dog sat.\n".repeat(9),
    );
    for (name, level) in [("words", "word"), ("ngrams", "char")] {
        let line = format!("train text.txt -o {name} --baseline ngram --level {level}");
        sandbox.carousel(&line).success();
    }
    (
        sandbox,
        vec![
            "characters",
            "bytes",
            "subwords",
            "gru",
            "transformer",
            "words",
            "ngrams",
        ],
    )
}

fn classifier_by_hand(folder: &Path) -> ModelConfig {
    let letters: Vec<char> = "\n abcdefgh.é".chars().collect();
    let tokenizer = Tokenizer::characters(&letters);
    let mut config = model_of_tokenizer(folder, &tokenizer, Recurrent::new(Cell::Gru, 9, 1), false);
    config.head = Head::Labels(Labels {
        labels: ["good", "bad"].map(String::from).to_vec(),
        ngrams: 3,
        preprocessing: Preprocessing::None,
    });
    save_model(folder, &tokenizer, &config);
    config
}

/// Writes five tokens after a prompt.
fn write(model: &Model, prompt: &str) -> String {
    let prompt = Prompt::read(model, model.tokenizer.encode(prompt).0, |_| ());
    let sampling = SamplingOptions::default().sampling(str::to_string).unwrap();
    let stop = StopConditions {
        length: Some(5),
        strings: vec!["\0".to_string()],
    };
    let texts = samples(&prompt, sampling, &stop, (1, 2), || true);
    texts.into_iter().map(|text| text.text).collect()
}

#[test]
fn damaged_language_models() {
    let (sandbox, names) = language_models();
    fuzz_models("language-models", 1200, sandbox, &names, |folder| {
        let opened = Model::open(&Directory::at(folder), Precision::Float32, 1);
        opened.is_ok_and(|model| {
            model.check_writes().is_ok() && !write(&model, "a bad é!\nthe cat").is_empty()
        })
    });
}

#[test]
fn sizes_that_no_file_holds_take_no_memory() {
    let (sandbox, _) = language_models();
    let changed = |name: &str, key: &str| {
        let path = format!("{name}/config.json");
        let mut config: serde_json::Value = serde_json::from_slice(&sandbox.read(&path)).unwrap();
        config["body"][key] = (1 << 24).into();
        sandbox.write(&path, config.to_string());
        let asked = memory("VmPeak:");
        let opened = Model::open(&Directory::at(sandbox.path(name)), Precision::Float32, 1);
        let text = opened.map(|model| write(&model, "a bad"));
        assert!(memory("VmPeak:") - asked < 200 << 10, "{name} {key}");
        text
    };
    let refused = changed("gru", "num_layers").unwrap_err().to_string();
    assert!(refused.contains("between 1 and 4096"), "{refused}");
    assert!(!changed("transformer", "context").unwrap().is_empty());
}

#[test]
fn damaged_classifiers() {
    let sandbox = Sandbox::new();
    classifier_by_hand(&sandbox.path("model"));
    fuzz_models("classifiers", 1000, sandbox, &["model"], |folder| {
        let opened = Classifier::open(&Directory::at(folder), Precision::Float32, 1);
        opened.is_ok_and(|classifier| classifier.classify(&["a bad é!", "", "a"]).len() == 3)
    });
}

#[test]
fn damaged_translators() {
    let sandbox = Sandbox::new();
    let [(_, characters), (_, bytes), _] = tokenizers();
    translator_by_hand(&sandbox.path("shared"), &characters, None, Attention::Dot);
    translator_by_hand(
        &sandbox.path("two"),
        &characters,
        Some(&bytes),
        Attention::Dot,
    );
    fuzz_models("translators", 1200, sandbox, &["shared", "two"], |folder| {
        let search = Search {
            beam: 2,
            best: 2,
            ..Search::default()
        };
        let opened = Translator::open(&Directory::at(folder), Precision::Float32, 1);
        // Made-up weights do not end their sentences; a short source bounds them.
        opened.is_ok_and(|translator| translator.translate(&["a"], &search).len() == 1)
    });
}

/// Runs the program with a changed file; it must answer, or say what is wrong.
fn fuzz_program(
    target: &'static str,
    cases: u64,
    sandbox: Sandbox,
    file: &'static str,
    seeds: Vec<Vec<u8>>,
    line: &'static str,
) {
    fuzz_bytes(target, cases, seeds, move |bytes| {
        let path = sandbox.path(file);
        let _ = fs::remove_file(&path);
        sandbox.write(file, bytes);
        let output = sandbox
            .command(&crate::program())
            .args(words(line))
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            matches!(output.status.code(), Some(0..=2)) && !said.contains("panicked"),
            "{said}"
        );
    });
}

#[test]
fn damaged_records() {
    let sandbox = Sandbox::new();
    let characters = &tokenizers()[0].1;
    model_of_tokenizer(
        &sandbox.path("model"),
        characters,
        Recurrent::new(Cell::Lstm, 12, 1),
        true,
    );
    let record = sandbox.read("model/training.json");
    fuzz_program(
        "records",
        250,
        sandbox,
        "model/training.json",
        seeds("record", &[&record]),
        "inspect model",
    );
}

#[test]
fn damaged_metrics() {
    let sandbox = Sandbox::new();
    let lines = b"{\"step\":1,\"loss\":2.5}\n{\"step\":2,\"loss\":2.25,\"valid_loss\":3}\n";
    fuzz_bytes("metrics", 4000, seeds("metrics", &[lines]), move |bytes| {
        sandbox.write("model/metrics.jsonl", bytes);
        let metrics = Directory::at(sandbox.path("model")).load_metrics();
        Curve::read(&metrics.unwrap_or_default(), 1).move_to(2.0);
    });
}

#[test]
fn documents_of_any_bytes() {
    let tables: [&[u8]; 7] = [
        b"label,text\ngood,a fine film\nbad,\"dull, \"\"very\"\" dull\nand long\"\n",
        b"sep=;\ntext;label\r\na;1\r\nb;2\r\n",
        b"text\tlabel\nfine\tgood\n\"quoted\"\tbad\n",
        b"{\"text\":\"a fine film\",\"label\":\"good\",\"stars\":5}\n{\"text\":\"dull\",\"label\":2}\n",
        b"__label__good a fine film\n__label__bad __label__dull dull\n",
        b"a line\n\nanother line\n",
        b"\xff\xfea\0,\0b\0\n\0c\0,\0d\0\n\0",
    ];
    let formats = [
        None,
        Some(Format::Lines),
        Some(Format::Csv),
        Some(Format::Tsv),
        Some(Format::Jsonl),
        Some(Format::Fasttext),
    ];
    fuzz_bytes(
        "documents",
        4000,
        seeds("documents", &tables),
        move |bytes| {
            let which = bytes.len();
            let options = DocumentOptions {
                format: formats[which % formats.len()],
                labels: which.is_multiple_of(2),
                lossy: which.is_multiple_of(3),
                keeps_fields: which.is_multiple_of(5),
                ..DocumentOptions::default()
            };
            for options in [DocumentOptions::default(), options] {
                if let Ok(mut rows) =
                    LabelledRows::read(Cursor::new(bytes.to_vec()), "file", &options)
                {
                    for row in &mut rows {
                        if row.is_err() {
                            break;
                        }
                    }
                    rows.closing_notes();
                }
            }
            for name in ["a.csv", "a.tsv", "a.jsonl", "a.txt"] {
                if let Ok(input) =
                    TextReader::new(Cursor::new(bytes.to_vec()), name, InvalidBytes::Replaced)
                {
                    let file = TextFile {
                        input,
                        name,
                        column: "text",
                    };
                    let _ = file.rows(&mut Vec::new());
                }
            }
        },
    );
}

#[test]
fn pairs_of_any_bytes() {
    let sandbox = Sandbox::new();
    let tables: [&[u8]; 3] = [
        b"en\tfr\na cat\tun chat\na dog\tun chien\n",
        b"{\"translation\":{\"en\":\"a cat\",\"fr\":\"un chat\"}}\n{\"source\":\"a\",\"target\":\"b\"}\n",
        b"source,target\n\"a, cat\",un chat\n",
    ];
    let lines = sandbox.write("lines.fr", "un chat\nun chien\n");
    fuzz_bytes("pairs", 2000, seeds("pairs", &tables), move |bytes| {
        for name in ["a.tsv", "a.csv", "a.jsonl", "a"] {
            let path = sandbox.write(name, bytes);
            let _ = Pairs::of_tables(&[path], &PairOptions::default());
        }
        let _ = Pairs::of_lines(&sandbox.path("a"), &lines, bytes.len().is_multiple_of(2));
    });
}

/// Tables of numbers over time.
fn series_seeds() -> Vec<Vec<u8>> {
    let tables: [&[u8]; 6] = [
        b"month,value\n2020-01,10\n2020-02,12\n2020-03,14\n2020-04,11\n2020-05,13\n2020-06,15\n2020-07,12\n",
        b"id;date;value\na;01.02.2020;1,5\na;02.02.2020;1.234,5\nb;03.02.2020;7\nb;05.02.2020;8\n",
        b"year month sales\n2019 1 5\n2019 2 6\n2019 3 \n2019 4 7\n",
        b"id,V1,V2,V3\nY1,1,2,3\nY2,4,5,\n",
        b"time,value\n2020-01-01T00:00:00Z,1e3\n2020-01-01T01:00:00+02:00,-2\n2020-01-01T02:00:00.250Z,NA\n",
        b"1\n2\n3\n4\n5\n6\n7\n8\n",
    ];
    seeds("series", &tables)
}

#[test]
fn series_of_any_bytes() {
    let named = SeriesOptions {
        date_columns: vec!["1".to_string()],
        value_columns: vec!["value".to_string(), "2".to_string()],
        ..SeriesOptions::default()
    };
    fuzz_bytes("series", 6000, series_seeds(), move |bytes| {
        for options in [&SeriesOptions::default(), &named] {
            if let Ok(file) = SeriesFile::read(Cursor::new(bytes.to_vec()), "file", options) {
                for series in &file.series {
                    let last = series.values.len().saturating_sub(1);
                    assert!(series.known() <= series.values.len());
                    drop([0, last].map(|index| series.label(index)));
                }
            }
        }
    });
}

#[test]
fn forecasts_of_any_bytes() {
    let line = "forecast series.csv --horizon 3 --json";
    fuzz_program(
        "forecasts",
        100,
        Sandbox::new(),
        "series.csv",
        series_seeds(),
        line,
    );
}

/// Folders of forecasters of many kinds; model.json alone of them is read.
fn forecasters() -> (Sandbox, Vec<&'static str>) {
    let sandbox = Sandbox::new();
    let wave = |step: usize| 20.0 + step as f64 + 5.0 * (step as f64 * 0.785).sin();
    let values: Vec<String> = (0..36).map(|step| format!("{:.2}", wave(step))).collect();
    let dated = values.iter().enumerate();
    let dated = dated.map(|(at, value)| format!("{}-{:02},{value}\n", 2000 + at / 12, at % 12 + 1));
    let dated: String = dated.collect();
    sandbox.write("dated.csv", format!("month,value\n{dated}"));
    sandbox.write("plain.csv", format!("value\n{}\n", values.join("\n")));
    let lines = [
        (
            "simple",
            "plain.csv --method naive,drift,theta,ets --season 4",
        ),
        ("many", "plain.csv --method combination --season 4"),
        (
            "arima",
            "dated.csv --method sarima --seasonal 0,1,1,12 --order 1,0,1",
        ),
        ("smooth", "dated.csv --method holt-winters,seasonal-naive"),
        (
            "waves",
            "plain.csv --method ar --season 4,9 --transform log",
        ),
    ];
    for (name, line) in lines {
        let line = format!("forecast {line} --horizon 3 -o {name} -q");
        sandbox.carousel(&line).success();
        fs::remove_file(sandbox.path(&format!("{name}/forecast.json"))).unwrap();
    }
    (sandbox, lines.map(|(name, _)| name).to_vec())
}

#[test]
fn damaged_forecasters() {
    let (sandbox, names) = forecasters();
    fuzz_models("forecasters", 1000, sandbox, &names, |folder| {
        KeptForecaster::open(folder).is_ok_and(|kept| {
            let _ = kept.forecast(Some(NewValues::Numbers(&[30.0, 31.0])), Some("2"));
            kept.forecast(None, None).is_ok()
        })
    });
}

#[test]
fn texts_in_any_encoding() {
    let texts: [&[u8]; 5] = [
        b"a line\r\nanother\rand\nthe last",
        b"\xef\xbb\xbfa mark \xc3\xa9 \xf0\x9f\x98\x80",
        b"\xff\xfea\0\r\0\n\0=\xd8\0\xde",
        b"\xfe\xff\0a\0\r\0\n\xd8=\xde\0",
        b"caf\xe9 \x93quoted\x94",
    ];
    fuzz_bytes("texts", 7000, seeds("texts", &texts), |bytes| {
        for invalid in [InvalidBytes::Replaced, InvalidBytes::Refused("advice")] {
            let Ok(mut reader) = TextReader::new(Cursor::new(bytes.to_vec()), "file", invalid)
            else {
                continue;
            };
            if let Ok(text) = reader.rest() {
                assert!(text.len() <= 3 * bytes.len() || reader.notes().compressed_files > 0);
            }
        }
    });
}

#[test]
fn prompts_of_any_bytes() {
    let (sandbox, names) = language_models();
    let models: Vec<Model> = names
        .iter()
        .map(|name| Model::open(&Directory::at(sandbox.path(name)), Precision::Float32, 1).unwrap())
        .collect();
    let texts: [&[u8]; 3] = [
        b"the cat sat",
        "é\u{301}\u{1f600}\u{2028}\0 ab".as_bytes(),
        b"<unk> <eos>\n\n\t",
    ];
    fuzz_bytes("prompts", 600, seeds("prompts", &texts), move |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let text: String = text.chars().take(600).collect();
        models.iter().for_each(|model| drop(write(model, &text)));
    });
}

#[test]
fn imports_of_any_bytes() {
    let sandbox = Sandbox::new();
    let network = crate::importing::seed();
    let words: &[u8] = b"the\n<eos>\n<unk>\ncat\nsat\non\nmat\n";
    let files = network.iter().map(|bytes| &bytes[..]).collect::<Vec<_>>();
    let vocabulary = sandbox.write("words.txt", words);
    fuzz_bytes("imports", 5000, seeds("imports", &files), move |bytes| {
        let path = sandbox.path("model");
        let _ = fs::remove_file(&path);
        let file = StateFile::open(&sandbox.write("model", bytes)).unwrap();
        let Ok(tensors) = file.state_dict() else {
            return;
        };
        let names: Vec<&str> = tensors.shapes().map(|(name, _)| name).collect();
        names.iter().for_each(|name| drop(tensors.floats(name)));
        if let Ok(found) = Found::find(&tensors) {
            let words = Vocabulary::of_file(&vocabulary, Level::Word).unwrap();
            let _ = found.model(&words, None);
            let _ = found.model(&Vocabulary::bytes(), None);
        }
    });
}

#[test]
fn vocabularies_of_any_bytes() {
    let sandbox = Sandbox::new();
    let mut files = Vec::new();
    for (name, tokenizer) in tokenizers() {
        model_of_tokenizer(
            &sandbox.path(name),
            &tokenizer,
            Recurrent::new(Cell::Lstm, 12, 1),
            true,
        );
        files.push(sandbox.read(&format!("{name}/tokenizer.json")));
    }
    files.push(
        br#"{"version":"1.0","added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"decoder":null,"model":{"type":"WordLevel","vocab":{"a":0,"<unk>":1},"unk_token":"<unk>"}}"#.to_vec(),
    );
    files.push(b"the\ncat\n\\n\n<unk>\n".to_vec());
    let files: Vec<&[u8]> = files.iter().map(|bytes| &bytes[..]).collect();
    fuzz_bytes(
        "vocabularies",
        700,
        seeds("vocabularies", &files),
        move |bytes| {
            let path = sandbox.write("vocabulary", bytes);
            for level in [Level::Word, Level::Character, Level::Byte, Level::Subword] {
                let _ = Vocabulary::of_file(&path, level);
                if let Ok(vocabulary) = Vocabulary::of_tokenizer(&path, Some(level)) {
                    let ids = vocabulary.tokenizer.encode("the cat\n é").0;
                    vocabulary.tokenizer.decode(&ids);
                }
                for split in [Split::Natural, Split::Whitespace] {
                    if let Ok(tokenizer) = Tokenizer::load(&path, level, split) {
                        let ids = tokenizer.encode("the cat\n é").0;
                        tokenizer.decode(&ids);
                        tokenizer.line_end();
                    }
                }
            }
        },
    );
}

/// Bodies of requests, by the path that they are for.
#[cfg(feature = "serve")]
const REQUESTS: [(&str, &str); 9] = [
    (
        "/v1/completions",
        r#"{"prompt":"a bad","max_tokens":5,"temperature":1,"top_p":0.9,"n":2,"stop":["e"],"seed":7,"logprobs":2,"echo":true}"#,
    ),
    (
        "/v1/completions",
        r#"{"model":"characters","prompt":["a","b"],"min_p":0.1,"top_k":3,"repetition_penalty":1.5,"clamp":{"1:4":50},"stream":true}"#,
    ),
    ("/score", r#"{"texts":["a bad","é"],"tokens":true}"#),
    (
        "/classify",
        r#"{"text":"a bad","explain":true,"threshold":0.5}"#,
    ),
    (
        "/translate",
        r#"{"text":"a","attention":true,"best":2,"beam":3}"#,
    ),
    (
        "/inside",
        r#"{"model":"characters","text":"a bad","gates":true,"unit":1}"#,
    ),
    (
        "/inside/find",
        r#"{"model":"characters","csv":"label,text\nx,a b\ny,c d\nx,a\ny,c\n"}"#,
    ),
    (
        "/forecast",
        r#"{"csv":"month,value\n2020-01,1\n2020-02,2\n2020-03,3\n2020-04,4\n","horizon":2,"method":"naive"}"#,
    ),
    (
        "/forecast",
        r#"{"values":[1,2,3,4,5,6,7,8],"season":2,"levels":[80],"backtest":true}"#,
    ),
];

#[cfg(feature = "serve")]
#[test]
fn requests_of_any_bytes() {
    use crate::serve::Server;

    let sandbox = Sandbox::new();
    let [(_, characters), ..] = tokenizers();
    let lstm = Recurrent::new(Cell::Lstm, 12, 1);
    model_of_tokenizer(&sandbox.path("characters"), &characters, lstm, true);
    classifier_by_hand(&sandbox.path("classifier"));
    translator_by_hand(
        &sandbox.path("translator"),
        &characters,
        None,
        Attention::Dot,
    );
    let server = Server::start(&sandbox, "characters classifier translator --max-tokens 20");
    let bodies: Vec<Vec<u8>> = REQUESTS
        .iter()
        .map(|(_, body)| body.as_bytes().to_vec())
        .collect();
    let input = move |mutator: &mut Mutator| {
        let which = mutator.below(bodies.len());
        let seeds = [bodies[which].clone()];
        [&[which as u8], &mutator.input(&seeds)[..]].concat()
    };
    fuzz("requests", 700, input, move |bytes| {
        let _kept = &sandbox;
        let (path, _) = REQUESTS[usize::from(bytes[0])];
        let answer = server.ask("POST", path, "", &bytes[1..]);
        assert!(answer.status < 500, "{path}: {answer:?}");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_text_is_classified_alike_beside_any_others(
        texts in prop::collection::vec("[a-hé. ]{0,40}|\\PC{0,20}", 1..9),
        threads in 1usize..4,
    ) {
        let sandbox = Sandbox::new();
        classifier_by_hand(&sandbox.path("model"));
        let open = |threads| {
            let directory = Directory::at(sandbox.path("model"));
            Classifier::open(&directory, Precision::Float32, threads).unwrap()
        };
        let (one, several) = (open(1), open(threads));
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let together = several.classify(&texts);
        for (text, together) in texts.iter().zip(&together) {
            prop_assert_eq!(&one.classify(&[text])[0], together, "{:?}", text);
        }
    }
}
