/*!
Labelled documents from CSV, TSV, JSON Lines, fastText's lines and plain text files, and series of numbers.

[`labelled`] is the entry: it opens a file and yields its rows. Its parts: what a document is and how to read it
(`document`), guesses of the layout (`format`), of the columns by their names (`columns`) and of a header
(`table_sample`), and a reader for each layout (`lines`, `fasttext`, `table` over `csv_records` and `tsv_quotes`,
`json_lines`). [`text_rows`] are texts without labels, to write or score, [`pairs`] sentences with their translations, [`series`] numbers over
time.
*/

mod columns;
mod csv_records;
mod document;
mod fasttext;
mod format;
mod json_lines;
pub mod labelled;
mod lines;
pub mod pairs;
pub mod series;
mod table;
mod table_sample;
pub mod text_rows;
mod tsv_quotes;
