/*!
Cross-validation on the terminal: what is announced, a line for each fold, and its table.
*/

use carousel::checkpoint::cross_validation::{CrossValidation, Fold, FoldFigures, Scores};
use carousel::checkpoint::record::Budget;
use carousel::text::escape::escaped;

use crate::units::{count, duration};

/// The line that announces cross-validation and the budget of the whole.
pub fn announced(folds: usize, budget: Budget) -> String {
    let runs = folds + 1;
    let each = match budget {
        Budget::Seconds(seconds) => format!(
            "{} each, {} in all",
            duration(seconds),
            duration((seconds * runs as f64).round())
        ),
        Budget::Epochs(epochs) => format!("{epochs} epochs each"),
        Budget::Steps(steps) => format!("{} steps each", count(steps)),
    };
    format!(
        "{folds}, each tested by a classifier trained on the others; then the model itself: {runs} runs of {each}"
    )
}

/// The line of a fold.
pub fn fold_line(number: usize, of: usize, fold: &Fold) -> String {
    let FoldFigures {
        classifier,
        naive_bayes,
    } = fold.figures;
    format!(
        "fold {number} of {of}: accuracy {:.4}  balanced accuracy {:.4}  macro F1 {:.4}  (naive Bayes: accuracy {:.4})",
        classifier.accuracy,
        classifier.balanced_accuracy,
        classifier.macro_f1,
        naive_bayes.accuracy
    )
}

/// The figures of all folds as the lines of a table, and the confusion of all documents.
pub fn table(found: &CrossValidation) -> Vec<String> {
    let width = "standard deviation".len();
    let scores = |scores: &Scores| {
        format!(
            "{:>10.4}{:>10.4}{:>10.4}",
            scores.accuracy, scores.balanced_accuracy, scores.macro_f1
        )
    };
    let line = |name: &str, documents: &str, figures: &FoldFigures| {
        let (own, naive_bayes) = (scores(&figures.classifier), scores(&figures.naive_bayes));
        format!(
            "{name:width$}{documents:>10}{own}   {}",
            naive_bayes.trim_end()
        )
    };
    let columns = format!("{:>10}{:>10}{:>10}", "accuracy", "balanced", "macro F1");
    let mut lines = vec![
        format!(
            "{:width$}{:>10}{:>30}   {:>30}",
            "", "", "classifier", "naive Bayes"
        ),
        format!("{:width$}{:>10}{columns}   {columns}", "fold", "documents"),
    ];
    for (number, fold) in (1..).zip(&found.folds) {
        let documents = count(fold.examples);
        lines.push(line(&format!("{number}"), &documents, &fold.figures));
    }
    let summary = [
        ("mean", &found.mean),
        ("standard deviation", &found.standard_deviation),
    ];
    for (name, figures) in summary {
        lines.extend(figures.as_ref().map(|figures| line(name, "", figures)));
    }
    lines.extend(confusion(found));
    lines
}

/// The confusion of the documents of all folds: a line for each true label, a column for each predicted one.
fn confusion(found: &CrossValidation) -> Vec<String> {
    let Some(pooled) = &found.pooled else {
        return Vec::new();
    };
    let names = pooled.per_label.iter().map(|label| escaped(&label.label));
    let names: Vec<String> = names.map(|name| name.to_string()).collect();
    let rows = pooled.confusion.iter();
    let rows: Vec<Vec<String>> = rows
        .map(|row| row.iter().map(|&n| count(n)).collect())
        .collect();
    let characters = |text: &String| text.chars().count();
    let longest =
        |texts: &mut dyn Iterator<Item = &String>| texts.map(characters).max().unwrap_or(0);
    let width = longest(&mut names.iter());
    let widths = names.iter().enumerate().map(|(column, name)| {
        2 + longest(&mut rows.iter().map(|row| &row[column])).max(characters(name))
    });
    let widths: Vec<usize> = widths.collect();
    let line = |name: &str, cells: &[String]| {
        let cells = cells.iter().zip(&widths);
        let cells: String = cells
            .map(|(cell, &width)| format!("{cell:>width$}"))
            .collect();
        format!("{name:width$}{cells}")
    };
    let heading = format!(
        "confusion of all {} documents: lines true, columns predicted",
        count(pooled.examples)
    );
    let mut lines = vec![heading, line("", &names)];
    lines.extend(names.iter().zip(&rows).map(|(name, row)| line(name, row)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use carousel::metrics::ClassificationScore;

    #[test]
    fn the_whole_budget_is_said() {
        let table = [
            (Budget::Seconds(30.0), "6 runs of 30s each, 3m in all"),
            (
                Budget::Seconds(200.0 / 6.0),
                "6 runs of 33s each, 3m 20s in all",
            ),
            (Budget::Steps(1000), "6 runs of 1,000 steps each"),
            (Budget::Epochs(2.5), "6 runs of 2.5 epochs each"),
        ];
        for (budget, expected) in table {
            let line = announced(5, budget);
            assert!(
                line.starts_with("5, ") && line.ends_with(expected),
                "{line}"
            );
        }
    }

    #[test]
    fn folds_are_a_table() {
        let labels = ["good", "bad\n"].map(String::from);
        let score =
            |predicted: &[usize]| ClassificationScore::of_labels(&labels, &[0, 0, 0, 1], predicted);
        let mut found = CrossValidation::of_documents(String::new());
        found.push(&score(&[0, 0, 0, 1]), &score(&[0, 0, 1, 1]));
        found.push(&score(&[0, 0, 1, 1]), &score(&[0; 4]));
        let expected = [
            "                                              classifier                      naive Bayes",
            "fold               documents  accuracy  balanced  macro F1     accuracy  balanced  macro F1",
            "1                          4    1.0000    1.0000    1.0000       0.7500    0.8333    0.7333",
            "2                          4    0.7500    0.8333    0.7333       0.7500    0.5000    0.4286",
            "mean                            0.8750    0.9167    0.8667       0.7500    0.6667    0.5810",
            "standard deviation              0.1768    0.1179    0.1886       0.0000    0.2357    0.2155",
            "confusion of all 8 documents: lines true, columns predicted",
            "       good  bad\\n",
            "good      5      1",
            "bad\\n     0      2",
        ];
        let found = table(&found);
        assert_eq!(found[1..], expected[1..]);
        assert_eq!(
            found[0].split_whitespace().collect::<Vec<_>>(),
            ["classifier", "naive", "Bayes"]
        );
    }
}
