//! `skyherd token`: a bearer token from the system's randomness, and the hash to configure.

use std::io::Read;

use anyhow::Context as _;
use clap::Args;

use super::Ended;
use super::output::Output;

/// Bytes of randomness: too many to guess, so a fast hash is enough.
const TOKEN_BYTES: usize = 32;

#[derive(Args, Debug)]
#[command(after_help = "Example:
  skyherd token ci --write")]
pub(super) struct TokenArgs {
    /// Whose token; appears in logs.
    name: String,
    /// Let it publish too.
    #[arg(long)]
    write: bool,
}

pub(super) fn token(args: &TokenArgs, output: &mut Output) -> anyhow::Result<Ended> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut bytes))
        .context("could not read /dev/urandom")?;
    let token = bytes
        .iter()
        .fold("sky_".to_owned(), |text, byte| format!("{text}{byte:02x}"));
    let role = if args.write { "write" } else { "read" };
    output.line(&format!("# The token, shown this once: {token}"))?;
    output.line("[[auth.tokens]]")?;
    output.line(&format!("name = {:?}", args.name))?;
    output.line(&format!("blake3 = \"{}\"", blake3::hash(token.as_bytes())))?;
    output.line(&format!("role = \"{role}\""))?;
    Ok(Ended::Well)
}
