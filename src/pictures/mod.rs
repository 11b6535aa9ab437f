/*!
Pictures, as SVG, and curves for the terminal.
*/

pub mod activations;
pub mod attention;
pub(crate) mod bounds;
pub mod classification;
pub mod comparison;
pub mod curves;
pub mod forecast;
pub mod gradients;
