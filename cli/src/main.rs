//! The strongroom program; everything is in the library, so that tests can have a binary of their
//! own.

fn main() -> std::process::ExitCode {
    strongroom_cli::run()
}
