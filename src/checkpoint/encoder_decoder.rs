/*!
Networks that turn one sequence into another: an encoder over the source, a decoder that writes the target, and what the
decoder sees of the source; the names and shapes of their tensors.
*/

use serde::{Deserialize, Serialize};

use super::architecture::{
    EMBEDDING, InitialState, NextToken, OUTPUT_WEIGHT, Recurrent, TensorShapes, Tokens,
};

/// The vectors of the target's tokens, where they are not the source's.
pub const TARGET_EMBEDDING: &str = "target_embedding.weight";
/// The decoder's initial state from the encoder's last outputs, `[layers · parts · hidden_size, memory_size]`.
pub const BRIDGE_WEIGHT: &str = "bridge.weight";
/// Its bias.
pub const BRIDGE_BIAS: &str = "bridge.bias";
/// What attention looks for, from the first decoder layer's output.
pub const QUERY_WEIGHT: &str = "attention.query.weight";
/// What additive attention compares it with, from the encoder's outputs.
pub const KEY_WEIGHT: &str = "attention.key.weight";
/// The bias of additive attention's sums.
pub const ATTENTION_BIAS: &str = "attention.bias";
/// The weights of additive attention's scores.
pub const SCORE_WEIGHT: &str = "attention.score.weight";
/// What the output reads, from the decoder's output and the context, `[embedding_size, hidden_size + context_size]`.
pub const READOUT_WEIGHT: &str = "readout.weight";
/// Its bias.
pub const READOUT_BIAS: &str = "readout.bias";
/// What the names of the encoder's layers begin with.
pub const ENCODER: &str = "encoder.";
/// What the names of the decoder's layers begin with.
pub const DECODER: &str = "decoder.";

/// An encoder and a decoder of recurrent layers.
///
/// The encoder reads the source's tokens in one direction or in both; its outputs `m_s`, side by side, are the memory. The
/// decoder begins with `tanh(W_bridge [last outputs of each direction] + b)`. At each step its first layer reads the vector
/// of the token before, and gives `q_t`. Attention turns scores of all source positions by a softmax into weights, and the
/// memory by these into a context `c_t`:
///
/// - dot (Luong et al. 2015, "general"): `score = m_s · W_query q_t`,
/// - additive (Bahdanau et al. 2015): `score = w_score · tanh(W_key m_s + W_query q_t + b)`.
///
/// The layers above read `[h_t; c_t]` (Wu et al. 2016), so that all steps of a layer can be computed before the next layer.
/// The readout is `r_t = tanh(W_readout [h_t; c_t] + b)`, of the target embedding's width, and the output `W r_t + b`. With
/// input feeding (Luong et al. 2015) the first layer reads `[embedding; r_(t−1)]`, with `r_0 = 0`. Without attention there
/// is no context: the decoder knows the source by its initial state alone (Sutskever et al. 2014).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EncoderDecoder {
    /// What the decoder reads and writes.
    pub target: Tokens,
    /// Whether source and target have one vocabulary, and one embedding.
    #[serde(default)]
    pub shared_vocabulary: bool,
    /// The layers that read the source.
    pub encoder: Recurrent,
    /// The layers that write the target.
    pub decoder: Recurrent,
    /// How the decoder looks at the source.
    #[serde(default)]
    pub attention: Attention,
    /// Whether the decoder's first layer reads what the output read a step before.
    #[serde(default)]
    pub input_feeding: bool,
}

/// What a translator writes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'c> {
    /// Its tokens.
    pub tokens: &'c Tokens,
    /// Whether source and target have one vocabulary, and one embedding.
    pub shared_vocabulary: bool,
}

/// How a decoder looks at the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// Not at all, but for its initial state.
    None,
    /// By a small network's scores (Bahdanau et al. 2015).
    Additive,
    /// By scalar products (Luong et al. 2015).
    #[default]
    Dot,
}

impl Attention {
    /// All of them.
    pub const ALL: [Attention; 3] = [Attention::None, Attention::Additive, Attention::Dot];

    /// Its name, in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Attention::None => "none",
            Attention::Additive => "additive",
            Attention::Dot => "dot",
        }
    }
}

