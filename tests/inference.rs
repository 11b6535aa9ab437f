use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;

use carousel::checkpoint::Directory;
use carousel::checkpoint::architecture::{NextToken, Recurrent};
use carousel::checkpoint::parts::{Body, Head};
use carousel::checkpoint::transformer::Transformer;
use carousel::inference::classifier::Classifier;
use carousel::inference::explanation::explain;
use carousel::inference::generated_text;
use carousel::inference::generator::{Generator, Prompt, StopConditions, TextEvent};
use carousel::inference::next_token::Wanted;
use carousel::inference::sampling::{Choice, Sampling, argmax_token};
use carousel::inference::{Model, evaluation};
use carousel::text::corpus::encode_files;
use carousel::text::source::InvalidBytes;
use carousel::text::spelling::Spelling;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::vocabulary::{VocabularyConfig, VocabularyTrainer};
use carousel::text::{Level, Normalization, Split};
use carousel_kernels::recurrent::Cell;
use carousel_kernels::{Precision, log_sum_exp};

use crate::sandbox::{Outcome, Sandbox, model_by_hand, model_of_tokenizer, save_model};

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz .\né世😀";

fn sandbox_with_model() -> Sandbox {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), ALPHABET, 2, false);
    sandbox
}

fn open(sandbox: &Sandbox) -> Model {
    open_with(sandbox, Precision::Float32, 2)
}

fn open_with(sandbox: &Sandbox, precision: Precision, threads: usize) -> Model {
    Model::open(&Directory::at(sandbox.path("model")), precision, threads).unwrap()
}

#[test]
fn program_does_not_link_libtorch() {
    let program = std::fs::read(env!("CARGO_BIN_EXE_carousel")).unwrap();
    let needle = b"libtorch_cpu.so";
    assert!(!program.windows(needle.len()).any(|window| window == needle));
}

