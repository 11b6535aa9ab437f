/*!
Running a text generator, and printing the texts of `carousel generate`.
*/

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::standard::{self, RowPrinter, TextWriter};
use crate::data::text_rows::TextRow;
use crate::error::Result;
use crate::inference::generated_text::GeneratedText;
use crate::inference::generator::{Generator, TextEvent, sample_seed};

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

/// What the samples of a prompt are printed with.
#[derive(Clone, Debug, Default)]
pub struct SampleFormat {
    /// Text before each sample, and what stands beside it in its file.
    pub prompt: TextRow,
    /// Seed of the first sample.
    pub seed: u64,
    /// Number of samples.
    pub samples: u64,
    /// Whether to print JSON objects.
    pub json: bool,
    /// Whether other prompts' samples follow.
    pub more_follow: bool,
}

/// Prints generated texts: a single one while it is generated, several or JSON objects once they are finished.
pub struct SamplePrinter<'r> {
    format: SampleFormat,
    rows: &'r mut RowPrinter,
    writer: TextWriter,
    texts: Vec<GeneratedText>,
    printed: u64,
}

impl<'r> SamplePrinter<'r> {
    /// A printer that has printed nothing yet; `rows` prints the JSON objects of all prompts.
    pub fn new(format: SampleFormat, rows: &'r mut RowPrinter) -> Self {
        SamplePrinter {
            format,
            rows,
            writer: TextWriter::default(),
            texts: Vec::new(),
            printed: 0,
        }
    }

    /// Whether text is printed while it is generated.
    fn streams(&self) -> bool {
        self.format.samples == 1 && !self.format.json
    }

    /// Begins a batch of texts.
    pub fn begin(&mut self, count: usize) -> Result<()> {
        self.texts = GeneratedText::none(count);
        if self.streams() {
            self.writer.write(&self.format.prompt.text)?;
            self.writer.flush()?;
        }
        Ok(())
    }

    /// Takes an event of a text of the batch.
    pub fn on_event(&mut self, index: usize, event: TextEvent) -> Result<()> {
        let streams = self.streams();
        match event {
            TextEvent::Piece(piece) if streams => self.writer.write(piece)?,
            event => self.texts[index].take(event),
        }
        Ok(())
    }

    /// Prints what has not been printed of a batch that took this many seconds, and returns its number of tokens.
    pub fn end(&mut self, seconds: f64) -> Result<u64> {
        let tokens = self.texts.iter().map(|text| text.tokens).sum();
        if self.streams() {
            let gap = if self.format.more_follow { "\n\n" } else { "" };
            self.writer.write(&format!("\n{gap}"))?;
            self.writer.flush()?;
            return Ok(tokens);
        }
        for text in std::mem::take(&mut self.texts) {
            if self.format.json {
                let object = self.object(&text, tokens as f64 / seconds);
                self.rows.print(&self.format.prompt, object)?;
            } else {
                let last = self.printed + 1 == self.format.samples && !self.format.more_follow;
                let gap = if last { "" } else { "\n\n" };
                standard::line(format!("{}{}{gap}", self.format.prompt.text, text.text))?;
            }
            self.printed += 1;
        }
        Ok(tokens)
    }

    fn object(&self, text: &GeneratedText, tokens_per_second: f64) -> serde_json::Value {
        json!({
            "prompt": self.format.prompt.text,
            "text": text.text,
            "tokens": text.tokens,
            "sample": self.printed,
            "seed": sample_seed(self.format.seed, self.printed),
            "finish_reason": text.finish.name(),
            "tokens_per_second": tokens_per_second,
        })
    }
}
