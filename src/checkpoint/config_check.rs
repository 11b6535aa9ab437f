/*!
What a configuration must be for a network to be made of it: sizes that are possible, parts that suit each other.
*/

use super::architecture::{NextToken, Ngrams, Tokens};
use super::config::{LARGEST_SIZE, MOST_LAYERS, MOST_NGRAM_TOKENS, ModelConfig};
use super::encoder_decoder::EncoderDecoder;
use super::parts::{Body, Head, Input};
use super::transformer::Transformer;
use super::transformer_encoder_decoder::TransformerEncoderDecoder;
use crate::error::{Error, Result};

/// Most tokens that a step predicts at once.
const MOST_AT_ONCE: usize = 64;

impl ModelConfig {
    /// Checks that sizes are possible.
    ///
    /// # Errors
    /// A size of zero, a dropout outside [0, 1), tied weights of different widths, one label, an input that does not suit the
    /// head.
    pub fn check(&self) -> Result<()> {
        self.check_input_and_head()?;
        let recurrent = match &self.body {
            Body::Recurrent(recurrent) => recurrent,
            Body::Transformer(transformer) => return self.check_transformer(transformer),
            Body::Ngram(ngrams) => return self.check_ngrams(ngrams),
            Body::EncoderDecoder(body) => return self.check_encoder_decoder(body),
            Body::TransformerEncoderDecoder(body) => return self.check_transformer_pair(body),
        };
        let mut sizes = vec![
            ("hidden_size", recurrent.hidden_size),
            ("num_layers", recurrent.num_layers),
        ];
        if let Input::Tokens(tokens) = &self.input {
            sizes.push(("vocab_size", tokens.vocab_size));
            sizes.push(("embedding_size", tokens.embedding_size));
        }
        check_sizes(&sizes)?;
        check_dropout(recurrent.dropout)?;
        recurrent.check().map_err(Error::new)?;
        match &self.head {
            Head::Labels(head) if head.labels.len() < 2 => Err(Error::new(format!(
                "labels are {:?}; a classifier has two or more",
                head.labels
            ))),
            Head::NextToken(head) => self.check_next_token(head),
            Head::Values(_) if recurrent.bidirectional => Err(Error::new(
                "a forecaster reads its series forwards alone; leave --bidirectional away",
            )),
            Head::Labels(_) | Head::Values(_) => Ok(()),
        }
    }

    /// Checks a transformer.
    fn check_transformer(&self, transformer: &Transformer) -> Result<()> {
        let (Input::Tokens(tokens), Head::NextToken(head)) = (&self.input, &self.head) else {
            return Err(Error::new(
                "a transformer is a language model: it reads tokens, and predicts the next token",
            ));
        };
        check_sizes(&[
            ("vocab_size", tokens.vocab_size),
            ("embedding_size", tokens.embedding_size),
            ("hidden_size", transformer.hidden_size),
            ("num_layers", transformer.num_layers),
            ("feed_forward_size", transformer.feed_forward_size),
            ("context", transformer.context),
        ])?;
        check_dropout(transformer.dropout)?;
        transformer.check().map_err(Error::new)?;
        if tokens.embedding_size != transformer.hidden_size {
            return Err(Error::new(format!(
                "the vectors of tokens pass through all layers of a transformer, and have its width, but embedding_size is {} \
                 and hidden_size {}; leave --embedding-size away",
                tokens.embedding_size, transformer.hidden_size
            )));
        }
        self.check_next_token(head)
    }

    /// What a translator reads and predicts, checked with what it writes.
    fn check_translator(&self, target: &Tokens) -> Result<(&Tokens, &NextToken)> {
        let (Input::Tokens(source), Head::NextToken(head)) = (&self.input, &self.head) else {
            return Err(Error::new(
                "an encoder and a decoder read tokens, and predict the next token",
            ));
        };
        check_sizes(&[
            ("source's vocab_size", source.vocab_size),
            ("source's embedding_size", source.embedding_size),
            ("target's vocab_size", target.vocab_size),
            ("target's embedding_size", target.embedding_size),
        ])?;
        Ok((source, head))
    }

    /// Checks a translator of recurrent layers.
    fn check_encoder_decoder(&self, body: &EncoderDecoder) -> Result<()> {
        let (source, head) = self.check_translator(&body.target)?;
        check_sizes(&[
            ("encoder's hidden_size", body.encoder.hidden_size),
            ("encoder's num_layers", body.encoder.num_layers),
            ("decoder's hidden_size", body.decoder.hidden_size),
            ("decoder's num_layers", body.decoder.num_layers),
        ])?;
        check_dropout(body.encoder.dropout)?;
        check_dropout(body.decoder.dropout)?;
        body.check(source, head).map_err(Error::new)
    }

