//! The running process behind the HTTP API.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use anyhow::Context as _;

use super::https::Https;
use super::view::read_letter;
use super::{Handle, letters};
use crate::config::{Config, Role};
use crate::http::{
    Access, AgentMemory, AgentRow, Certificates, Credential, DeadLetterRow, DeadLetterStory, Feed,
    FindingStory, HistoryStep, Inspected, Known, KnownSubject, Mark, Opened, Pushed, Question,
    Rate, RecommendationStory, Replayed, RequestRow, RuleAnswer, SeriesMetric, Service, Sources,
    Status, Stored, Stretch, TaskStatus,
};
use crate::model::{
    AgentName, Finding, Recommendation, Subject, Timestamp, Topic, Undecodable, partition_of,
};
use crate::ports::{Clock as _, Outgoing, PortResult, TaskId};
use crate::sources::{Decoded, Fate, Hints, decode};
use crate::telemetry::Metrics;

impl Service for Handle {
    fn metrics(&self) -> &Metrics {
        &self.metrics
    }
    fn status(&self, refresh: bool) -> PortResult<Status> {
        let standings = self.standing(refresh)?;
        let tasks = standings
            .tasks
            .into_iter()
            .map(|task| TaskStatus {
                task: TaskId {
                    agent: task.agent,
                    partition: task.standing.partition,
                },
                live: task.standing.live,
                parked: task.standing.parked,
                lag: task.standing.lag,
                dirty: task.standing.dirty,
                wake_due: task.standing.wake_due,
            })
            .collect();
        Ok(Status {
            tasks,
            joining: standings.joining,
        })
    }
    fn inspect(&self, topic: Topic, payload: &[u8]) -> Result<Inspected, Undecodable> {
        inspect(topic, payload)
    }
    fn publish(&self, topic: Topic, account: &str, payload: &[u8]) -> PortResult<u32> {
        Handle::publish(self, topic, Some(account), payload).map(|published| published.partition)
    }
    fn open(&self, bytes: &[u8], known: &Known) -> Vec<Opened> {
        take_apart(bytes, known)
    }
    fn publish_all(&self, records: &[Pushed]) -> PortResult<()> {
        let (partitions, now_ms) = (self.backend.partitions(), self.clock.now().ms());
        for batch in records.chunks(BATCH_RECORDS) {
            let batch: Vec<_> = batch
                .iter()
                .map(|record| Outgoing {
                    topic: record.topic,
                    partition: partition_of(&record.account, partitions),
                    key: Some(record.account.as_bytes().to_vec()).filter(|key| !key.is_empty()),
                    payload: Some(record.payload.clone()),
                    headers: Vec::new(),
                    timestamp_ms: Some(now_ms),
                })
                .collect();
            self.backend.publish(&batch)?;
        }
        Ok(())
    }
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn recommendations(&self) -> PortResult<Vec<Arc<Recommendation>>> {
        self.fresh()?;
        Ok(self.view.recommendations())
    }
    fn recommendation(&self, id: &str) -> PortResult<Option<RecommendationStory>> {
        self.fresh()?;
        self.view.recommendation(&*self.backend, id)
    }
    fn findings(&self) -> PortResult<Vec<Arc<Finding>>> {
        self.fresh()?;
        Ok(self.view.findings())
    }
    fn finding(&self, id: &str) -> PortResult<Option<FindingStory>> {
        self.fresh()?;
        self.view.finding(&*self.backend, id)
    }
    fn subjects(&self) -> PortResult<Arc<Vec<KnownSubject>>> {
        self.insight.subjects()
    }
    fn memory(&self, subject: &Subject) -> PortResult<Vec<AgentMemory>> {
        self.insight.memory(subject)
    }
    fn history(&self, subject: &Subject) -> PortResult<Vec<HistoryStep>> {
        self.fresh()?;
        Ok(self.view.history(subject))
    }
    fn why(&self, subject: &Subject, rule: Option<&str>) -> PortResult<Vec<RuleAnswer>> {
        self.fresh()?;
        let rows = self.view.recommendations();
        self.insight.why(subject, rule, &rows)
    }
    fn agents(&self) -> PortResult<Vec<AgentRow>> {
        let capabilities = crate::topology::agents();
        let rows = capabilities.into_iter().map(|spec| {
            let doing = self.pulse.doing(spec.name, &self.metrics);
            AgentRow {
                name: spec.name,
                capabilities: spec.tasks.to_vec(),
                here: self.workers.runs(spec.name),
                tasks: doing.sample.owned,
                live: doing.sample.live,
                parked: doing.sample.parked,
                lag: doing.sample.lag.values().sum(),
                records_per_second: doing.records_per_second,
                latency_p50_ms: doing.latency_p50_ms,
                latency_p99_ms: doing.latency_p99_ms,
                event_age_seconds: doing.sample.event_age,
                open_findings: self.view.open_findings(spec.name),
            }
        });
        Ok(rows.collect())
    }
    fn series(&self, agent: AgentName, metric: SeriesMetric) -> Vec<(i64, f64)> {
        self.pulse.series(agent, metric)
    }
    fn rates(&self) -> Vec<Rate> {
        self.pulse.rates()
    }
    fn dead_letters(&self) -> PortResult<Vec<Arc<DeadLetterRow>>> {
        self.fresh()?;
        Ok(self.view.dead_letters())
    }
    fn dead_letter(&self, partition: u32, offset: u64) -> PortResult<Option<DeadLetterStory>> {
        let Some(found) = read_letter(&*self.backend, partition, offset)? else {
            return Ok(None);
        };
        self.fresh()?;
        Ok(Some(found.story(self.view.letter(partition, offset))))
    }
    fn replay(&self, partition: u32, offset: u64, by: &str) -> PortResult<Replayed> {
        letters::replay(&*self.backend, (partition, offset), by, self.clock.now())
    }
    fn forget(&self, partition: u32, offset: u64, by: &str) -> PortResult<Mark> {
        letters::forget(&*self.backend, (partition, offset), by, self.clock.now())
    }
    fn ask(&self, question: &Question) -> PortResult<String> {
        Handle::ask(self, question)
    }
    fn requests(&self) -> PortResult<Vec<Arc<RequestRow>>> {
        self.fresh()?;
        Ok(self.view.requests())
    }
    fn request(&self, id: &str) -> PortResult<Option<Arc<RequestRow>>> {
        self.fresh()?;
        Ok(self.view.request(id))
    }
    fn feed(&self) -> &Feed {
        self.view.feed()
    }
    fn sources(&self) -> Sources {
        #[cfg(feature = "aws")]
        let sources = self.board.shown();
        #[cfg(not(feature = "aws"))]
        let sources = Sources::default();
        sources
    }
    fn partitions(&self) -> u32 {
        self.backend.partitions()
    }
    fn records(
        &self,
        topic: Topic,
        partition: u32,
        from: u64,
        limit: usize,
    ) -> PortResult<Stretch> {
        stretch(&*self.backend, topic, partition, from, limit)
    }
}

