//! The console over ten thousand open recommendations: how fast it opens, and how smoothly it runs
//! while a thousand of them change each second.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::story;
use serde_json::{Value, json};
use skyherd::app;
use skyherd::config::Config;
use skyherd::model::{Timestamp, Topic, partition_of};
use skyherd::ports::Outgoing;

use crate::browser::drive;
use crate::cpu::Machine;
use crate::proc::Proc;
use crate::service::free_port;

const VOLUMES: u64 = 10_000;
const ACCOUNTS: u64 = 50;
const PARTITIONS: u32 = 8;
/// Changes asked for each second, and for how many seconds.
const RATE: u64 = 1_000;
const SECONDS: &str = "15";
/// Connections that publish changes.
const PUBLISHERS: u64 = 16;
/// The size of a volume that was not changed, in GiB; from some 250 on the newer type is cheaper.
const SIZE: u64 = 600;
/// Opening the console from the binary shall take less, in milliseconds.
const OPEN_GOAL: f64 = 100.0;

fn account(number: u64) -> String {
    format!("{:012}", 300_000_000_000 + number % ACCOUNTS * 7_919)
}

/// A volume of an old type, which is one finding and one recommendation of its own.
fn volume(number: u64, size: u64, at: Timestamp) -> Value {
    json!({
        "account": account(number),
        "region": "eu-west-1",
        "kind": "volume",
        "observed_at": at.to_string(),
        "item": {
            "VolumeId": format!("vol-{number:017x}"),
            "VolumeType": "gp2",
            "Size": size,
            "State": "in-use",
            "Tags": [
                {"Key": "Owner", "Value": "bench"},
                {"Key": "Environment", "Value": "production"},
                {"Key": "CostCenter", "Value": "1"},
            ],
        },
    })
}

fn load(data: &Path) -> anyhow::Result<()> {
    let config = Config {
        data_dir: data.to_owned(),
        partitions: PARTITIONS,
        ..Config::default()
    };
    let records: Vec<Outgoing> = (0..VOLUMES)
        .map(|number| Outgoing {
            topic: Topic::AwsInventory,
            partition: partition_of(&account(number), PARTITIONS),
            key: Some(account(number).into_bytes()),
            payload: Some(
                volume(number, SIZE, story::begin())
                    .to_string()
                    .into_bytes(),
            ),
            headers: Vec::new(),
            timestamp_ms: None,
        })
        .collect();
    app::open(&config)?.publish(&records)?;
    Ok(())
}

/// Changes volumes at [`RATE`] until `stop`, as far as the service takes them; `stored` counts
/// those that it did.
fn change(
    base: &str,
    stop: &Arc<AtomicBool>,
    stored: &Arc<AtomicU64>,
) -> Vec<std::thread::JoinHandle<()>> {
    let next = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let publisher = |_| {
        let (next, stop, stored) = (Arc::clone(&next), Arc::clone(stop), Arc::clone(stored));
        let url = format!("{base}/api/v1/events?topic=aws.inventory");
        std::thread::spawn(move || {
            let agent = ureq::Agent::new_with_defaults();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let due = Duration::from_micros(number * 1_000_000 / RATE);
                std::thread::park_timeout(due.saturating_sub(began.elapsed()));
                let at = story::begin().plus(1_000 + number as i64);
                // Another size is another saving: a new revision of the recommendation.
                let size = SIZE + 1 + number % 997;
                let answer = agent
                    .post(&url)
                    .send_json(volume(number % VOLUMES, size, at));
                // Read to its end, so that the connection is used again.
                if let Ok(mut answer) = answer
                    && answer.body_mut().read_to_string().is_ok()
                {
                    stored.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    (0..PUBLISHERS).map(publisher).collect()
}

/// Measures and prints.
///
/// # Errors
/// When the data directory cannot be filled.
pub(crate) fn measure(as_json: bool) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    load(&data)?;
    let listen = format!("127.0.0.1:{}", free_port());
    let file = folder.path().join("skyherd.toml");
    std::fs::write(
        &file,
        format!(
            "data_dir = '{}'\npartitions = {PARTITIONS}\n[http]\nlisten = \"{listen}\"\n",
            data.display()
        ),
    )?;
    let file = file.to_string_lossy();
    let mut service = Proc::spawn(["run", "--config", &*file], &[]);
    service.await_quiesced(&listen);
    let base = format!("http://{listen}");
    let stop = Arc::new(AtomicBool::new(false));
    let stored = Arc::new(AtomicU64::new(0));
    let mut publishers = Vec::new();
    let (mut began, mut machine) = (Instant::now(), Machine::now());
    let (mut published, mut busy) = (0.0, [machine.busy_since(); 2]);
    let rate = RATE.to_string();
    let output = drive("smooth.mjs", &[&base, &rate, SECONDS], |word| {
        if word == "drive" {
            busy[0] = machine.busy_since();
            (began, machine) = (Instant::now(), Machine::now());
            publishers = change(&base, &stop, &stored);
        } else {
            busy[1] = machine.busy_since();
            published = stored.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
            stop.store(true, Ordering::Relaxed);
        }
    });
    for publisher in publishers {
        let _ = publisher.join();
    }
    let mut figures: Value = serde_json::from_str(output.trim())?;
    figures["updates"]["published_per_second"] = json!(published.round());
    figures["machine"] = json!({
        "cores": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "load_average": load_average(),
        "busy_percent_opening": (busy[0] * 100.0).round(),
        "busy_percent_changing": (busy[1] * 100.0).round(),
    });
    if as_json {
        println!("{figures:#}");
    } else {
        print(&figures);
    }
    Ok(())
}

/// Of the last minute: who else was at work.
fn load_average() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

fn print(figures: &Value) {
    let of = |path: &str| figures.pointer(path).cloned().unwrap_or_default();
    println!("console over {} open recommendations", of("/rows"));
    println!(
        "  the page loaded      {} ms with an empty cache, {} ms with a filled one (its load event; medians; goal {OPEN_GOAL} ms)",
        of("/cold/loaded_ms"),
        of("/warm/loaded_ms")
    );
    println!(
        "  its rows answered    {} ms after they were asked for, {} ms with a filled cache",
        of("/cold/answered_ms"),
        of("/warm/answered_ms")
    );
    println!(
        "  first rows painted   {} ms with an empty cache, {} ms with a filled one (medians)",
        of("/cold/median_ms"),
        of("/warm/median_ms")
    );
    println!(
        "  under changes        {} a second asked, {} published, {} heard by the browser, {} applied to its rows, for {} s",
        of("/updates/asked_per_second"),
        of("/updates/published_per_second"),
        of("/updates/heard_per_second"),
        of("/updates/applied_per_second"),
        of("/updates/seconds")
    );
    println!(
        "  frames while scrolling  {} a second; {} ms the median, {} ms the 99th of 100, {} ms the longest; {} of {} over 50 ms",
        of("/frames/per_second"),
        of("/frames/median_ms"),
        of("/frames/p99_ms"),
        of("/frames/longest_ms"),
        of("/frames/over_50_ms"),
        of("/frames/of")
    );
    println!(
        "  machine              {} cores, {} % busy while opening, {} % under changes (browser and publishers included); load average {}",
        of("/machine/cores"),
        of("/machine/busy_percent_opening"),
        of("/machine/busy_percent_changing"),
        of("/machine/load_average")
    );
}
