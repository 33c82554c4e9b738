//! What a cluster has, what differs from the manifests, and making it so.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, ConfigSource, NewTopic, OwnedResourceSpecifier,
    ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::difference::{Applied, Difference, Found, Settings};
use super::manifest::TopicSpec;
use crate::adapters::kafka::error::port_error;
use crate::adapters::kafka::offsets::metadata;
use crate::adapters::kafka::options::{KafkaOptions, Role};
use crate::ports::{PortError, PortResult};

/// Longest wait for the cluster to carry out one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Pause between two looks for new topics.
const SHOWN_REST: Duration = Duration::from_millis(50);

/// A topic's name, partitions and replicas.
type Shape = (String, u32, u32);

/// Looks after the topics of one cluster.
pub struct TopicAdmin {
    options: KafkaOptions,
    client: AdminClient<DefaultClientContext>,
}

impl TopicAdmin {
    /// Connects in the background; `Fatal` when the configuration is refused.
    pub fn open(options: &KafkaOptions) -> PortResult<Self> {
        let client = options
            .client(Role::Admin, "topics")?
            .create()
            .map_err(|error| port_error("set up the Kafka administration", &error))?;
        Ok(Self {
            options: options.clone(),
            client,
        })
    }

    /// Every topic of the cluster but Kafka's own, by name.
    pub fn list(&self) -> PortResult<Vec<Found>> {
        let (topics, _) = self.topics()?;
        let names: Vec<&str> = topics.iter().map(|(name, ..)| name.as_str()).collect();
        let mut configs = self.configs(&names)?;
        Ok(topics
            .into_iter()
            .map(|(name, partitions, replicas)| Found {
                config: configs.remove(&name).unwrap_or_default(),
                name,
                partitions,
                replicas,
            })
            .collect())
    }

    /// What differs, in the manifests' order, extras last. `partitions` replaces the manifests'
    /// number.
    pub fn diff(
        &self,
        specs: &[TopicSpec],
        partitions: Option<u32>,
    ) -> PortResult<Vec<Difference>> {
        let (topics, brokers) = self.topics()?;
        let wanted: Vec<String> = specs.iter().map(|spec| self.name(spec)).collect();
        let known: Vec<&str> = wanted
            .iter()
            .map(String::as_str)
            .filter(|name| topics.iter().any(|(found, ..)| found == name))
            .collect();
        let configs = self.configs(&known)?;
        let mut differences = Vec::new();
        for (spec, topic) in specs.iter().zip(&wanted) {
            let Some((_, found, _)) = topics.iter().find(|(name, ..)| name == topic) else {
                differences.push(Difference::Missing {
                    topic: topic.clone(),
                });
                continue;
            };
            let number = partitions.unwrap_or(spec.partitions);
            if *found != number {
                differences.push(Difference::Partitions {
                    topic: topic.clone(),
                    wanted: number,
                    found: *found,
                });
            }
            let nothing = BTreeMap::new();
            let config = configs.get(topic).unwrap_or(&nothing);
            for (setting, value) in settings(spec, brokers) {
                let found = config.get(&setting).map(|(value, _)| value.as_str());
                if found != Some(value.as_str()) {
                    differences.push(Difference::Config {
                        topic: topic.clone(),
                        setting,
                        wanted: value,
                        found: found.unwrap_or("not set").to_owned(),
                    });
                }
            }
        }
        let beside =
            |name: &str| self.is_beside_ours(name, specs) && !wanted.iter().any(|w| w == name);
        differences.extend(
            topics
                .into_iter()
                .filter(|(name, ..)| beside(name))
                .map(|(topic, ..)| Difference::Extra { topic }),
        );
        Ok(differences)
    }

    /// Makes missing topics and sets what differs. Never changes a number of partitions, never
    /// deletes. On a cluster of fewer brokers than `replicas`, topics get as many as there are.
    pub fn apply(&self, specs: &[TopicSpec], partitions: Option<u32>) -> PortResult<Applied> {
        let mut applied = Applied::default();
        let (_, brokers) = self.topics()?;
        let mut altered: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let mut missing = Vec::new();
        for difference in self.diff(specs, partitions)? {
            match difference {
                Difference::Missing { topic } => missing.push(topic),
                Difference::Config {
                    topic,
                    setting,
                    wanted,
                    ..
                } => {
                    altered.entry(topic).or_default().insert(setting, wanted);
                }
                refused @ Difference::Partitions { .. } => applied.refused.push(refused),
                Difference::Extra { .. } => {}
            }
        }
        for spec in specs {
            let topic = self.name(spec);
            if missing.contains(&topic) {
                self.create(&topic, spec, partitions.unwrap_or(spec.partitions), brokers)?;
                applied.created.push(topic);
            }
        }
        self.await_shown(&applied.created)?;
        let names: Vec<&str> = altered.keys().map(String::as_str).collect();
        let before = self.configs(&names)?;
        for (topic, changes) in altered {
            self.alter(&topic, &changes, before.get(&topic))?;
            applied.altered.push(topic);
        }
        Ok(applied)
    }

