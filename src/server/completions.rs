/*!
`POST /v1/completions`, as OpenAI's clients send it.
*/

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::application::Application;
use super::batcher::{Event, Job};
use super::bodies;
use super::choices::{Choices, Part, join};
use super::errors::{Failure, json_body};
use super::events::{Stream, usage};
use super::limits::{CHOICES, LOGPROBS, Limits, SCORED_BYTES, STOP_BYTES, STOP_STRINGS};
use super::models::{Engine, Kind, Writer};
use crate::checkpoint::ModelConfig;
use crate::inference::generator::StopConditions;
use crate::inference::inspection::unit_names;
use crate::inference::sampling::{Sampling, SamplingOptions, random_seed};
use crate::inference::stack::Clamp;

/// Number of tokens where none is given, as OpenAI's.
const MAX_TOKENS: u64 = 16;

/// A request. Fields that are not here, and those that are here to be refused, are an error where they ask for something: an
/// answer that ignored them would not be the one that was asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CompletionRequest {
    model: Option<String>,
    prompt: Value,
    max_tokens: Option<u64>,
    temperature: Option<f32>,
    top_p: Option<f32>,
    n: Option<usize>,
    stop: Value,
    seed: Option<i64>,
    logprobs: Option<usize>,
    echo: Option<bool>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    min_p: Option<f32>,
    top_k: Option<usize>,
    repeat_penalty: Option<f32>,
    repeat_last_n: Option<usize>,
    clamp: Option<BTreeMap<String, f32>>,
    /// Who asks: nothing is done with it.
    #[serde(rename = "user")]
    _user: Value,
    best_of: Option<usize>,
    presence_penalty: Option<f64>,
    frequency_penalty: Option<f64>,
    logit_bias: Option<BTreeMap<String, f64>>,
    suffix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct StreamOptions {
    include_usage: bool,
}

/// A request that was checked.
#[derive(Debug)]
struct Completion {
    prompts: Vec<String>,
    n: usize,
    sampling: Sampling,
    stop: StopConditions,
    seed: u64,
    logprobs: Option<usize>,
    echo: bool,
    stream: bool,
    tells_usage: bool,
    clamps: Vec<Clamp>,
}

/// Answers a request, whole or as a stream.
///
/// # Errors
/// Those of the request; a full queue; too much time.
pub async fn complete(
    State(application): State<Arc<Application>>,
    request: Request,
) -> Result<Response, Failure> {
    let request: CompletionRequest = bodies::read(request).await?;
    let served = application
        .models
        .of_kind(Kind::Writer, request.model.as_deref())?;
    let Engine::Writer(writer) = &served.engine else {
        return Err(Failure::internal());
    };
    let completion = request.checked(&writer.model().config, &application.limits)?;
    let begun = begin(writer, &completion, &application.limits).await?;
    let answer = json!({
        "id": format!("cmpl-{:016x}", random_number()),
        "object": "text_completion",
        "created": SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
        "model": served.id,
        "seed": completion.seed,
    });
    let (events, prompt_tokens) = begun;
    let mut choices = Choices::new(
        completion.prompts.len() * completion.n,
        completion.logprobs.is_some(),
    );
    let first = completion.echoes(&mut choices);
    if completion.stream {
        let mut stream = Stream::new(events, choices, &answer);
        stream.usage = completion.tells_usage.then_some(prompt_tokens);
        stream.first = first;
        return Ok(stream.into_response());
    }
    let answer = whole(answer, events, choices, first, prompt_tokens).await?;
    Ok(json_body(&answer))
}

/// Puts the prompts into the queue, and encodes them once there is a place for them; returns where their texts come from, and their number of tokens.
async fn begin(
    writer: &Writer,
    completion: &Completion,
    limits: &Limits,
) -> Result<(UnboundedReceiver<Event>, u64), Failure> {
    let start = Instant::now();
    let waiting = writer.batch.wait()?;
    let (model, prompts) = (Arc::clone(writer.model()), completion.prompts.clone());
    let encode = move || -> Vec<Vec<u32>> {
        let encoded = prompts
            .iter()
            .map(|prompt| model.tokenizer.encode(prompt).0);
        encoded.collect()
    };
    let encoded = timeout(limits.time, spawn_blocking(encode)).await;
    let encoded = encoded.map_err(|_| Failure::timed_out())?;
    let encoded = encoded.map_err(|_| Failure::internal())?;
    let count = encoded.iter().map(|tokens| tokens.len() as u64).sum();
    let (sender, events) = unbounded_channel();
    let job = |(index, tokens): (usize, Vec<u32>)| Job {
        tokens,
        clamps: completion.clamps.clone(),
        sampling: completion.sampling,
        stop: completion.stop.clone(),
        seed: completion.seed,
        samples: completion.n,
        reported: completion.logprobs,
        reports_prompt: completion.echo && completion.logprobs.is_some(),
        times: start..start + limits.time,
        first: index * completion.n,
        events: sender.clone(),
        streams: completion.stream,
    };
    let jobs = encoded.into_iter().enumerate().map(job);
    writer.batch.send(waiting, jobs)?;
    Ok((events, count))
}

