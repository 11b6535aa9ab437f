use std::collections::BTreeMap;

use carousel::checkpoint::Directory;
use carousel::inference::Model;
use carousel::inference::next_token::Wanted;
use carousel_kernels::Precision;
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::sandbox::Sandbox;

/// A state dict: shapes and numbers by names.
type State = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A made-up network, with the names of its tensors.
struct Case {
    kind: &'static str,
    embedding: &'static str,
    output: &'static str,
    /// The name of a tensor of a layer.
    layer: fn(usize, &str) -> String,
    /// Width of the embedding, and of each layer.
    widths: &'static [usize],
    tied: bool,
    biased: bool,
}

const WORDS: [&str; 7] = ["the", "<eos>", "<unk>", "cat", "sat", "on", "mat"];

impl Case {
    fn gates(&self) -> usize {
        match self.kind {
            "lstm" => 4,
            "gru" => 3,
            _ => 1,
        }
    }

    fn state(&self) -> State {
        let mut state = State::new();
        let mut add = |name: String, shape: &[usize]| {
            let which = state.len();
            let count = shape.iter().product::<usize>();
            let values = (0..count).map(|i| ((i * (which + 3) + which) as f32).sin() * 0.6);
            state.insert(name, (shape.to_vec(), values.collect()));
        };
        add(
            format!("{}.weight", self.embedding),
            &[WORDS.len(), self.widths[0]],
        );
        for (number, sizes) in self.widths.windows(2).enumerate() {
            let rows = self.gates() * sizes[1];
            add((self.layer)(number, "weight_ih"), &[rows, sizes[0]]);
            add((self.layer)(number, "weight_hh"), &[rows, sizes[1]]);
            if self.biased {
                add((self.layer)(number, "bias_ih"), &[rows]);
                add((self.layer)(number, "bias_hh"), &[rows]);
            }
        }
        let last = self.widths[self.widths.len() - 1];
        add(format!("{}.weight", self.output), &[WORDS.len(), last]);
        add(format!("{}.bias", self.output), &[WORDS.len()]);
        if self.tied {
            let embedding = state[&format!("{}.weight", self.embedding)].clone();
            state.insert(format!("{}.weight", self.output), embedding);
        }
        state
    }

    /// Logits after each token, in float64 by the formulas of PyTorch's documentation.
    fn logits(&self, state: &State, ids: &[usize]) -> Vec<Vec<f64>> {
        let mut hidden: Vec<Vec<f64>> = self.widths[1..].iter().map(|&w| vec![0.0; w]).collect();
        let mut cells = hidden.clone();
        let mut all = Vec::new();
        for &id in ids {
            let embedding = &state[&format!("{}.weight", self.embedding)].1;
            let width = self.widths[0];
            let mut input: Vec<f64> = (embedding[id * width..][..width].iter())
                .map(|&value| f64::from(value))
                .collect();
            for number in 0..hidden.len() {
                let sums = |which: &str, bias: &str, vector: &[f64]| {
                    let bias = state
                        .get(&(self.layer)(number, bias))
                        .map(|(_, values)| &values[..]);
                    affine(&state[&(self.layer)(number, which)].1, bias, vector)
                };
                let x = sums("weight_ih", "bias_ih", &input);
                let h = sums("weight_hh", "bias_hh", &hidden[number]);
                let size = hidden[number].len();
                let gate =
                    |which: usize, unit: usize| x[which * size + unit] + h[which * size + unit];
                for unit in 0..size {
                    let old = hidden[number][unit];
                    hidden[number][unit] = match self.kind {
                        "lstm" => {
                            let kept = sigmoid(gate(1, unit)) * cells[number][unit];
                            cells[number][unit] =
                                kept + sigmoid(gate(0, unit)) * gate(2, unit).tanh();
                            sigmoid(gate(3, unit)) * cells[number][unit].tanh()
                        }
                        "gru" => {
                            let (reset, update) = (sigmoid(gate(0, unit)), sigmoid(gate(1, unit)));
                            let at = 2 * size + unit;
                            let new = (x[at] + reset * h[at]).tanh();
                            (1.0 - update) * new + update * old
                        }
                        "relu" => gate(0, unit).max(0.0),
                        _ => gate(0, unit).tanh(),
                    };
                }
                input.clone_from(&hidden[number]);
            }
            let (_, weight) = &state[&format!("{}.weight", self.output)];
            let (_, bias) = &state[&format!("{}.bias", self.output)];
            all.push(affine(weight, Some(bias), &input));
        }
        all
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn affine(weight: &[f32], bias: Option<&[f32]>, vector: &[f64]) -> Vec<f64> {
    let rows = weight.chunks_exact(vector.len()).enumerate();
    rows.map(|(row, weights)| {
        let products = weights.iter().zip(vector).map(|(&w, x)| f64::from(w) * x);
        products.sum::<f64>() + bias.map_or(0.0, |bias| f64::from(bias[row]))
    })
    .collect()
}

fn safetensors_of(state: &State) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> = state
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|v| v.to_le_bytes()).collect()))
        .collect();
    let views = state.iter().map(|(name, (shape, _))| {
        (
            name,
            TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap(),
        )
    });
    safetensors::serialize(views, None).unwrap()
}

