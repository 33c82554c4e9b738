//! The exemptions of the file: what is meant to be so, until when, and why.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use super::{Config, Problem, nearest};
use crate::model::{Exemption as Word, Timestamp};
use crate::rules::RULES;
use crate::rules::exempt::{Entry, Exemptions, rules_like};

/// One exemption. Its conditions hold together, and one that is left out always does; of several
/// entries one is enough. In every condition `*` stands for any text and `?` for any letter.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exemption {
    /// Rules, such as `COST-EBS-1` or `SEC-*`.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Accounts.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Regions.
    #[serde(default)]
    pub regions: Vec<String>,
    /// Resources, such as `volume/*` or `vol-0abc`.
    #[serde(default)]
    pub resources: Vec<String>,
    /// Tags the resource has, by key.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// The day that ends it as it begins in UTC, or a time in RFC 3339.
    #[serde(deserialize_with = "until")]
    #[schemars(with = "String")]
    pub until: Timestamp,
    /// Why it is meant to be so.
    pub reason: String,
}

/// Text, or a date as TOML writes it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a day such as 2027-01-31")]
enum Day {
    Text(String),
    Date(toml::value::Datetime),
}

fn until<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = match Day::deserialize(deserializer)? {
        Day::Text(text) => text,
        Day::Date(date) => date.to_string(),
    };
    Word::parse_until(&text).map_err(|_| {
        let what = format!("until = {text:?} is no day; write it as 2027-01-31");
        serde::de::Error::custom(what)
    })
}

impl Exemption {
    fn entry(&self) -> Entry {
        Entry {
            rules: self.rules.clone(),
            accounts: self.accounts.clone(),
            regions: self.regions.clone(),
            resources: self.resources.clone(),
            tags: self.tags.clone(),
            until: self.until,
            reason: self.reason.clone(),
        }
    }

    fn problems(&self, number: usize, problems: &mut Vec<Problem>) {
        let mut add = |what: String, hint: &str| {
            let what = format!("entry {number}: {what}");
            problems.push(Problem::new("exemptions", what, hint));
        };
        for pattern in &self.rules {
            if rules_like(pattern).next().is_none() {
                let ids: Vec<&str> = RULES.iter().map(|rule| rule.meta().id).collect();
                let hint = nearest(&pattern.to_ascii_uppercase(), &ids);
                add(format!("there is no rule {pattern:?}"), &hint);
            }
        }
        if self.reason.trim().is_empty() {
            add(
                "the reason is empty".into(),
                "say why it is meant to be so; whoever meets the finding reads it",
            );
        }
        let lists = [&self.rules, &self.accounts, &self.regions, &self.resources];
        if lists.iter().any(|list| list.iter().any(String::is_empty)) {
            add(
                "a condition is an empty text, which nothing fits".into(),
                "leave the condition out, or write \"*\"",
            );
        }
        if self.tags.is_empty() && lists.iter().all(|list| list.is_empty()) {
            add(
                "no condition is given, so it would mute everything".into(),
                "name rules, accounts, regions, resources or tags; rules = [\"*\"] if all is meant",
            );
        }
    }
}

impl Config {
    /// The exemptions as agents apply them.
    pub fn exempt(&self) -> Exemptions {
        Exemptions::new(self.exemptions.iter().map(Exemption::entry).collect())
    }

    pub(super) fn exemption_problems(&self, problems: &mut Vec<Problem>) {
        let mut seen = BTreeSet::new();
        for (index, exemption) in self.exemptions.iter().enumerate() {
            exemption.problems(index + 1, problems);
            if !seen.insert(format!("{exemption:?}")) {
                problems.push(Problem::new(
                    "exemptions",
                    format!("entry {} repeats another", index + 1),
                    "remove one of them",
                ));
            }
        }
    }

    /// What of these settings has no effect any more at `now`, though nothing is wrong with it: a
    /// service must still start the day after an exemption ended.
    pub fn outdated(&self, now: Timestamp) -> Vec<Problem> {
        let ended = |(index, exemption): (usize, &Exemption)| {
            (exemption.until <= now).then(|| {
                let what = format!("entry {} ended {}", index + 1, exemption.until);
                let hint = "remove it, or give it a later day if it still is meant to be so";
                Problem::new("exemptions", what, hint)
            })
        };
        let entries = self.exemptions.iter().enumerate();
        entries.filter_map(ended).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Loaded, load};

    fn loaded(text: &str) -> Loaded {
        load(text, &[], Config::default())
    }

    fn told(text: &str) -> Vec<(String, String)> {
        let problems = loaded(text).problems.into_iter();
        problems
            .inspect(|problem| assert_eq!(problem.path, "exemptions"))
            .map(|problem| (problem.what, problem.hint))
            .collect()
    }

    #[test]
    fn a_day_may_be_written_as_text_or_as_toml_writes_dates() {
        let ends = [
            "'2027-01-31'",
            "2027-01-31",
            "2027-01-31T00:00:00Z",
            "'2027-01-31T01:00:00+01:00'",
        ];
        for until in ends {
            let text = format!("[[exemptions]]\nrules = ['*']\nuntil = {until}\nreason = 'x'");
            let loaded = loaded(&text);
            assert_eq!(loaded.problems, [], "{until}");
            let end = loaded.config.exemptions[0].until;
            assert_eq!(end.to_string(), "2027-01-31T00:00:00Z");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_told_with_a_way_out() {
        let entry = |text: &str| format!("[[exemptions]]\n{text}\n");
        let end = "until = 2027-01-31\nreason = 'x'";
        let wrong = told(&entry(&format!("rules = ['COST-EBS-7', 'SEC-*']\n{end}")));
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(
            wrong[0]
                .0
                .contains("entry 1: there is no rule \"COST-EBS-7\"")
        );
        assert!(
            wrong[0].1.starts_with("did you mean COST-EBS-"),
            "{wrong:?}"
        );
        let bare = told(&entry(end));
        assert!(bare[0].0.contains("mute everything"), "{bare:?}");
        let silent = told(&entry("rules = ['*']\nuntil = 2027-01-31\nreason = ' '"));
        assert!(silent[0].0.contains("reason is empty"), "{silent:?}");
        for (missing, text) in [
            ("until", "rules = ['*']\nreason = 'x'"),
            ("reason", "rules = ['*']\nuntil = 2027-01-31"),
            ("soon", "rules = ['*']\nreason = 'x'\nuntil = 'soon'"),
            ("rule", "rule = ['*']\nreason = 'x'\nuntil = 2027-01-31"),
        ] {
            let wrong = told(&entry(text));
            assert!(
                wrong.len() == 1 && wrong[0].0.contains(missing),
                "{wrong:?}"
            );
        }
        let twice = entry(&format!("rules = ['*']\n{end}")).repeat(2);
        assert!(told(&twice)[0].0.contains("entry 2 repeats"));
        let empty = told(&entry(&format!("rules = ['*']\nregions = ['']\n{end}")));
        assert!(empty[0].0.contains("empty text"), "{empty:?}");
    }

    #[test]
    fn an_ended_entry_is_outdated_and_no_problem() {
        let text = "[[exemptions]]\nrules = ['*']\nuntil = 2026-01-31\nreason = 'x'";
        let loaded = loaded(text);
        assert_eq!(loaded.problems, []);
        let at = |text: &str| Word::parse_until(text).unwrap();
        assert_eq!(loaded.config.outdated(at("2026-01-30")), []);
        let outdated = loaded.config.outdated(at("2026-01-31"));
        assert!(
            outdated[0]
                .what
                .contains("entry 1 ended 2026-01-31T00:00:00Z")
        );
    }
}
