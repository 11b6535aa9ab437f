/*!
`carousel completions` and `carousel man`: what shells and `man` know of the command line.
*/

use std::io::{Write, stdout};
use std::path::PathBuf;

use clap::{Args, Command};
use clap_complete::Shell;

use super::standard::message;
use crate::error::{Error, Result};
use crate::files;

/// Print a completion script for a shell.
#[derive(Args)]
#[command(after_help = "Examples:
  carousel completions bash > ~/.local/share/bash-completion/completions/carousel
  carousel completions zsh > ~/.zfunc/_carousel
  carousel completions fish > ~/.config/fish/completions/carousel.fish")]
pub struct CompletionArguments {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual pages.
#[derive(Args)]
#[command(after_help = "Example:
  carousel man -o ~/.local/share/man/man1")]
pub struct ManArguments {
    /// The folder for the pages
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Prints the completion script of `program`.
pub fn completions(arguments: &CompletionArguments, mut program: Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut program, "carousel", &mut script);
    stdout().lock().write_all(&script).map_err(Error::output)
}

/// Writes a manual page for `program` and for each of its commands.
pub fn man(arguments: &ManArguments, program: Command) -> Result<()> {
    let folder = &arguments.output;
    files::create_folder(folder)?;
    clap_mangen::generate_to(program, folder).map_err(|e| Error::file("write into", folder, e))?;
    message(format!(
        "wrote the manual pages to {0}; `man -l {0}/carousel.1` shows the first",
        folder.display()
    ));
    Ok(())
}