    /// Checks a translator that is a transformer.
    fn check_transformer_pair(&self, body: &TransformerEncoderDecoder) -> Result<()> {
        let (source, head) = self.check_translator(&body.target)?;
        check_sizes(&[
            ("hidden_size", body.hidden_size),
            ("num_layers", body.num_layers),
            ("feed_forward_size", body.feed_forward_size),
        ])?;
        check_dropout(body.dropout)?;
        body.check(source, head).map_err(Error::new)
    }

    /// Checks that the head suits the input, and what a forecaster reads and predicts.
    fn check_input_and_head(&self) -> Result<()> {
        match (&self.input, &self.head) {
            (Input::Numbers(numbers), Head::Values(values)) => {
                let checked = numbers.check().and_then(|()| values.check());
                checked.map_err(Error::new)
            }
            (Input::Tokens(_), Head::NextToken(_) | Head::Labels(_)) => Ok(()),
            _ => Err(Error::new(
                "numbers are read to predict values, and tokens to predict tokens or labels",
            )),
        }
    }

    /// Checks the head of a language model.
    fn check_next_token(&self, head: &NextToken) -> Result<()> {
        let (tokens, hidden_size) = (self.tokens(), self.hidden_size());
        if let Some(interpolation) = &head.interpolation {
            self.check_ngrams(&interpolation.ngrams)?;
        }
        let refused = |reason: &str| Err(Error::new(reason));
        match head.horizon {
            horizon if !(1..=MOST_AT_ONCE).contains(&horizon) => Err(Error::new(format!(
                "--horizon {horizon} is out of range; a step predicts 1 to {MOST_AT_ONCE} tokens at once"
            ))),
            2.. if head.interpolation.is_some() => refused(
                "n-grams predict one token at a time, and are not interpolated with a network that predicts several",
            ),
            2.. if head.tie_weights => refused(
                "tied weights predict one token at a time; leave --tie-weights or --horizon away",
            ),
            2.. if self.directions().len() > 1 => refused(
                "layers that read backwards predict one token at a time; leave --bidirectional or --horizon away",
            ),
            _ if head.tie_weights && tokens.embedding_size != hidden_size => {
                Err(Error::new(format!(
                    "tied weights need an embedding as wide as the hidden state, but embedding_size is {} and hidden_size {}",
                    tokens.embedding_size, hidden_size
                )))
            }
            _ => Ok(()),
        }
    }

    /// Checks n-grams, those of a model of their own or beside a network.
    fn check_ngrams(&self, ngrams: &Ngrams) -> Result<()> {
        let Input::Tokens(Tokens { vocab_size, .. }) = self.input else {
            return Err(Error::new("an n-gram model reads tokens, not numbers"));
        };
        let refused = |reason: String| Err(Error::new(format!("an n-gram model {reason}")));
        if let Head::Labels(_) = self.head {
            return refused("predicts the next token, but the head is of labels".to_string());
        }
        if !(1..=MOST_NGRAM_TOKENS).contains(&ngrams.order) || ngrams.ngrams.len() != ngrams.order {
            return refused(format!(
                "has an order between 1 and {MOST_NGRAM_TOKENS} and a number for each length, but the order is {} with {} \
                 numbers",
                ngrams.order,
                ngrams.ngrams.len()
            ));
        }
        if vocab_size == 0 || vocab_size > LARGEST_SIZE || ngrams.ngrams[0] != vocab_size {
            return refused(format!(
                "has a vocabulary of 1 to {LARGEST_SIZE} tokens, all of them n-grams of length 1, but vocab_size is {vocab_size} and \
                 the n-grams are {:?}",
                ngrams.ngrams
            ));
        }
        Ok(())
    }
}

/// Checks that sizes are possible.
fn check_sizes(sizes: &[(&str, usize)]) -> Result<()> {
    let largest = |name: &str| match name.ends_with("num_layers") {
        true => MOST_LAYERS,
        false => LARGEST_SIZE,
    };
    let wrong = (sizes.iter()).find(|&&(name, size)| !(1..=largest(name)).contains(&size));
    match wrong {
        Some((name, size)) => Err(Error::new(format!(
            "{name} is {size}; it must be between 1 and {}",
            largest(name)
        ))),
        None => Ok(()),
    }
}

fn check_dropout(dropout: f64) -> Result<()> {
    match (0.0..1.0).contains(&dropout) {
        true => Ok(()),
        false => Err(Error::new(format!(
            "dropout is {dropout}; it must be at least 0 and below 1"
        ))),
    }
}
