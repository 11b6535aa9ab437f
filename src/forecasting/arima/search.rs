/*!
Search for the orders of a seasonal ARIMA with the least AICc, by steps from a few models to their neighbours (Hyndman and
Khandakar 2008).
*/

use super::choice::Choice;
use super::coefficients::{Coefficients, lengths};
use super::fit::{Estimate, estimate};
use super::objective::Objective;
use super::orders::Orders;
use super::problem::{COARSE, Problem};
use super::sample::Sample;
use super::start::Start;

/// Modulus that the roots of the polynomials ar, seasonal_ar, ma and seasonal_ma must reach, where 1 is not stationary or not
/// invertible.
const MARGINS: [f64; 4] = [1.003, 1.003, 1.01, 1.001];
/// Longest season of which two coefficients of a kind are tried.
const TWO_SEASONS: usize = 60;
/// Number of models near to the best whose neighbours are tried too, when the best has no better one.
const RUNNERS_UP: usize = 2;
/// Difference in AICc to the best of a model that is near to it.
const NEAR: f64 = 1.0;

/// A model that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Its orders.
    pub orders: Orders,
    /// Whether it had a constant.
    pub constant: bool,
    /// Its AICc; none where it could not be estimated.
    pub aicc: Option<f64>,
    /// Whether it was refused, for a root too near to one that is not stationary or not invertible.
    pub refused: bool,
}

impl Candidate {
    /// Its orders, and its constant if it has one.
    pub fn name(&self) -> String {
        let constant = match self.constant {
            true => self.orders.constant_name(),
            false => "",
        };
        format!("{}{constant}", self.orders)
    }
}

/// A model of the search.
struct Tried {
    candidate: Candidate,
    estimate: Option<Estimate>,
    /// Whether its neighbours were tried, each of them.
    expanded: bool,
}

/// The models tried so far, of which those that were not refused compete.
pub(super) struct Search<'a> {
    problem: &'a Problem<'a>,
    /// Largest p, q, P and Q.
    most: [usize; 4],
    /// Samples without and with a constant, the latter where one may be tried, with their starts.
    samples: Vec<(Sample, Start)>,
    /// Numbers of known values.
    count: usize,
    tried: Vec<Tried>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        problem: &'a Problem<'a>,
        choice: &Choice<'_>,
        left_out: &mut Vec<String>,
    ) -> Self {
        let orders = problem.orders([0; 4]);
        let constants = match choice.constant && orders.differences() < 2 {
            true => &[false, true][..],
            false => &[false],
        };
        let samples = constants.iter().map(|constant| {
            let sample = problem.sample(&orders, *constant, problem.terms.fourier);
            let start = Start::new(&sample, problem.season);
            (sample, start)
        });
        let season = problem.season;
        let count = problem.known();
        let third = count / 3;
        let within = |most: usize| match season {
            1 => most.min(third),
            _ => most.min(third).min(season - 1),
        };
        let seasonal = |most: usize| match season {
            1 => 0,
            _ if season > TWO_SEASONS => most.min(third / season).min(1),
            _ => most.min(third / season),
        };
        if season > TWO_SEASONS && choice.max_seasonal_p.max(choice.max_seasonal_q) > 1 {
            left_out.push(format!(
                "seasonal orders P and Q above 1: they take too long with a season of {season} steps"
            ));
        }
        Search {
            problem,
            most: [
                within(choice.max_p),
                within(choice.max_q),
                seasonal(choice.max_seasonal_p),
                seasonal(choice.max_seasonal_q),
            ],
            samples: samples.collect(),
            count,
            tried: Vec::new(),
        }
    }

    /// Search over all models with at most 5 coefficients, or by steps.
    pub(super) fn run(&mut self, exhaustive: bool) {
        match exhaustive {
            true => self.all(),
            false => self.steps(),
        }
    }

    /// What was tried, and the estimate of the best of it with its place there.
    pub(super) fn finish(self) -> (Vec<Candidate>, Option<(usize, Estimate)>) {
        let best = self.least(|_| true);
        let mut estimates: Vec<Option<Estimate>> = Vec::with_capacity(self.tried.len());
        let mut candidates = Vec::with_capacity(self.tried.len());
        for tried in self.tried {
            candidates.push(tried.candidate);
            estimates.push(tried.estimate);
        }
        let best = best.and_then(|index| Some((index, estimates[index].take()?)));
        (candidates, best)
    }

    /// The model with the least AICc among those that compete and of which `which` is true.
    fn least(&self, which: impl Fn(&Tried) -> bool) -> Option<usize> {
        let all = self.tried.iter().enumerate();
        all.filter(|(_, tried)| !tried.candidate.refused && which(tried))
            .filter_map(|(index, tried)| Some((index, tried.candidate.aicc?)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(index, _)| index)
    }

    /// Estimate of a model that was not tried before, from those of `parent`. True if it is the best.
    fn attempt(&mut self, orders: [usize; 4], constant: bool, parent: Option<usize>) -> bool {
        let orders = self.problem.orders(orders);
        let same = |tried: &Tried| {
            tried.candidate.orders == orders && tried.candidate.constant == constant
        };
        if self.tried.iter().any(same) {
            return false;
        }
        let (sample, start) = &self.samples[usize::from(constant)];
        let parameters = orders.coefficients() + sample.columns.len() + 1;
        let estimate = (sample.observed >= parameters + 2).then(|| {
            let mut starts = vec![start.partials(&orders)];
            starts.extend(parent.and_then(|index| neighbouring(&self.tried[index], &orders)));
            let start = better(sample, orders, starts)?;
            estimate(sample, orders, &start, COARSE)
        });
        let estimate = estimate.flatten().filter(|found| found.aicc.is_finite());
        let refused = estimate.as_ref().is_some_and(|found| {
            !Coefficients::from_partials(&found.partials, &orders).roots_beyond(MARGINS)
        });
        self.tried.push(Tried {
            candidate: Candidate {
                orders,
                constant,
                aicc: estimate.as_ref().map(|found| found.aicc),
                refused,
            },
            estimate,
            expanded: false,
        });
        self.least(|_| true) == Some(self.tried.len() - 1)
    }

    /// The models to begin with, then neighbours of the best until none is better, then of the runners-up.
    fn steps(&mut self) {
        let [p, q, seasonal_p, seasonal_q] = self.most;
        let constant = self.samples.len() > 1;
        let begin = match self.count < 10 {
            true => [p.min(1), q.min(1), 0, 0],
            false => [p.min(2), q.min(2), seasonal_p.min(1), seasonal_q.min(1)],
        };
        self.attempt([0; 4], constant, None);
        self.attempt(begin, constant, None);
        self.attempt([p.min(1), 0, seasonal_p.min(1), 0], constant, None);
        self.attempt([0, q.min(1), 0, seasonal_q.min(1)], constant, None);
        self.attempt([0; 4], false, None);
        let mut runners_up = 0;
        while let Some(best) = self.least(|_| true) {
            if !self.tried[best].expanded {
                self.expand(best);
                continue;
            }
            let limit = self.tried[best].candidate.aicc.map(|aicc| aicc + NEAR);
            let near = |tried: &Tried| !tried.expanded && tried.candidate.aicc < limit;
            match self.least(near).filter(|_| runners_up < RUNNERS_UP) {
                Some(next) => self.expand(next),
                None => break,
            }
            runners_up += 1;
        }
    }

    /// Neighbours of a model, until one is the best of all.
    fn expand(&mut self, index: usize) {
        let Candidate {
            orders, constant, ..
        } = self.tried[index].candidate;
        let own = [orders.p, orders.q, orders.seasonal_p, orders.seasonal_q];
        for change in NEIGHBOURS {
            let within = |place: usize| {
                let changed = own[place].checked_add_signed(change[place]);
                changed.filter(|changed| *changed <= self.most[place])
            };
            let (Some(p), Some(q), Some(seasonal_p), Some(seasonal_q)) =
                (within(0), within(1), within(2), within(3))
            else {
                continue;
            };
            if self.attempt([p, q, seasonal_p, seasonal_q], constant, Some(index)) {
                return;
            }
        }
        if self.samples.len() > 1 && self.attempt(own, !constant, Some(index)) {
            return;
        }
        self.tried[index].expanded = true;
    }

    /// All models with at most 5 coefficients, those with few first.
    fn all(&mut self) {
        let [most_p, most_q, most_seasonal_p, most_seasonal_q] = self.most;
        for sum in 0..=5 {
            for p in 0..=most_p.min(sum) {
                for q in 0..=most_q.min(sum - p) {
                    for seasonal_p in 0..=most_seasonal_p.min(sum - p - q) {
                        let seasonal_q = sum - p - q - seasonal_p;
                        if seasonal_q > most_seasonal_q {
                            continue;
                        }
                        for constant in 0..self.samples.len() {
                            self.attempt([p, q, seasonal_p, seasonal_q], constant > 0, None);
                        }
                    }
                }
            }
        }
    }
}

