/*!
`carousel inspect --gradients`: vanishing and exploding gradients, on the user's own text.
*/

use serde_json::{Value, json};
use tch::Device;

use carousel::checkpoint::models;
use carousel::checkpoint::parts::Head;
use carousel::checkpoint::record::{Record, TextRecord};
use carousel::cli::inspect_flags::Arguments;
use carousel::cli::standard::{self, line};
use carousel::error::{Error, Result};
use carousel::files;
use carousel::pictures::curves::sparkline_within;
use carousel::pictures::gradients::{self, GradientCurve};
use carousel_train::gradients::reach::{Reach, ReachWindows, reach};
use carousel_train::run::{Base, initial_network};

/// Steps that gradients go back, unless another number is given.
const WINDOW: u32 = 100;
/// Most windows of the text.
const MOST_WINDOWS: usize = 16;
/// Distances whose numbers are printed, besides the last.
const DISTANCES: [usize; 6] = [1, 3, 10, 30, 100, 300];
/// Characters of a sparkline, and the decades between its lowest and its highest block.
const SPARKS: usize = 32;
const DECADES: std::ops::Range<f64> = -6.0..1.0;
/// A relative norm below the first counts as vanished, one above the second as exploded.
const VANISHED: f64 = 1e-3;
const EXPLODED: f64 = 10.0;

/// The gradients of one network.
struct Gradients {
    trained: bool,
    layers: Vec<Reach>,
}

/// Computes and prints gradients by distance in time, of the model and of the same network untrained.
pub fn run(arguments: &Arguments) -> Result<()> {
    arguments.check()?;
    let directory = models::find(&arguments.model)?;
    let base = Base::load(&directory)?;
    if let Head::Labels(_) = base.config.head {
        return Err(Error::new(format!(
            "{} is a classifier, and --gradients are those of the next token's loss; give a language model, such as the \
             one that a classifier was trained from, in its folder",
            directory.path().display()
        )));
    }
    if base.config.carried().is_none() {
        return Err(Error::new(format!(
            "{} is a transformer, whose gradients do not go through time step by step; give a recurrent network",
            directory.path().display()
        )));
    }
    let (tokens, text) = arguments.tokens(&base.tokenizer)?;
    let steps = arguments.window.unwrap_or(WINDOW) as usize;
    let windows = ReachWindows::spread(&tokens, steps, MOST_WINDOWS).ok_or_else(|| {
        Error::new(format!(
            "{text} has one token; gradients through time need more"
        ))
    })?;
    directory.check_own_run()?;
    let record: Record<TextRecord> = directory.load_record()?;
    let mut network = initial_network(&base.config, &record.training, Device::Cpu);
    let untrained = reach(&network, &windows);
    base.copy_into(&mut network)?;
    let trained = reach(&network, &windows);
    let both = [(true, trained), (false, untrained)]
        .map(|(trained, layers)| Gradients { trained, layers });
    if let Some(path) = &arguments.output {
        let title = format!("gradients through time, {}", directory.path().display());
        let curves: Vec<GradientCurve> = both.iter().flat_map(Gradients::curves).collect();
        let picture = gradients::svg(&title, &curves)
            .ok_or_else(|| Error::new("the gradients cannot be drawn: none is a finite number"))?;
        files::write_atomically(path, picture.as_bytes())?;
        standard::message(format!("{} is written", path.display()));
    }
    if arguments.json {
        return standard::json_line(&object(&text, &windows, &both));
    }
    line(format!(
        "{} of {} steps from {text}: the gradient of the loss after the last step with respect to the states\n\
         at each step before it, as the mean norm relative to the nearest\n",
        count(windows.count(), "window"),
        windows.steps()
    ))?;
    both.iter().try_for_each(Gradients::print)?;
    line("▁ a millionth or less, █ ten times or more")
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

impl Gradients {
    fn name(&self) -> &'static str {
        match self.trained {
            true => "trained",
            false => "untrained",
        }
    }

    fn print(&self) -> Result<()> {
        let last = self
            .layers
            .iter()
            .map(|layer| layer.nearest + layer.norms.len() - 1)
            .max();
        let last = last.unwrap_or(0);
        let mut distances: Vec<usize> = DISTANCES.into_iter().filter(|&d| d < last).collect();
        distances.push(last);
        let headings: String = distances
            .iter()
            .map(|distance| format!("{distance:>9}"))
            .collect();
        line(format!("{:<24}{headings}  steps back", self.name()))?;
        for layer in &self.layers {
            let relative: Vec<(usize, f64)> = layer.relative().collect();
            let at = |distance: &usize| {
                let found = relative.iter().find(|(own, _)| own == distance);
                found.map_or_else(
                    || format!("{:>9}", ""),
                    |(_, norm)| format!("{:>9}", number(*norm)),
                )
            };
            let numbers: String = distances.iter().map(at).collect();
            let name = format!("  layer {}, {}", layer.layer, part(layer));
            line(format!("{name:<24}{numbers}  {}", sparks(&relative)))?;
        }
        for layer in &self.layers {
            line(format!(
                "  layer {}, {}: {}",
                layer.layer,
                part(layer),
                verdict(layer)
            ))?;
        }
        line("")
    }

    fn curves(&self) -> Vec<GradientCurve> {
        let curve = |layer: &Reach| GradientCurve {
            part: part(layer).to_string(),
            layer: layer.layer,
            trained: self.trained,
            points: layer
                .relative()
                .map(|(distance, norm)| (distance as f64, norm))
                .collect(),
        };
        self.layers.iter().map(curve).collect()
    }
}

