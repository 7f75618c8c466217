//! Asks before something is destroyed; without a person only `--yes` lets it happen.

use std::io::{self, BufRead, IsTerminal};

use engine::error::Kind;

use crate::args::Yes;
use crate::context::Context;
use crate::failure::Failure;

/// Goes on when `--yes` was given or a person says so.
pub(crate) fn confirm(yes: Yes, question: &str, context: &Context) -> Result<(), Failure> {
    if yes.yes {
        return Ok(());
    }
    let refused = |message: String| Failure::new(Kind::Refused, message);
    if context.output.is_json() || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(refused(format!("{question}: not without --yes"))
            .hint("look at what --dry-run shows, then give --yes"));
    }
    context.output.prompt(&format!("{question}? [y/N] "));
    let mut answer = String::new();
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(Kind::Other, format!("reading the answer: {error}")))?;
    if is_yes(&answer) {
        Ok(())
    } else {
        Err(refused(format!("{question}: not confirmed")).hint("nothing was changed"))
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        for (answer, yes) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("", false),
            ("no\n", false),
            ("yep", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