/// Changes of p, q, P and Q to a neighbour, in the order that they are tried.
const NEIGHBOURS: [[isize; 4]; 16] = [
    [0, 0, -1, 0],
    [0, 0, 0, -1],
    [0, 0, 1, 0],
    [0, 0, 0, 1],
    [0, 0, -1, -1],
    [0, 0, -1, 1],
    [0, 0, 1, -1],
    [0, 0, 1, 1],
    [-1, 0, 0, 0],
    [0, -1, 0, 0],
    [1, 0, 0, 0],
    [0, 1, 0, 0],
    [-1, -1, 0, 0],
    [-1, 1, 0, 0],
    [1, -1, 0, 0],
    [1, 1, 0, 0],
];

/// Partial autocorrelations of a model's neighbour: its own as far as both have them, then zeros.
fn neighbouring(parent: &Tried, orders: &Orders) -> Option<Vec<f64>> {
    let mut rest = &parent.estimate.as_ref()?.partials[..];
    let mut result = Vec::with_capacity(orders.coefficients());
    let pairs = lengths(&parent.candidate.orders)
        .into_iter()
        .zip(lengths(orders));
    for (own, wanted) in pairs {
        let (part, after) = rest.split_at(own);
        rest = after;
        result.extend(part.iter().take(wanted));
        result.extend(std::iter::repeat_n(0.0, wanted.saturating_sub(own)));
    }
    Some(result)
}

/// The start with the larger likelihood; `None` if none has any.
fn better(sample: &Sample, orders: Orders, starts: Vec<Vec<f64>>) -> Option<Vec<f64>> {
    let mut objective = Objective::new(sample, orders);
    let valued = starts.into_iter().filter_map(|start| {
        let found = objective.evaluate(&start);
        found.then_some((objective.value, start))
    });
    let best = valued.min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, start)| start)
}
