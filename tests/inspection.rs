use carousel::checkpoint::Directory;
use carousel::inference::generated_text::samples;
use carousel::inference::generator::{Prompt, StopConditions};
use carousel::inference::inspection::plain::PlainNetwork;
use carousel::inference::inspection::units::{Unit, UnitReader};
use carousel::inference::next_token::NetworkState;
use carousel::inference::predictor::Predictor;
use carousel::inference::sampling::{Choice, Sampling};
use carousel::inference::stack::Clamp;
use carousel_kernels::Precision;
use carousel_kernels::recurrent::{Activation, Cell};

use crate::sandbox::{Sandbox, model_by_hand, model_of_layers};

const ALPHABET: &str = "abcdefghijklmnopqrstuvwxyz .\n";
const TEXT: &str = "the ferry left at nine.\nnobody was on it but a dog.\n";

/// Every cell with its options.
fn every_network() -> Vec<carousel::checkpoint::architecture::Recurrent> {
    use carousel::checkpoint::architecture::{Leak, Recurrent};
    let with = |cell| Recurrent::new(cell, 20, 2);
    let plain = [
        with(Cell::Rnn),
        Recurrent {
            activation: Activation::Relu,
            ..with(Cell::Rnn)
        },
        Recurrent {
            leak: Some(Leak::Fixed(0.75)),
            ..with(Cell::Leaky)
        },
        Recurrent {
            leak: Some(Leak::Learnt),
            ..with(Cell::Leaky)
        },
        Recurrent {
            skip: vec![3],
            ..with(Cell::Skip)
        },
        with(Cell::Gru),
        with(Cell::Lstm),
    ];
    let options = [(false, false), (true, false), (false, true), (true, true)];
    plain
        .iter()
        .flat_map(|layers| {
            options.map(|(layer_norm, residual)| Recurrent {
                layer_norm,
                residual,
                ..layers.clone()
            })
        })
        .collect()
}

#[test]
fn the_plain_pass_equals_the_kernels() {
    for layers in every_network() {
        let sandbox = Sandbox::new();
        let config = model_of_layers(&sandbox.path("model"), ALPHABET, layers, false);
        let directory = Directory::at(sandbox.path("model"));
        let weights = directory.load_weights(&config).unwrap();
        let plain = PlainNetwork::load(&config, &weights).unwrap();
        let reader = UnitReader::open(&directory, &config, 1).unwrap();
        let tokens = directory.load_tokenizer(&config).unwrap().encode(TEXT).0;
        let tokens = &tokens[..12];
        for (layer, unit) in [(0, 0), (0, 19), (1, 7), (1, 17)] {
            let expected = reader.activations(tokens, Unit { layer, unit });
            let mut state = plain.zero_state();
            for (&token, expected) in tokens.iter().zip(expected) {
                plain.step(token, &mut state);
                let found = state[layer].hidden[0][unit];
                assert!(
                    (found - expected).abs() < 1e-3 * expected.abs().max(1.0),
                    "{}, {layer}:{unit}: {found} and {expected}",
                    config.recurrent().cell_description()
                );
            }
        }
    }
}

#[test]
fn clamped_units_keep_their_value_at_every_step() {
    for layers in every_network() {
        let sandbox = Sandbox::new();
        let config = model_of_layers(&sandbox.path("model"), ALPHABET, layers, false);
        let directory = Directory::at(sandbox.path("model"));
        let model = carousel::inference::Model::open(&directory, Precision::Float32, 1).unwrap();
        let Predictor::Network(network) = &model.predictor else {
            panic!("a network");
        };
        let mut state = network.initial_state(2);
        let clamp = |layer, unit, value| Clamp { layer, unit, value };
        state.clamp(&[clamp(0, 3, 0.5), clamp(1, 19, -2.0)]);
        // One step, then several at once.
        for tokens in [&[1, 2][..], &[3, 4, 5, 6, 7, 8]] {
            network.read(tokens, &mut state);
            let NetworkState::Recurrent(state) = &state else {
                panic!("recurrent layers");
            };
            for stream in 0..2 {
                let found = (
                    state.layer(0).hidden_of(stream)[3],
                    state.layer(1).hidden_of(stream)[19],
                );
                assert_eq!(
                    found,
                    (0.5, -2.0),
                    "{}",
                    config.recurrent().cell_description()
                );
            }
        }
    }
}