/// Records appended in one batch.
const BATCH_RECORDS: usize = 200;

/// What was pushed, taken apart.
pub fn take_apart(bytes: &[u8], known: &Known) -> Vec<Opened> {
    let hints = Hints {
        account: known.account.clone(),
        region: known.region.clone(),
        at: known.at,
        ..Hints::default()
    };
    let parts = crate::sources::open(bytes, &hints).into_iter();
    parts
        .map(|part| match part.fate {
            Fate::Record { topic, account } => Opened::Record(Pushed {
                topic,
                account,
                payload: part.payload,
            }),
            Fate::Ignored(reason) => Opened::Ignored(reason.0),
            Fate::Refused(reason) => Opened::Refused(
                reason.0,
                Pushed {
                    topic: part.what.topic(),
                    account: String::new(),
                    payload: part.payload,
                },
            ),
        })
        .collect()
}

/// What a record is, and whose.
pub fn inspect(topic: Topic, payload: &[u8]) -> Result<Inspected, Undecodable> {
    Ok(match decode(topic, None, Some(payload))? {
        Decoded::Message(message) => Inspected::Owned(message.account().to_owned()),
        Decoded::Ignored(reason) => Inspected::Ignored(reason.0),
    })
}

/// At most `limit` records of a partition from `from` on.
pub fn stretch(
    backend: &dyn super::Backend,
    topic: Topic,
    partition: u32,
    from: u64,
    limit: usize,
) -> PortResult<Stretch> {
    let mut records = Vec::new();
    let next = backend.scan(topic, partition, from, limit, &mut |record| {
        records.push(Stored {
            offset: record.offset,
            key: record.key.map(<[u8]>::to_vec),
            payload: record.payload.map(<[u8]>::to_vec),
            timestamp_ms: record.timestamp_ms,
        });
    })?;
    let (_, end) = backend.bounds(topic, partition)?;
    Ok(Stretch { records, next, end })
}

