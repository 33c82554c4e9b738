//! The command line: what a person types, what they read, and the exit code.
//!
//! 0 ok, 1 failed, 2 misused, 3 findings at or above `--fail-on`, 130 interrupted. Results go to
//! stdout, everything else to stderr; colours only on a terminal and not with `NO_COLOR`.

mod check;
mod client;
mod closing;
mod demo;
mod dlq;
mod dump;
#[cfg(feature = "aws")]
mod live;
mod memory;
mod metrics;
mod output;
#[cfg(feature = "aws")]
mod plan;
mod progress;
mod publish;
mod replay;
mod rules;
mod scratch;
mod shell;
mod sources;
mod status;
mod table;
mod tail;
mod token;
mod topics;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Loaded, LogFormat, load_here};
use crate::model::AgentName;
use output::Output;

/// Watches AWS accounts with specialised agents and joins their findings into ranked, explained
/// recommendations.
#[derive(Parser, Debug)]
#[command(name = "skyherd", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    /// Configuration file (TOML); else `SKYHERD_CONFIG`, else ./skyherd.toml when there is one.
    #[arg(long, short = 'c', global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Form of log lines on stderr: text or json.
    #[arg(long, global = true, value_name = "FORM", value_parser = log_format)]
    log_format: Option<LogFormat>,
    /// error, warn, info, debug, trace, or directives such as `info,skyherd::runtime=debug`.
    #[arg(long, global = true, value_name = "LEVEL")]
    log_level: Option<String>,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  skyherd demo                            fifteen days of a simulated estate, ranked
  skyherd run                             the service, embedded, on 127.0.0.1:8080
  skyherd run --config skyherd.toml --agents cost,security
  skyherd check                           every problem of the configuration, with a hint each
  skyherd replay --summary events/        what is in recorded files
  skyherd publish aws.events event.json   one event, durable when the command returns
  skyherd tail recommendations --follow
  skyherd status                          how the running service does
  skyherd why 111122223333/eu-west-1/instance/i-0abc

Exit codes: 0 ok, 1 failed, 2 misused, 3 findings at or above --fail-on, 130 interrupted.";

#[derive(Subcommand, Debug)]
enum Command {
    /// Run the service until SIGTERM or ctrl-c.
    #[command(after_help = "Examples:
  skyherd run
  skyherd run --agents cost,security
  SKYHERD_KAFKA__BROKERS=kafka:9092 SKYHERD_REDIS__URLS=redis://redis:6379 skyherd run")]
    Run(RunArgs),
    /// Check configuration and topics; print every problem with a hint.
    Check(check::CheckArgs),
    /// Play recorded files through the same agents.
    Replay(replay::ReplayArgs),
    /// Play a simulated AWS estate and print the ranked recommendations.
    Demo(demo::DemoArgs),
    /// List, compare and create the topics of a Kafka cluster.
    #[command(subcommand)]
    Topics(topics::TopicsCommand),
    /// List the rules, or explain one.
    Rules(rules::RulesArgs),
    /// Print the newest records of a topic.
    Tail(tail::TailArgs),
    /// Publish JSON records from a file or stdin.
    Publish(publish::PublishArgs),
    /// Tell how the running service does; exit 1 while it is not ready.
    Status(status::StatusArgs),
    /// Tell how the sources that pull from AWS do; exit 1 while one is not whole.
    Sources(sources::SourcesArgs),
    /// Watch the running service; without a terminal, print one snapshot.
    Top(status::TopArgs),
    /// Show what agents remember of a resource.
    #[command(subcommand)]
    Memory(memory::MemoryCommand),
    /// Tell why there is, or is no, finding on a resource.
    Why(why::WhyArgs),
    /// List, show, send back and drop dead letters.
    #[command(subcommand)]
    Dlq(dlq::DlqCommand),
    /// Print the table of every metric.
    Metrics,
    /// Make a bearer token for the HTTP API and print its configuration.
    Token(token::TokenArgs),
    /// Print the completions of a shell.
    Completions(shell::CompletionsArgs),
    /// Print the manual page, or that of one command, in roff.
    Man(shell::ManArgs),
}

#[derive(clap::Args, Debug)]
struct RunArgs {
    /// Agents to run, separated by commas; all of the configuration's unless given.
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = agent_name)]
    agents: Vec<AgentName>,
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    LogFormat::parse(text).ok_or_else(|| "use text or json".to_owned())
}

