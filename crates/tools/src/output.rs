//! Lines to standard output and error. A reader that went away ends the tool without fuss.

use std::io::{ErrorKind, Write};

/// Writes to standard output.
pub(crate) fn write_out(text: std::fmt::Arguments<'_>) {
    end_on_broken_pipe(std::io::stdout().lock().write_fmt(text));
}

/// Writes to standard error.
pub(crate) fn write_err(text: std::fmt::Arguments<'_>) {
    // With standard error gone there is nobody left to tell.
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// `head` and friends close the pipe early; that is no failure of ours.
pub(crate) fn end_on_broken_pipe(result: std::io::Result<()>) {
    if let Err(error) = result {
        let code = if error.kind() == ErrorKind::BrokenPipe { 0 } else { 1 };
        std::process::exit(code);
    }
}

/// `println!` that does not panic.
macro_rules! outln {
    () => { crate::output::write_out(format_args!("\n")) };
    ($($arg:tt)*) => { crate::output::write_out(format_args!("{}\n", format_args!($($arg)*))) };
}

/// `print!` that does not panic.
macro_rules! out {
    ($($arg:tt)*) => { crate::output::write_out(format_args!($($arg)*)) };
}

/// `eprintln!` that does not panic.
macro_rules! errln {
    ($($arg:tt)*) => { crate::output::write_err(format_args!("{}\n", format_args!($($arg)*))) };
}

pub(crate) use {errln, out, outln};
