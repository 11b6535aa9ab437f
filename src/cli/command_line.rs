/*!
Parsing of the command line, with messages for people.
*/

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};

/// What the parsers of numbers say, and what is said instead.
const CLEARER: [(&str, &str); 6] = [
    (
        "invalid digit found in string",
        "give a whole number, not below 0",
    ),
    (
        "number too large to fit in target type",
        "the number is too large",
    ),
    (
        "cannot parse integer from empty string",
        "give a whole number",
    ),
    ("cannot parse float from empty string", "give a number"),
    ("invalid float literal", "give a number"),
    (
        " is not in 1..18446744073709551615",
        " is too small; give 1 or more",
    ),
];

/// Parses the arguments of this process. A value may begin with a minus sign, so that it is the command that refuses it.
///
/// # Errors
/// The exit code, after help or a message was printed.
pub fn parse<C: CommandFactory + FromArgMatches>() -> Result<C, ExitCode> {
    let command = C::command().mut_subcommands(|command| command.allow_negative_numbers(true));
    let parsed = command
        .try_get_matches()
        .and_then(|matches| C::from_arg_matches(&matches));
    parsed.map_err(|error| {
        if error.kind() != ErrorKind::ValueValidation {
            error.exit();
        }
        let text = error.render();
        let text = match io::stderr().is_terminal() {
            true => text.ansi().to_string(),
            false => text.to_string(),
        };
        // If standard error is closed, the message has nowhere to go.
        let _ = io::stderr().write_all(clearer(text).as_bytes());
        ExitCode::from(error.exit_code() as u8)
    })
}

/// A message without the words of the parsers of numbers.
fn clearer(message: String) -> String {
    let replace = |text: String, (found, clear): &(&str, &str)| text.replace(found, clear);
    CLEARER.iter().fold(message, replace)
}
