//! Who is exempt from which rule: the word of a resource's tag, or of the configuration.
//!
//! A pure function of rule, resource, tags, entries and the task's clock. Of several exemptions
//! that hold, the one that lasts longest is told.

use std::collections::BTreeMap;
use std::fmt;

use smol_str::SmolStr;
use wildmatch::WildMatch;

use super::{RULES, rule};
use crate::model::{ExemptedBy, Exemption, Subject, Timestamp};

/// The tag by which a resource is exempt, in any case.
pub const TAG: &str = "skyherd:exempt";

/// A resource's tags, by key.
pub type Tags = BTreeMap<SmolStr, SmolStr>;

/// What a tag's value says: `COST-EBS-1 SEC-SG-1 until=2027-01-31 reason=kept for the audit`.
///
/// Words are parted by spaces; commas and semicolons do as well where they are allowed, which they
/// are not in EC2's tags. `all` or `*` stands for every rule. The reason is the rest of the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spoken {
    /// Rules it names; `None` for all.
    rules: Option<Vec<&'static str>>,
    /// Words that are neither a rule nor a setting; the others hold all the same.
    pub unknown: Vec<SmolStr>,
    /// When it ends.
    pub until: Timestamp,
    /// Why; may be empty.
    pub reason: String,
}

/// Why a tag's value exempts from nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// It names no rule of ours; the words it has instead.
    NoRule(Vec<SmolStr>),
    /// Nothing says when it ends.
    NoEnd,
    /// What says when it ends is neither a day nor a time.
    BadEnd(SmolStr),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRule(words) if words.is_empty() => f.write_str("it names no rule"),
            Self::NoRule(words) => write!(f, "it names no rule, but {}", words.join(", ")),
            Self::NoEnd => f.write_str("it does not say until when; add until=YYYY-MM-DD"),
            Self::BadEnd(text) => write!(f, "until={text} is no day; write until=YYYY-MM-DD"),
        }
    }
}

impl Spoken {
    /// Reads the value of the tag.
    pub fn parse(value: &str) -> Result<Self, Flaw> {
        let (head, reason) = split_reason(value);
        let (mut rules, mut all, mut unknown, mut until) = (Vec::new(), false, Vec::new(), None);
        for word in head.split(part).filter(|word| !word.is_empty()) {
            let upper = word.to_ascii_uppercase();
            match (upper.as_str(), word.split_once('=')) {
                ("ALL" | "*", _) => all = true,
                (_, Some((name, day))) if name.eq_ignore_ascii_case("until") => {
                    let end = Exemption::parse_until(day);
                    until = Some(end.map_err(|_| Flaw::BadEnd(day.into()))?);
                }
                (id, _) => match rule(id) {
                    Some(rule) => rules.push(rule.meta().id),
                    None => unknown.push(SmolStr::from(word)),
                },
            }
        }
        if rules.is_empty() && !all {
            return Err(Flaw::NoRule(unknown));
        }
        Ok(Self {
            rules: (!all).then_some(rules),
            unknown,
            until: until.ok_or(Flaw::NoEnd)?,
            reason: reason.to_owned(),
        })
    }

    /// What the resource's tag says, if it has one.
    pub fn of(tags: &Tags) -> Option<Result<Self, Flaw>> {
        let tagged = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(TAG));
        tagged.map(|(_, value)| Self::parse(value))
    }

    /// Whether it names the rule.
    pub fn names(&self, rule: &str) -> bool {
        let named = |rules: &Vec<&str>| rules.contains(&rule);
        self.rules.as_ref().is_none_or(named)
    }
}

fn part(letter: char) -> bool {
    letter.is_whitespace() || letter == ',' || letter == ';'
}

/// The value without its reason, and the reason.
fn split_reason(value: &str) -> (&str, &str) {
    const REASON: &str = "reason=";
    // Only ASCII letters change, so places in the copy are places in the value.
    let lower = value.to_ascii_lowercase();
    let at = lower
        .match_indices(REASON)
        .map(|(at, _)| at)
        .find(|at| value[..*at].chars().next_back().is_none_or(part));
    match at {
        None => (value, ""),
        Some(at) => (&value[..at], value[at + REASON.len()..].trim()),
    }
}

