//! The reference of a translator against PyTorch's numbers and against the slopes of its loss.

use tch::{Device, Kind, Tensor};

use super::testing::{
    every_reference, network_of_cosines, training, transformer_translator_config, translator_config,
};
use super::tests::check_slopes;
use super::{BatchSize, Network, Sources, TransformerTranslation, Translation, TranslationMasks};
use crate::gradients::{Autograd, Batch, PairBatch, Window, translation_losses};
use crate::slices::floats;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::encoder_decoder::{Attention, EncoderDecoder};
use carousel::checkpoint::parts::Body;
use carousel::inference::translation_network::TranslationNetwork;
use carousel_kernels::{Precision, ThreadPool};

/// Pairs whose sources and targets have other lengths, and end with token 0.
const SOURCES: [&[u32]; 2] = [&[1, 4, 2, 0], &[5, 3, 0]];
const TARGETS: [&[u32]; 2] = [&[2, 6, 0], &[1, 3, 5, 4, 0]];
const SMOOTHING: f64 = 0.1;

fn batch(masks: &TranslationMasks) -> PairBatch<'_> {
    PairBatch {
        sources: &SOURCES,
        targets: &TARGETS,
        label_smoothing: SMOOTHING,
        masks,
    }
}

fn body(config: &mut ModelConfig) -> &mut EncoderDecoder {
    match &mut config.body {
        Body::EncoderDecoder(body) => body,
        _ => unreachable!("a translator"),
    }
}

/// The numbers are PyTorch's, in float64; E is the embedding's width, H the encoder's, D the decoder's:
/// ```python
/// emb, enc, temb = nn.Embedding(7, E), nn.GRU(E, H, bidirectional=True), emb if shared else nn.Embedding(8, E)
/// dec = [nn.LSTMCell(2 * E if feed else E, D), nn.LSTMCell(D if attention == "none" else D + 2 * H, D)]
/// bridge, ro = nn.Linear(2 * H, 4 * D), nn.Linear(D if attention == "none" else D + 2 * H, E)
/// # … wq, wk, ab, sc and ob, all filled with 0.5 · cos(0, k, 2k, …) in the order of the configuration's tensors
/// for s, t in zip(sources, targets):
///     m, last = enc(emb(s)); b = tanh(bridge(last.flatten())).view(2, 2, D)
///     st, r = [(b[0, 0], b[0, 1]), (b[1, 0], b[1, 1])], zeros(E)
///     for x, y in zip([0] + t[:-1], t):
///         st[0] = dec[0](cat([temb(x), r]) if feed else temb(x), st[0]); q = st[0][0]
///         score = m @ (wq @ q) if attention == "dot" else tanh(m @ wk.T + wq @ q + ab) @ sc
///         c = softmax(score, 0) @ m
///         st[1] = dec[1](cat([q, c]), st[1]); r = tanh(ro(cat([st[1][0], c])))
///         lp = log_softmax(temb.weight @ r + ob, -1); own.append(-lp[y]); spread.append(-lp.mean())
/// print(mean(own), mean(spread))
/// ```
#[test]
fn translators_agree_with_pytorch() {
    use Attention::{Additive, Dot, None};
    let table = [
        (None, false, true, 2.028_320_806_743, 2.092_861_976_679),
        (None, false, false, 2.011_853_081_394, 2.180_825_818_856),
        (None, true, true, 2.029_572_961_782, 2.094_493_213_104),
        (Additive, false, true, 1.989_429_798_213, 2.092_264_299_448),
        (Additive, true, false, 2.100_480_819_013, 2.137_047_222_597),
        (Dot, false, true, 1.967_097_889_758, 2.015_575_793_890),
        (Dot, false, false, 2.015_436_638_996, 2.151_038_695_993),
        (Dot, true, true, 1.966_207_261_564, 2.015_632_337_425),
        (Dot, true, false, 2.015_474_302_721, 2.150_992_956_214),
    ];
    for (attention, feeding, shared, own, spread) in table {
        let config = translator_config(attention, feeding, shared);
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let masks = TranslationMasks::none(&config);
        let losses = translation_losses(&network, &batch(&masks), Kind::Double);
        for (share, expected) in [(0.0, own), (1.0, spread)] {
            let found = losses.mean(share).double_value(&[]);
            let off = (found - expected).abs();
            assert!(
                off < 1e-6,
                "{attention:?} {feeding} {shared}: {found} {expected}"
            );
        }
    }
}