/// Waits for all texts.
async fn whole(
    mut answer: Value,
    mut events: UnboundedReceiver<Event>,
    mut choices: Choices,
    first: Vec<Part>,
    prompt_tokens: u64,
) -> Result<Value, Failure> {
    let mut parts: BTreeMap<usize, Part> = BTreeMap::new();
    for part in first {
        join(parts.entry(part.index).or_default(), part);
    }
    while !choices.are_finished() {
        let event = events.recv().await.ok_or_else(Failure::internal)?;
        if let Some(part) = choices.take(event)? {
            join(parts.entry(part.index).or_default(), part);
        }
    }
    answer["choices"] = parts.values().map(|part| choices.object(part)).collect();
    answer["usage"] = usage(prompt_tokens, choices.tokens);
    Ok(answer)
}

impl Completion {
    /// The prompts that the texts begin with, if they do.
    fn echoes(&self, choices: &mut Choices) -> Vec<Part> {
        let count = if self.echo {
            self.prompts.len() * self.n
        } else {
            0
        };
        let echo = |index: usize| choices.echo(index, &self.prompts[index / self.n]);
        (0..count).map(echo).collect()
    }
}

impl CompletionRequest {
    /// Checks the request for a model.
    fn checked(self, config: &ModelConfig, limits: &Limits) -> Result<Completion, Failure> {
        self.refuse_unknown()?;
        let prompts = prompts(&self.prompt)?;
        let n = self.n.unwrap_or(1);
        if n == 0 || n.saturating_mul(prompts.len()) > CHOICES {
            let message = format!("n times the number of prompts is from 1 to {CHOICES}");
            return Err(Failure::malformed(message).param("n"));
        }
        let max_tokens = self.max_tokens.unwrap_or(MAX_TOKENS);
        if max_tokens > limits.max_tokens {
            let message = format!(
                "max_tokens is {max_tokens}, and this server's --max-tokens is {}",
                limits.max_tokens
            );
            return Err(Failure::malformed(message).param("max_tokens"));
        }
        if self.logprobs.is_some_and(|count| count > LOGPROBS) {
            let message = format!("logprobs is from 0 to {LOGPROBS}");
            return Err(Failure::malformed(message).param("logprobs"));
        }
        let echo = self.echo.unwrap_or(false);
        let echoed = n * prompts.iter().map(String::len).sum::<usize>();
        if echo && self.logprobs.is_some() && echoed > SCORED_BYTES {
            let message = format!(
                "with echo and logprobs the prompts of all texts have {echoed} bytes, and at most {SCORED_BYTES} are scored"
            );
            return Err(Failure::too_large(message).param("echo"));
        }
        let default = SamplingOptions::default();
        let options = SamplingOptions {
            temperature: self.temperature.unwrap_or(1.0),
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            repeat_last_n: self.repeat_last_n.unwrap_or(default.repeat_last_n),
        };
        Ok(Completion {
            n,
            sampling: options.sampling(str::to_string)?,
            stop: StopConditions {
                length: Some(max_tokens),
                strings: stop_strings(&self.stop)?,
            },
            seed: self.seed.map_or_else(random_seed, |seed| seed as u64),
            logprobs: self.logprobs,
            echo,
            stream: self.stream.unwrap_or(false),
            tells_usage: self
                .stream_options
                .is_some_and(|options| options.include_usage),
            clamps: clamps(self.clamp.unwrap_or_default(), config)?,
            prompts,
        })
    }

    /// Refuses what would change the answer, and is not there.
    fn refuse_unknown(&self) -> Result<(), Failure> {
        let refused = [
            (
                "best_of",
                self.best_of.is_some_and(|best| best > self.n.unwrap_or(1)),
            ),
            (
                "presence_penalty",
                self.presence_penalty.is_some_and(|penalty| penalty != 0.0),
            ),
            (
                "frequency_penalty",
                self.frequency_penalty.is_some_and(|penalty| penalty != 0.0),
            ),
            (
                "logit_bias",
                self.logit_bias
                    .as_ref()
                    .is_some_and(|bias| !bias.is_empty()),
            ),
            (
                "suffix",
                self.suffix
                    .as_ref()
                    .is_some_and(|suffix| !suffix.is_empty()),
            ),
        ];
        match refused.iter().find(|(_, asked)| *asked) {
            None => Ok(()),
            Some((name, _)) => {
                let message = format!("{name} is not supported; leave it away");
                Err(Failure::malformed(message).param(name))
            }
        }
    }
}

/// A string, or a list of strings.
fn strings(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(list) => {
            let strings = list.iter().map(|one| Some(one.as_str()?.to_string()));
            strings.collect()
        }
        _ => None,
    }
}

/// The prompts; without one, that is an empty line.
fn prompts(value: &Value) -> Result<Vec<String>, Failure> {
    let wrong = || {
        let message = "prompt is a string or a list of strings; token ids are not taken";
        Failure::malformed(message).param("prompt")
    };
    let mut prompts = strings(value).ok_or_else(wrong)?;
    match (value.is_null(), prompts.is_empty()) {
        (true, _) => prompts.push(String::new()),
        (false, true) => return Err(wrong()),
        (false, false) => {}
    }
    Ok(prompts)
}

