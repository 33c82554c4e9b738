//! `skyherd demo`: the simulated estate through the real topology, an hour of it at a time.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;

use super::Ended;
use super::dump::Dump;
use super::output::Output;
use super::progress::Bar;
use super::replay::{Row, counted};
use super::scratch::Scratch;
use super::{closing, table};
use crate::app::{Outcome, Replay, ReplayOptions};
use crate::config::Config;
use crate::estate::{Estate, EstateOptions, HOURS, HOURS_MAX, Published, begin};
use crate::model::{Message, Timestamp};

#[derive(Args, Debug)]
#[command(
    after_help = "The estate: three accounts in three regions, at least sixty instances, fifteen days. \
The last lines say which of the planted situations were found, judged from what was published.

Examples:
  skyherd demo
  skyherd demo --console                    then look at it in a browser
  skyherd demo --seed 7                     other ids, the same situations
  skyherd demo --speed 86400                a day of the estate a second
  skyherd demo --headless --json | head -1
  skyherd demo --dump estate/ && skyherd replay estate/"
)]
pub(super) struct DemoArgs {
    /// Decides every id and the noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Hours of the estate's life.
    #[arg(long, default_value_t = HOURS, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=HOURS_MAX))]
    hours: i64,
    /// Seconds of the estate's life in one second; as fast as it goes unless given.
    #[arg(long, value_name = "N", value_parser = speed)]
    speed: Option<f64>,
    /// Show no progress, only the result.
    #[arg(long)]
    headless: bool,
    /// Then serve the estate as it ended in the console, until ctrl-c: at the port of http.listen, or
    /// any when that is taken. The agents go on and take what is published.
    #[arg(long)]
    console: bool,
    /// Print JSON lines: the recommendations, then what of the plan was found.
    #[arg(long)]
    json: bool,
    /// Write the raw records here as files that `skyherd replay` reads; the folder must be new or empty.
    #[arg(long, value_name = "DIR")]
    dump: Option<PathBuf>,
}

/// The pipeline comes to rest, and its output is heard, each time so many seconds of the estate went by.
const STEP_SECONDS: i64 = 30 * 60;
/// For the judge's sake more often, and for how long, after something happened that it will ask about.
const CLOSE_STEP_SECONDS: i64 = 60;
const CLOSE_SECONDS: i64 = 30 * 60;

/// The times at which the output is heard.
struct Clock {
    /// Seconds from the beginning, sorted.
    causes: Vec<i64>,
}

impl Clock {
    fn of(estate: &Estate) -> Self {
        let planted = estate.planted().iter();
        let mut causes: Vec<i64> = planted
            .map(|planted| planted.cause.since(begin()) / Timestamp::SECOND)
            .collect();
        causes.sort_unstable();
        Self { causes }
    }

    /// The next time after `seconds`.
    fn after(&self, seconds: i64) -> i64 {
        let past = self.causes.partition_point(|cause| *cause <= seconds);
        let lately = past
            .checked_sub(1)
            .is_some_and(|index| seconds < self.causes[index] + CLOSE_SECONDS);
        let step = if lately {
            CLOSE_STEP_SECONDS
        } else {
            STEP_SECONDS
        };
        let next = (seconds.div_euclid(step) + 1) * step;
        // Never past the next cause.
        self.causes.get(past).map_or(next, |cause| next.min(*cause))
    }
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if speed.is_finite() && speed > 0.0 => Ok(speed),
        _ => Err("use a number above zero, such as 3600".to_owned()),
    }
}

pub(super) fn demo(args: &DemoArgs, config: &Config, output: &mut Output) -> anyhow::Result<Ended> {
    let estate = Estate::new(EstateOptions {
        seed: args.seed,
        hours: args.hours,
        ..EstateOptions::default()
    });
    let scratch = Scratch::new()?;
    if let Some(speed) = args.speed.filter(|_| !args.headless) {
        let seconds = (args.hours * 3_600) as f64 / speed;
        eprintln!(
            "{} hours of the estate take {seconds:.0} s; ctrl-c ends it",
            args.hours
        );
    }
    let options = ReplayOptions {
        partitions: config.partitions,
        ..ReplayOptions::default()
    };
    let mut replay = Replay::open(scratch.path(), options)?;
    let played = play(args, &mut replay, &estate)?;
    tell(args, &estate, &played, output)?;
    if !args.console {
        return Ok(Ended::Well);
    }
    output.flush()?;
    drop((estate, played));
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, config.http.listen.port()));
    // Ctrl-c is the scratch folder's to hear: it removes itself and ends the process.
    crate::app::show(replay, listen, &|address| {
        eprintln!("the console: http://{address}/ (ctrl-c ends it)");
    })?;
    Ok(Ended::Well)
}