    /// Waits until the brokers show new topics. The controller answers before they do, and a
    /// process started in between would find topics absent.
    fn await_shown(&self, created: &[String]) -> PortResult<()> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            let (topics, _) = self.topics()?;
            let hidden = |name: &&String| !topics.iter().any(|(shown, ..)| shown == *name);
            let Some(name) = created.iter().find(hidden) else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                return Err(PortError::Transient(format!(
                    "Kafka has created {name} but does not show it yet; look again with `skyherd topics diff`"
                )));
            }
            std::thread::park_timeout(SHOWN_REST);
        }
    }

    fn name(&self, spec: &TopicSpec) -> String {
        format!("{}{}", self.options.topic_prefix, spec.name)
    }

    /// Whether a topic stands among ours: under our prefix, or under the first part of one of our
    /// dotted names.
    fn is_beside_ours(&self, name: &str, specs: &[TopicSpec]) -> bool {
        if !self.options.topic_prefix.is_empty() {
            return name.starts_with(&self.options.topic_prefix);
        }
        let first = name.split_once('.').map(|(first, _)| first);
        first.is_some()
            && specs
                .iter()
                .any(|spec| spec.name.split_once('.').map(|(first, _)| first) == first)
    }

    /// Names, partitions and replicas of all topics, and how many brokers there are.
    fn topics(&self) -> PortResult<(Vec<Shape>, u32)> {
        let metadata = metadata(self.client.inner(), &self.options, ANSWER_WITHIN)?;
        let mut topics: Vec<_> = metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none() && !topic.name().starts_with("__"))
            .map(|topic| {
                let partitions = topic.partitions();
                let replicas = partitions.first().map_or(0, |first| first.replicas().len());
                (
                    topic.name().to_owned(),
                    partitions.len() as u32,
                    replicas as u32,
                )
            })
            .collect();
        topics.sort();
        Ok((topics, metadata.brokers().len() as u32))
    }

    fn configs(&self, names: &[&str]) -> PortResult<BTreeMap<String, Settings>> {
        const DOING: &str = "ask Kafka for the settings of its topics";
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let asked: Vec<_> = names
            .iter()
            .map(|name| ResourceSpecifier::Topic(name))
            .collect();
        let answers = wait_for(self.client.describe_configs(&asked, &request()))
            .map_err(|error| port_error(DOING, &error))?;
        let mut configs = BTreeMap::new();
        for answer in answers {
            let resource = answer.map_err(|code| port_error(DOING, &KafkaError::AdminOp(code)))?;
            if let OwnedResourceSpecifier::Topic(name) = resource.specifier {
                let entries = resource.entries.into_iter().map(|entry| {
                    let own = entry.source == ConfigSource::DynamicTopic;
                    (entry.name, (entry.value.unwrap_or_default(), own))
                });
                configs.insert(name, entries.collect());
            }
        }
        Ok(configs)
    }

    fn create(
        &self,
        topic: &str,
        spec: &TopicSpec,
        partitions: u32,
        brokers: u32,
    ) -> PortResult<()> {
        let replicas = spec.replicas.min(brokers).max(1);
        let config = settings(spec, brokers);
        let mut wanted = NewTopic::new(
            topic,
            partitions as i32,
            TopicReplication::Fixed(replicas as i32),
        );
        for (name, value) in &config {
            wanted = wanted.set(name, value);
        }
        let answers = wait_for(self.client.create_topics([&wanted], &request()))
            .map_err(|error| port_error(&format!("create {topic}"), &error))?;
        first_refusal(
            answers.into_iter().map(|answer| answer.map(|_| ())),
            |code| {
                // Another `apply` made it meanwhile.
                code == Code::TopicAlreadyExists
            },
        )
        .map_err(|code| refused(&format!("create {topic}"), code))
    }

    /// Sets `changes` beside what is set for the topic already: librdkafka's only safe request
    /// here replaces all settings of a topic, so the others are sent along.
    fn alter(
        &self,
        topic: &str,
        changes: &BTreeMap<String, String>,
        before: Option<&Settings>,
    ) -> PortResult<()> {
        let mut all: BTreeMap<&str, &str> = before
            .into_iter()
            .flatten()
            .filter(|(_, (_, own))| *own)
            .map(|(name, (value, _))| (name.as_str(), value.as_str()))
            .collect();
        all.extend(
            changes
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let mut wanted = AlterConfig::new(ResourceSpecifier::Topic(topic));
        for (name, value) in all {
            wanted = wanted.set(name, value);
        }
        let answers = wait_for(self.client.alter_configs([&wanted], &request()))
            .map_err(|error| port_error(&format!("change the settings of {topic}"), &error))?;
        let answers = answers.into_iter().map(|answer| match answer {
            Ok(_) => Ok(()),
            Err((_, code)) => Err((topic.to_owned(), code)),
        });
        first_refusal(answers, |_| false)
            .map_err(|code| refused(&format!("change the settings of {topic}"), code))
    }
}

/// The manifest's settings, with in-sync replicas a small cluster can have.
fn settings(spec: &TopicSpec, brokers: u32) -> BTreeMap<String, String> {
    let mut config = spec.config.clone();
    let replicas = spec.replicas.min(brokers).max(1);
    if let Some(insync) = config.get_mut("min.insync.replicas")
        && replicas < spec.replicas
        && let Ok(wanted) = insync.parse::<u32>()
    {
        *insync = wanted.min(replicas.saturating_sub(1).max(1)).to_string();
    }
    config
}

fn first_refusal(
    answers: impl Iterator<Item = Result<(), (String, Code)>>,
    passes: impl Fn(Code) -> bool,
) -> Result<(), Code> {
    for answer in answers {
        if let Err((_, code)) = answer
            && !passes(code)
        {
            return Err(code);
        }
    }
    Ok(())
}

fn refused(doing: &str, code: Code) -> PortError {
    port_error(doing, &KafkaError::AdminOp(code))
}

fn request() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(ANSWER_WITHIN))
        .operation_timeout(Some(ANSWER_WITHIN))
}

struct Unpark(Thread);
impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread for an answer that librdkafka's own thread brings within the request's
/// timeout.
fn wait_for<T>(answer: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut answer = pin!(answer);
    loop {
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
