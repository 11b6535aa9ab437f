/*!
The end of a program that was refused memory. libtorch and the kernels panic then, which would be told as a bug.
*/

use std::panic::{self, PanicHookInfo};
use std::thread;

use indicatif::HumanBytes;
use signal_hook::low_level::exit;

use super::standard::message;

/// How the system, and libtorch, say that there is no memory.
const REFUSED: [&str; 2] = ["an't allocate memory", "annot allocate memory"];

/// From now on, a panic of the main thread for want of memory is told in a line, and ends the program with exit code 1. What
/// was saved stays as it was, as if the program had been killed.
pub fn tell_refusals() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let is_main = thread::current().name() == Some("main");
        match refused(&text(info)).filter(|_| is_main) {
            Some(what) => {
                message(format!(
                    "carousel: there is too little memory: {what}. What was saved before is as it was. Take a smaller network or \
                     smaller batches, close other programs, or raise the limit (ulimit -v)"
                ));
                // Without exit handlers: libtorch's would free what other threads still use.
                exit(1);
            }
            None => usual(info),
        }
    }));
}

fn text(info: &PanicHookInfo) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| Some(payload.downcast_ref::<String>()?));
    text.unwrap_or_default().to_string()
}

/// What was refused, if that is what a panic says.
fn refused(panic: &str) -> Option<String> {
    REFUSED.iter().find(|words| panic.contains(**words))?;
    let bytes = panic.split(" bytes").next()?.rsplit(' ').next();
    let bytes = bytes.and_then(|bytes| bytes.parse().ok());
    Some(match bytes {
        Some(bytes) => format!("{} more were refused", HumanBytes(bytes)),
        None => "more was refused".to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_for_want_of_memory_are_told() {
        let torch = "called `Result::unwrap()` on an `Err` value: Torch(\"[enforce fail at alloc_cpu.cpp:127] err == 0. \
                     DefaultCPUAllocator: can't allocate memory: you tried to allocate 67108864 bytes. Error code 12 (Cannot \
                     allocate memory)\")";
        assert_eq!(refused(torch).unwrap(), "64.00 MiB more were refused");
        let system = "a thread: Cannot allocate memory (os error 12)";
        assert_eq!(refused(system).unwrap(), "more was refused");
        assert_eq!(refused("index 3 is out of range, 7 bytes"), None);
    }
}
