/*!
The kinds of models that can be trained, each as a [`Task`](crate::run::Task).
*/

mod beside;
pub mod classifier;
pub mod language_model;
mod lsa;
pub mod series;
pub mod translation;
