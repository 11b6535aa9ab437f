/*!
What is learnt from besides plain text: labelled documents, and the records of tables.
*/

pub mod csv_records;
pub mod labelled;
