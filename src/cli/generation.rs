/*!
Running a text generator, and printing the texts of `carousel generate`.
*/

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::standard::{self, TextWriter};
use crate::error::Result;
use crate::inference::generator::{FinishReason, Generator, TextEvent};

/// Runs a generator until its texts are finished, generation is interrupted, or `on_event` fails.
pub fn generate(
    generator: &mut Generator,
    interrupted: &AtomicBool,
    mut on_event: impl FnMut(usize, TextEvent) -> Result<()>,
) -> Result<()> {
    let mut result = Ok(());
    let mut report = |index: usize, event: TextEvent| {
        if result.is_ok() {
            result = on_event(index, event);
        }
        result.is_ok()
    };
    let mut working = true;
    while !generator.is_finished() && working && !interrupted.load(Ordering::Relaxed) {
        generator.step(|index, event| working &= report(index, event));
    }
    generator.interrupt(|index, event| {
        report(index, event);
    });
    result
}

/// Prints generated texts: a single one while it is generated, several or JSON objects once they are finished.
pub struct SamplePrinter {
    /// Text before each sample.
    prompt: String,
    /// Seed of the samples.
    seed: u64,
    /// Number of samples in all.
    samples: u64,
    /// Whether to print JSON objects.
    json: bool,
    writer: TextWriter,
    texts: Vec<GeneratedText>,
    printed: u64,
}

/// A text that is printed once it is finished.
#[derive(Clone)]
struct GeneratedText {
    text: String,
    finish: FinishReason,
    tokens: u64,
}

impl SamplePrinter {
    /// A printer that has printed nothing yet.
    pub fn new(prompt: String, seed: u64, samples: u64, json: bool) -> Self {
        SamplePrinter {
            prompt,
            seed,
            samples,
            json,
            writer: TextWriter::default(),
            texts: Vec::new(),
            printed: 0,
        }
    }

    /// Whether text is printed while it is generated.
    fn streams(&self) -> bool {
        self.samples == 1 && !self.json
    }

    /// Begins a batch of texts.
    pub fn begin(&mut self, count: usize) -> Result<()> {
        let empty = GeneratedText {
            text: String::new(),
            finish: FinishReason::Interrupted,
            tokens: 0,
        };
        self.texts = vec![empty; count];
        if self.streams() {
            self.writer.write(&self.prompt)?;
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Takes an event of a text of the batch.
    pub fn on_event(&mut self, index: usize, event: TextEvent) -> Result<()> {
        let streams = self.streams();
        let text = &mut self.texts[index];
        match event {
            TextEvent::Piece(piece) if streams => return self.writer.write(piece),
            TextEvent::Piece(piece) => text.text.push_str(piece),
            TextEvent::Finished(finish, tokens) => (text.finish, text.tokens) = (finish, tokens),
        }
        Ok(())
    }

    /// Prints what has not been printed of a batch that took this many seconds, and returns its number of tokens.
    pub fn end(&mut self, seconds: f64) -> Result<u64> {
        let tokens = self.texts.iter().map(|text| text.tokens).sum();
        if self.streams() {
            self.writer.write("\n")?;
            self.writer.flush()?;
            return Ok(tokens);
        }
        for text in std::mem::take(&mut self.texts) {
            self.printed += 1;
            if self.json {
                standard::line(self.object(&text, tokens as f64 / seconds))?;
            } else {
                let last = self.printed == self.samples;
                let gap = if last { "" } else { "\n\n" };
                standard::line(format!("{}{}{gap}", self.prompt, text.text))?;
            }
        }
        Ok(tokens)
    }

    fn object(&self, text: &GeneratedText, tokens_per_second: f64) -> serde_json::Value {
        json!({
            "prompt": self.prompt,
            "text": text.text,
            "tokens": text.tokens,
            "seed": self.seed,
            "finish_reason": match text.finish {
                FinishReason::Length => "length",
                FinishReason::Stop => "stop",
                FinishReason::Exhausted => "exhausted",
                FinishReason::Interrupted => "interrupted",
            },
            "tokens_per_second": tokens_per_second,
        })
    }
}