/// One entry of the configuration. Its conditions hold together; one that is left empty always does.
/// `*` in them stands for any text, `?` for any letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Ids of rules.
    pub rules: Vec<String>,
    /// Accounts.
    pub accounts: Vec<String>,
    /// Regions.
    pub regions: Vec<String>,
    /// Resources, as `volume/vol-0abc` or by id alone.
    pub resources: Vec<String>,
    /// Values of tags by key; all have to be there.
    pub tags: BTreeMap<String, String>,
    /// When it ends.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl Entry {
    fn covers(&self, rule: &str, subject: &Subject, tags: Option<&Tags>) -> bool {
        let any = |patterns: &[String], texts: &[&str]| {
            let fits = |pattern: &String| texts.iter().any(|text| glob(pattern, text));
            patterns.is_empty() || patterns.iter().any(fits)
        };
        any(&self.rules, &[rule])
            && any(&self.accounts, &[subject.account()])
            && any(&self.regions, &[subject.region()])
            && any(&self.resources, &[subject.resource(), subject.id()])
            && self.tags.iter().all(|(key, pattern)| {
                let value = tags.and_then(|tags| tags.get(key.as_str()));
                value.is_some_and(|value| glob(pattern, value))
            })
    }
}

/// Rules that a pattern of [`Entry::rules`] stands for.
pub fn rules_like(pattern: &str) -> impl Iterator<Item = &'static str> {
    let ids = RULES.iter().map(|rule| rule.meta().id);
    ids.filter(move |id| glob(pattern, id))
}

/// The exemptions of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exemptions(Vec<Entry>);

impl Exemptions {
    /// Those of these entries.
    pub fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// What exempts the resource with these tags from the rule now, if anything does.
    pub fn find(
        &self,
        rule: &str,
        subject: &Subject,
        tags: Option<&Tags>,
        now: Timestamp,
    ) -> Option<Exemption> {
        let entries = self.0.iter();
        let configured = entries
            .filter(|entry| now < entry.until && entry.covers(rule, subject, tags))
            .map(|entry| (entry.until, ExemptedBy::Configuration, &entry.reason));
        let spoken = tags.and_then(Spoken::of).and_then(Result::ok);
        let tagged = spoken
            .iter()
            .filter(|spoken| now < spoken.until && spoken.names(rule))
            .map(|spoken| (spoken.until, ExemptedBy::Tag, &spoken.reason));
        let (until, by, reason) = configured.chain(tagged).max()?;
        Some(Exemption {
            by,
            reason: reason.clone(),
            until,
        })
    }
}

