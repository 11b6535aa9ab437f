/*!
`carousel serve`: a page and an HTTP interface to models, on this machine.

Texts of one model grow in one batch, on a thread of its own (`batcher`); all else that models do is done in turns
(`work`). Handlers read a request, pass it on, and wait: they compute nothing themselves.
*/

mod application;
mod batcher;
mod bodies;
mod choices;
mod classifications;
mod completions;
mod errors;
mod events;
pub mod forecast_request;
mod forecasts;
mod guard;
mod inside;
pub mod limits;
pub mod listener;
mod metrics;
pub mod models;
mod openapi;
mod page;
mod routes;
mod runs;
mod scores;
mod trainer;
mod translations;
mod work;