impl Target<'_> {
    /// The name of its embedding.
    pub fn embedding(self) -> &'static str {
        match self.shared_vocabulary {
            true => EMBEDDING,
            false => TARGET_EMBEDDING,
        }
    }

    /// The name of the output's weights, `[vocab_size, embedding_size]`.
    pub fn output_weight(self, head: &NextToken) -> &'static str {
        match head.tie_weights {
            true => self.embedding(),
            false => OUTPUT_WEIGHT,
        }
    }

    /// The vectors of a source's and of its tokens.
    pub fn embedding_tensors(self, source: &Tokens) -> TensorShapes {
        let mut tensors = source.tensors();
        if !self.shared_vocabulary {
            let shape = vec![self.tokens.vocab_size, self.tokens.embedding_size];
            tensors.push((TARGET_EMBEDDING.to_string(), shape));
        }
        tensors
    }

    /// The output's weights, where they are not the embedding, and its bias.
    pub fn output_tensors(self, head: &NextToken) -> TensorShapes {
        head.tensors(self.tokens.vocab_size, self.tokens.embedding_size)
    }

    /// Checks that it suits a source of these tokens, and its head.
    ///
    /// # Errors
    /// A shared vocabulary of two sizes, a head that translators do not have.
    pub fn check(self, source: &Tokens, head: &NextToken) -> Result<(), String> {
        let sizes = |tokens: &Tokens| (tokens.vocab_size, tokens.embedding_size);
        if self.shared_vocabulary && sizes(source) != sizes(self.tokens) {
            return Err(format!(
                "a shared vocabulary has one size and one embedding, but source and target have {:?} and {:?}",
                sizes(source),
                sizes(self.tokens)
            ));
        }
        match head.horizon != 1 || head.interpolation.is_some() || head.lsa_size > 0 {
            true => {
                Err("a translator predicts one token at a time, by its network alone".to_string())
            }
            false => Ok(()),
        }
    }
}

impl EncoderDecoder {
    /// Width of the encoder's outputs at a position: those of all directions.
    pub fn memory_size(&self) -> usize {
        self.encoder.directions().len() * self.encoder.hidden_size
    }

    /// Width of the context; 0 without attention.
    pub fn context_size(&self) -> usize {
        match self.attention {
            Attention::None => 0,
            Attention::Additive | Attention::Dot => self.memory_size(),
        }
    }

    /// Width of what the decoder's first layer reads.
    pub fn decoder_input_size(&self) -> usize {
        match self.input_feeding {
            true => 2 * self.target.embedding_size,
            false => self.target.embedding_size,
        }
    }

    /// What it writes.
    pub fn written(&self) -> Target<'_> {
        Target {
            tokens: &self.target,
            shared_vocabulary: self.shared_vocabulary,
        }
    }

    /// All tensors, for a source of these tokens.
    pub fn tensors(&self, source: &Tokens, head: &NextToken) -> TensorShapes {
        let (memory, context) = (self.memory_size(), self.context_size());
        let (target, hidden) = (&self.target, self.decoder.hidden_size);
        let parts = self.decoder.num_layers * self.decoder.layer_spec().parts().len();
        let mut tensors = self.written().embedding_tensors(source);
        let mut add =
            |name: &str, shape: &[usize]| tensors.push((name.to_string(), shape.to_vec()));
        let encoder = self
            .encoder
            .tensors(source.embedding_size, self.encoder.hidden_size);
        let decoder = (self.decoder).tensors(self.decoder_input_size(), hidden + context);
        for (prefix, layers) in [(ENCODER, encoder), (DECODER, decoder)] {
            for (name, shape) in layers {
                add(&format!("{prefix}{name}"), &shape);
            }
        }
        add(BRIDGE_WEIGHT, &[parts * hidden, memory]);
        add(BRIDGE_BIAS, &[parts * hidden]);
        match self.attention {
            Attention::None => {}
            Attention::Dot => add(QUERY_WEIGHT, &[memory, hidden]),
            Attention::Additive => {
                add(QUERY_WEIGHT, &[hidden, hidden]);
                add(KEY_WEIGHT, &[hidden, memory]);
                add(ATTENTION_BIAS, &[hidden]);
                add(SCORE_WEIGHT, &[hidden]);
            }
        }
        add(READOUT_WEIGHT, &[target.embedding_size, hidden + context]);
        add(READOUT_BIAS, &[target.embedding_size]);
        tensors.extend(self.written().output_tensors(head));
        tensors
    }

    /// Checks that the parts suit each other, for a source of these tokens.
    ///
    /// # Errors
    /// A shared vocabulary of two sizes, a decoder that reads backwards, an option that translators do not have.
    pub fn check(&self, source: &Tokens, head: &NextToken) -> Result<(), String> {
        self.written().check(source, head)?;
        if self.decoder.bidirectional {
            return Err("a decoder writes forwards alone; it cannot be bidirectional".to_string());
        }
        if self.decoder.initial_state == InitialState::Learned {
            return Err(
                "a decoder begins with what the encoder read, not with a state that is learnt"
                    .to_string(),
            );
        }
        self.encoder.check()?;
        self.decoder.check()
    }
}
