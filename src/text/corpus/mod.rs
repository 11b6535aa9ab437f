/*!
Texts as token ids on disk: read, divided into a training and a validation part, encoded once, memory-mapped.

Encoded corpora are kept in the user's cache under a key made of their content and of every setting that changes the
ids, so that ids of a changed file are never used. The folder may be deleted at any time.
*/

mod cache;
mod characters;
mod encoded_text;
mod id_writer;
mod ids;
mod plan;
mod prepare;
mod scan;

pub use cache::{Corpus, CorpusStatistics, corpus_cache};
pub use encoded_text::{EncodedText, encode_files};
pub use ids::Ids;
pub use plan::{CorpusPlan, Validation};