/// Who may do what at the configured address.
fn access(config: &Config) -> Access {
    let mut access = Access::new(config.http.listen.ip().is_loopback());
    for token in &config.auth.tokens {
        let credential = Credential {
            name: token.name.clone(),
            write: token.role >= Role::Write,
            accounts: token.accounts.clone(),
            expires_at: token.expires_at,
        };
        // `Config::problems` refuses what is no hash; such a token lets nobody in.
        access.add(token.blake3.expose(), credential);
    }
    access.judge_by(Certificates::new(Box::new(Https::new())));
    for topic in &config.ingest.sns_topics {
        access.add_topic(topic);
    }
    access
}

/// Takes the address; `setting` is the one that names it.
pub(super) fn listen(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).with_context(|| {
        format!("could not listen on {address}; set {setting} to a free port, or to port 0 for any")
    })
}

/// Serves the API until `stop` resolves. While it does, a file in the data directory names the
/// address, so that commands on the same directory find the service.
pub(super) async fn serve(
    config: &Config,
    listener: TcpListener,
    handle: Arc<Handle>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let listener = hearing(listener)?;
    let address = listener.local_addr()?;
    let rules = access(config);
    let outside = rules.from_outside();
    let [plain, over_tls] = crate::http::routers(Arc::clone(&handle) as _, [rules, outside]);
    let over_tls = secured(config, over_tls)?;
    let file = config.address_file();
    std::fs::create_dir_all(&config.data_dir)
        .and_then(|()| std::fs::write(&file, address.to_string()))
        .with_context(|| format!("could not write {}", file.display()))?;
    tracing::info!(%address, "listening");
    let (tell, told) = tokio::sync::watch::channel(false);
    let stopped = || {
        let mut told = told.clone();
        async move {
            // A sender that is gone ends it as well.
            let _ = told.wait_for(|told| *told).await;
        }
    };
    let stop = async {
        stop.await;
        // Streams have no end of their own; a stop would wait for them in vain.
        handle.view.feed().end();
        // Nobody listens any more where serving failed.
        let _ = tell.send(true);
        Ok(())
    };
    let served = tokio::try_join!(
        crate::http::serve(listener, plain, stopped()),
        over_tls.serve(stopped()),
        stop,
    );
    // Best effort: a stale file is recognised by nobody answering.
    let _ = std::fs::remove_file(&file);
    served.context("the HTTP server ended").map(|_| ())
}

fn hearing(listener: TcpListener) -> std::io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// The second address, where one is configured.
struct OverTls(#[cfg(feature = "tls")] Option<(crate::http::Secured, axum::Router)>);

#[cfg(feature = "tls")]
fn secured(config: &Config, router: axum::Router) -> anyhow::Result<OverTls> {
    let Some(tls) = &config.http.tls else {
        return Ok(OverTls(None));
    };
    let certificate = crate::http::Certificate::read(&tls.certificate, &tls.key)
        .context("http.tls has no certificate that can be used")?;
    let listener = hearing(listen(tls.listen, "http.tls.listen")?)?;
    let address = listener.local_addr()?;
    let secured = crate::http::Secured::new(listener, Arc::new(certificate))?;
    tracing::info!(%address, "listening over TLS");
    Ok(OverTls(Some((secured, router))))
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail where there is TLS")]
fn secured(_: &Config, _: axum::Router) -> anyhow::Result<OverTls> {
    Ok(OverTls())
}

impl OverTls {
    #[cfg(feature = "tls")]
    async fn serve(self, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        match self.0 {
            Some((secured, router)) => crate::http::serve(secured, router, stop).await,
            None => Ok(()),
        }
    }
    #[cfg(not(feature = "tls"))]
    #[expect(clippy::unused_async, reason = "it waits where there is TLS")]
    async fn serve(self, _: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
        Ok(())
    }
}
