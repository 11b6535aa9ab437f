/*!
The contract between training and inference: a directory that holds all there is to know of a model.

[`directory`] knows the file names, [`config`] what the network is, [`record`] what produced it.
*/

pub mod arguments;
pub mod config;
pub mod directory;
pub mod record;

pub use config::ModelConfig;
pub use directory::Directory;
pub use record::Record;
