//! The shipped program as a program of this package, so that tests know its path.
fn main() -> std::process::ExitCode {
    strongroom_cli::run()
}
