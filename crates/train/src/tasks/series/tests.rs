//! Forecasters from their gradients to their folder.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::{Device, Kind, Tensor};

use super::examples::{Examples, Place};
use super::*;
use crate::gradients::{Autograd, Batch, NumberBatch};
use crate::network::testing::{calm, every_reference, network_of_cosines};
use crate::network::{DropoutMasks, Network, State};
use crate::run::Event;
use crate::slices::floats;
use carousel::checkpoint::architecture::Recurrent;
use carousel::checkpoint::numbers::{Distribution, Numbers, Values};
use carousel::checkpoint::parts::{Head, Input};
use carousel::checkpoint::record::Budget;
use carousel::inference::quantile_network::QuantileNetwork;
use carousel_kernels::recurrent::Cell;

/// Three steps of two windows of three numbers each.
const INPUTS: [f64; 18] = [
    0.3, -1.2, 0.5, 1.1, 0.0, -0.4, 0.9, 0.2, -0.7, -1.5, 0.8, 0.1, 0.6, -0.3, 1.4, 0.7, -0.9, 0.2,
];
/// What follows each step, two values ahead.
const TARGETS: [f64; 12] = [
    0.4,
    -0.2,
    f64::NAN,
    0.9,
    1.3,
    0.1,
    -0.6,
    f64::NAN,
    0.2,
    0.5,
    -1.1,
    0.3,
];

/// A network of an input of three numbers, which predicts two quantiles of two values.
fn config(layers: Recurrent) -> ModelConfig {
    config_of(layers, Distribution::Quantiles)
}

/// The same that predicts two quantiles or a mean and a deviation of two values.
fn config_of(layers: Recurrent, distribution: Distribution) -> ModelConfig {
    let numbers = Numbers {
        window: 3,
        lags: 2,
        season: 1,
        long_season: 0,
        logarithms: false,
        others: 0,
        known: 0,
    };
    ModelConfig {
        input: Input::Numbers(numbers),
        body: carousel::checkpoint::parts::Body::Recurrent(layers),
        head: Head::Values(Values {
            strategy: Strategy::Every,
            horizon: 2,
            distribution,
            quantiles: vec![0.2, 0.5],
            members: 1,
        }),
    }
}

fn batch(kind: Kind, steps: i64) -> (Tensor, Tensor) {
    let inputs = Tensor::from_slice(&INPUTS).view([3, 2, 3]).to_kind(kind);
    let targets = Tensor::from_slice(&TARGETS).view([3, 2, 2]).to_kind(kind);
    (inputs, targets.narrow(0, 3 - steps, steps))
}

/// Loss and gradients in float64, of so many of the last steps.
fn step(network: &Network, steps: i64) -> crate::gradients::Window {
    let (inputs, targets) = batch(Kind::Double, steps);
    let batch = Batch::Numbers(NumberBatch {
        inputs: &inputs,
        targets: &targets,
        masks: &DropoutMasks::none(&network.config),
    });
    Autograd { kind: Kind::Double }.step(network, &batch)
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    const NUDGE: f64 = 1e-6;
    // Those of every cell are tested with the next token's loss.
    for (cell, distribution) in [
        (Cell::Rnn, Distribution::Quantiles),
        (Cell::Gru, Distribution::Quantiles),
        (Cell::Gru, Distribution::Gaussian),
    ] {
        let config = config_of(Recurrent::new(cell, 3, 1), distribution);
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        for steps in [1, 3] {
            let gradients = step(&network, steps).gradients;
            for (name, parameter) in network.parameters.iter() {
                let gradient = gradients.get(name).view(-1);
                for at in 0..parameter.numel() as i64 {
                    let nudge = |by: f64| {
                        let _ = tch::no_grad(|| parameter.view(-1).get(at).g_add_scalar_(by));
                        step(&network, steps).loss
                    };
                    let (above, below) = (nudge(NUDGE), nudge(-2.0 * NUDGE));
                    nudge(NUDGE);
                    let slope = (above - below) / (2.0 * NUDGE);
                    let found = gradient.double_value(&[at]);
                    assert!(
                        (found - slope).abs() < 1e-7,
                        "{name} {at}: {found} is not {slope}"
                    );
                }
            }
        }
    }
}

