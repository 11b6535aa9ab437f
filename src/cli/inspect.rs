/*!
`carousel inspect`.
*/

use indicatif::HumanCount;

use super::inspect_flags::Arguments;
use super::standard::{json_line, line, row};
use super::{inspect_gates, inspect_parameters, inspect_units};
use crate::checkpoint::architecture::{Labels, NextToken, Ngrams, Recurrent, Tokens};
use crate::checkpoint::cross_validation::{CrossValidation, Scores};
use crate::checkpoint::encoder_decoder::{EncoderDecoder, Target};
use crate::checkpoint::numbers::{Distribution, Numbers, Values};
use crate::checkpoint::parts::{Body, Head, Input};
use crate::checkpoint::record::{
    Baseline, Budget, DocumentsRecord, Figures, Finish, ImportRecord, NaiveBaselines, NgramRecord,
    PairsRecord, Record, SeriesRecord, TestRecord, TextRecord,
};
use crate::checkpoint::transformer_encoder_decoder::TransformerEncoderDecoder;
use crate::checkpoint::{Directory, ModelConfig, models};
use crate::data::labelled::DocumentOptions;
use crate::error::{Error, Result};
use crate::files;
use crate::inference::inspection::unit_names;
use crate::metrics::TextSize;
use crate::text::corpus::Validation;
use crate::text::escape::escaped;

/// Prints what was asked for: what a model is, or what happens inside.
pub fn run(arguments: &Arguments) -> Result<()> {
    arguments.check()?;
    let directory = models::find(&arguments.model)?;
    let config = directory.load_config()?;
    let inside = arguments.gates || arguments.unit.is_some() || arguments.find_unit.is_some();
    if inside {
        config.check_no_translator(directory.path())?;
    }
    if inside && config.carried().is_none() {
        return Err(Error::new(format!(
            "{} is {}, which has no units and no gates; give a recurrent network",
            directory.path().display(),
            match &config.body {
                Body::Transformer(_) => "a transformer",
                _ => "an n-gram model",
            }
        )));
    }
    if arguments.gates {
        return inspect_gates::run(arguments, &directory, &config);
    }
    if let Some(name) = &arguments.unit {
        let unit = unit_names::unit(name, config.recurrent())?;
        return inspect_units::print_text(arguments, &directory, &config, unit);
    }
    if let Some(documents) = &arguments.find_unit {
        let options = DocumentOptions {
            labels: true,
            ..arguments.layout.options()
        };
        let search = inspect_units::Search {
            path: documents,
            options: &options,
            json: arguments.json,
        };
        return search.run(&directory, &config);
    }
    if arguments.json {
        return json_line(&inspect_parameters::object(&directory, &config)?);
    }
    describe(&directory, &config)
}

/// Prints what a model is and how it was trained.
fn describe(directory: &Directory, config: &ModelConfig) -> Result<()> {
    row("model", directory.path().display().to_string())?;
    match &config.body {
        Body::Recurrent(_) | Body::Transformer(_) => print_network(config)?,
        Body::Ngram(ngrams) => print_ngrams(config, ngrams)?,
        Body::EncoderDecoder(body) => {
            print_encoder_decoder(body)?;
            print_translator(config, body.written())?;
        }
        Body::TransformerEncoderDecoder(body) => {
            print_transformer_encoder_decoder(body)?;
            print_translator(config, body.written())?;
        }
    }
    match (&config.body, &config.head) {
        (Body::Ngram(_), _) => return print_ngram_record(&directory.load_record()?),
        (Body::EncoderDecoder(_) | Body::TransformerEncoderDecoder(_), _) => {
            print_pairs(&directory.load_record()?)
        }
        (_, Head::NextToken(_)) => match directory.load_record::<ImportRecord>() {
            Ok(record) => print_import(&record),
            Err(_) => print_language_model(&directory.load_record()?),
        },
        (_, Head::Labels(head)) => print_classifier(head, &directory.load_record()?),
        (_, Head::Values(_)) => print_forecaster(&directory.load_record()?),
    }?;
    line("")?;
    inspect_parameters::print(config)
}

