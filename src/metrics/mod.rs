/*!
Loss, perplexity and bits of language models; accuracy, balanced accuracy, F1 and calibration error of classifiers;
[`bleu`] and [`chrf`] of translations.

Sums are divided once, at the end: a mean of means is wrong when windows differ in length.
*/

pub mod bleu;
pub mod chrf;
mod classification;
mod language;
mod ngrams;
mod probabilities;

pub use classification::{
    CALIBRATION_BINS, ClassificationScore, ConfidenceBin, LabelScore, confidence_bins,
};
pub use language::{LanguageScore, TextSize};
pub use probabilities::{argmax, softmax};