/// The network and its losses as a loop over numbers, for a simple cell: h' = tanh(W x + b + U h + c), outputs V h' + d. For an
/// error e of a quantile q the loss is max(q e, (q − 1) e); of a mean m and an output s for the deviation σ = log(1 + eˢ) +
/// 0.001 it is −log of the density of N(m, σ) at the target.
#[test]
fn the_losses_are_those_of_a_loop_in_float64() {
    let density = |x: f64, mean: f64, deviation: f64| {
        let root = (2.0 * std::f64::consts::PI).sqrt();
        (-((x - mean) / deviation).powi(2) / 2.0).exp() / (deviation * root)
    };
    let pinball = |target: f64, outputs: [f64; 2]| {
        [0.2, 0.5]
            .iter()
            .zip(outputs)
            .map(|(q, output)| {
                let error = target - output;
                (q * error).max((q - 1.0) * error) / 2.0
            })
            .sum::<f64>()
    };
    let likelihood = |target: f64, [mean, output]: [f64; 2]| {
        -density(target, mean, (1.0 + output.exp()).ln() + 0.001).ln()
    };
    for distribution in [Distribution::Quantiles, Distribution::Gaussian] {
        let loss = |target, outputs| match distribution {
            Distribution::Quantiles => pinball(target, outputs),
            Distribution::Gaussian => likelihood(target, outputs),
        };
        let config = config_of(Recurrent::new(Cell::Rnn, 3, 1), distribution);
        let network = network_of_cosines(&config).to_kind(Kind::Double);
        let pairs = outputs_of_a_loop(&network);
        let known: Vec<f64> = (TARGETS.iter().zip(pairs))
            .filter(|(target, _)| !target.is_nan())
            .map(|(target, outputs)| loss(*target, outputs))
            .collect();
        let expected = known.iter().sum::<f64>() / known.len() as f64;
        let found = step(&network, 3).loss;
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

/// The two outputs for each of [`TARGETS`].
fn outputs_of_a_loop(network: &Network) -> Vec<[f64; 2]> {
    let values = |name: &str| {
        let flat = network.parameters.get(name).flatten(0, -1);
        Vec::<f64>::try_from(flat).unwrap()
    };
    let [w, u, b, c] = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"]
        .map(|name| values(&format!("rnn.{name}")));
    let (v, d) = (values("output.weight"), values("output.bias"));
    let dot = |matrix: &[f64], row: usize, x: &[f64]| -> f64 {
        (0..3).map(|i| matrix[3 * row + i] * x[i]).sum()
    };
    let mut outputs = vec![[0.0; 2]; TARGETS.len()];
    for stream in 0..2 {
        let mut h = vec![0.0; 3];
        for time in 0..3 {
            let row = 2 * time + stream;
            let x = &INPUTS[3 * row..3 * row + 3];
            h = (0..3)
                .map(|i| (dot(&w, i, x) + b[i] + dot(&u, i, &h) + c[i]).tanh())
                .collect();
            for output in 0..4 {
                outputs[2 * row + output / 2][output % 2] = dot(&v, output, &h) + d[output];
            }
        }
    }
    outputs
}

#[test]
fn the_engine_gives_the_same_numbers_as_libtorch() {
    let all = every_reference(&Recurrent::new(Cell::Lstm, 19, 2));
    let gaussian = config_of(Recurrent::new(Cell::Gru, 19, 1), Distribution::Gaussian);
    for config in all.into_iter().map(config).chain([gaussian]) {
        let network = network_of_cosines(&config);
        calm(&network);
        let weights = |name: &str| Ok(Cow::from(floats(network.parameters.get(name))));
        let engine = QuantileNetwork::load(&config, weights, 2).unwrap();
        let (inputs, _) = batch(Kind::Float, 1);
        let zeros = State::zeros(config.recurrent(), 2, Device::Cpu);
        let masks = DropoutMasks::none(&config);
        let reading = crate::network::Reading {
            direction: carousel::text::Direction::Forward,
            masks: &masks,
            kind: Kind::Float,
            perturbation: None,
        };
        let (outputs, _) = network.outputs_of(&inputs, &zeros, &reading);
        let expected = network.logits(&outputs.narrow(0, 2, 1));
        let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
        let found = engine.outputs(&INPUTS.map(|number| number as f32), 2);
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-5, "{config:?}: {a} {b}");
        }
    }
}

/// A season of seven on a slope, with a column that is known ahead and moves the values, and numbers that look random.
fn series(id: &str, steps: usize) -> NumericSeries {
    let known: Vec<f64> = (0..steps + 10)
        .map(|i| f64::from(u8::from(i % 11 == 3)))
        .collect();
    let value = |i: usize| {
        let season = [3.0, 1.0, 0.0, -1.0, -2.0, 0.0, -1.0][i % 7];
        let noise = ((i * 7919 % 101) as f64 / 101.0 - 0.5) * 0.4;
        40.0 + 0.05 * i as f64 + season + 5.0 * known[i] + noise
    };
    NumericSeries {
        values: (0..steps).map(value).collect(),
        known: vec![known.clone()],
        ..NumericSeries::of_values(id, Vec::new())
    }
}

