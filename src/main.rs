//! The `skyherd` program.

fn main() -> std::process::ExitCode {
    skyherd::cli::main()
}