fn print_network(config: &ModelConfig) -> Result<()> {
    let directions = match config.directions().len() {
        1 => "",
        _ => ", bidirectional",
    };
    let tied = match config.tie_weights() {
        true => ", output tied to the embedding",
        false => "",
    };
    row(
        "network",
        format!(
            "{}, {} x {}{directions}, {} {}, dropout {}{tied}",
            config.body_description(),
            config.num_layers(),
            config.hidden_size(),
            match config.input {
                Input::Tokens(_) => "embedding",
                Input::Numbers(_) => "inputs",
            },
            config.input_size(),
            config.dropout()
        ),
    )?;
    row("parameters", count(config.parameters() as u64))?;
    if let Head::NextToken(NextToken {
        interpolation: Some(interpolation),
        ..
    }) = &config.head
    {
        row("beside", interpolation.description())?;
    }
    match config.forecaster() {
        Some((numbers, values)) => print_numbers(numbers, values),
        None => print_tokens(config.tokens()),
    }
}

fn print_encoder_decoder(body: &EncoderDecoder) -> Result<()> {
    let layers = |recurrent: &Recurrent| {
        format!(
            "{}, {} x {}{}, dropout {}",
            recurrent.cell_description(),
            recurrent.num_layers,
            recurrent.hidden_size,
            match recurrent.bidirectional {
                true => " in both directions",
                false => "",
            },
            recurrent.dropout
        )
    };
    row("encoder", layers(&body.encoder))?;
    row("decoder", layers(&body.decoder))?;
    row(
        "attention",
        match body.input_feeding {
            true => format!("{}, input feeding", body.attention.name()),
            false => body.attention.name().to_string(),
        },
    )
}

fn print_transformer_encoder_decoder(body: &TransformerEncoderDecoder) -> Result<()> {
    let (layers, size) = (body.num_layers, body.hidden_size);
    row(
        "network",
        format!(
            "{}, encoder and decoder {layers} x {size} each, dropout {}",
            body.description(),
            body.dropout
        ),
    )
}

/// Prints the size of a translator, and its vocabularies.
fn print_translator(config: &ModelConfig, target: Target) -> Result<()> {
    row("parameters", count(config.parameters() as u64))?;
    let tokens = |tokens: &Tokens, whose: &str| {
        let vocabulary = count(tokens.vocab_size as u64);
        let size = tokens.embedding_size;
        let text = format!(
            "{}, vocabulary of {vocabulary}, embedding {size}{whose}",
            tokens.level
        );
        row("tokens", text)
    };
    match target.shared_vocabulary {
        true => tokens(target.tokens, ", shared by source and target"),
        false => {
            tokens(config.tokens(), " of the source")?;
            tokens(target.tokens, " of the target")
        }
    }
}

fn print_pairs(record: &Record<PairsRecord>) -> Result<()> {
    let subject = &record.subject;
    row("pairs", files::names(&record.request.paths))?;
    let [train, valid] = [subject.train_pairs, subject.valid_pairs].map(count);
    row("", format!("{train} for training, {valid} for validation"))?;
    let [source, target] = subject.train_tokens.map(count);
    row(
        "",
        format!("{source} tokens of sources and {target} of targets to train on"),
    )?;
    row("  hash", subject.hash.clone())?;
    print_training(record)?;
    print_evaluations(record, &["BLEU"], |results| vec![results.bleu])
}

fn print_numbers(numbers: &Numbers, values: &Values) -> Result<()> {
    let season = match numbers.season {
        1 => "no season".to_string(),
        season => format!("a season of {season}"),
    };
    row(
        "numbers",
        format!(
            "{} steps, {} values at each, {season}, {} other columns, {} known ahead",
            numbers.window, numbers.lags, numbers.others, numbers.known
        ),
    )?;
    row(
        "forecasts",
        format!(
            "{} steps, {}, by {}",
            values.horizon,
            values.strategy.name(),
            match values.distribution {
                Distribution::Quantiles => "quantiles",
                Distribution::Gaussian => "mean and deviation",
            }
        ),
    )
}

