//! `./dev bench`: the numbers of DESIGN.md §12 on a real Kafka and Redis, each beside its baseline
//! of the same run. Nothing here fails because of a figure.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program for developers"
)]

mod bills;
#[path = "../suite/harness/browser.rs"]
mod browser;
mod console;
mod cpu;
mod latency;
mod load;
#[path = "../suite/harness/proc.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod proc;
mod report;
mod rows;
#[path = "../suite/harness/service.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod service;
#[path = "../story/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod story;
#[cfg(feature = "aws")]
mod sweep;
mod throughput;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};
use skyherd::agents::Agent;
use skyherd::agents::coordinator::Coordinator;
use skyherd::agents::domain::DomainAgent;
use skyherd::estate::EstateOptions;
use skyherd::model::{AgentName, Topic};
use skyherd::ports::{PortError, PortResult};

// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use latency::Running;
use report::{Report, Row, thousands};
use rows::Pair;
use world::{Deployment, PARTITIONS, Servers};

/// Longest a server or program may take to answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);
/// Calls published before the agents run: enough that the security agent's figure is no start-up.
const CALLS: u64 = 60_000;
/// Runs of each agent; the median's ratio is the figure.
const ROUNDS: usize = 3;
/// Shares of what the machine sustains at which latency is measured. At half of the throughput of
/// large batches the machine is near its limit already: how busy it was is in each row.
const SHARES: [f64; 4] = [0.0625, 0.125, 0.25, 0.5];

const HELP: &str = "./dev bench [--json] [--story COPIES | --estate ACCOUNTS:INSTANCES:HOURS:MINUTES] [--agent NAME | --live]
    [--bill ROWS | --console | --sweep]
--json          the figures as JSON on standard output instead of the table
--story COPIES  copies of the story's two accounts, 17,000 metric records each (default 24)
--estate ...    instead the simulated estate with so many accounts more, instances in each, hours, and minutes between points:
                records of many points
--agent NAME    only this agent's throughput, without latency and restart
--live          only latency and restart of the running service
--bill ROWS     only reading a bill of so many rows; needs no server (1000000 is the figure to state)
--console       only the console in Chromium, over 10,000 recommendations and under 1,000 changes a second
--sweep         only a full sweep of 10,000 resources of an AWS account, against APIs of a fixed latency; needs no server";

struct Arguments {
    json: bool,
    load: load::Load,
    agent: Option<AgentName>,
    live: bool,
    console: bool,
    sweep: bool,
    bill: Option<u64>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("{text}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if arguments.console {
        return match console::measure(arguments.json) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error:#}");
                ExitCode::FAILURE
            }
        };
    }
    let mut report = Report::default();
    let machine = machine();
    let ended = if arguments.sweep {
        sweep(&mut report)
    } else if let Some(rows) = arguments.bill {
        bills::measure(rows, &mut report).map_err(|error| PortError::Fatal(format!("{error:#}")))
    } else {
        Servers::named()
            .map_err(PortError::Fatal)
            .and_then(|servers| measure(&servers, &arguments, &mut report))
    };
    if arguments.json {
        println!("{:#}", report.json(&machine));
    } else {
        println!("\n{machine}\n{}", report.table());
    }
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "aws")]
fn sweep(report: &mut Report) -> PortResult<()> {
    let row = sweep::measure().map_err(|error| PortError::Fatal(format!("{error:#}")))?;
    report.add(row);
    Ok(())
}

#[cfg(not(feature = "aws"))]
fn sweep(_: &mut Report) -> PortResult<()> {
    let why = "this program was built without the AWS sources";
    Err(PortError::Fatal(why.into()))
}