/// Ids of the imported model's tokens, by the rows of the other program.
const PLAIN: [u32; 7] = [0, 1, 2, 3, 4, 5, 6];

/// Checks that a model gives these logits, which are compared as probabilities.
#[track_caller]
fn check_logits(
    sandbox: &Sandbox,
    model: &str,
    rows: &[usize],
    expected: &[Vec<f64>],
    ours: &[u32],
) {
    let model = Model::open(&Directory::at(sandbox.path(model)), Precision::Float32, 1).unwrap();
    let ids: Vec<u32> = rows.iter().map(|&row| ours[row]).collect();
    let mut state = model.predictor.initial_state(1);
    let found = model.predictor.forward(&ids, &mut state, Wanted::All);
    let size = model.tokenizer.vocab_size();
    for (found, expected) in found.chunks_exact(size).zip(expected) {
        for (&own, expected) in ours.iter().zip(expected) {
            assert!(
                (f64::from(found[own as usize]) - expected).abs() < 1e-4,
                "{found:?} {expected:?}"
            );
        }
    }
}

fn torch_names(layer: usize, which: &str) -> String {
    format!("model.rnn.{which}_l{layer}")
}

fn salesforce_names(layer: usize, which: &str) -> String {
    let raw = if which == "weight_hh" { "_raw" } else { "" };
    format!("rnns.{layer}.module.{which}_l0{raw}")
}

fn fastai_names(layer: usize, which: &str) -> String {
    match which {
        "weight_hh" => format!("0.rnns.{layer}.weight_hh_l0_raw"),
        _ => format!("0.rnns.{layer}.module.{which}_l0"),
    }
}

const TORCH: Case = Case {
    kind: "lstm",
    embedding: "model.embedding",
    output: "model.fc",
    layer: torch_names,
    widths: &[5, 6, 6],
    tied: false,
    biased: true,
};

fn cases() -> Vec<(Case, &'static str)> {
    let one = Case {
        widths: &[5, 6],
        ..TORCH
    };
    vec![
        (TORCH, ""),
        (
            Case {
                biased: false,
                ..one
            },
            "",
        ),
        (
            Case {
                kind: "gru",
                widths: &[6, 6, 6],
                tied: true,
                ..TORCH
            },
            "",
        ),
        (
            Case {
                kind: "rnn",
                ..TORCH
            },
            "",
        ),
        (
            Case {
                kind: "relu",
                ..TORCH
            },
            "--activation relu",
        ),
        (
            Case {
                embedding: "encoder",
                output: "decoder",
                layer: salesforce_names,
                widths: &[4, 9, 9, 4],
                tied: true,
                ..TORCH
            },
            "",
        ),
        (
            Case {
                embedding: "0.encoder",
                output: "1.decoder",
                layer: fastai_names,
                widths: &[4, 9, 7],
                ..TORCH
            },
            "",
        ),
    ]
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("words.txt", WORDS.join("\n"));
    sandbox
}

#[test]
fn imported_networks_give_the_same_logits() {
    let ids = [1, 0, 3, 4, 5, 0, 6, 1, 2];
    for (number, (case, flags)) in cases().into_iter().enumerate() {
        let sandbox = sandbox();
        let mut state = case.state();
        let expected = case.logits(&state, &ids);
        if case.embedding == "0.encoder" {
            // What the last step of training used, and a second name of the embedding.
            let dropped = state["0.rnns.0.weight_hh_l0_raw"].clone();
            let dropped = (dropped.0, vec![0.0; dropped.1.len()]);
            state.insert("0.rnns.0.module.weight_hh_l0".to_string(), dropped);
            let embedding = state["0.encoder.weight"].clone();
            state.insert("0.encoder_dp.emb.weight".to_string(), embedding);
        }
        sandbox.write("model.safetensors", safetensors_of(&state));
        let line = format!(
            "import model.safetensors -o model --vocabulary words.txt --level word {flags}"
        );
        let outcome = sandbox.carousel(&line).success();
        check_logits(&sandbox, "model", &ids, &expected, &PLAIN);
        let padded = case.widths.windows(2).any(|pair| pair[1] != case.widths[1]);
        assert_eq!(
            outcome.err.contains("units whose weights are zero"),
            padded,
            "{number}"
        );
        assert_eq!(outcome.err.contains("taken to be tanh"), case.kind == "rnn");
    }
}

