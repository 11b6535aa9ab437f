/*!
What models answer, as JSON: the same objects from commands and over HTTP.
*/

pub mod classification;
pub mod prior;
pub mod score;
pub mod separation;
pub mod translation;
