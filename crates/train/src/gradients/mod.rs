/*!
Gradients of a step.
*/

pub mod backprop;
pub mod pooling;
pub mod sampled_softmax;