fn part(layer: &Reach) -> &'static str {
    match layer.of_cell {
        true => "cell state",
        false => "hidden state",
    }
}

/// A sparkline over the distances, of logarithms.
fn sparks(relative: &[(usize, f64)]) -> String {
    let most = SPARKS.min(relative.len());
    let places =
        (0..most).map(|place| relative[place * (relative.len() - 1) / (most - 1).max(1)].1);
    let logarithms: Vec<f64> = places
        .map(|norm| norm.max(1e-300).log10().min(DECADES.end))
        .collect();
    sparkline_within(&logarithms, &DECADES)
}

/// What the norms say.
fn verdict(layer: &Reach) -> String {
    let relative: Vec<(usize, f64)> = layer.relative().collect();
    let Some(&(last, end)) = relative.last() else {
        return "no steps".to_string();
    };
    let (peak_at, peak) =
        relative.iter().copied().fold(
            (0, 0.0),
            |best, one| if one.1 > best.1 { one } else { best },
        );
    // The first distance from which on the gradient stays that small.
    let large = relative.iter().rposition(|&(_, norm)| norm >= VANISHED);
    let vanished = large
        .and_then(|index| relative.get(index + 1))
        .map(|&(distance, _)| distance);
    match vanished {
        _ if !end.is_finite() => "explodes beyond what numbers can hold".to_string(),
        _ if peak >= EXPLODED => format!(
            "explodes: {} times as large {peak_at} steps back",
            number(peak)
        ),
        Some(distance) => format!(
            "vanishes: below a thousandth from {} back on",
            count(distance, "step")
        ),
        None => format!(
            "reaches back: {} after {}",
            number(end),
            count(last, "step")
        ),
    }
}

fn number(value: f64) -> String {
    match value {
        value if (0.01..100.0).contains(&value) => format!("{value:.2}"),
        value if (100.0..1e5).contains(&value) => format!("{value:.0}"),
        value => format!("{value:.0e}"),
    }
}

fn object(text: &str, windows: &ReachWindows, both: &[Gradients]) -> Value {
    let layers: Vec<Value> = both
        .iter()
        .flat_map(|network| network.layers.iter().map(|layer| (network.name(), layer)))
        .map(|(network, layer)| {
            json!({
                "network": network,
                "layer": layer.layer,
                "state": if layer.of_cell { "cell" } else { "hidden" },
                "nearest": layer.nearest,
                "norms": layer.norms,
                "verdict": verdict(layer),
            })
        })
        .collect();
    json!({"text": text, "windows": windows.count(), "steps": windows.steps(), "layers": layers})
}