fn print_ngrams(config: &ModelConfig, ngrams: &Ngrams) -> Result<()> {
    let within = if ngrams.by_line { " within a line" } else { "" };
    row(
        "n-grams",
        format!("up to order {}{within}, modified Kneser-Ney", ngrams.order),
    )?;
    let numbers = ngrams.ngrams.iter().map(|&n| count(n as u64));
    row(
        "",
        format!("{} of each length", numbers.collect::<Vec<_>>().join(", ")),
    )?;
    print_tokens(config.tokens())
}

fn print_tokens(tokens: &Tokens) -> Result<()> {
    let vocabulary = count(tokens.vocab_size as u64);
    row(
        "tokens",
        format!("{}, vocabulary of {vocabulary}", tokens.level),
    )
}

fn print_forecaster(record: &Record<SeriesRecord>) -> Result<()> {
    row(
        "series",
        format!(
            "{}, {} windows to train on, {} to validate",
            count(record.subject.series),
            count(record.subject.train_windows),
            count(record.subject.valid_windows)
        ),
    )?;
    print_training(record)?;
    print_evaluations(record, &[], |_| Vec::new())
}

fn print_language_model(record: &Record<TextRecord>) -> Result<()> {
    print_corpus(&record.subject)?;
    print_training(record)?;
    print_evaluations(record, &["bits/char"], |results| {
        vec![results.bits_per_character]
    })?;
    for Baseline { name, score } in &record.subject.baselines {
        line(format!(
            "{name:>40}{:>12.4}{:>12.4}",
            score.loss, score.bits_per_character
        ))?;
    }
    Ok(())
}

fn print_import(record: &ImportRecord) -> Result<()> {
    row("imported", format!("from {}", escaped(&record.imported)))?;
    let version = &record.request.version;
    row(
        "state",
        format!("trained by another program (carousel {version})"),
    )
}

fn print_ngram_record(record: &NgramRecord) -> Result<()> {
    print_corpus(&record.subject)?;
    let version = &record.request.version;
    row("state", format!("finished (carousel {version})"))?;
    line("")?;
    line(format!("{:12}{:>12}{:>12}", "", "validation", "bits/char"))?;
    let own = ("model", &record.validation);
    let baselines = record.subject.baselines.iter();
    for (name, score) in [own]
        .into_iter()
        .chain(baselines.map(|b| (&b.name[..], &b.score)))
    {
        let (loss, bits) = (score.loss, score.bits_per_character);
        line(format!("{name:12}{loss:>12.4}{bits:>12.4}"))?;
    }
    Ok(())
}

fn print_corpus(subject: &TextRecord) -> Result<()> {
    let (statistics, corpus) = (&subject.statistics, &subject.corpus);
    row("corpus", files::names(&corpus.files))?;
    row("  train", size(&statistics.train))?;
    row("  validate", size(&statistics.valid))?;
    if let Validation::Files(files) = &corpus.validation {
        row("", format!("from {}", files::names(files)))?;
    }
    row("  hash", statistics.hash.clone())
}

fn print_classifier(head: &Labels, record: &Record<DocumentsRecord>) -> Result<()> {
    let subject = &record.subject;
    let ngrams = count(head.ngrams as u64);
    row(
        "",
        format!("and {ngrams} words, n-grams and pieces of words"),
    )?;
    let labels = head.labels.iter().zip(&subject.label_counts);
    let labels: Vec<String> = labels
        .map(|(label, &documents)| format!("{} ({})", escaped(label), count(documents)))
        .collect();
    row("labels", labels.join(", "))?;
    row("documents", files::names(&record.request.paths))?;
    let [train, valid] = [subject.train_documents, subject.valid_documents].map(count);
    row("", format!("{train} for training, {valid} for validation"))?;
    row("  hash", subject.hash.clone())?;
    print_training(record)?;
    print_evaluations(record, &["accuracy", "macro F1", "balanced"], |results| {
        vec![
            results.accuracy,
            results.macro_f1,
            results.balanced_accuracy,
        ]
    })?;
    print_baselines(&subject.baselines)?;
    if let Some(TestRecord { baselines, score }) = &subject.tested {
        line("on the test documents:")?;
        if let Some(score) = score {
            print_score("model", &Scores::of(score))?;
        }
        print_baselines(baselines)?;
    }
    if let Some(found) = &subject.cross_validation {
        print_cross_validation(found)?;
    }
    Ok(())
}