/// What the estate's life came to.
struct Played {
    outcome: Outcome,
    published: Published,
    /// Raw records.
    told: u64,
}

fn tell(
    args: &DemoArgs,
    estate: &Estate,
    played: &Played,
    output: &mut Output,
) -> anyhow::Result<()> {
    let Played { outcome, told, .. } = played;
    let verdict = estate.verdict(&played.published);
    if args.json {
        for row in table::ranked(&outcome.recommendations) {
            output.json(&Row::Recommendation(row))?;
        }
        output.json(&closing::json(&verdict))?;
        return Ok(());
    }
    let (accounts, regions) = estate.extent();
    output.line(&format!(
        "{} in {}, {}, {}: {told} records through the five agents",
        lived(args.hours),
        counted(accounts, "account"),
        counted(regions, "region"),
        counted(estate.instances(), "instance"),
    ))?;
    super::replay::print(outcome, output)?;
    let held = table::held_back(output, &outcome.recommendations);
    if !held.is_empty() {
        output.line(&format!("\nConflicts resolved: held back, and why\n{held}"))?;
    }
    output.line(&format!("\n{}", closing::text(output, &verdict)))?;
    if let Some(dir) = &args.dump {
        output.line(&format!(
            "{} in {}; `skyherd replay {}` gives the same ids",
            counted(usize::try_from(*told).unwrap_or(usize::MAX), "raw record"),
            dir.display(),
            dir.display()
        ))?;
    }
    Ok(())
}

/// Plays the estate. What was published is noted with the estate's own clock.
fn play(args: &DemoArgs, replay: &mut Replay, estate: &Estate) -> anyhow::Result<Played> {
    let mut dump = args.dump.as_deref().map(Dump::create).transpose()?;
    let bar = Bar::new(args.hours, !args.headless);
    let mut published = Published::default();
    let clock = Clock::of(estate);
    let (mut told, mut until) = (0_u64, clock.after(0));
    let began = Instant::now();
    let mut rest = |replay: &mut Replay, seconds: i64| -> anyhow::Result<()> {
        let now = begin().plus(seconds * Timestamp::SECOND);
        replay.settle(&mut |_| {})?;
        replay.published(&mut |message| match message {
            Message::Finding(row) => published.finding(&row, now),
            Message::Recommendation(row) => published.recommendation(&row, now),
            _ => {}
        })?;
        bar.at(seconds);
        if let Some(speed) = args.speed {
            wait_until(began + Duration::from_secs_f64(seconds as f64 / speed));
        }
        Ok(())
    };
    for record in estate.records() {
        while record.told >= until {
            rest(replay, until)?;
            until = clock.after(until);
        }
        if let Some(dump) = &mut dump {
            dump.take(&record)?;
        }
        replay.push(record.topic, Some(&record.account), &record.payload)?;
        told += 1;
    }
    rest(replay, until)?;
    if let Some(dump) = dump {
        dump.finish()?;
    }
    Ok(Played {
        outcome: replay.run(&mut |_| {})?,
        published,
        told,
    })
}

/// Hours as days where they are whole ones.
fn lived(hours: i64) -> String {
    let (count, what) = if hours % 24 == 0 {
        (hours / 24, "day")
    } else {
        (hours, "hour")
    };
    counted(usize::try_from(count).unwrap_or_default(), what)
}

fn wait_until(at: Instant) {
    let left = at.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        std::thread::sleep(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_heard_every_half_hour_and_every_minute_after_a_cause() {
        let clock = Clock {
            causes: vec![-60, 5_000],
        };
        let mut heard = vec![0];
        while heard[heard.len() - 1] < 9_000 {
            heard.push(clock.after(heard[heard.len() - 1]));
        }
        assert_eq!(heard[29..34], [1_740, 1_800, 3_600, 5_000, 5_040]);
        assert_eq!(heard[heard.len() - 3..], [6_840, 7_200, 9_000]);
    }
}