#[test]
fn one_call_equals_step_by_step() {
    let sandbox = sandbox_with_model();
    let network = open(&sandbox).predictor;
    let tokens = [3, 1, 4, 1, 5, 9, 2, 6];
    let mut state = network.initial_state(1);
    let at_once = network.forward(&tokens, &mut state, Wanted::All);
    let mut stepped = network.initial_state(1);
    let by_step: Vec<f32> = tokens
        .iter()
        .flat_map(|&t| network.forward(&[t], &mut stepped, Wanted::Last))
        .collect();
    assert!(
        at_once
            .iter()
            .zip(&by_step)
            .all(|(a, b)| (a - b).abs() < 1e-5)
    );
    let mut last = network.initial_state(1);
    let last = network.forward(&tokens, &mut last, Wanted::Last);
    let of_all = &at_once[at_once.len() - network.vocab_size()..];
    assert!(last.iter().zip(of_all).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn streams_do_not_affect_each_other() {
    let sandbox = sandbox_with_model();
    let network = open(&sandbox).predictor;
    let streams = [[1u32, 2, 3], [7, 8, 9], [4, 4, 4], [0, 5, 0], [2, 2, 1]];
    let interleaved: Vec<u32> = (0..3)
        .flat_map(|t| streams.map(|stream| stream[t]))
        .collect();
    let mut state = network.initial_state(5);
    let together = network.forward(&interleaved, &mut state, Wanted::Last);
    for (stream, together) in streams
        .iter()
        .zip(together.chunks_exact(network.vocab_size()))
    {
        let mut state = network.initial_state(1);
        let alone = network.forward(stream, &mut state, Wanted::Last);
        assert!(
            alone
                .iter()
                .zip(together)
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
    }
}

#[test]
fn evaluation_predicts_each_token_once_after_an_end_of_line() {
    let sandbox = sandbox_with_model();
    let model = open(&sandbox);
    let text = "a small text. world 世界\n".repeat(30);
    let file = sandbox.write("text", &text);
    let encoded = encode_files(
        &[file],
        &model.tokenizer,
        &Spelling::default(),
        InvalidBytes::Replaced,
    )
    .unwrap();
    assert_eq!(encoded.size.tokens as usize, text.chars().count());
    assert_eq!(encoded.unknown, 30);
    let mut predicted = 0;
    let nats = evaluation::nats(
        &model.predictor,
        &encoded.ids,
        model.tokenizer.line_end(),
        |tokens| predicted += tokens,
    );
    assert_eq!(nats.one_at_a_time, nats.all);
    let nats = nats.all;
    assert_eq!(predicted, encoded.size.tokens);

    let mut state = model.predictor.initial_state(1);
    let mut input = model.tokenizer.line_end();
    let mut expected = 0.0;
    for target in encoded.ids.read(0..encoded.ids.len()) {
        let logits = model.predictor.forward(&[input], &mut state, Wanted::Last);
        expected += log_sum_exp(&logits) - f64::from(logits[target as usize]);
        input = target;
    }
    assert!(
        (nats - expected).abs() < 1e-3 * expected,
        "{nats} {expected}"
    );
}

#[test]
fn evaluation_in_streams_equals_one_stream() {
    let sandbox = sandbox_with_model();
    let model = open(&sandbox);
    let text: String = (0..20_000)
        .map(|i| ALPHABET.chars().nth(i * i % 33).unwrap())
        .collect();
    let file = sandbox.write("text", &text);
    let encoded = encode_files(
        &[file],
        &model.tokenizer,
        &Spelling::default(),
        InvalidBytes::Replaced,
    )
    .unwrap();
    let line_end = model.tokenizer.line_end();
    let side_by_side = evaluation::nats(&model.predictor, &encoded.ids, line_end, |_| ()).all;
    let mut state = model.predictor.initial_state(1);
    let inputs: Vec<u32> = [line_end]
        .into_iter()
        .chain(encoded.ids.read(0..encoded.ids.len() - 1))
        .collect();
    let logits = model.predictor.forward(&inputs, &mut state, Wanted::All);
    let rows = logits
        .chunks_exact(model.predictor.vocab_size())
        .zip(encoded.ids.read(0..encoded.ids.len()));
    let one: f64 = rows
        .map(|(row, id)| log_sum_exp(row) - f64::from(row[id as usize]))
        .sum();
    assert!(
        (side_by_side - one).abs() / 20_000.0 < 1e-4,
        "{side_by_side} {one}"
    );
}

#[test]
fn greedy_text_is_the_most_probable_token_at_each_step() {
    let sandbox = sandbox_with_model();
    let model = open(&sandbox);
    let sampling = Sampling {
        repetition: None,
        choice: Choice::Greedy,
    };
    let text = generated_text::sample(&model, sampling, 20, 0);
    let mut state = model.predictor.initial_state(1);
    let mut ids = vec![model.tokenizer.line_end()];
    let mut expected = Vec::new();
    for step in 0.. {
        let mut logits = model
            .predictor
            .forward(&[ids[step]], &mut state, Wanted::Last);
        logits[0] = f32::NEG_INFINITY; // The unknown token is never generated.
        expected.push(argmax_token(&logits));
        ids.push(argmax_token(&logits));
        if expected.len() == 20 {
            break;
        }
    }
    assert_eq!(text, model.tokenizer.decode(&expected));
}

#[test]
fn text_depends_on_the_seed_alone() {
    let sandbox = sandbox_with_model();
    let write = |seed: u64| {
        sandbox
            .carousel(&format!(
                "generate -m model -p ab --length 60 --seed {seed}"
            ))
            .success()
    };
    assert_eq!(write(1).out, write(1).out);
    assert_ne!(write(1).out, write(2).out);
    assert!(write(1).out.starts_with("ab"));
    assert!(write(1).err.contains("60 tokens") && write(1).err.contains("seed 1"));
}

#[test]
fn samples_differ_and_do_not_depend_on_their_number() {
    let sandbox = sandbox_with_model();
    let lines = |samples: u32| {
        let line =
            format!("generate -m model -p ab --length 30 --seed 5 --samples {samples} --json");
        let out = sandbox.carousel(&line).success().out;
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect::<Vec<serde_json::Value>>()
    };
    let three = lines(3);
    assert_eq!(three.len(), 3);
    assert_ne!(three[0]["text"], three[1]["text"]);
    assert_eq!(lines(1)[0]["text"], three[0]["text"]);
    assert_eq!(three[0]["prompt"], "ab");
    assert_eq!(
        (&three[0]["tokens"], &three[0]["seed"]),
        (&30.into(), &5.into())
    );
    assert_eq!(three[0]["finish_reason"], "length");
    // Each has a seed of its own, with which it is written again.
    assert_eq!(
        (&three[2]["sample"], &three[2]["seed"]),
        (&2.into(), &7.into())
    );
    let line = "generate -m model -p ab --length 30 --seed 7 --json";
    let again: serde_json::Value =
        serde_json::from_str(&sandbox.carousel(line).success().out).unwrap();
    assert_eq!(again["text"], three[2]["text"]);
}

#[test]
fn rows_of_a_file_are_written_and_scored_with_their_other_fields() {
    let sandbox = sandbox_with_model();
    let rows = [
        r#"{"id": "a", "prompt": "one", "text": "two", "lang": "en"}"#,
        r#"{"id": "b", "prompt": "", "text": "three"}"#,
    ];
    sandbox.write("rows.jsonl", rows.join("\n"));
    sandbox.write("rows.txt", "one\n\ntwo\n");
    let run = |line: &str| -> Vec<serde_json::Value> {
        let out = sandbox.carousel(line).success().out;
        out.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let written =
        run("generate -m model --prompts rows.jsonl --samples 2 --length 5 --seed 1 --json");
    let ids: Vec<&str> = written
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["a", "a", "b", "b"]);
    assert_eq!(
        (&written[1]["lang"], &written[1]["sample"]),
        (&"en".into(), &1.into())
    );
    assert_eq!(
        (&written[0]["prompt"], &written[2]["prompt"]),
        (&"one".into(), &"".into())
    );
    let alone = run("generate -m model -p one --length 5 --seed 2 --json");
    assert_eq!(written[1]["text"], alone[0]["text"]);
    let scored = run("score -m model --input rows.jsonl --json");
    assert_eq!(
        (&scored[1]["id"], &scored[1]["text"]),
        (&"b".into(), &"three".into())
    );
    let alone = run("score -m model three --json");
    assert_eq!(scored[1]["log_probability"], alone[0]["log_probability"]);
    assert_eq!(run("score -m model --input rows.txt --json").len(), 2);
    let shown = sandbox.carousel("generate -m model --prompts rows.txt --greedy --length 3");
    let shown = shown.success().out;
    let [one, two] = ["one", "two"].map(|prompt| {
        let line = format!("generate -m model -p {prompt} --greedy --length 3");
        sandbox.carousel(&line).success().out
    });
    assert_eq!(shown, format!("{one}\n\n{two}"));
    let outcome = sandbox.carousel("score -m model --input rows.jsonl --json one");
    assert_eq!(outcome.code, Some(2));
}

#[test]
fn invalid_bytes_of_standard_input_are_named_by_it() {
    let sandbox = sandbox_with_model();
    sandbox.write("latin.txt", b"ab\xE4c");
    for (line, advice) in [
        ("generate -m model -p -", "convert the file to UTF-8"),
        ("score -m model -", "convert the file to UTF-8"),
        (
            "evaluate -m model -",
            "convert the file, or replace invalid bytes (--lossy)",
        ),
    ] {
        assert_eq!(
            sandbox.carousel_reading("latin.txt", line).err,
            format!(
                "carousel: standard input is not UTF-8 text: line 1, byte offset 2, found byte 0xE4; {advice}\n"
            )
        );
    }
}

#[test]
fn prompts_are_read_from_option_file_or_standard_input() {
    let sandbox = sandbox_with_model();
    sandbox.write("prompt.txt", "ab\n");
    let option = sandbox
        .carousel("generate -m model -p ab --length 40 --greedy")
        .success()
        .out;
    let file = sandbox
        .carousel("generate -m model --prompt-file prompt.txt --length 40 --temperature 0")
        .success()
        .out;
    assert_eq!(option, file);
    for line in [
        "generate -m model -p - --length 40 --greedy",
        "generate -m model --prompt-file - --length 40 --greedy",
    ] {
        assert_eq!(sandbox.carousel_reading("prompt.txt", line).out, option);
    }
}

#[test]
fn unknown_characters_of_the_prompt_are_noted_and_kept() {
    let sandbox = sandbox_with_model();
    let outcome = sandbox
        .carousel("generate -m model -p 'Zebra Ü' --length 5 --seed 1")
        .success();
    assert!(outcome.out.starts_with("Zebra Ü"));
    assert!(
        outcome
            .err
            .contains("note: the model does not know \"Z\", \"Ü\"; read as unknown"),
        "{}",
        outcome.err
    );
}

#[test]
fn closed_pipe_is_not_a_failure() {
    let sandbox = sandbox_with_model();
    let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_carousel")));
    command
        .args(["generate", "-m", "model", "--length", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

/// Objects printed by `generate --json`.
fn texts(sandbox: &Sandbox, options: &str) -> Vec<serde_json::Value> {
    let outcome = sandbox.carousel(&format!("generate -m model -p ab --json {options}"));
    let lines = outcome.success().out;
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn threads_and_other_samples_do_not_change_a_text() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), ALPHABET, 2, false);
    for precision in ["f32", "bf16", "int8"] {
        let options = format!("--seed 3 --length 80 --precision {precision}");
        let many = texts(&sandbox, &format!("{options} --samples 300 --threads 3"));
        assert_eq!(many.len(), 300);
        let few = texts(&sandbox, &format!("{options} --samples 2 --threads 1"));
        for (few, many) in few.iter().zip(&many) {
            assert_eq!(few["text"], many["text"], "{precision}");
        }
    }
}

#[test]
fn lower_precision_changes_the_loss_slightly() {
    let sandbox = sandbox_with_model();
    sandbox.write("text", "a small text. world é\n".repeat(50));
    let loss = |precision: &str| {
        let line = format!("evaluate -m model text --json --precision {precision}");
        let figures: serde_json::Value =
            serde_json::from_str(&sandbox.carousel(&line).success().out).unwrap();
        figures["loss"].as_f64().unwrap()
    };
    let whole = loss("f32");
    for precision in ["bf16", "int8"] {
        let change = (loss(precision) / whole - 1.0).abs();
        assert!(change > 0.0 && change < 0.01, "{precision}: {change}");
    }
    let default = sandbox
        .carousel("evaluate -m model text --json")
        .success()
        .out;
    let default: serde_json::Value = serde_json::from_str(&default).unwrap();
    assert_eq!(default["loss"].as_f64().unwrap(), whole);
}

#[test]
fn stop_strings_end_texts_across_tokens() {
    let sandbox = sandbox_with_model();
    let whole = texts(&sandbox, "--seed 9 --length 200 --precision f32");
    let whole = whole[0]["text"].as_str().unwrap();
    let characters: Vec<char> = whole.chars().collect();
    // Characters that need no quotes on the command line.
    let plain = |window: &&[char]| !window.iter().any(|c| c.is_whitespace());
    let stop: String = characters[20..]
        .windows(5)
        .find(plain)
        .unwrap()
        .iter()
        .collect();
    let before = whole.split(&stop).next().unwrap();
    let stopped = &texts(
        &sandbox,
        &format!("--seed 9 --length 200 --precision f32 --stop {stop} --stop 世世世世世"),
    )[0];
    assert_eq!(stopped["text"], before);
    assert_eq!(stopped["finish_reason"], "stop");
    let several = texts(
        &sandbox,
        &format!("--seed 9 --length 200 --precision f32 --stop {stop} --samples 5"),
    );
    assert_eq!(several[0]["text"], before);
    let alone = texts(
        &sandbox,
        "--seed 9 --length 200 --precision f32 --samples 5",
    );
    for (stopped, alone) in several.iter().zip(&alone) {
        let alone = alone["text"].as_str().unwrap();
        assert_eq!(stopped["text"], alone.split(&stop).next().unwrap());
    }
}

#[test]
fn endless_text_continues_until_interrupted() {
    let sandbox = sandbox_with_model();
    let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_carousel")));
    command
        .args(["generate", "-m", "model", "-p", "ab", "--length", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut some = vec![0; 200_000];
    child
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut some)
        .unwrap();
    // Handled as Ctrl-C is, which processes in the background ignore.
    let interrupt = std::process::Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(interrupt.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(
        err.contains("tokens, ") && err.ends_with("carousel: interrupted\n"),
        "{err}"
    );
}

#[test]
fn conversation_continues_from_its_state() {
    let sandbox = sandbox_with_model();
    let turns = |typed: &str| {
        let typed = sandbox.write("typed", typed);
        let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_carousel")));
        command
            .args(crate::sandbox::words(
                "generate -m model -i --greedy --length 30",
            ))
            .stdin(std::fs::File::open(typed).unwrap());
        Outcome::new(command.output().unwrap()).success().out
    };
    let whole = sandbox
        .carousel("generate -m model -p ab --greedy --length 60")
        .success()
        .out;
    let whole: Vec<char> = whole.trim_end_matches('\n').chars().collect();
    let [first, second]: [String; 2] = [2..32, 32..62].map(|part| whole[part].iter().collect());
    // After an empty line the model continues by itself.
    assert_eq!(turns("ab\n\n"), format!("{first}\n{second}\n"));
    // The answer is the same as with the whole conversation as the prompt.
    let prompt = sandbox.write("prompt", format!("ab{first}\nworld"));
    let answer = sandbox
        .carousel(&format!(
            "generate -m model --prompt-file {} --greedy --length 30",
            prompt.display()
        ))
        .success()
        .out;
    let answer = answer.strip_prefix(&format!("ab{first}\nworld")).unwrap();
    assert_eq!(turns("ab\nworld\n"), format!("{first}\n{answer}"));
}

/// Texts of several prompts, each joining the others when those have as many steps as `delay` says for each before it.
fn joined_texts(model: &Model, prompts: &[&str], delay: usize) -> Vec<String> {
    let sampling = Sampling {
        repetition: None,
        choice: Choice::Random {
            top_k: None,
            top_p: Some(0.9),
            min_p: None,
            temperature: 1.0,
        },
    };
    let mut texts = vec![String::new(); 2 * prompts.len()];
    let mut batch = Generator::empty(model);
    let mut waiting = prompts.iter().enumerate();
    let mut steps = 0;
    let mut all_joined = false;
    while !all_joined || !batch.is_finished() {
        let mut take = |index: usize, event: TextEvent| {
            if let TextEvent::Piece(piece) = event {
                texts[index].push_str(piece);
            }
        };
        if steps % delay == 0 {
            match waiting.next() {
                None => all_joined = true,
                Some((index, prompt)) => {
                    let prompt = Prompt::read(model, model.tokenizer.encode(prompt).0, |_| ());
                    let stop = StopConditions {
                        length: Some(9 + 5 * index as u64),
                        strings: Vec::new(),
                    };
                    let seed = index as u64;
                    let other = Generator::new(&prompt, sampling, stop, seed, 0..2);
                    batch.join(other, 2 * index, &mut take);
                }
            }
        }
        batch.step(take);
        steps += 1;
    }
    texts
}

#[test]
fn texts_that_join_others_grow_as_they_do_alone() {
    let sandbox = Sandbox::new();
    let base = model_by_hand(&sandbox.path("plain"), ALPHABET, 2, false);
    let characters: Vec<char> = ALPHABET.chars().collect();
    let tokenizer = Tokenizer::characters(&characters);
    let recurrent = |change: fn(&mut Recurrent)| {
        let mut layers = Recurrent::new(Cell::Gru, 20, 3);
        change(&mut layers);
        Body::Recurrent(layers)
    };
    let horizon = |horizon| {
        Head::NextToken(NextToken {
            horizon,
            ..NextToken::default()
        })
    };
    let kinds = [
        (recurrent(|_| ()), horizon(1)),
        (recurrent(|layers| layers.residual = true), horizon(1)),
        (recurrent(|_| ()), horizon(3)),
        (Body::Transformer(Transformer::new(12, 2, 8)), horizon(1)),
    ];
    let mut names = vec!["plain".to_string(), "ngrams".to_string()];
    for (index, (body, head)) in kinds.into_iter().enumerate() {
        let mut config = base.clone();
        (config.body, config.head) = (body, head);
        names.push(format!("model{index}"));
        save_model(&sandbox.path(&names[index + 2]), &tokenizer, &config);
    }
    sandbox.write(
        "tale.txt",
        "the cat sat on the mat.\nthe dog sat.\n".repeat(30),
    );
    let line = "train tale.txt -o ngrams --level char --baseline ngram --order 4 -q";
    sandbox.carousel(line).success();
    let prompts = ["the ", "a", "", "the cat sat on"];
    for name in names {
        let model =
            Model::open(&Directory::at(sandbox.path(&name)), Precision::Float32, 1).unwrap();
        let alone = joined_texts(&model, &prompts, 1000);
        assert!(
            alone.iter().all(|text| !text.is_empty()),
            "{name}: {alone:?}"
        );
        for delay in [1, 2, 3] {
            assert_eq!(
                joined_texts(&model, &prompts, delay),
                alone,
                "{name}, {delay}"
            );
        }
    }
}

#[test]
fn a_text_that_leaves_disturbs_no_other() {
    let sandbox = sandbox_with_model();
    let model = open(&sandbox);
    let generate = |leaves: bool| {
        let prompt = Prompt::read(&model, model.tokenizer.encode("ab").0, |_| ());
        let greedy = Sampling {
            repetition: None,
            choice: Choice::Greedy,
        };
        let sampling = greedy.at_temperature(1.0);
        let stop = StopConditions {
            length: Some(12),
            strings: Vec::new(),
        };
        let mut generator = Generator::new(&prompt, sampling, stop, 5, 0..3);
        let mut texts = vec![String::new(); 3];
        for step in 0..12 {
            generator.step(|index, event| {
                if let TextEvent::Piece(piece) = event {
                    texts[index].push_str(piece);
                }
            });
            if step == 4 && leaves {
                generator.leave(1..2);
            }
        }
        assert!(generator.is_finished());
        texts
    };
    let (all, without) = (generate(false), generate(true));
    assert_eq!((&all[0], &all[2]), (&without[0], &without[2]));
    assert!(all[1].starts_with(&without[1]) && without[1].chars().count() == 5);
}

#[test]
fn long_prompt_in_parts_equals_step_by_step() {
    let sandbox = sandbox_with_model();
    let model = open(&sandbox);
    let sampling = Sampling {
        repetition: None,
        choice: Choice::Greedy,
    };
    let stop = StopConditions {
        length: Some(1),
        strings: Vec::new(),
    };
    // The last part has no, one and two tokens, so that the next token depends on the state of the parts before.
    for length in [256, 257, 258, 600] {
        let tokens: Vec<u32> = (0..length).map(|i| 1 + i * i % 30).collect();
        let mut read = 0;
        let prompt = Prompt::read(&model, tokens.clone(), |part| read += part);
        assert_eq!(read, u64::from(length));
        let mut generator = Generator::new(&prompt, sampling, stop.clone(), 0, 0..1);
        let mut found = String::new();
        generator.step(|_, event| {
            if let TextEvent::Piece(piece) = event {
                found.push_str(piece);
            }
        });
        let mut state = model.predictor.initial_state(1);
        model
            .predictor
            .read(&[model.tokenizer.line_end()], &mut state);
        let mut logits = Vec::new();
        for &token in &tokens {
            logits = model.predictor.forward(&[token], &mut state, Wanted::Last);
        }
        logits[0] = f32::NEG_INFINITY;
        assert_eq!(found, model.tokenizer.decode(&[argmax_token(&logits)]));
    }
}

#[test]
fn score_equals_evaluation_of_the_same_text() {
    let sandbox = sandbox_with_model();
    let text = "hello Ü world";
    sandbox.write("text", text);
    let parse = |out: String| -> serde_json::Value { serde_json::from_str(&out).unwrap() };
    let line = format!("score -m model --json --tokens '{text}'");
    let score = parse(sandbox.carousel(&line).success().out);
    let figures = parse(
        sandbox
            .carousel("evaluate -m model text --json")
            .success()
            .out,
    );
    for key in ["tokens", "bits_per_character"] {
        let (a, b) = (score[key].as_f64().unwrap(), figures[key].as_f64().unwrap());
        assert!((a - b).abs() < 1e-6 * b, "{key}: {a} {b}");
    }
    let tokens = score["token_scores"].as_array().unwrap();
    let sum: f64 = tokens
        .iter()
        .map(|t| t["log_probability"].as_f64().unwrap())
        .sum();
    assert!((sum - score["log_probability"].as_f64().unwrap()).abs() < 1e-9);
    // Every figure counts the spelling of the unknown character, as bits do in the evaluation.
    let bits = figures["bits_per_character"].as_f64().unwrap();
    assert!((sum + bits * 13.0 * 2f64.ln()).abs() < 1e-4);
    assert!((score["perplexity"].as_f64().unwrap().ln() * 13.0 + sum).abs() < 1e-9);
    assert_eq!(score["unknown"], serde_json::json!(["Ü"]));
    let unknown = tokens.iter().map(|token| token["unknown"] == true);
    assert_eq!(unknown.collect::<Vec<_>>(), shown_as_unknown(text, 'Ü'));
    // The text of an unknown token is the character itself.
    let shown: String = tokens
        .iter()
        .map(|t| t["token"].as_str().unwrap())
        .collect();
    assert_eq!(shown, text);
    let table = sandbox
        .carousel(&format!("score -m model --tokens '{text}'"))
        .success()
        .out;
    assert!(table.starts_with(&format!("{text}\n")), "{table}");
    assert_eq!(table.lines().count(), 15);
    let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_carousel")));
    command
        .args(["score", "-m", "model", "-", "--json"])
        .stdin(std::fs::File::open(sandbox.path("text")).unwrap());
    let piped = parse(String::from_utf8(command.output().unwrap().stdout).unwrap());
    assert_eq!(piped["log_probability"], score["log_probability"]);
}

fn shown_as_unknown(text: &str, unknown: char) -> Vec<bool> {
    text.chars().map(|character| character == unknown).collect()
}

#[test]
fn invented_words_are_less_probable_than_known_ones() {
    let sandbox = Sandbox::new();
    let words = ["the", " old", " boat", " sank", "\n"].map(String::from);
    let tokenizer = Tokenizer::words(Split::Natural, words.to_vec());
    let layers = Recurrent::new(Cell::Lstm, 12, 1);
    model_of_tokenizer(&sandbox.path("model"), &tokenizer, layers, false);
    let out = sandbox
        .carousel("score -m model --json 'the old boat sank' 'the old zrgl sank'")
        .success()
        .out;
    let scores: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (key, invented_is_higher) in [
        ("log_probability", false),
        ("perplexity", true),
        ("bits_per_character", true),
    ] {
        let [known, invented] = [0, 1].map(|text| scores[text][key].as_f64().unwrap());
        assert_eq!(invented > known, invented_is_higher, "{key}: {out}");
    }
    assert_eq!(scores[0]["unknown"], serde_json::json!([]));
    assert_eq!(scores[1]["unknown"], serde_json::json!(["zrgl"]));
    let shown = sandbox
        .carousel("score -m model --tokens 'the old zrgl sank'")
        .success()
        .out;
    assert!(shown.contains("\" zrgl\"  unknown\n"), "{shown}");
    assert!(
        shown.contains("4 tokens, 1 of them unknown and spelt out: \"zrgl\""),
        "{shown}"
    );
}

/// A tokenizer of a text.
fn train(text: &str, level: Level, split: Split) -> Tokenizer {
    let config = VocabularyConfig {
        level,
        split,
        vocab_size: (level == Level::Subword).then_some(330),
        min_count: 1,
        normalization: Normalization::of(level),
    };
    let mut trainer = VocabularyTrainer::new(config, text.len() as u64);
    trainer.push(config.normalization.apply(text).as_bytes());
    trainer.finish().unwrap()
}

#[test]
fn a_thousand_written_tokens_are_encoded_as_they_were_written() {
    let text =
        "The end's near, the ends' ends:\n\tgo on -- or don't ('maybe').  Then, cafe\u{301}s!\n";
    let text = format!("{text}{}", text.to_lowercase());
    let random = |top_k, temperature| Choice::Random {
        top_k,
        top_p: None,
        min_p: None,
        temperature,
    };
    for (level, split) in [
        (Level::Character, Split::Natural),
        (Level::Word, Split::Natural),
        (Level::Word, Split::Whitespace),
        (Level::Subword, Split::Natural),
    ] {
        let sandbox = Sandbox::new();
        let tokenizer = train(&text, level, split);
        let layers = Recurrent::new(Cell::Lstm, 12, 1);
        model_of_tokenizer(&sandbox.path("model"), &tokenizer, layers, false);
        let model = open(&sandbox);
        for choice in [random(None, 2.0), random(Some(9), 1.0), Choice::Greedy] {
            let sampling = Sampling {
                repetition: None,
                choice,
            };
            let written = generated_text::sample(&model, sampling, 1000, 3);
            // The last character may be incomplete.
            let whole = written.trim_end_matches('\u{FFFD}');
            let (ids, unknown) = tokenizer.encode(whole);
            assert_eq!(unknown, [""; 0], "{level} {choice:?}: {written:?}");
            assert!(
                (997..=1000).contains(&ids.len()),
                "{level} {choice:?}: {written:?}"
            );
            assert!(
                ids.len() == 1000 || whole != written,
                "{level} {choice:?}: {written:?}"
            );
            assert_eq!(tokenizer.decode(&ids), whole);
        }
    }
}

#[test]
fn where_no_token_can_follow_the_text_ends() {
    let sandbox = Sandbox::new();
    for (words, expected) in [(vec!["lonely"], Some("lonely")), (vec![], None)] {
        let words = words.into_iter().map(String::from).collect();
        let tokenizer = Tokenizer::words(Split::Natural, words);
        let layers = Recurrent::new(Cell::Lstm, 12, 1);
        model_of_tokenizer(&sandbox.path("model"), &tokenizer, layers, false);
        let outcome = sandbox.carousel("generate -m model --length 9 --samples 2 --json");
        let Some(text) = expected else {
            assert_eq!(outcome.code, Some(1));
            assert!(
                outcome.err.contains("it can write nothing"),
                "{}",
                outcome.err
            );
            continue;
        };
        for line in outcome.success().out.lines() {
            let written: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(written["text"], text);
            assert_eq!(written["tokens"], 1);
            assert_eq!(written["finish_reason"], "exhausted");
        }
    }
}

#[test]
fn stop_strings_are_found_in_any_form() {
    let sandbox = Sandbox::new();
    let tokenizer = train("\u{e9}", Level::Character, Split::Natural);
    let layers = Recurrent::new(Cell::Lstm, 12, 1);
    model_of_tokenizer(&sandbox.path("model"), &tokenizer, layers, false);
    let out = sandbox
        .carousel("generate -m model --json --length 9 --stop e\u{301}")
        .success()
        .out;
    let written: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&written["text"], &written["finish_reason"]),
        (&"".into(), &"stop".into())
    );
}

#[test]
fn evaluate_prints_all_scores() {
    let sandbox = sandbox_with_model();
    let text = "hello world.\nÜ é\n";
    sandbox.write("text", text);
    let out = sandbox
        .carousel("evaluate -m model text --json")
        .success()
        .out;
    let figures: serde_json::Value = serde_json::from_str(&out).unwrap();
    let number = |key: &str| {
        figures[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} in {out}"))
    };
    assert_eq!(number("tokens"), 17.0);
    assert_eq!(number("characters"), 17.0);
    assert_eq!(number("bytes"), 19.0);
    assert!((number("unknown_rate") - 1.0 / 17.0).abs() < 1e-9);
    assert!((number("perplexity") - number("loss").exp()).abs() < 1e-9);
    let uniform = &figures["baselines"][0];
    assert_eq!(uniform["name"], "uniform");
    assert!((uniform["perplexity"].as_f64().unwrap() - 33.0).abs() < 1e-9);
    // The spelling of the unknown character counts in bits, not in perplexity.
    assert!(number("bits_per_character") > number("loss") / 2f64.ln());
    assert!(number("tokens_per_second") > 0.0);
    let table = sandbox.carousel("evaluate -m model text").success().out;
    assert!(
        ["17 tokens", "perplexity", "unigram", "uniform"]
            .iter()
            .all(|word| table.contains(word)),
        "{table}"
    );
}

#[test]
fn tied_and_deep_models_generate() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("tied"), ALPHABET, 1, true);
    model_by_hand(&sandbox.path("deep"), ALPHABET, 4, false);
    for model in ["tied", "deep"] {
        sandbox
            .carousel(&format!("generate -m {model} -p abc --length 10"))
            .success();
    }
}

#[test]
fn inspect_describes_the_model() {
    let sandbox = sandbox_with_model();
    let out = sandbox.carousel("inspect model").success().out;
    for expected in [
        "LSTM, 2 x 20, embedding 12",
        "char, vocabulary of 33",
        "made-up.txt",
        "7 steps",
        "2.2500",
        "best",
    ] {
        assert!(out.contains(expected), "{expected} in\n{out}");
    }
}

#[test]
fn models_are_found_by_name() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("models/tales"), ALPHABET, 1, false);
    let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_carousel")));
    command
        .env("CAROUSEL_MODELS", sandbox.path("models"))
        .args(["inspect", "tales"]);
    assert!(command.output().unwrap().status.success());
}

