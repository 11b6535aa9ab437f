/*!
The named values of options, with their help.
*/

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::checkpoint::architecture::{InitialState, Predict};
use crate::checkpoint::arguments::{
    BaselineChoice, ClassWeights, GradientMethod, GradientPrecision, RecurrentInit, Schedule,
    TrainingPrecision, Vocabularies,
};
use crate::checkpoint::encoder_decoder::Attention;
use crate::checkpoint::numbers::{Distribution, Strategy};
use crate::checkpoint::transformer::Positions;
use crate::data::labelled::Format;
use crate::data::series::cells::Decimal;
use crate::data::series::date_column::DayOrder;
use crate::data::series::fill::Fill;
use crate::forecasting::method::Transform;
use crate::text::preprocessing::Preprocessing;
use crate::text::{Level, Split};

/// Implements clap's trait for an enum of a module that does not depend on clap.
macro_rules! values {
    ($type:ty { $($variant:ident = $name:literal, $help:literal;)* }) => {
        impl ValueEnum for $type {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$variant),*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$variant => PossibleValue::new($name).help($help),)*
                })
            }
        }
    };
}

values!(Strategy {
    Repeated = "repeated", "One step after another, each from the last prediction";
    AtOnce = "at-once", "All steps at once, from the end of a window";
    Every = "every", "All steps at once, learnt at every step of a window";
});

values!(Distribution {
    Quantiles = "quantiles", "Quantiles, of any distribution";
    Gaussian = "gaussian", "Mean and standard deviation of a normal distribution";
});

values!(Positions {
    Rotary = "rotary", "By turning queries and keys";
    Learned = "learned", "By a vector for each place, which is learnt";
});

values!(Level {
    Character = "char", "Unicode characters";
    Byte = "byte", "Bytes, not decoded";
    Word = "word", "Words, punctuation and line ends";
    Subword = "bpe", "Subwords learnt from the corpus (byte-pair encoding)";
});

values!(Split {
    Natural = "natural", "At spaces and punctuation; the text's own spacing is kept";
    Whitespace = "whitespace", "At white space alone, with a token for each line end, as for the Penn Treebank";
});

values!(Attention {
    None = "none", "Not at all: the decoder knows the source by the state that it begins with";
    Additive = "additive", "By a small network's scores (Bahdanau et al. 2015)";
    Dot = "dot", "By scalar products, with learnt weights between (Luong et al. 2015)";
});

values!(Vocabularies {
    Shared = "shared", "One for both languages, learnt from both";
    Apart = "apart", "One for each language";
});

values!(GradientPrecision {
    F32 = "f32", "float32";
    Bf16 = "bf16", "bfloat16: half the bytes";
});
values!(TrainingPrecision {
    Auto = "auto", "Whichever is faster on this machine, measured for each size of network once a day";
    F32 = "f32", "float32";
    Bf16 = "bf16", "bfloat16: faster on CPUs that multiply it, slow on others";
});

values!(GradientMethod {
    Auto = "auto", "Kernels on the CPU, autograd on a GPU";
    Autograd = "autograd", "libtorch's automatic differentiation: the slow reference";
    Kernels = "kernels", "This program's own kernels, on the CPU";
});

values!(Schedule {
    Cosine = "cosine", "Falls to nearly zero along half a cosine";
    Linear = "linear", "Falls to nearly zero along a straight line";
    Constant = "constant", "Stays the same";
    Plateau = "plateau", "Is halved when the validation loss has stopped falling";
});

values!(InitialState {
    Carried = "carried", "Texts with zeros, windows with the state after the window before";
    Zero = "zero", "Texts and windows with zeros";
    Learned = "learned", "Texts and windows with a state that is learnt";
});

values!(Predict {
    Every = "every", "At every step of a window";
    Last = "last", "At the last step of a window alone";
});

values!(RecurrentInit {
    Orthogonal = "orthogonal", "A random orthogonal matrix for each gate: keeps the length of a state";
    Identity = "identity", "The identity: a state stays as it is; for --activation relu";
    Uniform = "uniform", "Uniform within 1/sqrt(hidden size), as PyTorch has it";
});

values!(Preprocessing {
    None = "none", "Nothing";
    Plain = "plain", "Emoji and emoticons become words, hashtags too; lengthened words, addresses and user names are made alike";
});

values!(ClassWeights {
    None = "none", "Each document counts alike: probabilities follow how frequent labels are";
    Balanced = "balanced", "Each label counts alike: rare ones are found more often, at the cost of frequent ones";
});

values!(BaselineChoice {
    Ngram = "ngram", "N-grams with interpolated modified Kneser-Ney smoothing";
});

values!(Fill {
    None = "none", "Leave them missing: for methods that can, such as arima";
    Linear = "linear", "The line between the known neighbours";
    Previous = "previous", "The last known value";
    Zero = "zero", "Zero, as for sales on days without any";
    Mean = "mean", "The mean of the known values";
    Seasonal = "seasonal", "The line between the neighbours without their season, and the season again";
});

values!(DayOrder {
    DayFirst = "dmy", "Day, month, year";
    MonthFirst = "mdy", "Month, day, year";
});

values!(Decimal {
    Point = ".", "A point; commas may part thousands";
    Comma = ",", "A comma; points may part thousands";
});

values!(Transform {
    None = "none", "As they are";
    Log = "log", "Logarithms; values have to be above zero";
    BoxCox = "box-cox", "A power chosen for the series (Box and Cox)";
});

values!(Format {
    Lines = "lines", "One document a line";
    Csv = "csv", "Columns separated by commas, semicolons or bars";
    Tsv = "tsv", "Columns separated by tabs";
    Jsonl = "jsonl", "One JSON object a line";
    Fasttext = "fasttext", "One document a line, after __label__ and its label";
});