/// Whether the whole text fits a pattern of `*` (any text) and `?` (any letter).
fn glob(pattern: &str, text: &str) -> bool {
    WildMatch::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Timestamp {
        Exemption::parse_until(text).unwrap()
    }

    #[test]
    fn the_spelling_aws_allows_and_the_one_with_semicolons_say_the_same() {
        let plain = "COST-EBS-1 SEC-SG-1 until=2027-01-31 reason=kept for the audit";
        // EC2 takes letters, digits, spaces and these in a tag's value.
        assert!(
            plain
                .chars()
                .all(|letter| letter.is_alphanumeric() || " _.:/=+-@".contains(letter))
        );
        let spoken = Spoken::parse(plain).unwrap();
        assert_eq!(spoken.until, day("2027-01-31"));
        assert_eq!(spoken.until.to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(spoken.reason, "kept for the audit");
        assert!(spoken.names("COST-EBS-1") && spoken.names("SEC-SG-1"));
        assert!(!spoken.names("COST-EBS-3"));
        let other = "cost-ebs-1,SEC-SG-1;until=2027-01-31;reason=kept for the audit";
        assert_eq!(Spoken::parse(other).unwrap(), spoken);
        for all in ["all until=2027-01-31", "*;until=2027-01-31T00:00:00Z"] {
            let spoken = Spoken::parse(all).unwrap();
            assert!(spoken.names("COST-EBS-1") && spoken.reason.is_empty());
            assert_eq!(spoken.until, day("2027-01-31"));
        }
    }

    #[test]
    fn an_exemption_without_end_or_rule_exempts_from_nothing() {
        let flaw = |value| Spoken::parse(value).unwrap_err();
        assert_eq!(flaw("COST-EBS-1"), Flaw::NoEnd);
        // What follows the reason belongs to it.
        assert_eq!(flaw("all reason=x until=2027-01-31"), Flaw::NoEnd);
        assert_eq!(flaw("all until=soon"), Flaw::BadEnd("soon".into()));
        assert_eq!(
            flaw("all until=2027-02-31"),
            Flaw::BadEnd("2027-02-31".into())
        );
        assert_eq!(flaw(""), Flaw::NoRule(vec![]));
        let unknown = Flaw::NoRule(vec!["COST-EBS-9".into()]);
        assert_eq!(flaw("COST-EBS-9 until=2027-01-31"), unknown);
        let spoken = Spoken::parse("COST-EBS-9 COST-EBS-1 until=2027-01-31").unwrap();
        assert!(spoken.names("COST-EBS-1"));
        assert_eq!(spoken.unknown, ["COST-EBS-9"]);
    }

    fn entry() -> Entry {
        Entry {
            rules: Vec::new(),
            accounts: Vec::new(),
            regions: Vec::new(),
            resources: Vec::new(),
            tags: BTreeMap::new(),
            until: day("2027-01-31"),
            reason: "so it is meant".into(),
        }
    }

    #[test]
    fn conditions_of_an_entry_hold_together_and_one_entry_is_enough() {
        let volume = Subject::new("111122223333", "eu-west-1", "volume/vol-0abc");
        let tags = Tags::from([("Stage".into(), "sandbox".into())]);
        let now = day("2026-11-01");
        let texts = |text: &str| vec![text.to_owned()];
        let holds = |entries: Vec<Entry>| {
            let exemptions = Exemptions::new(entries);
            exemptions
                .find("COST-EBS-1", &volume, Some(&tags), now)
                .is_some()
        };
        let fits = Entry {
            rules: vec!["SEC-SG-1".into(), "COST-*".into()],
            accounts: texts("111122223333"),
            regions: texts("eu-*"),
            resources: texts("volume/vol-0*"),
            tags: BTreeMap::from([("Stage".to_owned(), "sand*".to_owned())]),
            ..entry()
        };
        assert!(holds(vec![fits.clone()]));
        let misses = [
            Entry {
                rules: texts("SEC-*"),
                ..fits.clone()
            },
            Entry {
                accounts: texts("999988887777"),
                ..fits.clone()
            },
            Entry {
                regions: texts("us-*"),
                ..fits.clone()
            },
            Entry {
                resources: texts("vol-1*"),
                ..fits.clone()
            },
            Entry {
                tags: BTreeMap::from([("Stage".to_owned(), "live".to_owned())]),
                ..fits.clone()
            },
            Entry {
                tags: BTreeMap::from([("Team".to_owned(), "*".to_owned())]),
                ..fits.clone()
            },
            Entry {
                until: now,
                ..fits.clone()
            },
        ];
        for miss in &misses {
            assert!(!holds(vec![miss.clone()]), "{miss:?}");
        }
        let mut all = misses.to_vec();
        all.push(fits);
        assert!(holds(all));
    }

    #[test]
    fn the_exemption_that_lasts_longest_is_told() {
        let volume = Subject::new("111122223333", "eu-west-1", "volume/vol-0abc");
        let tags = Tags::from([(TAG.into(), "all until=2027-03-01".into())]);
        let exemptions = Exemptions::new(vec![entry()]);
        let told = |now| exemptions.find("COST-EBS-1", &volume, Some(&tags), day(now));
        let by = |now| told(now).map(|exemption| exemption.by);
        assert_eq!(by("2026-11-01"), Some(ExemptedBy::Tag));
        assert_eq!(by("2027-03-01"), None);
        let without = exemptions.find("COST-EBS-1", &volume, None, day("2026-11-01"));
        assert_eq!(without.unwrap().by, ExemptedBy::Configuration);
    }

    #[test]
    fn a_pattern_fits_whole_texts_only() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "a", false),
            ("vol-*", "vol-0abc", true),
            ("vol-*", "my-vol-0abc", false),
            ("*a*b", "xaxbxb", true),
            ("*a*b", "xaxbx", false),
            ("v?l", "vol", true),
            ("v?l", "vl", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }
}
