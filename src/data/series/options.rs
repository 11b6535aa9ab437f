/*!
Options of the reading of series.
*/

use serde::{Deserialize, Serialize};

use super::cells::Decimal;
use super::date_column::DayOrder;

/// How a file of series is laid out, where that is not to be guessed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesOptions {
    /// The columns of the dates, or of their parts, by name or number.
    pub date_columns: Vec<String>,
    /// The columns of the values: a series each.
    pub value_columns: Vec<String>,
    /// The column that says which series a row belongs to.
    pub id_column: Option<String>,
    /// Columns that a model may use beside the values.
    pub regressors: Vec<String>,
    /// The same, of which the values are known ahead.
    pub known: Vec<String>,
    /// Whether the day or the month of a date comes first.
    pub day_order: Option<DayOrder>,
    /// The decimal mark.
    pub decimal: Option<Decimal>,
}

impl SeriesOptions {
    /// Whether no column is named.
    pub(super) fn names_no_column(&self) -> bool {
        let lists = [
            &self.date_columns,
            &self.value_columns,
            &self.regressors,
            &self.known,
        ];
        self.id_column.is_none() && lists.iter().all(|columns| columns.is_empty())
    }
}
