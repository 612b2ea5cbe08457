//! The tool's output, progress bar and questions.

use std::{
    fmt::Arguments,
    io::{self, IsTerminal, Read, Write},
};

use indicatif::{ProgressBar, ProgressStyle};
use shared::BoxError;
use zeroize::Zeroizing;

/// Writes a line of the answer, to standard output.
///
/// # Errors
/// It can't be written.
pub(crate) fn say(line: Arguments<'_>) -> Result<(), BoxError> {
    match writeln!(io::stdout(), "{line}") {
        // `admin user show alice | head -1` doesn't fail.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => Ok(outcome?),
    }
}

/// Writes a line beside the answer, to standard error.
pub(crate) fn remark(line: Arguments<'_>) {
    // If standard error is closed, nobody can be told so.
    let _ = writeln!(io::stderr(), "{line}");
}

/// How far long work has come; drawn on standard error if that is a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Work that is done after so many bytes, if that is known.
    pub(crate) fn new(total: Option<u64>, what: &'static str) -> Self {
        let (bar, shape) = match total {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:30} {percent:>3} %  {msg}  {elapsed} gone, {eta} to go"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        // The shape is a constant; the usual one would do as well.
        if let Ok(style) = ProgressStyle::with_template(shape) {
            bar.set_style(style);
        }
        bar.set_message(format!("0 {what}"));
        Self(bar)
    }

    /// Shows how far the work has come, in bytes and in what it is about.
    pub(crate) fn show(&self, bytes: u64, count: u64, what: &'static str) {
        self.0.set_position(bytes);
        self.0.set_message(format!("{count} {what}"));
    }

    /// Writes a line above the bar, to standard error.
    pub(crate) fn remark(&self, line: Arguments<'_>) {
        self.0.suspend(|| remark(line));
    }

    /// Takes the bar away, so that what follows stands alone.
    pub(crate) fn end(&self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

/// Asks twice on a terminal; otherwise reads standard input, less one line break at its end.
///
/// # Errors
/// The two differ, or standard input can't be read.
pub(crate) fn read_password() -> Result<Zeroizing<String>, BoxError> {
    if io::stdin().is_terminal() {
        let password = Zeroizing::new(rpassword::prompt_password("Password: ")?);
        let again = Zeroizing::new(rpassword::prompt_password("Again: ")?);
        return if password == again { Ok(password) } else { Err("the two passwords differ".into()) };
    }
    let mut text = Zeroizing::new(String::new());
    io::stdin().read_to_string(&mut text).map_err(|_| "standard input holds no UTF-8 text")?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(Zeroizing::new(line.to_owned()))
}
