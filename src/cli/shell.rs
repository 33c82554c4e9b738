//! `skyherd completions` and `skyherd man`: made from the commands themselves.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::output::Output;
use super::{Cli, Ended};
use crate::config::nearest;

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  skyherd completions bash > /etc/bash_completion.d/skyherd
  skyherd completions zsh > \"${fpath[1]}/_skyherd\"
  skyherd completions fish > ~/.config/fish/completions/skyherd.fish")]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs, output: &mut Output) -> anyhow::Result<Ended> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "skyherd", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Ended::Well)
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  skyherd man > /usr/local/share/man/man1/skyherd.1
  skyherd man dlq | man -l -")]
pub(super) struct ManArgs {
    /// A command; without one, the page of the program.
    command: Option<String>,
}

pub(super) fn man(args: &ManArgs, output: &mut Output) -> anyhow::Result<Ended> {
    let mut program = Cli::command();
    program.build();
    let page = match &args.command {
        None => program,
        Some(name) => {
            let names: Vec<&str> = program
                .get_subcommands()
                .map(clap::Command::get_name)
                .collect();
            let hint = nearest(name, &names);
            match program.find_subcommand(name) {
                Some(command) => command.clone(),
                None => anyhow::bail!("there is no command {name}; {hint}"),
            }
        }
    };
    let mut roff = Vec::new();
    clap_mangen::Man::new(page).render(&mut roff)?;
    output.line(String::from_utf8_lossy(&roff).trim_end())?;
    Ok(Ended::Well)
}
