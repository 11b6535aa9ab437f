/*!
`carousel inspect --gates`.
*/

use indicatif::HumanCount;
use serde_json::{Value, json};

use super::inspect_flags::Arguments;
use super::standard::row;
use super::standard::{self, json_line, line};
use crate::checkpoint::architecture::Recurrent;
use crate::checkpoint::{Directory, ModelConfig};
use crate::error::Result;
use crate::inference::inspection::gates::{LayerActivity, activity};
use crate::inference::inspection::plain::PlainNetwork;
use carousel_kernels::recurrent::{Activation, Cell};

/// Prints how gates, or units without gates, behave over the text.
pub fn run(arguments: &Arguments, directory: &Directory, config: &ModelConfig) -> Result<()> {
    let tokenizer = directory.load_tokenizer(config)?;
    let network = PlainNetwork::load(config, &directory.load_weights(config)?)?;
    let (tokens, name) = arguments.first_tokens(&tokenizer)?;
    let bar = standard::progress_bar(tokens.len() as u64);
    let layers = activity(&network, &tokens, || bar.inc(1));
    bar.finish_and_clear();
    let read = tokens.len() as u64 - 1;
    if arguments.json {
        let layers: Vec<Value> = layers.iter().map(object).collect();
        let cell = config.recurrent().cell.name();
        return json_line(&json!({"text": name, "tokens": read, "cell": cell, "layers": layers}));
    }
    row(
        "text",
        format!("{} tokens of {name}, from the zero state", HumanCount(read)),
    )?;
    row("cell", config.recurrent().cell_description())?;
    explain(config.recurrent())?;
    for (layer, activity) in layers.iter().enumerate() {
        line("")?;
        print(layer, activity, config.recurrent())?;
    }
    Ok(())
}

/// Prints what there is to see in a cell.
fn explain(recurrent: &Recurrent) -> Result<()> {
    row(
        "",
        match recurrent.cell {
            Cell::Lstm => "a forget gate that is open keeps the cell state",
            Cell::Gru => "an update gate that is open keeps the hidden state; with the reset gate closed, a unit forgets it",
            Cell::Leaky => "no gates; each unit keeps the same part of its state at every step",
            Cell::Rnn | Cell::Skip => {
                "no gates, and so no time constants; a saturated unit passes little of a gradient on, 1 − h²"
            }
        }
        .to_string(),
    )
}

fn print(layer: usize, activity: &LayerActivity, recurrent: &Recurrent) -> Result<()> {
    let heading = format!("layer {layer}");
    match activity.gates.is_empty() {
        true => line(heading)?,
        false => line(format!(
            "{heading:<26}{:>8}{:>12}{:>12}",
            "mean", "below 0.1", "above 0.9"
        ))?,
    }
    for gate in &activity.gates {
        line(format!(
            "  {:<24}{:>8.3}{:>10.1} %{:>10.1} %",
            format!("{} gate", gate.name),
            gate.mean,
            100.0 * gate.closed,
            100.0 * gate.open
        ))?;
    }
    match recurrent.activation {
        Activation::Relu => line(format!(
            "  units that are off, at 0{:>8.1} %",
            100.0 * activity.zero
        ))?,
        Activation::Tanh => line(format!(
            "  hidden states beyond ±0.9{:>7.1} %",
            100.0 * activity.saturated
        ))?,
    }
    let Some(constants) = activity.time_constants else {
        return Ok(());
    };
    let [least, first, median, third, most] = constants.map(steps);
    line(format!(
        "  time constants, in steps: median {median}, half of the units {first} to {third}, all {least} to {most}"
    ))
}

fn steps(constant: f64) -> String {
    match constant {
        constant if constant >= 100.0 => format!("{constant:.0}"),
        constant => format!("{constant:.1}"),
    }
}

fn object(activity: &LayerActivity) -> Value {
    let gates = activity.gates.iter();
    let gates: Vec<Value> = gates
        .map(|gate| {
            json!({"name": gate.name, "mean": gate.mean, "below_0.1": gate.closed, "above_0.9": gate.open})
        })
        .collect();
    let constants = activity.time_constants.map(|[least, first, median, third, most]| {
        json!({"min": least, "quartile1": first, "median": median, "quartile3": third, "max": most})
    });
    json!({
        "gates": gates,
        "time_constants": constants,
        "saturated": activity.saturated,
        "zero": activity.zero,
    })
}