/// Dropout masks of a network.
fn masks(config: &ModelConfig) -> TranslationMasks {
    let mut options = training(SOURCES.len());
    (options.embedding_dropout, options.input_dropout) = (0.2, 0.3);
    options.weight_drop = 0.3;
    let pool = ThreadPool::new(1);
    let size = BatchSize::of(&SOURCES, &TARGETS);
    let masks = TranslationMasks::draw(config, &options, size, Device::Cpu, 3, &pool);
    masks.map(|mask| mask.to_kind(Kind::Double))
}

/// The gradients of the smoothed loss, and that loss.
fn step(network: &Network, masks: &TranslationMasks) -> Window {
    let losses = translation_losses(network, &batch(masks), Kind::Double);
    Window {
        loss: losses.mean(SMOOTHING).double_value(&[]),
        ..Autograd { kind: Kind::Double }.step(network, &Batch::Pairs(batch(masks)))
    }
}

/// Checks the slope of the smoothed loss along its gradient, which is the gradient's length.
fn check_along(config: &ModelConfig) {
    const NUDGE: f64 = 1e-5;
    let network = network_of_cosines(config).to_kind(Kind::Double);
    let masks = masks(config);
    let gradients = step(&network, &masks).gradients;
    let squares = gradients
        .tensors()
        .map(|one| one.square().sum(Kind::Double));
    let length = squares.sum::<Tensor>().sqrt().double_value(&[]);
    let nudged = |by: f64| {
        let moved = network.parameters.iter().map(|(name, parameter)| {
            let along = gradients.get(name) / length;
            (name.to_string(), parameter.detach() + along * by)
        });
        let network = Network {
            config: config.clone(),
            parameters: moved.collect(),
        };
        let losses = translation_losses(&network, &batch(&masks), Kind::Double);
        losses.mean(SMOOTHING).double_value(&[])
    };
    let slope = (nudged(NUDGE) - nudged(-NUDGE)) / (2.0 * NUDGE);
    assert!(
        (slope / length - 1.0).abs() < 1e-6,
        "{config:?}: {slope} {length}"
    );
}

#[test]
fn gradients_of_translators_are_the_slopes_of_the_loss() {
    for attention in Attention::ALL {
        for feeding in [false, true] {
            let mut config = translator_config(attention, feeding, feeding);
            body(&mut config).decoder.dropout = 0.3;
            body(&mut config).encoder.dropout = 0.3;
            check_along(&config);
        }
    }
    // Number by number, of the network with the most kinds of parameters.
    let config = translator_config(Attention::Additive, true, false);
    let network = network_of_cosines(&config).to_kind(Kind::Double);
    let masks = masks(&config);
    check_slopes(&network, &[], |network| step(network, &masks));
}

#[test]
fn gradients_of_translators_of_every_cell_are_the_slopes_of_the_loss() {
    let config = translator_config(Attention::Dot, false, true);
    let layers = config.encoder_decoder().unwrap().decoder.clone();
    for cell in every_reference(&layers) {
        let mut config = config.clone();
        let body = body(&mut config);
        (body.encoder, body.decoder) = (cell.clone(), cell);
        check_along(&config);
    }
}