#[test]
fn an_imported_model_is_used_like_others() {
    let sandbox = sandbox();
    sandbox.write("model.safetensors", safetensors_of(&TORCH.state()));
    sandbox.write("text", "the cat sat on the mat\nthe dog sat\n");
    let import = "import model.safetensors -o model --vocabulary words.txt --level word";
    sandbox.carousel(import).success();
    let again = sandbox.carousel(import);
    assert_eq!(again.code, Some(2), "{again:?}");
    sandbox.carousel(&format!("{import} --overwrite")).success();
    sandbox
        .carousel("generate -m model -p 'the cat' --length 5 --seed 1")
        .success();
    let evaluated = sandbox.carousel("evaluate -m model text --json").success();
    assert!(
        evaluated.err.contains("not known of an imported model"),
        "{}",
        evaluated.err
    );
    let evaluated: serde_json::Value = serde_json::from_str(&evaluated.out).unwrap();
    assert_eq!(evaluated["baselines"].as_array().unwrap().len(), 1);
    assert!(evaluated["loss"].as_f64().unwrap().is_finite());
    let scored = sandbox.carousel("score -m model 'the cat sat'").success();
    assert!(scored.out.contains("log probability -"), "{}", scored.out);
    let inspected = sandbox.carousel("inspect model").success();
    assert!(
        inspected.out.contains("from model.safetensors"),
        "{}",
        inspected.out
    );
    sandbox
        .carousel("export -m model -o small --precision int8")
        .success();
    let inspected = sandbox.carousel("inspect small").success();
    assert!(
        inspected.out.contains("from model.safetensors"),
        "{}",
        inspected.out
    );
}

#[test]
fn characters_without_an_unknown_one_get_it() {
    let sandbox = Sandbox::new();
    sandbox.write("model.safetensors", safetensors_of(&TORCH.state()));
    sandbox.write("characters.txt", "a\nb\n \n\\n\né\n<pad>\nc\n");
    let outcome = sandbox
        .carousel("import model.safetensors -o model --vocabulary characters.txt --level char")
        .success();
    assert!(outcome.err.contains("<unk> is added"), "{}", outcome.err);
    let ids = [3, 0, 1, 2, 4, 6];
    let expected = TORCH.logits(&TORCH.state(), &ids);
    let shifted = PLAIN.map(|id| id + 1);
    check_logits(&sandbox, "model", &ids, &expected, &shifted);
    let scored = sandbox
        .carousel("score -m model --tokens --json 'ab éc?'")
        .success();
    let scored: serde_json::Value = serde_json::from_str(&scored.out).unwrap();
    let log = |place: usize| {
        scored["token_scores"][place]["log_probability"]
            .as_f64()
            .unwrap()
    };
    for (place, row) in [0, 1, 2, 4, 6].into_iter().enumerate() {
        let logits = &expected[place];
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        assert!(
            (log(place) - (logits[row] - sum.ln())).abs() < 1e-4,
            "{place}"
        );
    }
    assert!(log(5) < -30.0, "{}", log(5));
}

#[test]
fn a_tokenizer_of_either_kind_is_read() {
    let sandbox = sandbox();
    sandbox.write("model.safetensors", safetensors_of(&TORCH.state()));
    let import = "import model.safetensors -o model --vocabulary words.txt --level word";
    sandbox.carousel(import).success();
    let ids = [1, 0, 3, 4];
    let expected = TORCH.logits(&TORCH.state(), &ids);
    sandbox
        .carousel("import model.safetensors -o own --tokenizer model/tokenizer.json")
        .success();
    check_logits(&sandbox, "own", &ids, &expected, &PLAIN);
    let vocabulary: serde_json::Map<String, serde_json::Value> = WORDS
        .iter()
        .enumerate()
        .map(|(id, word)| (word.to_string(), id.into()))
        .collect();
    let theirs = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    });
    sandbox.write("theirs.json", theirs.to_string());
    let import = "import model.safetensors -o theirs --tokenizer theirs.json";
    let outcome = sandbox.carousel(import);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    sandbox
        .carousel(&format!("{import} --level word"))
        .success();
    check_logits(&sandbox, "theirs", &ids, &expected, &PLAIN);
}

