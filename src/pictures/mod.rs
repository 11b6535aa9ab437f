/*!
Pictures, as SVG, and curves for the terminal.
*/

pub mod comparison;
pub mod curves;