fn stop_strings(value: &Value) -> Result<Vec<String>, Failure> {
    let wrong = |message: String| Failure::malformed(message).param("stop");
    let found =
        strings(value).ok_or_else(|| wrong("stop is a string or a list of strings".to_string()))?;
    if found.iter().any(String::is_empty) {
        let message = "an empty stop string would end every text before it begins";
        return Err(wrong(message.to_string()));
    }
    if found.len() > STOP_STRINGS || found.iter().any(|stop| stop.len() > STOP_BYTES) {
        let message = format!("stop takes {STOP_STRINGS} strings of {STOP_BYTES} bytes at most");
        return Err(Failure::too_large(message).param("stop"));
    }
    Ok(found)
}

fn clamps(asked: BTreeMap<String, f32>, config: &ModelConfig) -> Result<Vec<Clamp>, Failure> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let recurrent = unit_names::recurrent_of(config, "clamp")?;
    let clamp = |(name, value): (String, f32)| {
        let unit = unit_names::unit(&name, recurrent)?;
        match value.is_finite() {
            true => Ok(Clamp {
                layer: unit.layer,
                unit: unit.unit,
                value,
            }),
            false => Err(Failure::malformed("a clamp is a finite number").param("clamp")),
        }
    };
    asked.into_iter().map(clamp).collect()
}

fn random_number() -> u64 {
    RandomState::new().hash_one(0u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::architecture::{NextToken, Recurrent, Tokens};
    use crate::checkpoint::parts::{Body, Head, Input};
    use crate::text::{Level, Split};
    use carousel_kernels::recurrent::Cell;
    use proptest::prelude::*;

    fn checked(body: &[u8]) -> Result<Completion, Failure> {
        let config = ModelConfig {
            input: Input::Tokens(Tokens {
                level: Level::Character,
                split: Split::default(),
                vocab_size: 9,
                embedding_size: 4,
            }),
            body: Body::Recurrent(Recurrent::new(Cell::Lstm, 20, 2)),
            head: Head::NextToken(NextToken::default()),
        };
        let request: CompletionRequest = bodies::parsed(body)?;
        request.checked(&config, &Limits::default())
    }

    #[test]
    fn requests_are_checked() {
        let good =
            checked(br#"{"prompt":["a","b"],"n":2,"stop":"x","temperature":0,"clamp":{"1:3":2}}"#);
        let good = good.unwrap();
        assert_eq!(
            (good.prompts.len(), good.n, good.stop.length),
            (2, 2, Some(16))
        );
        assert_eq!(good.clamps.len(), 1);
        assert_eq!(checked(b"{}").unwrap().prompts, [""]);
        let long = format!("{{\"stop\":\"{}\"}}", "x".repeat(STOP_BYTES + 1));
        let prompt = "x".repeat(SCORED_BYTES / 64 + 1);
        let request = |n: usize| {
            format!("{{\"prompt\":\"{prompt}\",\"n\":{n},\"echo\":true,\"logprobs\":1}}")
        };
        assert!(checked(request(63).as_bytes()).is_ok());
        for wrong in [
            "",
            "[]",
            "{\"prompt\":3}",
            "{\"prompt\":[]}",
            "{\"prompt\":[1,2]}",
            "{\"n\":0}",
            "{\"n\":65}",
            "{\"n\":-1}",
            "{\"max_tokens\":-5}",
            "{\"max_tokens\":1e9}",
            "{\"max_tokens\":5000}",
            "{\"temperature\":-1}",
            "{\"top_p\":0}",
            "{\"top_k\":0}",
            "{\"logprobs\":6}",
            "{\"stop\":\"\"}",
            "{\"stop\":7}",
            "{\"clamp\":{\"99\":1}}",
            "{\"clamp\":{\"1\":\"x\"}}",
            "{\"suffix\":\"x\"}",
            "{\"best_of\":2}",
            "{\"logit_bias\":{\"1\":2}}",
            "{\"bogus\":1}",
            "{\"prompt\":\"a\"",
            &long,
            &request(64),
        ] {
            assert!(checked(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn no_request_panics(
            field in "(prompt|max_tokens|temperature|top_p|n|stop|seed|logprobs|min_p|top_k|clamp|echo)",
            value in "(-?[0-9]{1,25}|-?[0-9]\\.[0-9]e[0-9]{1,3}|\"\\PC{0,9}\"|null|true|\\[\"a\",1\\]|\\{\"1\":-?[0-9]{1,40}\\})",
        ) {
            let body = format!("{{\"{field}\":{value}}}");
            if let Ok(found) = checked(body.as_bytes()) {
                prop_assert!(found.prompts.len() * found.n <= CHOICES);
                prop_assert!(found.stop.length.unwrap() <= Limits::default().max_tokens);
                prop_assert!(found.clamps.iter().all(|clamp| clamp.value.is_finite()));
            }
        }
    }
}
