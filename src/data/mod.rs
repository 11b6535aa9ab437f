/*!
Labelled documents from CSV, TSV, JSON Lines and plain text files.

[`labelled`] is the entry: it opens a file and yields its rows. Its parts: what a document is and how to read it
(`document`), guesses of the layout (`format`) and of the columns (`columns`), and a reader for each layout (`lines`,
`table` over `csv_records`, `json_lines`). [`text_rows`] are texts without labels, to write or score.
*/

mod columns;
mod csv_records;
mod document;
mod format;
mod json_lines;
pub mod labelled;
mod lines;
mod table;
pub mod text_rows;
