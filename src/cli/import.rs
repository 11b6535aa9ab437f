/*!
`carousel import`.
*/

use std::path::PathBuf;

use carousel_kernels::recurrent::Activation;
use clap::{Args, ValueEnum};
use indicatif::HumanBytes;

use super::run_folder::RunFolder;
use super::standard;
use crate::checkpoint::record::ImportRecord;
use crate::convert::pytorch::Found;
use crate::convert::state_dict::StateFile;
use crate::convert::vocabulary::Vocabulary;
use crate::error::{Error, Result};
use crate::text::Level;

/// Make a model of a PyTorch language model: of the state dict of an embedding, nn.LSTM, nn.GRU or nn.RNN, and a linear decoder.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel import model.pt -o model --vocabulary words.txt --level word
  carousel import model.safetensors -o model --tokenizer tokenizer.json

The file is what torch.save(model.state_dict(), FILE) or safetensors wrote. No code in it is run. The model
gives the same logits; generate, score, evaluate, inspect, export and train --from take it.")]
pub struct Arguments {
    /// The state dict: safetensors, or .pt or .pth of torch.save
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder for the model
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Its tokens, one a line, in the order of their ids; a line end is written \n [default: bytes, if there are 256]
    #[arg(
        long,
        value_name = "FILE",
        requires = "level",
        conflicts_with = "tokenizer"
    )]
    vocabulary: Option<PathBuf>,
    /// What its tokens are
    #[arg(long, value_enum)]
    level: Option<ImportLevel>,
    /// Its tokens as a tokenizer.json, of Hugging Face or of this program
    #[arg(long, value_name = "FILE")]
    tokenizer: Option<PathBuf>,
    /// The activation of nn.RNN, which a state dict does not tell [default: tanh]
    #[arg(long, value_enum)]
    activation: Option<ImportActivation>,
    /// Replace a model that is in the folder already
    #[arg(long)]
    overwrite: bool,
}

/// `--level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ImportLevel {
    /// Words, between white space, or with the space before them where the vocabulary has it
    Word,
    /// Unicode characters
    Char,
    /// Bytes: the id of a token is its value
    Byte,
}

/// `--activation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ImportActivation {
    /// The hyperbolic tangent, as nn.RNN has it where nothing is said
    Tanh,
    /// nonlinearity="relu"
    Relu,
}

/// Imports a model.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.vocabulary.is_some() && arguments.level == Some(ImportLevel::Byte) {
        return Err(Error::usage(
            "--level byte needs no --vocabulary: the id of a byte is its value; leave one of them away",
        ));
    }
    let file = StateFile::open(&arguments.file)?;
    let tensors = file.state_dict()?;
    let named = |error: Error| error.in_file(&arguments.file);
    let found = Found::find(&tensors).map_err(named)?;
    let vocabulary = vocabulary(arguments, found.vocab_size())?;
    let activation = arguments.activation.map(|activation| match activation {
        ImportActivation::Tanh => Activation::Tanh,
        ImportActivation::Relu => Activation::Relu,
    });
    let model = found.model(&vocabulary, activation).map_err(named)?;
    let folder = RunFolder::for_new_run(&arguments.output, arguments.overwrite)?;
    let name = arguments.file.file_name().unwrap_or_default();
    let record = ImportRecord::new(name.to_string_lossy().into_owned(), &vocabulary.tokenizer);
    let directory = &folder.directory;
    directory.create()?;
    directory.save_record(&record)?;
    directory.save_weights(&model.weights)?;
    directory.save_description(&model.config, &vocabulary.tokenizer)?;
    // An old model goes only now that this one is complete.
    directory.move_in()?;
    standard::notes(&vocabulary.notes);
    standard::notes(&model.notes);
    let path = arguments.output.display();
    let recurrent = model.config.recurrent();
    standard::message(format!(
        "{}, {} x {}, vocabulary of {}: wrote {} of weights to {path}; try: carousel generate -m {path} -p \"It was\"",
        recurrent.cell_description(),
        recurrent.num_layers,
        recurrent.hidden_size,
        vocabulary.tokenizer.vocab_size(),
        HumanBytes(model.weights.len() as u64),
    ));
    Ok(())
}

/// The vocabulary that was given, or bytes.
fn vocabulary(arguments: &Arguments, vocab_size: usize) -> Result<Vocabulary> {
    let level = arguments.level.map(|level| match level {
        ImportLevel::Word => Level::Word,
        ImportLevel::Char => Level::Character,
        ImportLevel::Byte => Level::Byte,
    });
    match (&arguments.vocabulary, &arguments.tokenizer, level) {
        (Some(file), _, Some(level)) => Vocabulary::of_file(file, level),
        (_, Some(file), level) => Vocabulary::of_tokenizer(file, level),
        (_, _, Some(Level::Byte)) => Ok(Vocabulary::bytes()),
        _ => Vocabulary::default_of(vocab_size),
    }
}
