/*!
Models of other programs, and models for other programs.

[`pytorch`] makes a model of a PyTorch language model: [`state_dict`] reads its tensors, from safetensors or, by an archive
and a pickle that runs no code, from what `torch.save` wrote; `network` finds what they are. [`vocabulary`] reads its tokens.

[`onnx`] writes a language model or a classifier as a graph of elementary operations, of the messages in [`onnx_messages`].
*/

mod archive;
mod classifier_graph;
mod graph;
mod network;
mod network_graph;
pub mod onnx;
pub mod onnx_messages;
mod pickle;
pub mod pytorch;
pub mod state_dict;
mod step_graph;
pub mod vocabulary;