fn agent_name(text: &str) -> Result<AgentName, String> {
    let names = AgentName::ALL.map(AgentName::as_str);
    AgentName::parse(text).ok_or_else(|| crate::config::nearest(text, &names))
}

/// How a command ended, when it did not fail.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Ended {
    Well,
    /// `check` found problems.
    Wanting,
    /// `--fail-on` met its severity.
    Found,
    /// Ctrl-c.
    Interrupted,
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::stdout();
    let ended = command(&cli, &mut output).and_then(|ended| {
        output.flush()?;
        Ok(ended)
    });
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Wanting) => ExitCode::from(1),
        Ok(Ended::Found) => ExitCode::from(3),
        Ok(Ended::Interrupted) => ExitCode::from(130),
        // The reader has seen enough: `skyherd rules | head`.
        Err(error) if output::reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::report(&error);
            ExitCode::from(1)
        }
    }
}

fn command(cli: &Cli, output: &mut Output) -> anyhow::Result<Ended> {
    match &cli.command {
        Command::Check(args) => {
            let loaded = load_here(cli.config.as_deref());
            return check::check(args, &loaded, output);
        }
        Command::Rules(args) => return rules::rules(args, output),
        Command::Metrics => return metrics::metrics(output),
        Command::Token(args) => return token::token(args, output),
        Command::Completions(args) => return shell::completions(args, output),
        Command::Man(args) => return shell::man(args, output),
        _ => {}
    }
    let config = configuration(cli)?;
    match &cli.command {
        Command::Run(args) => {
            let agents = if args.agents.is_empty() {
                &config.agents
            } else {
                &args.agents
            };
            Ok(match crate::app::run(&config, agents)? {
                crate::app::Stopped::Interrupted => Ended::Interrupted,
                _ => Ended::Well,
            })
        }
        Command::Replay(args) => replay::replay(args, &config, output),
        Command::Demo(args) => demo::demo(args, &config, output),
        Command::Topics(command) => topics::topics(command, &config, output),
        Command::Tail(args) => tail::tail(args, &config, output),
        Command::Publish(args) => publish::publish(args, &config, output),
        Command::Status(args) => status::status(args, &config, output),
        Command::Sources(args) => sources::sources(args, &config, output),
        Command::Top(args) => status::top(args, &config, output),
        Command::Memory(command) => memory::memory(command, &config, output),
        Command::Why(args) => why::why(args, &config, output),
        Command::Dlq(command) => dlq::dlq(command, &config, output),
        Command::Check(_)
        | Command::Rules(_)
        | Command::Metrics
        | Command::Token(_)
        | Command::Completions(_)
        | Command::Man(_) => Ok(Ended::Well),
    }
}

/// The settings, with logs started; an error naming every problem when there is one.
fn configuration(cli: &Cli) -> anyhow::Result<Config> {
    let Loaded {
        mut config,
        file,
        mut problems,
    } = load_here(cli.config.as_deref());
    if let Some(format) = cli.log_format {
        config.log.format = format;
    }
    if let Some(level) = &cli.log_level {
        config.log.level.clone_from(level);
        problems.retain(|problem| problem.path != "log.level");
    }
    // One-off commands speak through their output; only the service tells of its life.
    let quiet = !matches!(cli.command, Command::Run(_)) && cli.log_level.is_none();
    let level = if quiet { "error" } else { &config.log.level };
    if !problems.is_empty() {
        anyhow::bail!(output::problems_text(&problems));
    }
    #[cfg(feature = "kafka")]
    let filled = if matches!(cli.command, Command::Run(_)) && config.kafka.is_some() {
        crate::adapters::kafka::fill_unwritten_memory()
    } else {
        Ok(())
    };
    crate::telemetry::start_logs(config.log.format == LogFormat::Json, level)
        .map_err(|error| anyhow::anyhow!("log level {level:?}: {error}; use info or debug"))?;
    #[cfg(feature = "kafka")]
    if let Err(error) = filled {
        tracing::warn!(%error, "not started anew with filled memory; a broker's restart may end librdkafka");
    }
    if let Some(file) = file {
        tracing::info!(file = %file.display(), "configuration read");
    }
    Ok(config)
}
