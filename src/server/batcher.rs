/*!
The texts of one model, which grow in one batch on a thread of its own: requests join between two steps, and leave when they
are finished or nobody waits for them.

Prompts are read in parts between the steps, so that a long one does not hold up the others. What is told of a text goes into
a channel without a bound, which holds at most the text: a client that reads slowly slows nobody.
*/

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::errors::Failure;
use super::limits::Limits;
use super::metrics::ModelMetrics;
use super::work::Waiting;
use crate::inference::Model;
use crate::inference::generator::{
    FinishReason, Generator, PromptReader, StopConditions, TextEvent,
};
use crate::inference::log_probabilities::TokenReport;
use crate::inference::sampling::Sampling;
use crate::inference::stack::Clamp;

/// Number of tokens of prompts that are read between two steps; a part of a prompt is read whole.
const PROMPT_TOKENS: usize = 256;

/// A prompt to continue.
pub struct Job {
    /// Its tokens.
    pub tokens: Vec<u32>,
    /// Units that are held at values.
    pub clamps: Vec<Clamp>,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// What ends a text.
    pub stop: StopConditions,
    /// The seed of the first text.
    pub seed: u64,
    /// Number of texts.
    pub samples: usize,
    /// Number of most probable tokens that are told beside each token, if tokens are.
    pub reported: Option<usize>,
    /// Whether the prompt's tokens are told too.
    pub reports_prompt: bool,
    /// When the request began, and when it has to have ended.
    pub times: Range<Instant>,
    /// The number of the first text among those of the request.
    pub first: usize,
    /// Where it is told.
    pub events: UnboundedSender<Event>,
    /// Whether it is told at once, or when all texts of the prompt are finished.
    pub streams: bool,
}

/// What is told of the texts of a request, by their numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The tokens of a text's prompt.
    Prompt(usize, Arc<Vec<TokenReport>>),
    /// The next token of a text.
    Token(usize, TokenReport),
    /// The next piece of a text.
    Piece(usize, String),
    /// The end of a text, and its number of tokens.
    Finished(usize, FinishReason, u64),
    /// The end of all texts of a prompt that are not finished.
    Failed(Failure),
}

/// A prompt in the queue; those of one request wait as one.
type Queued = (Arc<Waiting>, Job);

/// The way to a model's batch.
pub struct Batch {
    jobs: UnboundedSender<Queued>,
    most_waiting: i64,
    metrics: Arc<ModelMetrics>,
    stop: Arc<AtomicBool>,
}

impl Batch {
    /// Starts the thread of a model.
    pub fn start(model: Arc<Model>, limits: &Limits, metrics: Arc<ModelMetrics>) -> Self {
        let (jobs, mut received) = unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let batch = Batch {
            jobs,
            most_waiting: limits.queue as i64,
            metrics: Arc::clone(&metrics),
            stop: Arc::clone(&stop),
        };
        let parallel = limits.parallel.max(1);
        thread::spawn(move || {
            loop {
                let batcher = Batcher {
                    model: &model,
                    metrics: &metrics,
                    parallel,
                    waiting: VecDeque::new(),
                    reading: VecDeque::new(),
                    groups: Vec::new(),
                    growing: Vec::new(),
                    next: 0,
                };
                // After a bug the texts of that batch are lost, and their clients are told; others begin anew.
                let ran = AssertUnwindSafe(|| batcher.run(&mut received, &stop));
                match catch_unwind(ran) {
                    Ok(()) => return,
                    Err(_) => metrics.growing.store(0, Ordering::Relaxed),
                }
            }
        });
        batch
    }

    /// A place in the queue.
    ///
    /// # Errors
    /// A full queue.
    pub fn wait(&self) -> Result<Waiting, Failure> {
        Waiting::new(&self.metrics, self.most_waiting)
    }

