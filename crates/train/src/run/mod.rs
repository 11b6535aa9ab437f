/*!
The training loop: steps until the budget is spent, with evaluations, saves and rescues on the way.

[`Run`] is the loop; a [`Task`] is the model to be trained, with its data; `clock` decides when to evaluate, save, stop and
rescue; [`Event`]s are what it reports; `together` is what several processes do, `local_steps` how
they send less. An interrupted run is resumed bit for bit.
*/

mod base;
mod clock;
mod event;
mod explosion;
mod local_steps;
mod report;
mod resume;
mod saved;
mod state;
mod task;
mod together;
mod training;

pub use base::Base;
pub use event::{DataSummary, Event, ExampleRow, Notify, Plan, StepReport};
pub use resume::{FittedTensor, FittedValues, model_weights};
pub use saved::{SavedRun, resume};
pub use state::{Counters, Mean, TrainingState};
pub use task::{Prepared, Task};
pub use together::{receive, share_nothing};
pub use training::{Run, initial_network};
