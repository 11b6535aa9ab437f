/*!
A run: steps until the budget is spent, with evaluations, saves and rescues on the way, whatever is learnt.

[`Run`] is the loop; [`Task`] is what it learns, and from what; [`clock`] decides when to evaluate, save, stop and rescue;
[`Event`] is what it reports. Its state is saved whole, and resumed bit for bit.
*/

mod base;
pub mod clock;
mod event;
mod report;
mod resume;
mod saved;
mod state;
mod task;
mod training;

pub use base::Base;
pub use event::{DataSummary, Event, Notify, Plan, StepReport};
pub use resume::{FittedTensor, FittedValues, Snapshot, model_weights};
pub use saved::{SavedRun, resume};
pub use state::{Counters, Mean, TrainingState};
pub use task::{Prepared, Task};
pub use training::Run;
