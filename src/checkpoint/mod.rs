/*!
The checkpoint directory, which training writes and inference reads.

[`directory`] knows the names of its files, one process at a time has the [`Lock`] to write them, [`config`] and [`architecture`] describe the network, [`record`] and
[`arguments`] how it was trained, [`cross_validation`] how well it does so, [`weights_file`] reads tensors.
*/

pub mod architecture;
pub mod arguments;
pub mod config;
mod config_check;
mod corpus_options;
pub mod cross_validation;
pub mod data_paths;
pub mod directory;
pub mod encoder_decoder;
mod lock;
mod metrics_file;
pub mod models;
pub mod numbers;
pub mod parts;
pub mod record;
mod recorded_paths;
mod succession;
pub mod training_check;
pub mod transformer;
pub mod transformer_encoder_decoder;
pub mod transformer_layer;
mod version1;
pub mod weights_file;

pub use config::ModelConfig;
pub use directory::{Directory, RunFiles};
pub use lock::Lock;
pub use metrics_file::MetricsFile;
pub use record::Record;
pub use weights_file::WeightsFile;
