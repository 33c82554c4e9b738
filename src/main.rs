//! The `skyherd` program.

// Records decoded on one turn are freed on another: the C library's allocator grows and trims its
// arenas all the while.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    skyherd::cli::main()
}
