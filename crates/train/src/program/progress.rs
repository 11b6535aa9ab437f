/*!
Progress of training on standard error: a bar on a terminal, plain lines in a pipe.
*/

use std::io::{IsTerminal, stderr};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use carousel::checkpoint::architecture::{InitialState, NextToken, Predict, Recurrent};
use carousel::checkpoint::arguments::{GradientMethod, RecurrentInit};
use carousel::checkpoint::encoder_decoder::Attention;
use carousel::checkpoint::parts::{Body, Head, Input};
use carousel::checkpoint::record::{Budget, Evaluation, Figures, Finish, TrainingConfig};
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::cli::standard::message;
use carousel::text::escape::{escaped, escaped_lines};
use carousel_train::run::{DataSummary, Event, Plan, StepReport};

use crate::cross_validation::{announced, fold_line, table};
use crate::units::{count, duration};
use carousel::pictures::curves::sparkline;

/// Number of positions of the bar.
const BAR_LENGTH: u64 = 1000;
/// Fraction of the budget between two plain lines.
const LINE_FRACTION: f64 = 0.02;

/// Prints the events of a run on standard error.
pub struct Progress {
    directory: Directory,
    quiet: bool,
    /// Hidden with --quiet, or if standard error is not a terminal.
    bar: ProgressBar,
    terminal: bool,
    /// Fraction of the budget at which the next plain line is due.
    next_line: f64,
    /// The best evaluation so far.
    best: Option<Evaluation>,
    /// Validation losses so far.
    losses: Vec<f64>,
    /// Number of tokens per character, if losses are shown in bits per character.
    tokens_per_character: Option<f64>,
    /// Whether it is a translator, whose losses are shown with perplexities.
    translates: bool,
}

impl Progress {
    /// Shows the run in `directory`.
    pub fn new(directory: Directory, quiet: bool) -> Self {
        let terminal = stderr().is_terminal();
        let target = if terminal && !quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template("{bar:32} {percent:>3}%  {msg}")
            .expect("the template is well formed");
        let bar = ProgressBar::with_draw_target(Some(BAR_LENGTH), target).with_style(style);
        Progress {
            directory,
            quiet,
            bar,
            terminal,
            next_line: 0.0,
            best: None,
            losses: Vec::new(),
            tokens_per_character: None,
            translates: false,
        }
    }

    /// Shows one event.
    pub fn show(&mut self, event: Event) {
        match event {
            Event::Note(note) => self.print(note),
            _ if self.quiet => {}
            Event::Plan(plan) => self.plan(&plan),
            Event::Step(step) => self.step(&step),
            Event::Evaluated {
                evaluation,
                best,
                sample,
            } => self.evaluated(evaluation, best, sample),
            Event::Finished(finish) => self.finished(finish),
            Event::CrossValidation { folds, budget } => {
                self.headed(("folds", announced(folds, budget)));
            }
            Event::Fold { number, of, fold } => self.print(fold_line(number, of, &fold)),
            Event::CrossValidated(found) => {
                table(&found).into_iter().for_each(|line| self.print(line));
            }
            Event::Discarded => self.bar.finish_and_clear(),
        }
    }

    fn print(&self, text: impl std::fmt::Display) {
        self.bar.suspend(|| message(text));
    }

    fn plan(&mut self, plan: &Plan) {
        self.tokens_per_character = plan.tokens_per_character;
        self.translates = plan.config.target().is_some();
        let lines = data_lines(&plan.data).into_iter().chain(plan_lines(plan));
        lines.for_each(|line| self.headed(line));
    }

    /// Shows a line above what follows.
    pub fn heading(&self, text: impl std::fmt::Display) {
        if !self.quiet {
            self.print(text);
        }
    }

    fn headed(&self, (heading, line): HeadedLine) {
        self.print(format!("{heading:<12}{line}"));
    }

    fn step(&mut self, step: &StepReport) {
        let bits = self
            .tokens_per_character
            .map_or_else(String::new, |tokens_per_character| {
                let bits = step.smooth_loss / std::f64::consts::LN_2 * tokens_per_character;
                format!("{bits:.3} bits/char  ")
            });
        let status = format!(
            "epoch {:.2}  loss {:.3}  {bits}{} tokens/s  {} left",
            step.epoch,
            step.smooth_loss,
            count(step.tokens_per_second as u64),
            duration(step.seconds_left)
        );
        self.bar
            .set_position((step.spent.min(1.0) * BAR_LENGTH as f64) as u64);
        if !self.terminal && step.spent >= self.next_line {
            self.next_line = step.spent + LINE_FRACTION;
            message(format!(
                "{:3.0}%  step {}  {status}",
                step.spent.min(1.0) * 100.0,
                step.step
            ));
        }
        self.bar.set_message(status);
    }