fn print_baselines(baselines: &NaiveBaselines) -> Result<()> {
    print_score("naive Bayes", &Scores::of(&baselines.naive_bayes))?;
    print_score("majority", &Scores::of(&baselines.majority))
}

fn print_cross_validation(found: &CrossValidation) -> Result<()> {
    let (Some(mean), Some(deviation)) = (&found.mean, &found.standard_deviation) else {
        return Ok(());
    };
    let folds = found.folds.len();
    line(format!("in cross-validation, the mean of {folds} folds:"))?;
    print_score("model", &mean.classifier)?;
    print_score("standard deviation", &deviation.classifier)?;
    print_score("naive Bayes", &mean.naive_bayes)
}

/// Prints a line below those of the evaluations of a classifier.
fn print_score(name: &str, scores: &Scores) -> Result<()> {
    line(format!(
        "{name:>52}{:>12.4}{:>12.4}{:>12.4}",
        scores.accuracy, scores.macro_f1, scores.balanced_accuracy
    ))
}

/// Prints a line for each evaluation: losses, and further results in named columns.
fn print_evaluations<S>(
    record: &Record<S>,
    columns: &[&str],
    results: impl Fn(&Figures) -> Vec<Option<f64>>,
) -> Result<()> {
    let names: String = columns.iter().map(|name| format!("{name:>12}")).collect();
    line(format!(
        "{:>9}{:>9}{:>10}{:>12}{:>12}{names}",
        "step", "epoch", "seconds", "training", "validation"
    ))?;
    let best = record.best().map(|best| best.step);
    for e in &record.evaluations {
        let mark = match Some(e.step) == best {
            true => format!(" best{}", e.figures.chosen_by()),
            false => String::new(),
        };
        let values = results(&e.figures).into_iter();
        let values: String = values
            .map(|value| value.map_or(format!("{:>12}", "-"), |value| format!("{value:>12.4}")))
            .collect();
        line(format!(
            "{:>9}{:>9.2}{:>10.1}{:>12.4}{:>12.4}{values}{mark}",
            e.step, e.epoch, e.seconds, e.train_loss, e.figures.valid_loss
        ))?;
    }
    Ok(())
}

/// Prints the options of the training, and whether it is finished.
fn print_training<S>(record: &Record<S>) -> Result<()> {
    let training = &record.training;
    row(
        "budget",
        match training.budget {
            Budget::Seconds(seconds) => format!("{seconds} seconds"),
            Budget::Epochs(epochs) => format!("{epochs} epochs"),
            Budget::Steps(steps) => format!("{} steps", count(steps)),
        },
    )?;
    row(
        "options",
        format!(
            "batch {}, window {}, learning rate {}, {:?} schedule, warm-up {}, weight decay {}, clip norm {}, patience {}, \
             seed {}, {:?} on {} with {} threads",
            training.batch_size,
            training.bptt,
            training.learning_rate,
            training.schedule,
            training.warmup,
            training.weight_decay,
            training.clip_norm,
            training.patience,
            training.seed,
            training.precision,
            training.device,
            training.threads
        )
        .to_lowercase(),
    )?;
    record
        .chosen
        .iter()
        .try_for_each(|reason| row("", reason.clone()))?;
    let state = match record.finished {
        Some(Finish::Budget) => "finished: the budget was spent",
        Some(Finish::Patience) => "stopped early: no better evaluation within the patience",
        Some(Finish::Diverged) => "given up: the loss diverged",
        None => "not finished; continue it with --resume",
    };
    row(
        "state",
        format!("{state} (carousel {})", record.request.version),
    )?;
    line("")
}

fn size(size: &TextSize) -> String {
    format!(
        "{} tokens, {} characters, {} bytes",
        count(size.tokens),
        count(size.characters),
        count(size.bytes)
    )
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}
