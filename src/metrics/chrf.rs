/*!
chrF2 (Popović 2015, “chrF: character n-gram F-score for automatic MT evaluation”) as sacreBLEU counts it: F of the mean
precision and the mean recall of n-grams of one to six characters, without white space, recall weighing twice as much.
*/

use super::ngrams::{Matches, is_space, matches};

/// Longest n-grams that count.
const ORDERS: usize = 6;
/// How much more recall weighs than precision.
const BETA: f64 = 2.0;

/// What was counted, as sacreBLEU says it; the version is carousel's.
pub const SIGNATURE: &str = concat!(
    "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:carousel-",
    env!("CARGO_PKG_VERSION")
);

/// chrF2 of a corpus, from 0 to 100: of translations, each with its reference, of which there are as many. That of a single
/// sentence is that of a corpus of one.
pub fn corpus<S: AsRef<str>, T: AsRef<str>>(hypotheses: &[S], references: &[T]) -> f64 {
    let mut counts = [Matches::default(); ORDERS];
    for (hypothesis, reference) in hypotheses.iter().zip(references) {
        let [hypothesis, reference] = [hypothesis.as_ref(), reference.as_ref()].map(characters);
        for (order, count) in (1..).zip(&mut counts) {
            let found = matches(&hypothesis, &reference, order);
            // sacreBLEU does not count what the reference is too short for.
            *count += match found.reference {
                0 => Matches::default(),
                _ => found,
            };
        }
    }
    f_score(&counts)
}

/// F of the orders that both sides are long enough for.
fn f_score(counts: &[Matches; ORDERS]) -> f64 {
    let used = counts
        .iter()
        .filter(|order| order.hypothesis > 0 && order.reference > 0);
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for order in used {
        precision += order.common as f64 / order.hypothesis as f64;
        recall += order.common as f64 / order.reference as f64;
        orders += 1.0;
    }
    match precision + recall > 0.0 {
        true => {
            let (precision, recall) = (precision / orders, recall / orders);
            let factor = BETA * BETA;
            100.0 * (1.0 + factor) * precision * recall / (factor * precision + recall)
        }
        false => 0.0,
    }
}

fn characters(line: &str) -> Vec<char> {
    line.chars()
        .filter(|character| !is_space(*character))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_common_is_nought_and_spaces_do_not_count() {
        assert_eq!(corpus(&["abc"], &["xyz"]), 0.0);
        assert_eq!(corpus(&[""], &["xyz"]), 0.0);
        assert!((corpus(&["ab cd"], &["a bcd"]) - 100.0).abs() < 1e-9);
    }

    #[test]
    fn recall_weighs_more_than_precision() {
        let whole = "the table is laid";
        let part = "the table";
        assert!(corpus(&[whole], &[part]) > corpus(&[part], &[whole]));
    }
}