#[test]
fn shipped_classifier_classifies_everyday_texts() {
    let sandbox = Sandbox::new();
    let tries = concat!(env!("CARGO_MANIFEST_DIR"), "/corpora/tries.csv");
    let figures = sandbox
        .carousel(&format!("evaluate -m sentiment '{tries}' --json"))
        .success();
    let figures: serde_json::Value = serde_json::from_str(&figures.out).unwrap();
    assert!(figures["accuracy"].as_f64().unwrap() > 0.85, "{figures}");

    let classify = |texts: &[&str]| -> Vec<String> {
        let mut command = sandbox.command(Path::new(env!("CARGO_BIN_EXE_carousel")));
        let output = command.arg("classify").args(texts).output().unwrap();
        let out = Outcome::new(output).success().out;
        out.lines().map(String::from).collect()
    };
    let labels: Vec<String> = classify(&[
        "what a waste of two hours",
        "I didn’t like it",
        "not bad at all",
        "NOT BAD AT ALL",
    ])
    .iter()
    .map(|line| line.split('\t').next().unwrap().to_string())
    .collect();
    assert_eq!(labels, ["negative", "negative", "positive", "positive"]);
    assert_eq!(
        classify(&["I didn’t enjoy it", "I didnʼt enjoy it"]),
        vec![classify(&["I didn't enjoy it"]).concat(); 2]
    );
}