#[test]
fn what_cannot_be_imported_is_named() {
    let sandbox = sandbox();
    let refuse = |state: &State, flags: &str, code: i32, message: &str| {
        sandbox.write("model.safetensors", safetensors_of(state));
        let outcome = sandbox.carousel(&format!("import model.safetensors -o model {flags}"));
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        assert!(outcome.err.contains(message), "{message}: {}", outcome.err);
        assert!(!sandbox.path("model/config.json").exists());
    };
    let words = "--vocabulary words.txt --level word";
    refuse(&TORCH.state(), "", 2, "the model has 7 tokens");
    refuse(
        &TORCH.state(),
        "--level byte",
        1,
        "has 256 tokens, but the model's embedding has 7 rows",
    );
    refuse(
        &TORCH.state(),
        &format!("{words} --activation relu"),
        2,
        "the activation of lstm is fixed",
    );
    let mut more = TORCH.state();
    more.insert("model.norm.weight".to_string(), (vec![6], vec![1.0; 6]));
    refuse(&more, words, 1, "more than can be read: model.norm.weight");
    let mut reverse = TORCH.state();
    let weights = reverse["model.rnn.weight_ih_l0"].clone();
    reverse.insert("model.rnn.weight_ih_l0_reverse".to_string(), weights);
    refuse(&reverse, words, 1, "weight_ih_l0_reverse");
    let mut none = TORCH.state();
    none.retain(|name, _| !name.contains("rnn"));
    refuse(&none, words, 1, "there are no recurrent layers");
    let mut wrong = TORCH.state();
    wrong.insert(
        "model.rnn.weight_hh_l1".to_string(),
        (vec![20, 5], vec![0.0; 100]),
    );
    refuse(&wrong, words, 1, "are not the sizes of stacked layers");
    let mut infinite = TORCH.state();
    infinite.get_mut("model.fc.bias").unwrap().1[0] = f32::NAN;
    refuse(&infinite, words, 1, "not a finite number");
    sandbox.write("words.txt", "the\nthe\n");
    refuse(&TORCH.state(), words, 1, "of line 2 is that of line 1 too");
}

/// A zip archive of stored entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in entries {
        let size = (data.len() as u32).to_le_bytes();
        let name_size = (name.len() as u16).to_le_bytes();
        let local = (bytes.len() as u32).to_le_bytes();
        // Version, flags, method, time, date, checksum.
        let common = [&[0; 14][..], &size, &size, &name_size].concat();
        bytes.extend([b"PK\x03\x04", &common[..], &[0, 0], name.as_bytes(), data].concat());
        let places = [&[0; 12][..], &local].concat();
        directory.extend([b"PK\x01\x02\0\0", &common[..], &places[..], name.as_bytes()].concat());
    }
    let count = (entries.len() as u16).to_le_bytes();
    let start = (bytes.len() as u32).to_le_bytes();
    let size = (directory.len() as u32).to_le_bytes();
    bytes.extend(directory);
    bytes.extend(
        [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &size,
            &start,
            &[0, 0],
        ]
        .concat(),
    );
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn integer(value: usize) -> Vec<u8> {
    [b"J", &(value as u32).to_le_bytes()[..]].concat()
}

/// The instructions for a tensor in the storage `key`, of which `claimed` numbers are said to be there. Its rows are stored as
/// columns where `transposed`.
fn tensor(key: &str, shape: &[usize], claimed: usize, transposed: bool) -> Vec<u8> {
    let mut code = b"ctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    code.extend(text("storage"));
    code.extend(b"ctorch\nFloatStorage\n");
    code.extend([text(key), text("cpu")].concat());
    // Integers beyond 32 bits have their length before them.
    code.extend([b"\x8a\x08", &(claimed as u64).to_le_bytes()[..]].concat());
    code.extend(b"tQK\0(");
    code.extend(shape.iter().flat_map(|&size| integer(size)));
    code.extend(b"t(");
    let strides = match (shape, transposed) {
        (&[rows, _], true) => vec![1, rows],
        (&[_, columns], false) => vec![columns, 1],
        _ => vec![1],
    };
    code.extend(strides.into_iter().flat_map(integer));
    code.extend(b"t\x89ccollections\nOrderedDict\n)RtR");
    code
}