    /// Puts the prompts of a request into the queue, at its place.
    ///
    /// # Errors
    /// A batch that has ended.
    pub fn send(
        &self,
        waiting: Waiting,
        prompts: impl Iterator<Item = Job>,
    ) -> Result<(), Failure> {
        let waiting = Arc::new(waiting);
        let prompt_tokens = &self.metrics.prompt_tokens;
        for job in prompts {
            prompt_tokens.fetch_add(job.tokens.len() as u64, Ordering::Relaxed);
            let sent = self.jobs.send((Arc::clone(&waiting), job));
            sent.map_err(|_| Failure::internal())?;
        }
        Ok(())
    }

    /// Ends all texts that grow, and tells their clients.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// What grows at present.
struct Batcher<'m> {
    model: &'m Model,
    metrics: &'m ModelMetrics,
    /// Number of texts beyond which others wait.
    parallel: usize,
    /// Prompts that wait for their turn.
    waiting: VecDeque<Queued>,
    /// Prompts that are being read, the next one first.
    reading: VecDeque<(PromptReader<'m>, Job)>,
    groups: Vec<Group<'m>>,
    /// In the order of their rows.
    growing: Vec<Growing>,
    /// The next row.
    next: usize,
}

/// Texts that grow side by side: those in which the same units are held.
struct Group<'m> {
    clamps: Vec<Clamp>,
    generator: Generator<'m>,
}

/// A prompt whose texts grow.
struct Growing {
    job: Job,
    /// The numbers of its texts in the generator.
    rows: Range<usize>,
    unfinished: usize,
    /// Whether a token has come.
    has_begun: bool,
    /// What is told at the end.
    held: Vec<Event>,
}

impl Growing {
    /// Tells an event, or keeps it until the end: each that is told wakes the thread that reads it.
    fn tell(&mut self, event: Event) {
        self.held.push(event);
        if self.job.streams || self.unfinished == 0 {
            for event in self.held.drain(..) {
                // Whoever has hung up is noticed before the next step.
                let _ = self.job.events.send(event);
            }
        }
    }
}

impl<'m> Batcher<'m> {
    /// Works until nobody can send more.
    fn run(mut self, jobs: &mut UnboundedReceiver<Queued>, stop: &AtomicBool) {
        loop {
            if self.reading.is_empty() && self.growing.is_empty() && self.waiting.is_empty() {
                match jobs.blocking_recv() {
                    Some(job) => self.waiting.push_back(job),
                    None => return,
                }
            }
            while let Ok(job) = jobs.try_recv() {
                self.waiting.push_back(job);
            }
            if stop.load(Ordering::Relaxed) {
                self.end_all(&Failure::ending());
            }
            self.drop_ended();
            while self.rows() < self.parallel
                && let Some((_, job)) = self.waiting.pop_front()
            {
                self.take(job);
            }
            self.read_prompts();
            self.step();
            let growing: usize = self.growing.iter().map(|one| one.unfinished).sum();
            self.metrics
                .growing
                .store(growing as i64, Ordering::Relaxed);
        }
    }

    /// Number of texts that grow, or will when their prompts are read.
    fn rows(&self) -> usize {
        let growing = self.growing.iter().map(|one| one.unfinished);
        let reading = self.reading.iter().map(|(_, job)| job.samples);
        growing.chain(reading).sum()
    }

    fn take(&mut self, mut job: Job) {
        let tokens = std::mem::take(&mut job.tokens);
        let reported = job.reported.filter(|_| job.reports_prompt);
        let reader = PromptReader::new(self.model, tokens, &job.clamps, reported);
        self.reading.push_back((reader, job));
    }

    fn end_all(&mut self, failure: &Failure) {
        let waiting = self.waiting.drain(..).map(|(_, job)| job);
        let reading = self.reading.drain(..).map(|(_, job)| job);
        let growing = self.growing.drain(..).map(|one| one.job);
        for job in waiting.chain(reading).chain(growing) {
            let _ = job.events.send(Event::Failed(failure.clone()));
        }
        self.groups.clear();
    }

