/*!
`carousel score`.
*/
use crate::error::Result;
use clap::Args;
/// Tell how likely a model finds some texts.
#[derive(Args)]
pub struct Arguments {}
/// Scores.
pub fn run(_: &Arguments) -> Result<()> {
    Ok(())
}