    fn evaluated(&mut self, evaluation: Evaluation, best: bool, sample: Option<String>) {
        let Evaluation {
            step,
            train_loss,
            figures,
            ..
        } = evaluation;
        self.losses.push(figures.valid_loss);
        let verdict = match best {
            true => format!("best so far{}, saved", figures.chosen_by()),
            false => "not better".to_string(),
        };
        self.print(format!(
            "step {step}  training loss {train_loss:.4}  validation loss {}  ({verdict})",
            loss_and_figures(&figures)
        ));
        if best {
            self.best = Some(evaluation);
            for line in escaped_lines(sample.unwrap_or_default().trim_end()).lines() {
                self.print(format!("  | {line}"));
            }
        }
    }

    fn finished(&mut self, finish: Finish) {
        self.bar.finish_and_clear();
        let Some(best) = &self.best else {
            return;
        };
        let reason = match finish {
            Finish::Budget => "done",
            Finish::Patience => "stopped early: no better evaluation for a while",
            Finish::Diverged => "given up",
        };
        let folder = self.directory.path().display();
        message(format!(
            "{reason}: the best {}, at step {}  {}",
            best_figures(&best.figures),
            best.step,
            sparkline(&self.losses),
        ));
        if self.directory.replaces_another() {
            // It is a part of a model that has yet to take its place.
            return;
        }
        message(format!(
            "the model is in {folder}; try: carousel {}",
            match self.tokens_per_character {
                _ if self.translates => format!("translate -m {folder} \"What a day!\""),
                Some(_) => format!("generate -m {folder} -p \"It was\""),
                None => format!("classify -m {folder} \"what a day\""),
            }
        ));
    }
}

