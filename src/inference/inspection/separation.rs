/*!
The unit that best separates two labels (Radford et al. 2017): a threshold on one number of a document.
*/

/// A number of a document that separates two labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Separation {
    /// Which of the document's numbers.
    pub number: usize,
    /// Documents above it have one label, others the other one.
    pub threshold: f32,
    /// Whether those above have the second label.
    pub above_is_second: bool,
    /// Accuracy on the documents that the threshold was chosen on.
    pub fitted_accuracy: f64,
    /// Accuracy on the others.
    pub accuracy: f64,
}

/// The numbers that separate two labels best, the best on the documents that thresholds are chosen on first, at most `most`.
/// Every second document of each label is kept for the accuracy.
///
/// # Panics
/// If documents differ in how many numbers they have.
pub fn best(documents: &[(Vec<f32>, bool)], most: usize) -> Vec<Separation> {
    let (fit, test) = halves(documents);
    let count = documents.first().map_or(0, |(numbers, _)| numbers.len());
    let mut all: Vec<Separation> = (0..count).map(|number| fitted(&fit, number)).collect();
    // The sort is stable: of equals the first stays first.
    all.sort_by(|a, b| b.fitted_accuracy.total_cmp(&a.fitted_accuracy));
    all.truncate(most);
    for separation in &mut all {
        let right = test.iter().filter(|(numbers, label)| {
            let above = numbers[separation.number] > separation.threshold;
            (above == separation.above_is_second) == *label
        });
        separation.accuracy = right.count() as f64 / test.len().max(1) as f64;
    }
    all
}

/// The share of the more frequent label among the documents that [`best`] tests on.
pub fn majority(documents: &[(Vec<f32>, bool)]) -> f64 {
    let (fit, test) = halves(documents);
    let second = fit.iter().filter(|(_, label)| *label).count();
    let majority = 2 * second > fit.len();
    let right = test.iter().filter(|(_, label)| *label == majority).count();
    right as f64 / test.len().max(1) as f64
}

type Documents<'a> = Vec<&'a (Vec<f32>, bool)>;

/// Documents to choose thresholds on, and to test on: of each label every second one.
fn halves(documents: &[(Vec<f32>, bool)]) -> (Documents<'_>, Documents<'_>) {
    let mut seen = [0usize; 2];
    documents.iter().partition(|(_, label)| {
        let seen = &mut seen[usize::from(*label)];
        *seen += 1;
        *seen % 2 == 1
    })
}

/// The best threshold for a number.
fn fitted(documents: &[&(Vec<f32>, bool)], number: usize) -> Separation {
    let mut values: Vec<(f32, bool)> = documents
        .iter()
        .map(|(numbers, label)| (numbers[number], *label))
        .collect();
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (all, seconds) = (
        values.len(),
        values.iter().filter(|(_, label)| *label).count(),
    );
    let mut best = Separation {
        number,
        threshold: f32::NEG_INFINITY,
        above_is_second: true,
        fitted_accuracy: 0.0,
        accuracy: 0.0,
    };
    // With the first `below` values below the threshold, of which `second` have the second label.
    let mut second = 0;
    for below in 0..=all {
        let lower = below
            .checked_sub(1)
            .map_or(f32::NEG_INFINITY, |last| values[last].0);
        let upper = values.get(below).map_or(f32::INFINITY, |value| value.0);
        if below == 0 || below == all || lower < upper {
            let right = (below - second) + (seconds - second);
            for (right, above_is_second) in [(right, true), (all - right, false)] {
                let accuracy = right as f64 / all.max(1) as f64;
                if accuracy > best.fitted_accuracy {
                    best.threshold = middle(lower, upper);
                    best.above_is_second = above_is_second;
                    best.fitted_accuracy = accuracy;
                }
            }
        }
        second += usize::from(values.get(below).is_some_and(|value| value.1));
    }
    best
}

fn middle(lower: f32, upper: f32) -> f32 {
    match (lower.is_finite(), upper.is_finite()) {
        (true, true) => lower + (upper - lower) / 2.0,
        (false, _) => lower,
        (_, false) => upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_that_separates_is_found() {
        // The second number tells the label, upside down; the first is the same for all.
        let documents: Vec<(Vec<f32>, bool)> = (0..40)
            .map(|i| {
                let label = i % 3 == 0;
                let told = if label { -1.0 } else { 1.0 } + (i as f32).sin() * 0.5;
                (vec![0.0, told, (i as f32).cos()], label)
            })
            .collect();
        let best = best(&documents, 2);
        assert_eq!(best.len(), 2);
        assert_eq!((best[0].number, best[0].above_is_second), (1, false));
        assert_eq!((best[0].fitted_accuracy, best[0].accuracy), (1.0, 1.0));
        assert!(best[1].accuracy < 1.0);
        assert!((0.6..0.7).contains(&majority(&documents)));
    }

    #[test]
    fn equal_numbers_are_never_cut() {
        let same: Vec<(Vec<f32>, bool)> = (0..10).map(|i| (vec![1.0], i < 3)).collect();
        let best = best(&same, 1)[0];
        assert!(!best.threshold.is_finite(), "{best:?}");
        assert!(super::best(&[], 3).is_empty());
    }
}