fn options(strategy: Strategy, steps: u64) -> SeriesOptions {
    let mut options = SeriesOptions::new(Cell::Gru, 5, 7, &[]);
    options.strategy = strategy;
    options.layers.hidden_size = 12;
    options.window = Some(14);
    options.training.budget = Budget::Steps(steps);
    options.training.evaluate_every = 20;
    options.training.threads = 1;
    options.members = 1;
    options
}

#[test]
fn windows_of_a_panel_are_those_of_its_series() {
    let panel = [series("a", 60), series("b", 40)];
    let options = options(Strategy::Every, 1);
    let config = options.config(&panel).unwrap();
    let (numbers, values) = config.forecaster().unwrap();
    let scalings = panel
        .each_ref()
        .map(|series| SeriesScaling::fit(&series.until(30), numbers));
    let examples = Examples::new(&panel, &scalings, &config, 10, Device::Cpu).unwrap();
    // Rows begin with one of zeros; the second series' windows end before its last ten values, five ahead.
    let place = Place {
        begin: 61,
        end: 61 + 5,
    };
    assert!(examples.train.contains(&Place {
        begin: 61,
        end: 61 + 28
    }));
    assert!(!examples.train.contains(&Place {
        begin: 61,
        end: 61 + 29
    }));
    let valid: Vec<usize> = examples
        .valid
        .iter()
        .filter(|v| v.begin == 61)
        .map(|v| v.end)
        .collect();
    assert_eq!(valid, (61 + 29..61 + 35).collect::<Vec<_>>());
    let (inputs, targets) = examples.batch(&[place]);
    let windows = carousel::forecasting::windows::Windows::new(
        &panel[1],
        &scalings[1],
        numbers,
        values.horizon,
    )
    .unwrap();
    let (mut read, mut wanted) = (vec![0.0; 8 * config.input_size()], Vec::new());
    (0..=5).for_each(|now| windows.read(now, &mut read));
    windows.targets(5, 30, &mut wanted);
    assert_eq!(Vec::<f32>::try_from(inputs.flatten(0, -1)).unwrap(), read);
    let last = Vec::<f32>::try_from(targets.get(13).flatten(0, -1)).unwrap();
    assert_eq!(last, wanted);
    assert_eq!(targets.get(7).isnan().sum(Kind::Int64).int64_value(&[]), 5);
}

/// Trains until step `until`, if there is one; the notes and the evaluations go nowhere.
fn run_to(run: &mut Run<SeriesTask>, until: Option<u64>) -> Result<()> {
    let interrupt = AtomicBool::new(false);
    run.train(&interrupt, &mut |event| {
        if let Event::Step(report) = event
            && Some(report.step) == until
        {
            interrupt.store(true, Ordering::Relaxed);
        }
    })
}

#[test]
fn a_resumed_run_gives_the_same_weights_bit_for_bit() {
    let panel = [series("a", 90), series("b", 60)];
    let folder = tempfile::tempdir().unwrap();
    let directory = |name: &str| Directory::at(folder.path().join(name));
    let options = options(Strategy::Every, 50);
    let begun = |name: &str| begin(directory(name), &panel, &options, &[], Instant::now()).unwrap();
    run_to(&mut begun("whole"), None).unwrap();
    run_to(&mut begun("parts"), Some(30)).unwrap_err();
    let resumed = |panel: &[NumericSeries]| {
        let place = directory("parts");
        resume(place, panel, &options, Instant::now(), &mut |_| ())
    };
    let other = [series("a", 89), series("b", 60)];
    let message = resumed(&other).err().expect("a refusal").to_string();
    assert!(message.contains("have changed"), "{message}");
    run_to(&mut resumed(&panel).unwrap().expect("a run"), None).unwrap();
    assert!(resumed(&panel).unwrap().is_none(), "it is finished");
    let weights = |name: &str| {
        let path = folder.path().join(name).join("model.safetensors");
        std::fs::read(path).unwrap()
    };
    assert!(weights("whole") == weights("parts"), "the weights differ");
}