#[test]
fn explanations_explain_the_reading_that_was_made() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/checkpoints/sentiment");
    let classifier = Classifier::open(&Directory::at(folder), Precision::Float32, 1).unwrap();
    let positive = 2;
    assert_eq!(classifier.config.labels()[positive], "positive");
    let odds = |text: &str, variant: &str| {
        let logits = &classifier.classify_variants(text, &[variant])[0].logits;
        logits[positive] - (logits[0].exp() + logits[1].exp()).ln()
    };
    // All in capitals alone, but not within a text that is not.
    let text = "GREAT Film";
    assert!((odds(text, "GREAT") - odds("GREAT", "GREAT")).abs() > 0.1);
    let explanation = explain(&classifier, text, positive);
    let contributions: Vec<f64> = explanation.pieces.iter().map(|p| p.contribution).collect();
    let expected = [
        odds(text, text) - odds(text, "Film"),
        odds(text, text) - odds(text, "GREAT"),
    ];
    for (found, expected) in contributions.iter().zip(expected) {
        assert!(
            (found - expected).abs() < 1e-3,
            "{contributions:?} {expected}"
        );
    }
    // What is praised counts for more than what is praised about it.
    assert!(
        contributions[0] > 2.0 && contributions[1].abs() < contributions[0] / 2.0,
        "{contributions:?}"
    );
    assert_eq!(
        classifier.classify(&[text])[0],
        classifier.classify_variants(text, &[text])[0]
    );

    // The example of the help has the signs that a reader expects.
    let text = "a warm and funny film with a dull ending";
    let sandbox = Sandbox::new();
    let help = sandbox.carousel("classify --help").success().out;
    assert!(help.contains(text), "{help}");
    let line = format!("classify '{text}' --explain");
    let out = sandbox.carousel(&line).success().out;
    let sign = |word: &str| {
        let line = out
            .lines()
            .find(|line| line.ends_with(&format!("  {word}")));
        line.unwrap().trim().chars().next().unwrap()
    };
    assert!(out.starts_with("positive\t"), "{out}");
    assert_eq!(["warm", "funny", "dull"].map(sign), ['+', '+', '-']);
    assert!(out.contains("+ for, - against positive"), "{out}");
}