    /// Lets those go whose clients have hung up, or whose time is over.
    fn drop_ended(&mut self) {
        let now = Instant::now();
        let ended = |job: &Job| {
            let late = job.times.end <= now;
            if late {
                let _ = job.events.send(Event::Failed(Failure::timed_out()));
            }
            late || job.events.is_closed()
        };
        self.waiting.retain(|(_, job)| !ended(job));
        self.reading.retain(|(_, job)| !ended(job));
        let groups = &mut self.groups;
        self.growing.retain(|growing| {
            let ends = growing.unfinished == 0 || ended(&growing.job);
            if ends {
                for group in groups.iter_mut() {
                    group.generator.leave(growing.rows.clone());
                }
            }
            !ends
        });
        groups.retain(|group| !group.generator.is_finished());
    }

    /// Reads the next parts of prompts, each of another one.
    fn read_prompts(&mut self) {
        let mut read = 0;
        while read < PROMPT_TOKENS
            && let Some((mut reader, job)) = self.reading.pop_front()
        {
            read += reader.read_part().max(1);
            match reader.is_finished() {
                true => self.begin(reader, job),
                false => self.reading.push_back((reader, job)),
            }
        }
    }

    /// Lets the texts of a prompt grow beside the others.
    fn begin(&mut self, reader: PromptReader<'m>, job: Job) {
        let (prompt, reports) = reader.finish();
        if job.reports_prompt {
            let reports = Arc::new(reports);
            for number in job.first..job.first + job.samples {
                let _ = job.events.send(Event::Prompt(number, Arc::clone(&reports)));
            }
        }
        if job.stop.length == Some(0) {
            for number in job.first..job.first + job.samples {
                let _ = (job.events).send(Event::Finished(number, FinishReason::Length, 0));
            }
            return;
        }
        let samples = 0..job.samples as u64;
        let stop = job.stop.clone();
        let mut generator = Generator::new(&prompt, job.sampling, stop, job.seed, samples);
        if let Some(top) = job.reported {
            generator.report_tokens(top);
        }
        let clamps = job.clamps.clone();
        let rows = self.next..self.next + job.samples;
        self.next = rows.end;
        self.growing.push(Growing {
            unfinished: job.samples,
            rows: rows.clone(),
            has_begun: false,
            held: Vec::new(),
            job,
        });
        let index = self.groups.iter().position(|group| group.clamps == clamps);
        let index = index.unwrap_or_else(|| {
            let generator = Generator::empty(self.model);
            self.groups.push(Group { clamps, generator });
            self.groups.len() - 1
        });
        let (growing, metrics) = (&mut self.growing, self.metrics);
        (self.groups[index].generator).join(generator, rows.start, |row, event| {
            tell(growing, metrics, row, event);
        });
    }

    /// Adds a token to each text.
    fn step(&mut self) {
        let (growing, metrics) = (&mut self.growing, self.metrics);
        for group in &mut self.groups {
            (group.generator).step(|row, event| tell(growing, metrics, row, event));
        }
        self.growing.retain(|one| one.unfinished > 0);
        self.groups.retain(|group| !group.generator.is_finished());
    }
}

/// Tells what became of a row to the client of its text.
fn tell(growing: &mut [Growing], metrics: &ModelMetrics, row: usize, event: TextEvent) {
    let index = growing.partition_point(|one| one.rows.end <= row);
    let Some(one) = growing.get_mut(index).filter(|one| one.rows.contains(&row)) else {
        return;
    };
    let number = one.job.first + row - one.rows.start;
    if !std::mem::replace(&mut one.has_begun, true) {
        let micros = one.job.times.start.elapsed().as_micros() as u64;
        metrics.first_tokens.fetch_add(1, Ordering::Relaxed);
        metrics
            .first_token_micros
            .fetch_add(micros, Ordering::Relaxed);
    }
    let event = match event {
        TextEvent::Token(report) => Event::Token(number, report.clone()),
        TextEvent::Piece(piece) => Event::Piece(number, piece.to_string()),
        TextEvent::Finished(finish, tokens) => {
            one.unfinished -= 1;
            metrics.tokens.fetch_add(tokens, Ordering::Relaxed);
            Event::Finished(number, finish, tokens)
        }
    };
    one.tell(event);
}
