/*!
`POST /inside` and `/inside/find`: what single units, and the gates, of recurrent layers do over a text.
*/

use std::io::Cursor;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::application::Application;
use super::bodies;
use super::errors::{Failure, json_body};
use super::limits::{GATE_NUMBERS, SCORED_BYTES};
use super::models::{Kind, Network, Served};
use super::work::Cancelled;
use crate::answers::separation::{Found, LabelledTokens};
use crate::checkpoint::architecture::Recurrent;
use crate::data::labelled::{DocumentOptions, LabelledRows, RowCount};
use crate::inference::inspection::plain::{PlainNetwork, gate_names};
use crate::inference::inspection::unit_names::recurrent_of;
use crate::inference::inspection::units::{Unit, UnitReader};
use crate::text::tokenizer::Decoder;

/// Number of units that are told.
const UNITS: usize = 5;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct InsideRequest {
    model: Option<String>,
    text: String,
    layer: Option<usize>,
    #[serde(default)]
    unit: usize,
    #[serde(default)]
    gates: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FindRequest {
    model: Option<String>,
    csv: String,
}

/// Shows a unit over a text.
///
/// # Errors
/// Those of the request; a model without recurrent layers; too many who wait; too much time.
pub async fn show(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let request: InsideRequest = bodies::read(request).await?;
    let served = model(&application, request.model.as_deref())?;
    if request.text.len() > SCORED_BYTES {
        let message = format!("at most {SCORED_BYTES} bytes are looked into at once");
        return Err(Failure::too_large(message).param("text"));
    }
    let shared = Arc::clone(&served);
    let work = move |cancelled: &Cancelled| request.answer(&shared, cancelled);
    let answer = served.turns.work(application.limits.time, work).await?;
    Ok(json_body(&answer))
}

/// Finds the units that separate two labels.
///
/// # Errors
/// As [`show`].
pub async fn find(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let request: FindRequest = bodies::read(request).await?;
    let served = model(&application, request.model.as_deref())?;
    let shared = Arc::clone(&served);
    let work = move |cancelled: &Cancelled| found(&request.csv, &shared, cancelled);
    let answer = served.turns.work(application.limits.time, work).await?;
    Ok(json_body(&answer))
}

/// The model of a name, of any kind, or the language model where none is given.
fn model(application: &Application, name: Option<&str>) -> Result<Arc<Served>, Failure> {
    match name {
        Some(name) => application.models.named(name),
        None => application.models.of_kind(Kind::Writer, None),
    }
}

/// The network of a model, and its layers.
fn layers(served: &Served) -> Result<(&Network, &Recurrent), Failure> {
    let network = served.network()?;
    Ok((network, recurrent_of(&network.config, "/inside")?))
}

impl InsideRequest {
    fn answer(&self, served: &Served, cancelled: &Cancelled) -> Result<Value, Failure> {
        let (network, recurrent) = layers(served)?;
        let unit = Unit {
            layer: self.layer.unwrap_or(recurrent.num_layers - 1),
            unit: self.unit,
        };
        if unit.layer >= recurrent.num_layers || unit.unit >= recurrent.hidden_size {
            let message = format!(
                "there is no unit {}:{}; the layers are 0 to {}, and each has the units 0 to {}",
                unit.layer,
                unit.unit,
                recurrent.num_layers - 1,
                recurrent.hidden_size - 1
            );
            return Err(Failure::malformed(message).param("unit"));
        }
        let mut ids = vec![network.tokenizer.line_end()];
        ids.extend(network.tokenizer.encode(&self.text).0);
        let reader = UnitReader::load(&network.config, &network.weights, served.threads)?;
        cancelled.check()?;
        // The first activation is that of the end of line before the text.
        let activations = &reader.activations(&ids, unit)[1..];
        let mut decoder = Decoder::new(&network.tokenizer);
        let tokens: Vec<String> = ids[1..].iter().map(|&id| decoder.push(id)).collect();
        let mut answer = json!({
            "model": served.id,
            "layer": unit.layer,
            "unit": unit.unit,
            "layers": recurrent.num_layers,
            "units": recurrent.hidden_size,
            "tokens": tokens,
            "activations": activations,
        });
        if self.gates {
            answer["gates"] = gates(network, recurrent, &ids, (unit.layer, cancelled))?;
        }
        Ok(answer)
    }
}

/// The activations of a layer's gates after each token, `[tokens, units]`, by the gates' names.
fn gates(
    network: &Network,
    recurrent: &Recurrent,
    ids: &[u32],
    (layer, cancelled): (usize, &Cancelled),
) -> Result<Value, Failure> {
    let names = gate_names(recurrent.cell);
    let numbers = names.len() * recurrent.hidden_size * ids.len();
    if numbers > GATE_NUMBERS {
        return Err(Failure::too_large(format!(
            "the gates over this text are {numbers} numbers, and at most {GATE_NUMBERS} are sent; give a shorter text"
        )));
    }
    let plain = PlainNetwork::load(&network.config, &network.weights)?;
    let mut state = plain.zero_state();
    let mut all: Vec<Vec<Vec<f64>>> = vec![Vec::new(); names.len()];
    for (index, &id) in ids.iter().enumerate() {
        cancelled.check()?;
        plain.step(id, &mut state);
        for (rows, values) in all
            .iter_mut()
            .zip(&state[layer].gates)
            .filter(|_| index > 0)
        {
            // Enough for a picture, in half of the bytes.
            let rounded = values
                .iter()
                .map(|value| (f64::from(*value) * 1e4).round() / 1e4);
            rows.push(rounded.collect());
        }
    }
    let named = names.iter().zip(all);
    let map: Map<String, Value> = named
        .map(|(name, rows)| (name.to_string(), json!(rows)))
        .collect();
    Ok(Value::Object(map))
}

fn found(csv: &str, served: &Served, cancelled: &Cancelled) -> Result<Value, Failure> {
    let (network, _) = layers(served)?;
    let options = DocumentOptions {
        labels: true,
        ..DocumentOptions::default()
    };
    let name = "the CSV";
    let csv = Cursor::new(csv.as_bytes().to_vec());
    let (mut input, mut rows) = (
        LabelledRows::read(csv, name, &options)?,
        RowCount::default(),
    );
    let documents =
        LabelledTokens::read(&mut input, &network.tokenizer, name, &mut rows, &mut |_| ())?;
    let reader = UnitReader::load(&network.config, &network.weights, served.threads)?;
    cancelled.check()?;
    let found = Found::search(documents, &reader, &network.config, UNITS, |_| ());
    let mut answer = found.object();
    answer["model"] = json!(served.id);
    answer["unreadable_rows"] = json!(rows.broken);
    if let Some(best) = answer["units"].get(0).cloned() {
        for key in ["layer", "unit", "accuracy"] {
            answer[key] = best[key].clone();
        }
    }
    Ok(answer)
}
