/*!
Weights of documents by their labels.
*/

use carousel::checkpoint::arguments::ClassWeights;

/// The weight of a document of each label: 1, or n/(k·n_label) of n documents of k labels, so that labels count alike and
/// the weights of all documents sum to n.
pub fn label_weights(choice: ClassWeights, labels: &[usize], label_count: usize) -> Vec<f64> {
    let mut counts = vec![0usize; label_count];
    labels.iter().for_each(|&label| counts[label] += 1);
    let present = counts.iter().filter(|&&count| count > 0).count();
    let typical = labels.len() as f64 / present.max(1) as f64;
    let weight = |&count: &usize| match choice {
        ClassWeights::None => 1.0,
        ClassWeights::Balanced => typical / count.max(1) as f64,
    };
    counts.iter().map(weight).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_count_alike_and_all_documents_count_as_before() {
        let labels = [0, 0, 0, 0, 0, 0, 2, 2];
        assert_eq!(label_weights(ClassWeights::None, &labels, 3), [1.0; 3]);
        let weights = label_weights(ClassWeights::Balanced, &labels, 3);
        assert_eq!((6.0 * weights[0], 2.0 * weights[2]), (4.0, 4.0));
    }
}