#[test]
fn the_networks_of_a_forecaster_are_averaged_and_an_interrupted_one_goes_on() {
    let panel = [series("a", 90)];
    let folder = tempfile::tempdir().unwrap();
    let options = SeriesOptions {
        members: 2,
        logarithms: Some(false),
        // Enough for quantiles in their order, as they are put in order after averaging.
        ..options(Strategy::AtOnce, 80)
    };
    let (never, now) = (AtomicBool::new(false), AtomicBool::new(false));
    let stop = |event| now.fetch_or(matches!(event, Event::Finished(_)), Ordering::Relaxed);
    let both = Directory::at(folder.path());
    // The second network is interrupted before its first step.
    let interrupted = train(both.clone(), &panel, &options, &now, &mut |event| {
        stop(event);
    });
    assert!(interrupted.is_err());
    let forecaster = train(both, &panel, &options, &never, &mut |_| ()).unwrap();
    let mean = forecaster.forecast(&panel[0], 5).unwrap().mean;
    let alone = |number: usize| {
        let folder = tempfile::tempdir().unwrap();
        let options = SeriesOptions {
            members: 1,
            ..options.of_member(number)
        };
        let place = Directory::at(folder.path());
        let forecaster = train(place, &panel, &options, &never, &mut |_| ()).unwrap();
        forecaster.forecast(&panel[0], 5).unwrap().mean
    };
    let (first, second) = (alone(1), alone(2));
    assert_ne!(first, second);
    for (mean, (first, second)) in mean.iter().zip(first.iter().zip(&second)) {
        let both = (first + second) / 2.0;
        assert!((mean - both).abs() < 1e-4, "{mean} is not {both}");
    }
}

#[test]
fn a_training_of_other_series_or_options_begins_anew() {
    let panel = [series("a", 90)];
    let folder = tempfile::tempdir().unwrap();
    let never = AtomicBool::new(false);
    let notes = |panel: &[NumericSeries], options: &SeriesOptions| {
        let mut notes = String::new();
        let place = Directory::at(folder.path());
        let notify: Notify = &mut |event| {
            if let Event::Note(note) = event {
                notes += &note;
            }
        };
        train(place, panel, options, &never, notify).unwrap();
        notes
    };
    let options = options(Strategy::AtOnce, 4);
    assert_eq!(notes(&panel, &options), "");
    assert!(!notes(&panel, &options).contains("anew"));
    let longer = SeriesOptions {
        window: Some(9),
        ..options
    };
    let found = notes(&panel, &longer);
    assert!(found.contains("other options: beginning anew"), "{found}");
    let found = notes(&[series("b", 90)], &longer);
    assert!(found.contains("other series: beginning anew"), "{found}");
    let scalings: Vec<SeriesScaling> = Directory::at(folder.path()).load_scaling().unwrap();
    assert_eq!(scalings[0].id, "b");
}

#[test]
fn every_strategy_forecasts_better_than_the_season_before() {
    let (panel, all) = ([series("a", 150), series("b", 120)], series("a", 170));
    for strategy in Strategy::ALL {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path());
        let options = options(strategy, 120);
        let never = AtomicBool::new(false);
        let forecaster = train(directory, &panel, &options, &never, &mut |_| ()).unwrap();
        let forecast = forecaster.forecast(&all.until(150), 12).unwrap();
        let naive = |i: usize| all.values[150 + i - 7 * (i / 7 + 1)];
        let error = |expected: &dyn Fn(usize) -> f64| -> f64 {
            (0..12)
                .map(|i| (expected(i) - all.values[150 + i]).abs())
                .sum()
        };
        let (own, seasonal) = (error(&|i| forecast.mean[i]), error(&naive));
        assert!(own < 0.7 * seasonal, "{strategy:?}: {own} {seasonal}");
        for interval in &forecast.intervals {
            let ends = interval.lower.iter().zip(&interval.upper);
            let mut all = ends.zip(&forecast.mean);
            assert!(all.all(|((lower, upper), mean)| lower <= mean && mean <= upper));
        }
        let predictions = forecaster.predictions(&all.until(151)).unwrap();
        assert!((predictions[150] - forecast.mean[0]).abs() < 1e-9);
        // A series that it has not learnt.
        let unknown = NumericSeries {
            id: "c".to_string(),
            ..all.until(100)
        };
        let forecast = forecaster.forecast(&unknown, 5).unwrap();
        assert!(forecast.mean.iter().all(|value| value.is_finite()));
    }
}

#[test]
fn what_cannot_be_learnt_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(Strategy::AtOnce, 1);
    let refusal = |panel: &[NumericSeries]| {
        let begun = begin(
            Directory::at(folder.path()),
            panel,
            &options,
            &[],
            Instant::now(),
        );
        begun.err().expect("a refusal").to_string()
    };
    assert!(refusal(&[]).contains("no series"));
    assert!(refusal(&[series("a", 8)]).contains("too short"));
    let plain = NumericSeries::of_values("b", series("b", 60).values);
    assert!(refusal(&[series("a", 60), plain]).contains("different columns"));
}
