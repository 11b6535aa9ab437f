/*!
The texts of a completion as they come: pieces, log probabilities of the tokens in them, and why they ended.
*/

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::batcher::Event;
use super::errors::Failure;
use crate::inference::generator::FinishReason;
use crate::inference::log_probabilities::TokenReport;

/// The texts of a request, as far as they have come.
pub struct Choices {
    choices: Vec<Choice>,
    has_logprobs: bool,
    /// Number of tokens of the finished texts.
    pub tokens: u64,
}

/// A part of a text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// The number of the text.
    pub index: usize,
    /// The piece.
    pub text: String,
    /// The tokens in it, each with where it begins in the text.
    pub tokens: Vec<(usize, TokenReport)>,
    /// Why the text ends after it, if it does.
    pub finish: Option<&'static str>,
}

/// What is known of one text.
struct Choice {
    /// Where the next piece, and the next token, begins: in characters from the beginning.
    shown: usize,
    told: usize,
    /// Tokens whose text has not been shown.
    held: VecDeque<(usize, TokenReport)>,
    is_finished: bool,
}

impl Choices {
    /// Texts of which nothing has come; those with an echo begin with these prompts.
    pub fn new(count: usize, has_logprobs: bool) -> Self {
        let choice = || Choice {
            shown: 0,
            told: 0,
            held: VecDeque::new(),
            is_finished: false,
        };
        Choices {
            choices: (0..count).map(|_| choice()).collect(),
            has_logprobs,
            tokens: 0,
        }
    }

    /// Whether all texts are finished.
    pub fn are_finished(&self) -> bool {
        self.choices.iter().all(|choice| choice.is_finished)
    }

    /// The prompt that a text begins with.
    pub fn echo(&mut self, index: usize, prompt: &str) -> Part {
        self.choices[index].piece(index, prompt.to_string())
    }

    /// Takes an event, and returns the part of a text that came with it.
    ///
    /// # Errors
    /// The failure of the texts.
    pub fn take(&mut self, event: Event) -> Result<Option<Part>, Failure> {
        Ok(match event {
            Event::Prompt(index, reports) => {
                let choice = &mut self.choices[index];
                reports
                    .iter()
                    .for_each(|report| choice.token(report.clone()));
                // The prompt itself was shown already.
                Some(choice.piece(index, String::new())).filter(|part| !part.tokens.is_empty())
            }
            Event::Token(index, report) => {
                self.choices[index].token(report);
                None
            }
            Event::Piece(_, text) if text.is_empty() => None,
            Event::Piece(index, text) => Some(self.choices[index].piece(index, text)),
            Event::Finished(index, finish, tokens) => {
                self.tokens += tokens;
                Some(self.choices[index].finish(index, finish))
            }
            Event::Failed(failure) => return Err(failure),
        })
    }

    /// A part as clients read it.
    pub fn object(&self, part: &Part) -> Value {
        json!({
            "index": part.index,
            "text": part.text,
            "finish_reason": part.finish,
            "logprobs": self.has_logprobs.then(|| logprobs(&part.tokens)),
        })
    }
}

impl Choice {
    fn token(&mut self, report: TokenReport) {
        let start = self.told;
        self.told += report.text.chars().count();
        self.held.push_back((start, report));
    }

    /// The part that a piece makes: with the tokens that begin in it.
    fn piece(&mut self, index: usize, text: String) -> Part {
        self.shown += text.chars().count();
        let count = self.held.partition_point(|(start, _)| *start < self.shown);
        Part {
            index,
            text,
            tokens: self.held.drain(..count).collect(),
            finish: None,
        }
    }

    /// The last part. Of a text that a stop string ended, the tokens of that are left out.
    fn finish(&mut self, index: usize, finish: FinishReason) -> Part {
        self.is_finished = true;
        let left_out = finish == FinishReason::Stop;
        Part {
            index,
            text: String::new(),
            tokens: self.held.drain(..).filter(|_| !left_out).collect(),
            finish: Some(match finish {
                FinishReason::Length | FinishReason::Interrupted => "length",
                FinishReason::Stop | FinishReason::Exhausted => "stop",
            }),
        }
    }
}

/// Log probabilities of tokens, as clients read them.
fn logprobs(tokens: &[(usize, TokenReport)]) -> Value {
    let top = |report: &TokenReport| -> Map<String, Value> {
        let mut map = Map::new();
        // Tokens may have the same text, as parts of characters do: the most probable one is told.
        for (text, log_probability) in &report.top {
            map.entry(text.clone())
                .or_insert_with(|| json!(log_probability));
        }
        map
    };
    let reports = || tokens.iter().map(|(_, report)| report);
    json!({
        "tokens": reports().map(|report| &report.text[..]).collect::<Vec<_>>(),
        "token_logprobs": reports().map(|report| report.log_probability).collect::<Vec<_>>(),
        "top_logprobs": reports().map(top).collect::<Vec<_>>(),
        "text_offset": tokens.iter().map(|(start, _)| *start).collect::<Vec<_>>(),
    })
}

/// Joins the parts of a text.
pub fn join(whole: &mut Part, part: Part) {
    whole.index = part.index;
    whole.text.push_str(&part.text);
    whole.tokens.extend(part.tokens);
    whole.finish = part.finish.or(whole.finish);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(text: &str) -> TokenReport {
        TokenReport {
            text: text.to_string(),
            log_probability: -1.0,
            top: vec![(text.to_string(), -1.0), (text.to_string(), -2.0)],
        }
    }

    #[test]
    fn tokens_come_with_the_text_that_they_make() {
        let mut choices = Choices::new(1, true);
        let mut whole = Part::default();
        join(&mut whole, choices.echo(0, "é"));
        let events = [
            Event::Prompt(0, vec![report("é")].into()),
            Event::Token(0, report("ab")),
            Event::Token(0, report("ST")),
            // The rest is held back, as a stop string may begin there.
            Event::Piece(0, "ab".to_string()),
            Event::Token(0, report("OP")),
            Event::Finished(0, FinishReason::Stop, 3),
        ];
        for event in events {
            assert!(!choices.are_finished());
            if let Some(part) = choices.take(event).unwrap() {
                join(&mut whole, part);
            }
        }
        assert!(choices.are_finished());
        assert_eq!((&whole.text[..], choices.tokens), ("éab", 3));
        let object = choices.object(&whole);
        assert_eq!(object["finish_reason"], "stop");
        assert_eq!(object["logprobs"]["tokens"], json!(["é", "ab"]));
        assert_eq!(object["logprobs"]["text_offset"], json!([0, 1]));
        assert_eq!(object["logprobs"]["top_logprobs"][0], json!({"é": -1.0}));
    }
}