/// What torch.save writes of a state dict within `{"state_dict": …, "epoch": 3}`.
fn saved(state: &State) -> Vec<u8> {
    let mut code = b"\x80\x02}q\0(".to_vec();
    code.extend(text("epoch"));
    code.extend(b"K\x03");
    code.extend(text("state_dict"));
    code.extend(b"ccollections\nOrderedDict\nq\x01)Rq\x02(");
    let mut storages = Vec::new();
    for (number, (name, (shape, values))) in state.iter().enumerate() {
        let key = number.to_string();
        let transposed = name.contains("weight_ih");
        code.extend([text(name), tensor(&key, shape, values.len(), transposed)].concat());
        let values: Vec<f32> = match (&shape[..], transposed) {
            (&[rows, columns], true) => (0..columns)
                .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
                .collect(),
            _ => values.clone(),
        };
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        storages.push((format!("model/data/{key}"), bytes));
    }
    // Attributes of the dictionary, as PyTorch has them.
    code.extend(b"u}");
    code.extend(text("_metadata"));
    code.extend(b"ccollections\nOrderedDict\n)Rsbu.");
    let mut entries: Vec<(&str, &[u8])> = vec![("model/data.pkl", &code)];
    entries.extend(storages.iter().map(|(name, bytes)| (&name[..], &bytes[..])));
    archive(&entries)
}

#[test]
fn what_torch_saved_is_read() {
    let sandbox = sandbox();
    let ids = [1, 0, 3, 4, 5];
    let state = TORCH.state();
    sandbox.write("model.pt", saved(&state));
    sandbox
        .carousel("import model.pt -o model --vocabulary words.txt --level word")
        .success();
    check_logits(&sandbox, "model", &ids, &TORCH.logits(&state, &ids), &PLAIN);
}

#[test]
fn hostile_and_damaged_archives_are_refused() {
    let sandbox = sandbox();
    let refuse = |bytes: &[u8], message: &str| {
        sandbox.write("model.pt", bytes);
        let outcome =
            sandbox.carousel("import model.pt -o model --vocabulary words.txt --level word");
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        assert!(
            outcome.err.starts_with("carousel: model.pt: "),
            "{}",
            outcome.err
        );
        assert!(outcome.err.contains(message), "{message}: {}", outcome.err);
    };
    let pickled = |code: &[u8]| archive(&[("model/data.pkl", code), ("model/data/0", &[0; 16])]);
    let system = [b"\x80\x02cos\nsystem\n(", &text("touch ran")[..], b"tR."].concat();
    refuse(&pickled(&system), "would call os.system, which is refused");
    let stacked = [b"\x80\x04", &text("posix")[..], &text("system"), b"\x93."].concat();
    refuse(
        &pickled(&stacked),
        "would call posix.system, which is refused",
    );
    assert!(!sandbox.path("ran").exists());
    let dictionary = |tensor: Vec<u8>| [b"}", &text("a")[..], &tensor, b"s."].concat();
    let huge = dictionary(tensor("0", &[2], 2_500_000_000, false));
    refuse(
        &pickled(&huge),
        "claims 2500000000 numbers of 4 bytes in the entry model/data/0, which has 16 bytes",
    );
    let wide = dictionary(tensor("0", &[2, 3], 4, false));
    refuse(&pickled(&wide), "is larger than its storage of 4 numbers");
    let missing = dictionary(tensor("1", &[2], 2, false));
    refuse(&pickled(&missing), "has no entry model/data/1");
    refuse(&pickled(b"\x80\x02X\xff\xff\xff\x7fabc"), "ends too early");
    refuse(&pickled(b"(((ttt0."), "not that of a state dict");
    refuse(&pickled(b"\x81."), "the instruction 0x81");
    refuse(&pickled(b"K\x05."), "no dictionary of tensors");
    refuse(b"no archive", "neither a whole safetensors file");
    let whole = saved(&TORCH.state());
    for length in [10, whole.len() / 2, whole.len() - 1] {
        refuse(&whole[..length], "truncated");
    }
    // No byte that is changed makes it panic.
    for at in (0..whole.len())
        .step_by(37)
        .chain(whole.len() - 200..whole.len())
    {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x5a;
        sandbox.write("damaged.pt", &damaged);
        let file =
            carousel::convert::state_dict::StateFile::open(&sandbox.path("damaged.pt")).unwrap();
        if let Ok(tensors) = file.state_dict() {
            let names: Vec<String> = tensors.shapes().map(|(name, _)| name.to_string()).collect();
            names.iter().for_each(|name| drop(tensors.floats(name)));
        }
    }
}

/// A network of seven words as both kinds of files, for `fuzz`.
pub fn seed() -> [Vec<u8>; 2] {
    [safetensors_of(&TORCH.state()), saved(&TORCH.state())]
}
