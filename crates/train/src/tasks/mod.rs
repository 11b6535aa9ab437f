/*!
What can be learnt.
*/

pub mod classifier;
pub mod language_model;
pub mod lsa;