/// A heading, and the text beside it.
type HeadedLine = (&'static str, String);

/// Lines about the data.
fn data_lines(data: &DataSummary) -> Vec<HeadedLine> {
    match data {
        DataSummary::Series {
            series,
            train_windows,
            valid_windows,
            ..
        } => vec![("series", windows([series, train_windows, valid_windows]))],
        DataSummary::Pairs { .. } => pair_lines(data),
        DataSummary::Text {
            level,
            train_tokens,
            valid_tokens,
            evaluated_tokens,
            vocab_size,
            ..
        } => {
            let corpus = format!(
                "{} tokens ({level}) for training, {} for validation, vocabulary of {}",
                count(*train_tokens),
                count(*valid_tokens),
                count(*vocab_size),
            );
            let read = (evaluated_tokens < valid_tokens).then_some(*evaluated_tokens);
            let shortened = read.map(|read| ("validation", read_at_each_evaluation(read)));
            [("corpus", corpus)].into_iter().chain(shortened).collect()
        }
        DataSummary::Documents {
            level,
            train_documents,
            train_tokens,
            valid_documents,
            labels,
            ngrams,
            long_documents,
            excerpts,
            naive_bayes,
            majority,
        } => {
            let documents = format!(
                "{} for training ({} tokens, {level}), {} for validation",
                count(*train_documents),
                count(*train_tokens),
                count(*valid_documents)
            );
            let ngrams = count(*ngrams);
            let words = format!("{ngrams} words, n-grams and pieces of words have weights");
            let mut lines = vec![
                ("documents", documents),
                ("labels", label_counts(labels)),
                ("words", words),
            ];
            lines.extend(long_document_lines(*long_documents, *excerpts));
            lines.push((
                "baselines",
                format!("accuracy on the validation documents: naive Bayes {naive_bayes:.4}, majority {majority:.4}"),
            ));
            lines
        }
    }
}

/// Lines about pairs.
fn pair_lines(data: &DataSummary) -> Vec<HeadedLine> {
    let DataSummary::Pairs {
        level,
        train_pairs,
        train_tokens,
        valid_pairs,
        vocab_sizes,
        shared_vocabulary,
        baselines: [copy, nearest],
        ..
    } = data
    else {
        return Vec::new();
    };
    let [source, target] = train_tokens.map(count);
    let pairs = format!(
        "{} for training ({source} and {target} tokens, {level}), {} for validation",
        count(*train_pairs),
        count(*valid_pairs)
    );
    let sizes = vocab_sizes.map(count);
    let vocabulary = match shared_vocabulary {
        true => format!("one of {} for both languages", sizes[0]),
        false => format!("{} and {}", sizes[0], sizes[1]),
    };
    let baselines = format!(
        "BLEU on validation pairs: the source as it is {copy:.1}, the translation of the nearest training sentence {nearest:.1}"
    );
    vec![
        ("pairs", pairs),
        ("vocabulary", vocabulary),
        ("baselines", baselines),
    ]
}

/// How many tokens an evaluation reads, if not all.
fn read_at_each_evaluation(tokens: u64) -> String {
    let read = count(tokens);
    format!("the first {read} tokens at each evaluation; `evaluate` reads all")
}

/// Numbers of series, and of windows for training and validation.
fn windows(numbers: [&u64; 3]) -> String {
    let [series, train, valid] = numbers.map(|number| count(*number));
    format!("{series}, in {train} windows for training and {valid} for validation")
}

/// Labels with their numbers of documents.
fn label_counts(labels: &[(String, u64)]) -> String {
    let counts = labels
        .iter()
        .map(|(label, n)| format!("{} ({})", escaped(label), count(*n)));
    counts.collect::<Vec<_>>().join(", ")
}

/// Lines about documents that are longer than the limit of the backward pass, and about excerpts.
fn long_document_lines((long, limit): (u64, u64), excerpts: u64) -> Vec<HeadedLine> {
    let mut lines = Vec::new();
    if long > 0 {
        let (long, limit) = (count(long), count(limit));
        lines.push((
            "",
            format!("{long} documents are longer than {limit} tokens: read whole, gradients through the last {limit}"),
        ));
    }
    if excerpts > 0 {
        let excerpts = count(excerpts);
        lines.push((
            "",
            format!("{excerpts} excerpts of long documents in each pass besides, for short texts"),
        ));
    }
    lines
}

/// Lines about the network and its training.
fn plan_lines(plan: &Plan) -> Vec<HeadedLine> {
    let (config, training) = (&plan.config, &plan.training);
    let batch = batch(config, training);
    let budget = match training.budget {
        Budget::Seconds(_) => format!("{} by the clock", duration(plan.seconds)),
        Budget::Epochs(epochs) => format!("{epochs} epochs, about {}", duration(plan.seconds)),
        Budget::Steps(steps) => format!("{} steps, about {}", count(steps), duration(plan.seconds)),
    };
    let budget = format!(
        "{budget}: {} steps, {:.1} epochs at {} tokens/s in {} on {}",
        count(plan.total_steps),
        plan.total_steps as f64 / plan.steps_per_epoch as f64,
        count(plan.tokens_per_second as u64),
        format!("{:?}", training.precision).to_lowercase(),
        training.device,
    );
    let (rate, memory) = (training.learning_rate, HumanBytes(plan.memory));
    let mut lines = vec![
        ("network", network(config)),
        (
            "training",
            format!("{batch}, learning rate {rate}; about {memory} of memory"),
        ),
        ("budget", budget),
        ("gradients", gradients(plan)),
    ];
    if config.last_layers().is_some() {
        lines.push(("weights", recurrent_weights(training.recurrent_init)));
    }
    lines.extend(beside(&config.head).map(|words| ("beside", words)));
    let initial = config.last_layers().map(|layers| layers.initial_state);
    lines.extend(initial_state(initial.unwrap_or_default()).map(|words| ("state", words)));
    lines.extend(plan.chosen.iter().map(|reason| ("chosen", reason.clone())));
    if plan.resumed_at > 0 {
        lines.push(("resumed", format!("after step {}", count(plan.resumed_at))));
    }
    lines
}

/// The network in words.
fn network(config: &ModelConfig) -> String {
    let reads = match config.input {
        Input::Tokens(_) => "embedding",
        Input::Numbers(_) => "inputs",
    };
    let layers = match &config.body {
        Body::EncoderDecoder(body) => format!(
            "encoder {}, {}, decoder {}{}",
            layers(&body.encoder),
            match body.attention {
                Attention::None => "no attention".to_string(),
                attention => format!("{} attention", attention.name()),
            },
            layers(&body.decoder),
            if body.input_feeding {
                " with input feeding"
            } else {
                ""
            },
        ),
        Body::TransformerEncoderDecoder(body) => format!(
            "{}, encoder and decoder {} x {} each",
            body.description(),
            body.num_layers,
            body.hidden_size
        ),
        Body::Recurrent(_) | Body::Transformer(_) | Body::Ngram(_) => format!(
            "{}, {} x {}{}",
            config.body_description(),
            config.num_layers(),
            config.hidden_size(),
            both_ways(config.directions().len() > 1)
        ),
    };
    format!(
        "{layers}, {reads} {}{}, dropout {}: {} parameters",
        config.input_size(),
        if config.tie_weights() { ", tied" } else { "" },
        config.dropout(),
        count(config.parameters() as u64),
    )
}

/// Cell, number and width of layers.
fn layers(recurrent: &Recurrent) -> String {
    format!(
        "{}, {} x {}{}",
        recurrent.cell_description(),
        recurrent.num_layers,
        recurrent.hidden_size,
        both_ways(recurrent.bidirectional)
    )
}

/// Whether texts are read from their end too.
fn both_ways(bidirectional: bool) -> &'static str {
    match bidirectional {
        true => ", bidirectional",
        false => "",
    }
}