#[test]
fn clamps_change_what_is_generated() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), ALPHABET, 2, false);
    let model = carousel::inference::Model::open(
        &Directory::at(sandbox.path("model")),
        Precision::Float32,
        1,
    )
    .unwrap();
    let tokens = model.tokenizer.encode("the").0;
    let generated = |clamps: &[Clamp]| {
        let prompt = Prompt::read_clamped(&model, tokens.clone(), clamps, |_| ());
        let sampling = Sampling {
            repetition: None,
            choice: Choice::Greedy,
        };
        let stop = StopConditions {
            length: Some(20),
            strings: Vec::new(),
        };
        samples(&prompt, sampling, &stop, (1, 1), || true)
    };
    let strong = Clamp {
        layer: 1,
        unit: 4,
        value: 50.0,
    };
    assert_ne!(generated(&[]), generated(&[strong]));
    let line = "generate -m model -p the --length 20 --greedy";
    let plain = sandbox.carousel(line).success().out;
    let clamped = sandbox
        .carousel(&format!("{line} --clamp 4=50"))
        .success()
        .out;
    assert_ne!(plain, clamped);
    for wrong in ["20=1", "2:0=1", "4", "4=x", "x=1"] {
        let outcome = sandbox.carousel(&format!("{line} --clamp {wrong}"));
        assert_eq!(outcome.code, Some(2), "{wrong}: {outcome:?}");
    }
}

#[test]
fn parameters_are_listed_by_layer() {
    let sandbox = Sandbox::new();
    let config = model_by_hand(&sandbox.path("model"), ALPHABET, 2, false);
    let out = sandbox.carousel("inspect model").success().out;
    for expected in ["rnn.weight_hh_l1", "80 x 20", "100.0 %", "output.bias"] {
        assert!(out.contains(expected), "{expected} in\n{out}");
    }
    let out = sandbox.carousel("inspect model --json").success().out;
    let object: serde_json::Value = serde_json::from_str(&out).unwrap();
    let tensors = object["tensors"].as_array().unwrap().iter();
    let sum: u64 = tensors
        .map(|tensor| tensor["parameters"].as_u64().unwrap())
        .sum();
    assert_eq!(sum, config.parameters() as u64);
    assert_eq!(object["options"]["clip_norm"], 1.0);
}

#[test]
fn gates_and_units_are_shown_over_a_text() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), ALPHABET, 2, false);
    sandbox.write("text", TEXT);
    let gates = sandbox.carousel("inspect model text --gates").success().out;
    for expected in [
        "52 tokens of text",
        "layer 1",
        "forget gate",
        "time constants",
    ] {
        assert!(gates.contains(expected), "{expected} in\n{gates}");
    }
    let json = sandbox
        .carousel("inspect model text --gates --json")
        .success()
        .out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["layers"][1]["gates"][1]["name"], "forget");

    let unit = sandbox
        .carousel("inspect model text --unit 0:7")
        .success()
        .out;
    assert_eq!(unit.lines().count(), TEXT.len());
    assert!(unit.lines().next().unwrap().ends_with("\t\"t\""), "{unit}");
    let short = sandbox.carousel_reading("text", "inspect model - --unit 7 --length 5");
    assert_eq!(short.success().out.lines().count(), 5);
    sandbox
        .carousel("inspect model text --unit 7 -o unit.html")
        .success();
    let page = String::from_utf8(sandbox.read("unit.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("unit 1:7 of model over text"));

    let table = [
        (
            "inspect model --gates",
            2,
            "need a text to read: carousel inspect model TEXT",
        ),
        (
            "inspect model text",
            2,
            "TEXT is for --gradients, --gates and --unit",
        ),
        ("inspect model text --unit 20", 2, "there is no unit 20"),
        (
            "inspect model text --gates -o x.svg",
            2,
            "-o is for the picture",
        ),
        ("inspect model gone --gates", 1, "gone"),
    ];
    for (line, code, message) in table {
        let outcome = sandbox.carousel(line);
        assert_eq!(outcome.code, Some(code), "{line}: {outcome:?}");
        assert!(outcome.err.contains(message), "{line}: {}", outcome.err);
    }
}

#[test]
fn a_unit_that_separates_two_labels_is_found() {
    let sandbox = Sandbox::new();
    model_by_hand(&sandbox.path("model"), ALPHABET, 1, false);
    // The last letter tells the label, and the last hidden state knows the last letter.
    let rows = (0..40).map(|i| {
        let (label, end) = if i % 2 == 0 {
            ("early", 'a')
        } else {
            ("late", 'z')
        };
        let middle = char::from(b'b' + (i % 11) as u8);
        format!("{label},it was {middle} {end}\n")
    });
    sandbox.write(
        "two.csv",
        format!("label,text\n{}", rows.collect::<String>()),
    );
    let outcome = sandbox
        .carousel("inspect model --find-unit two.csv --json")
        .success();
    let found: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(found["labels"], serde_json::json!(["early", "late"]));
    assert_eq!(found["majority"], 0.5);
    assert!(
        found["units"][0]["accuracy"].as_f64().unwrap() > 0.9,
        "{found}"
    );
    let outcome = sandbox
        .carousel("inspect model --find-unit two.csv")
        .success();
    assert!(outcome.out.contains("majority") && outcome.err.contains("--clamp 0:"));

    sandbox.write("one.csv", "label,text\nearly,a b\nearly,c d\n");
    let outcome = sandbox.carousel("inspect model --find-unit one.csv");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome
            .err
            .contains("has 1 labels, and a unit separates two"),
        "{}",
        outcome.err
    );
}
