/*!
Everything that a translator's run needs before its first step.
*/

use tch::Device;

use super::batches::{Batches, EncodedPairs};
use super::dataset::Dataset;
use super::task::{TranslationTask, scored};
use crate::distributed::Share;
use crate::gradients::{self, Gradients};
use crate::recipe::{self, Resolved};
use crate::run::{Event, Notify, Prepared, Task};
use crate::{device, machine};
use carousel::baselines::NearestSentence;
use carousel::checkpoint::ModelConfig;
use carousel::checkpoint::architecture::NextToken;
use carousel::checkpoint::arguments::{TrainArguments, Vocabularies};
use carousel::checkpoint::parts::{Body, Head};
use carousel::checkpoint::record::{PairBaselines, PairsRecord, Record, Request, TrainingConfig};
use carousel::checkpoint::transformer::Transformer;
use carousel::data::pairs::{LanguageProfile, Pair};
use carousel::error::Result;
use carousel::metrics::bleu::Bleu;
use carousel::text::tokenizer::Tokenizer;
use carousel::text::vocabulary::VocabularyTrainer;

/// Vocabulary and steps of the language model that the speed is measured with.
const SPEED_VOCABULARY: usize = 1000;
const SPEED_STEPS: usize = 16;

/// The vocabularies of the source, and of the target where it is another.
pub type Tokenizers = (Tokenizer, Option<Tokenizer>);

/// Resolves every option, for training on `device`.
///
/// # Errors
/// Options that contradict each other, pairs from which nothing can be learnt, too little memory.
pub fn prepare(
    request: Request,
    dataset: Dataset,
    device: Device,
    notify: Notify,
) -> Result<Prepared<TranslationTask>> {
    let tokenizers = vocabularies(&request.arguments, &dataset.train)?;
    let (source, target) = &tokenizers;
    let sizes = [source, target.as_ref().unwrap_or(source)].map(Tokenizer::vocab_size);
    let Resolved {
        config,
        training,
        chosen,
    } = recipe::translation::resolve(&request.arguments, dataset.train.len(), sizes)?;
    let training = complete(training, &config, device, notify)?;
    let record = Record {
        request,
        training,
        chosen,
        finished: None,
        evaluations: Vec::new(),
        subject: PairsRecord {
            train_pairs: 0,
            train_tokens: [0; 2],
            valid_pairs: 0,
            hash: dataset.hash.clone(),
            profile: LanguageProfile::of(&dataset.train),
            baselines: baselines(&dataset),
        },
    };
    let mut prepared = task(dataset, tokenizers, record, config, notify);
    let training = &mut prepared.record.training;
    if let Some(total) = recipe::total_steps(&training.budget, prepared.task.steps_in_pass()) {
        training.evaluate_every = recipe::between_evaluations(total);
    }
    device::check_memory(prepared.task.memory(&prepared.config, training), device)?;
    Ok(prepared)
}

/// What the translator has to beat, on the validation pairs that are scored.
fn baselines(dataset: &Dataset) -> PairBaselines {
    let nearest = NearestSentence::learn(&dataset.train);
    let scored = scored(&dataset.valid);
    let references: Vec<&str> = scored.clone().map(|pair| &pair.target[..]).collect();
    let copies: Vec<&str> = scored.clone().map(|pair| &pair.source[..]).collect();
    let found: Vec<&str> = copies
        .iter()
        .map(|source| nearest.translate(source))
        .collect();
    PairBaselines {
        copy: Bleu::corpus(&copies, &references).score,
        nearest: Bleu::corpus(&found, &references).score,
    }
}

/// Completes the options by what depends on the machine. A language model of the decoder's layers and a small vocabulary shows
/// the faster precision.
fn complete(
    training: TrainingConfig,
    config: &ModelConfig,
    device: Device,
    notify: Notify,
) -> Result<TrainingConfig> {
    let mut alike = ModelConfig {
        body: match &config.body {
            Body::EncoderDecoder(body) => Body::Recurrent(body.decoder.clone()),
            Body::TransformerEncoderDecoder(body) => Body::Transformer(Transformer {
                heads: body.heads,
                feed_forward_size: body.feed_forward_size,
                ..Transformer::new(body.hidden_size, body.num_layers, SPEED_STEPS)
            }),
            _ => unreachable!("a translator"),
        },
        head: Head::NextToken(NextToken::default()),
        ..config.clone()
    };
    alike.tokens_mut().vocab_size = config.written().vocab_size.min(SPEED_VOCABULARY);
    let windows = TrainingConfig {
        gradients: gradients::method(training.gradients, config, device)?,
        bptt: SPEED_STEPS,
        ..training
    };
    let completed = machine::complete(windows, &alike, device, tch::get_num_threads(), notify)?;
    Ok(TrainingConfig {
        bptt: training.bptt,
        ..completed
    })
}

/// The vocabularies of the training pairs.
fn vocabularies(arguments: &TrainArguments, pairs: &[Pair]) -> Result<Tokenizers> {
    let config = recipe::translation::with_level(arguments).vocabulary()?;
    let learn = |texts: &mut dyn Iterator<Item = &str>| {
        let texts: Vec<&str> = texts.collect();
        let bytes: usize = texts.iter().map(|text| text.len()).sum();
        let mut trainer = VocabularyTrainer::new(config, bytes as u64);
        for text in texts {
            trainer.push(config.normalization.apply(text).as_bytes());
            trainer.push(b"\n");
        }
        let tokenizer = trainer.finish()?;
        config.check_learnt(&tokenizer)?;
        Ok(tokenizer)
    };
    let mut sources = pairs.iter().map(|pair| &pair.source[..]);
    let mut targets = pairs.iter().map(|pair| &pair.target[..]);
    match arguments.vocabulary.unwrap_or_default() {
        Vocabularies::Shared => Ok((learn(&mut sources.chain(targets))?, None)),
        Vocabularies::Apart => Ok((learn(&mut sources)?, Some(learn(&mut targets)?))),
    }
}

/// The task of prepared or saved options; its record is completed.
pub fn task(
    dataset: Dataset,
    (source, target): Tokenizers,
    mut record: Record<PairsRecord>,
    config: ModelConfig,
    notify: Notify,
) -> Prepared<TranslationTask> {
    let encode =
        |pairs: &[Pair]| EncodedPairs::new(pairs, &source, target.as_ref().unwrap_or(&source));
    let mut train = encode(&dataset.train);
    let long = train.leave_out_long();
    if long > 0 {
        notify(Event::Note(format!(
            "{long} training pairs were left out, as they are very long"
        )));
    }
    let [_, valid_tokens] = encode(&dataset.valid).tokens();
    let subject = &mut record.subject;
    subject.train_pairs = train.len() as u64;
    subject.train_tokens = train.tokens().map(|tokens| tokens as u64);
    subject.valid_pairs = dataset.valid.len() as u64;
    let training: &TrainingConfig = &record.training;
    Prepared {
        task: TranslationTask {
            batches: Batches::new(training.batch_size, training.seed),
            gradients: Gradients::new(&config, training),
            share: Share::WHOLE,
            source,
            target,
            train,
            valid: dataset.valid,
            valid_tokens,
        },
        record,
        config,
    }
}
