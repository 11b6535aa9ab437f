/*!
Pairs of sentences, a source and its translation: the rows of tables or JSON Lines, or the lines of two files.
*/

mod lines;
mod pair;
mod profile;
mod reading;
mod rows;
mod table;

pub use pair::{Pair, PairOptions, divide, hash};
pub use profile::{Doubt, LanguageProfile};
pub use reading::Pairs;