/// What a step reads and predicts.
fn batch(config: &ModelConfig, training: &TrainingConfig) -> String {
    match &config.head {
        Head::NextToken(_) if config.target().is_some() => format!(
            "batch {} pairs, label smoothing {}",
            training.batch_size, training.label_smoothing
        ),
        Head::NextToken(head) => format!(
            "batch {}, window {}{}",
            training.batch_size,
            training.bptt,
            predictions(head)
        ),
        Head::Labels(_) => format!("batch {}", training.batch_size),
        Head::Values(values) => format!(
            "batch {}, {} steps in, {} out, {}",
            training.batch_size,
            training.bptt,
            values.horizon,
            values.strategy.name()
        ),
    }
}

/// What computes the gradients, and why it is not the kernels.
fn gradients(plan: &Plan) -> String {
    let feeding = (plan.config.encoder_decoder()).is_some_and(|body| body.input_feeding);
    let why = match plan.config.last_layers() {
        None => ": transformers have no kernels",
        Some(layers) if layers.layer_norm => ": layer norm has no kernels",
        Some(_) if feeding => ": input feeding has no kernels",
        Some(_) => "",
    };
    match plan.training.gradients {
        GradientMethod::Autograd => {
            let speed = count(plan.tokens_per_second as u64);
            format!("by libtorch's autograd, at {speed} tokens/s{why}")
        }
        GradientMethod::Kernels | GradientMethod::Auto => "by kernels".to_string(),
    }
}

/// What a window predicts, where it is not the next token at every step.
fn predictions(head: &NextToken) -> String {
    let tokens = match head.horizon {
        1 => "the next token".to_string(),
        horizon => format!("the next {horizon} tokens at once"),
    };
    match (head.predict, head.horizon) {
        (Predict::Every, 1) => String::new(),
        (Predict::Every, _) => format!(", each step predicting {tokens}"),
        (Predict::Last, _) => format!(", the last step alone predicting {tokens}"),
    }
}

/// What is interpolated with the network.
fn beside(head: &Head) -> Option<String> {
    let Head::NextToken(NextToken {
        interpolation: Some(interpolation),
        ..
    }) = head
    else {
        return None;
    };
    Some(format!(
        "{} {}, interpolated with the network (--interpolate=false: none)",
        count(interpolation.ngrams.ngrams.iter().sum::<usize>() as u64),
        interpolation.description()
    ))
}

/// What texts and windows begin with, where it is not the default.
fn initial_state(state: InitialState) -> Option<String> {
    match state {
        InitialState::Carried => None,
        InitialState::Zero => Some("texts and windows begin with zeros".to_string()),
        InitialState::Learned => {
            Some("texts and windows begin with a state that is learnt".to_string())
        }
    }
}

/// What the recurrent weights begin as, and why.
fn recurrent_weights(init: RecurrentInit) -> String {
    let words = match init {
        RecurrentInit::Orthogonal => "orthogonal: a state keeps its length from step to step",
        RecurrentInit::Identity => "the identity: a state stays as it is until something is added",
        RecurrentInit::Uniform => "uniform within 1/√hidden_size, as PyTorch has them",
    };
    format!("recurrent ones begin {words}")
}

/// The validation loss, with bits per character, or with accuracy, balanced accuracy and macro F1.
fn loss_and_figures(figures: &Figures) -> String {
    let loss = format!("{:.4}", figures.valid_loss);
    match *figures {
        Figures {
            bleu: Some(bleu), ..
        } => {
            let perplexity = figures.valid_loss.exp();
            format!("{loss}  perplexity {perplexity:.2}  BLEU {bleu:.1}")
        }
        Figures {
            bits_per_character: Some(bits),
            network_loss,
            ..
        } => {
            let alone = network_loss.map(|loss| format!(" (the network alone {loss:.4})"));
            format!("{loss}{}  {bits:.3} bits/char", alone.unwrap_or_default())
        }
        Figures {
            accuracy: Some(accuracy),
            macro_f1: Some(f1),
            balanced_accuracy,
            ..
        } => {
            let balanced = balanced_accuracy.map(|it| format!("  balanced accuracy {it:.4}"));
            let balanced = balanced.unwrap_or_default();
            format!("{loss}  accuracy {accuracy:.4}{balanced}  macro F1 {f1:.4}")
        }
        _ => loss,
    }
}

/// The figure that the best evaluation was chosen by, and the others.
fn best_figures(figures: &Figures) -> String {
    match (figures.deciding(), figures.accuracy) {
        ((name, value), Some(accuracy)) => format!(
            "{name} is {value:.4}, with accuracy {accuracy:.4} and validation loss {:.4}",
            figures.valid_loss,
        ),
        _ => format!("validation loss is {}", loss_and_figures(figures)),
    }
}
