/*!
Series of numbers from CSV and TSV.

[`file`] is the entry. Its parts: the columns as text (`table`, `spaced` for those without a delimiter, and
`wide` for those with a series in each row), what they hold (`roles`), dates as text and as moments
(`date_text`, `date_column`, [`date`]), numbers (`cells`, `number_column`), the [`step`] between dates and the places of values on its
grid (`assembly`). A series ([`time_series`]) has values and [`dates`], with the [`calendar`] as numbers; [`fill`] is what is put in the place of missing values, and
`findings` what has to be told.
*/

mod assembly;
pub mod calendar;
pub mod cells;
pub mod date;
pub mod date_column;
mod date_text;
pub mod dates;
pub mod file;
pub mod fill;
mod findings;
mod number_column;
pub mod options;
mod roles;
mod spaced;
pub mod step;
mod table;
pub mod time_series;
mod wide;
