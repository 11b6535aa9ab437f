/*!
A trained model that a run starts from.
*/

use std::path::PathBuf;

use tch::{Kind, Tensor};

use crate::network::Network;
use carousel::checkpoint::WeightsFile;
use carousel::checkpoint::{Directory, ModelConfig};
use carousel::error::Result;
use carousel::text::tokenizer::Tokenizer;

/// A trained model.
pub struct Base {
    /// Its folder.
    pub path: PathBuf,
    /// Its configuration.
    pub config: ModelConfig,
    /// Its vocabulary.
    pub tokenizer: Tokenizer,
    /// Its weights.
    pub weights: WeightsFile,
}

impl Base {
    /// Loads a model.
    ///
    /// # Errors
    /// An incomplete or damaged model.
    pub fn load(directory: &Directory) -> Result<Self> {
        let config = directory.load_config()?;
        config.check_network(directory.path())?;
        Ok(Base {
            tokenizer: directory.load_tokenizer(&config)?,
            weights: directory.load_weights(&config)?,
            path: directory.path().to_path_buf(),
            config,
        })
    }

    /// What is to be said of its weights: that they were rounded to int8, if they were.
    pub fn note(&self) -> Option<String> {
        let path = self.path.display();
        let note = || {
            format!(
                "the weights of {path} are int8; training goes on from them as they were rounded"
            )
        };
        self.weights.is_int8().then(note)
    }

    /// Copies its weights into a network whose vocabulary begins with the model's. New tokens get the mean of the known
    /// tokens' vectors, and their smallest bias. The head of a classifier is copied only for the same labels.
    ///
    /// # Errors
    /// Weights that are not finite.
    pub fn copy_into(&self, network: &mut Network) -> Result<()> {
        let known = self.config.tensors();
        let same_labels = self.config.labels() == network.config.labels();
        let device = network.device();
        for (name, parameter) in network.parameters.iter_mut() {
            let is_known = known.iter().any(|(other, _)| other == name);
            if !is_known || (name.starts_with("head.") && !same_labels) {
                continue;
            }
            let shape = self.weights.shape(name)?;
            let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
            let values = Tensor::from_slice(&self.weights.floats(name)?).view(&shape[..]);
            copy_rows(&values.to_device(device), parameter);
        }
        Ok(())
    }
}

/// Copies values to the first rows of a parameter. The other rows get the mean row of a matrix, or the minimum of a vector.
fn copy_rows(values: &Tensor, parameter: &Tensor) {
    tch::no_grad(|| {
        let old = values.size()[0];
        let new = parameter.size()[0] - old;
        parameter.narrow(0, 0, old).copy_(values);
        if new > 0 {
            let typical = match values.dim() {
                1 => values.min(),
                _ => values.mean_dim([0i64].as_slice(), true, Kind::Float),
            };
            let mut rest = parameter.narrow(0, old, new);
            rest.copy_(&typical.expand_as(&rest));
        }
    });
}
