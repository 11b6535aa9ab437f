/*!
Everything that is drawn, as SVG.
*/

pub mod curves;
