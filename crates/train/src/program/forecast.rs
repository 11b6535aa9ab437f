/*!
`carousel forecast` with recurrent networks.
*/

use crate::plan;
use carousel::checkpoint::Directory;
use carousel::checkpoint::record::Budget;
use carousel::cli::forecast_flags::Arguments;
use carousel::cli::forecast_networks::NetworkRequest;
use carousel::cli::{forecast, interrupt, standard};
use carousel::error::{Error, Result};
use carousel_train::distributed::{Place, forecasts_alone};
use carousel_train::run::{Event, Notify};
use carousel_train::tasks::series::{self, SeriesOptions};

/// Trains the networks that were asked for, and forecasts by them and by other methods.
pub fn run(arguments: &Arguments) -> Result<()> {
    interrupt::listen()?;
    if Place::from_environment()?.is_some_and(|place| place.ranks > 1) {
        return Err(forecasts_alone());
    }
    forecast::run(arguments, Some(&train))
}

fn train(request: &NetworkRequest) -> Result<()> {
    let mut options = SeriesOptions::new(
        request.cell,
        request.horizon,
        request.seasons[0],
        request.panel,
    );
    options.strategy = request.strategy;
    options.distribution = request.arguments.distribution;
    options.long_season = request.seasons[1];
    if let Some(time) = request.arguments.time {
        options.training.budget = Budget::Seconds(time.as_secs_f64());
    }
    if let Some(steps) = request.arguments.steps {
        options.training.budget = Budget::Steps(steps);
    }
    if let Some(seed) = request.arguments.seed {
        options.training.seed = seed;
    }
    if request.arguments.plan {
        return plan::forecaster(request.panel, &options, request.arguments.json);
    }
    std::fs::create_dir_all(&request.folder)
        .map_err(|error| Error::file("create", &request.folder, error))?;
    let directory = Directory::at(&request.folder);
    let quiet = request.arguments.quiet;
    let notify: Notify = &mut |event| show(&event, quiet);
    series::train(
        directory,
        request.panel,
        &options,
        interrupt::watch(),
        notify,
    )?;
    Ok(())
}

/// Shows notes alone: the steps of so small networks pass too fast to be read.
fn show(event: &Event, quiet: bool) {
    if let Event::Note(note) = event
        && !quiet
    {
        standard::notes(std::slice::from_ref(note));
    }
}