#[test]
fn help_names_the_default_model_of_the_command() {
    let sandbox = Sandbox::new();
    let table = [
        ("generate", "[default: reviews]", "[default: auto]"),
        ("classify", "[default: sentiment]", "[default: auto]"),
        ("score", "it has to be given", "[default: f32]"),
        ("evaluate", "it has to be given", "[default: f32]"),
    ];
    for (command, model, precision) in table {
        let help = sandbox.carousel(&format!("{command} --help")).success().out;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in [
            format!("the name of one that ships {model}").replace("ships it", "ships; it"),
            format!("Precision of the computation {precision}"),
        ] {
            assert!(help.contains(&expected), "{expected}: {help}");
        }
    }
    // The example takes documents that no model is trained on.
    let help = sandbox.carousel("evaluate --help").success().out;
    assert!(
        help.contains("evaluate -m sentiment corpora/tries.csv"),
        "{help}"
    );
}

#[test]
fn shipped_language_model_is_the_default() {
    let line = "generate -p 'This film' --length 40 --seed 1";
    let text = Sandbox::new().carousel(line).success().out;
    assert!(text.split_whitespace().count() > 20, "{text}");
}

#[test]
fn help_of_each_command_has_an_example() {
    let sandbox = Sandbox::new();
    for command in ["train", "generate", "score", "evaluate", "inspect"] {
        let help = sandbox.carousel(&format!("{command} --help")).success().out;
        assert!(
            help.contains("Example") && help.contains(&format!("  carousel {command}")),
            "{help}"
        );
    }
}