fn arguments() -> Result<Arguments, String> {
    let mut arguments = Arguments {
        json: false,
        load: load::Load::Story(load::STORY),
        agent: None,
        live: false,
        console: false,
        sweep: false,
        bill: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} needs a value"));
        match word.as_str() {
            // Cargo adds it.
            "--bench" => {}
            "--json" => arguments.json = true,
            "--live" => arguments.live = true,
            "--console" => arguments.console = true,
            "--sweep" => arguments.sweep = true,
            "--bill" => {
                let rows = value()?.parse();
                arguments.bill = Some(rows.map_err(|_| "--bill takes a number".to_owned())?);
            }
            "--story" => {
                let copies = value()?
                    .parse()
                    .map_err(|_| "--story takes a number".to_owned())?;
                arguments.load = load::Load::Story(story::StoryOptions {
                    copies,
                    ..load::STORY
                });
            }
            "--estate" => arguments.load = estate(&value()?)?,
            "--agent" => {
                let name = value()?;
                let known = AgentName::ALL
                    .into_iter()
                    .find(|agent| agent.as_str() == name);
                arguments.agent = Some(known.ok_or(format!("no agent {name}"))?);
            }
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(arguments)
}

/// Reads `ACCOUNTS:INSTANCES:HOURS:MINUTES`.
fn estate(text: &str) -> Result<load::Load, String> {
    let wrong = || "--estate takes ACCOUNTS:INSTANCES:HOURS:MINUTES, such as 20:50:48:5".to_owned();
    let numbers: Vec<u32> = text
        .split(':')
        .map(|number| number.parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    let [more_accounts, machines, hours, minutes] = numbers.as_slice() else {
        return Err(wrong());
    };
    Ok(load::Load::Estate(EstateOptions {
        more_accounts: *more_accounts,
        machines: *machines,
        hours: (*hours).into(),
        period_minutes: (*minutes).into(),
        ..EstateOptions::default()
    }))
}

/// What the figures were taken on.
fn machine() -> Value {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    json!({"cores": cores, "load_before": load.trim()})
}

fn measure(servers: &Servers, arguments: &Arguments, report: &mut Report) -> PortResult<()> {
    if arguments.live {
        return live(servers, report);
    }
    let mut pairs: BTreeMap<AgentName, Vec<Pair>> = BTreeMap::new();
    for round in 0..ROUNDS {
        // Topics and memory of its own: each round begins as the first did.
        let at = Deployment::create(servers, &format!("figures{round}."))?;
        let records = at.publish(arguments.load.records(CALLS, PARTITIONS))?;
        let points: u64 = at
            .ends(&[Topic::AwsMetrics])?
            .iter()
            .map(|(_, _, end)| end)
            .sum();
        eprintln!(
            "bench: round {} of {ROUNDS}: {records} records, {points} of them metrics, about {CALLS} of them calls",
            round + 1
        );
        if round == 0 && arguments.agent.is_none() {
            perf_tool(servers, &at, points, report);
        }
        for name in AgentName::ALL {
            if arguments.agent.is_some_and(|only| only != name) {
                continue;
            }
            let pair = match name {
                AgentName::Coordinator => compare(servers, &at, Coordinator)?,
                domain => compare(servers, &at, DomainAgent::new(domain))?,
            };
            eprintln!("bench: {name}: {:.2} of bare", pair.ratio());
            pairs.entry(name).or_default().push(pair);
        }
    }
    for (name, pairs) in pairs {
        report.add(rows::throughput(name, pairs));
    }
    if arguments.agent.is_none() {
        let read = bills::measure(bills::ROWS, report);
        read.map_err(|error| PortError::Fatal(format!("{error:#}")))?;
        live(servers, report)?;
    }
    Ok(())
}

fn perf_tool(servers: &Servers, at: &Deployment, points: u64, report: &mut Report) {
    let topic = at.kafka.topic_name(Topic::AwsMetrics);
    match throughput::perf_tool(servers, &topic, points) {
        Ok((rate, run)) => report.add(Row {
            what: "Kafka's ConsumerPerformance on aws.metrics".into(),
            figure: format!(
                "{} records/s; {} per core-second (JVM user+system, its start subtracted)",
                thousands(rate),
                thousands(run.per_core_second())
            ),
            baseline: String::new(),
            goal: String::new(),
            numbers: json!({"records_per_second": rate, "records_per_core_second": run.per_core_second()}),
        }),
        Err(error) => eprintln!("bench: no figure of Kafka's own tool: {error}"),
    }
}

/// On a thread of its own, as the program runs agents; a profiler tells them apart by its name.
fn apart<T: Send>(name: &str, run: impl FnOnce() -> PortResult<T> + Send) -> PortResult<T> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, run)
            .map_err(|error| PortError::Fatal(format!("no thread for {name}: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(PortError::Fatal(format!("{name} ended in a panic"))))
    })
}

/// An agent and the bare loop, one after the other.
fn compare<A: Agent>(servers: &Servers, at: &Deployment, agent: A) -> PortResult<Pair> {
    let spec = agent.capabilities();
    let (run, outputs) = apart(spec.name.as_str(), || throughput::agent(servers, at, agent))?;
    let bare = apart("bare", || throughput::bare(at, spec, &outputs))?;
    Ok(Pair {
        agent: run,
        bare,
        outputs: outputs.len(),
        ruled: spec.reads.contains(&Topic::AwsMetrics),
    })
}

/// Latency and restart of the program itself.
fn live(servers: &Servers, report: &mut Report) -> PortResult<()> {
    let mut running = Running::start(servers)?;
    let subjects = running.subjects()?;
    let sustained = running.sustained()?;
    for share in SHARES {
        for row in rows::latency(share, &running.latencies(sustained * share)?) {
            report.add(row);
        }
    }
    let mut restarts = Vec::new();
    for _ in 0..latency::RESTARTS {
        restarts.push(running.restart()?);
    }
    report.add(rows::restart(subjects, &restarts));
    Ok(())
}
