/*!
What `carousel forecast` says of the columns beside the values, before any of them is used.
*/

use super::forecast_flags::Arguments;
use crate::forecasting::method::Method;

/// What methods do not use of the columns that were asked for, and what a test window or a backtest may not know.
pub(super) fn notes(arguments: &Arguments) -> Vec<String> {
    let reading = arguments.reading();
    let (regressors, known) = (reading.regressors, reading.known);
    if regressors.is_empty() && known.is_empty() {
        return Vec::new();
    }
    let mut notes = Vec::new();
    let uses = |method: &Method| method.uses_regressors() || method.is_network();
    let names = |methods: Vec<&Method>| -> String {
        let names: Vec<&str> = methods.into_iter().map(|method| method.name()).collect();
        names.join(", ")
    };
    let others: Vec<&Method> = arguments.method.iter().filter(|one| !uses(one)).collect();
    if !others.is_empty() {
        notes.push(format!(
            "columns beside the values are not used by {}, but by {}",
            names(others),
            names(Method::ALL.iter().filter(|one| uses(one)).collect())
        ));
    }
    let mut unknown = regressors;
    unknown.retain(|column| !known.contains(column));
    if unknown.is_empty() {
        return notes;
    }
    let unknown = unknown.join(", ");
    let is_auto = |method: &Method| *method == Method::Auto;
    if arguments.backtest.is_some() {
        notes.push(format!(
            "a backtest may not know the later values of {unknown}, and is done without; with --known {unknown} it may"
        ));
        return notes;
    }
    if arguments.method.iter().any(is_auto) {
        notes.push(format!(
            "auto leaves {unknown} out, as its backtest may not know the later values; with --known {unknown} it may, and \
             --method sarima takes no backtest"
        ));
    }
    // Networks read of these columns what has passed.
    let takes = |method: &Method| method.uses_regressors() && !is_auto(method);
    if arguments.windows().has_test() && arguments.method.iter().any(takes) {
        notes.push(format!(
            "forecasts of the test window know the values of {unknown} in it, which nobody does ahead"
        ));
    }
    notes
}