#[test]
fn padding_changes_nothing() {
    for config in [
        translator_config(Attention::Additive, true, false),
        transformer_translator_config(false),
    ] {
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let masks = TranslationMasks::none(&config);
        let all = translation_losses(&network, &batch(&masks), Kind::Double);
        let mut alone = 0.0;
        for (source, target) in SOURCES.iter().zip(&TARGETS) {
            let batch = PairBatch {
                sources: &[source],
                targets: &[target],
                ..batch(&masks)
            };
            let losses = translation_losses(&network, &batch, Kind::Double);
            alone += losses.own.sum(Kind::Double).double_value(&[]);
        }
        let off = all.own.sum(Kind::Double).double_value(&[]) - alone;
        assert!(off.abs() < 1e-12, "{off}");
    }
}

#[test]
fn gradients_of_transformers_that_translate_are_the_slopes_of_the_loss() {
    for shared in [true, false] {
        let mut config = transformer_translator_config(shared);
        if let Body::TransformerEncoderDecoder(body) = &mut config.body {
            body.dropout = 0.3;
        }
        let drawn = masks(&config).decoder;
        assert!(drawn.len() == 6 && drawn.iter().all(|part| part.outputs.is_some()));
        check_along(&config);
    }
}

#[test]
fn transformers_that_translate_give_the_same_logits_in_inference() {
    for shared in [true, false] {
        let config = transformer_translator_config(shared);
        let network = network_of_cosines(&config);
        let masks = TranslationMasks::none(&config);
        let pairs = batch(&masks);
        let body = config.transformer_encoder_decoder().unwrap();
        let translation = TransformerTranslation::new(&network, body, &masks, Kind::Float);
        let read = pairs.steps(&pairs.input_steps(), Device::Cpu);
        let outputs = translation.outputs(&pairs.sources(Device::Cpu), &read);
        let expected = network.logits(&outputs.reshape([-1, 8]));
        let floats = |name: &str| Ok(floats(network.parameters.get(name)).into());
        let engine = TranslationNetwork::load(&config, floats, Precision::Float32, 2).unwrap();
        let encoded = engine.encode(&SOURCES);
        let mut state = engine.initial_state(&encoded);
        for (step, tokens) in pairs.input_steps().chunks(2).enumerate() {
            engine.step(tokens, &[0, 1], &encoded, &mut state);
            let mut found = [Vec::new(), Vec::new()];
            engine.for_each_logits(&state, &mut found, &mut Vec::new(), |_, logits, own| {
                *own = logits.to_vec();
            });
            for (pair, found) in found.iter().enumerate() {
                let expected = expected.get((2 * step + pair) as i64);
                let expected = Vec::<f32>::try_from(expected).unwrap();
                let pairs = found.iter().zip(&expected);
                assert_eq!(found.len(), expected.len());
                assert!(
                    pairs.clone().all(|(a, b)| (a - b).abs() < 1e-5),
                    "{found:?} {expected:?}"
                );
            }
        }
    }
}

#[test]
fn the_decoder_goes_on_where_it_was() {
    for feeding in [false, true] {
        let config = translator_config(Attention::Dot, feeding, true);
        let network: Network = network_of_cosines(&config);
        let translation = Translation::new(&network, &TranslationMasks::none(&config), Kind::Float);
        let sources = Sources {
            tokens: Tensor::from_slice(&[1i64, 4, 2, 0]).view([4, 1]),
            lengths: Tensor::from_slice(&[4i64]),
        };
        let memory = translation.encode(&sources);
        let tokens = Tensor::from_slice(&[0i64, 2, 6, 3]).view([4, 1]);
        let vectors = translation.vectors(&tokens, 1);
        let expected = translation.readouts(&vectors, &memory, &mut translation.begin(&memory));
        let mut state = translation.begin(&memory);
        let steps = vectors.split(1, 0);
        let steps: Vec<Tensor> = (steps.iter())
            .map(|step| translation.readouts(step, &memory, &mut state))
            .collect();
        let off = (Tensor::cat(&steps, 0) - expected).abs().max();
        assert!(off.double_value(&[]) < 1e-6);
    }
}
