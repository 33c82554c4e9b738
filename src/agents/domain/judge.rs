//! Memory → verdicts: which rules are asked, and as of when.

use smallvec::SmallVec;
use smol_str::SmolStr;

use super::RuleRef;
use super::edges::Turn;
use super::flap::Flap;
use super::state::finding_key;
use crate::model::{Edge, Event, Timestamp};
use crate::rules::stats::Series;
use crate::rules::{Case, Meta, Rule, Verdict};

impl Turn<'_> {
    fn case(&self, as_of: Timestamp) -> Case<'_> {
        Case {
            subject: self.key,
            now: self.now,
            as_of,
            memory: &self.state.memory,
            event: None,
        }
    }

    /// Judges every rule that `concerned` picks and that judges this subject.
    pub(super) fn judge(&mut self, concerned: impl Fn(&dyn Rule) -> bool) {
        if self.state.memory.gone() {
            return;
        }
        let agent = self.agent;
        for rule in &agent.rules {
            let meta = rule.meta();
            if !meta.momentary && meta.needs.judges(self.key) && concerned(*rule) {
                self.judge_rule(*rule, None);
            }
        }
    }

    /// Judges one rule. `touched` is the time of the metric point that changed, if it was one.
    pub(super) fn judge_rule(&mut self, rule: RuleRef, touched: Option<Timestamp>) {
        if rule.meta().needs.metrics.is_empty() {
            let verdict = rule.check(&self.case(self.now));
            self.settle(rule.meta(), verdict);
        } else {
            self.judge_series(rule, touched);
        }
        let wake = rule
            .wake_at(&self.case(self.now))
            .filter(|at| *at > self.now);
        let id = rule.meta().id;
        match wake {
            Some(at) => {
                if self.state.wakes.get(id) != Some(&at) {
                    self.state.wakes.insert(SmolStr::new_static(id), at);
                }
            }
            None if self.state.wakes.is_empty() => {}
            None => {
                self.state.wakes.remove(id);
            }
        }
    }

    fn judge_series(&mut self, rule: RuleRef, touched: Option<Timestamp>) {
        let meta = rule.meta();
        let key = finding_key(meta.id, "");
        let is_open = self
            .state
            .findings
            .get(&key)
            .is_some_and(|memory| memory.open);
        let times = self.times_to_judge(meta, touched);
        let mut flap = self
            .state
            .flaps
            .get_mut(meta.id)
            .map(std::mem::take)
            .unwrap_or_default();
        let mut last_found = None;
        let mut newest_found = None;
        for as_of in times {
            if !flap.revisable(as_of) {
                continue;
            }
            let newest = touched == Some(as_of);
            if newest && let Some(same) = self.said_today(rule, &flap, as_of, is_open) {
                flap.set(as_of, Some(same), meta.reopen_after, meta.clear_after);
                continue;
            }
            let verdict = rule.check(&self.case(as_of));
            let says = told(&verdict);
            flap.set(as_of, says, meta.reopen_after, meta.clear_after);
            let found = match verdict {
                Verdict::Found(found) => found.into_iter().next(),
                Verdict::Silent | Verdict::Clear => None,
            };
            if found.is_some() {
                last_found.clone_from(&found);
            }
            newest_found = found;
        }
        let (open, changed) = flap.fold(meta.reopen_after, meta.clear_after);
        if flap != Flap::default() {
            match self.state.flaps.get_mut(meta.id) {
                Some(known) => *known = flap,
                None => {
                    self.state.flaps.insert(SmolStr::new_static(meta.id), flap);
                }
            }
        }
        // What news of the thing made of points known before cannot be older than the news.
        let changed = changed.map(|changed| match touched {
            Some(_) => changed,
            None => changed.max(self.at),
        });
        let at = self.at;
        match (open, is_open) {
            (true, false) => {
                if let Some(found) = last_found {
                    self.at = changed.unwrap_or(at);
                    self.open_or_update(meta, *found);
                }
            }
            (true, true) => {
                if let Some(found) = newest_found {
                    self.open_or_update(meta, *found);
                }
            }
            (false, true) => self.close(&key, Edge::Cleared, changed.unwrap_or(at)),
            (false, false) => {}
        }
        self.at = at;
    }

    /// What a rule of whole days said of an earlier point of this day, so that it need not be
    /// asked again; `None` where an opening needs its reasons.
    fn said_today(
        &self,
        rule: RuleRef,
        flap: &Flap,
        as_of: Timestamp,
        is_open: bool,
    ) -> Option<bool> {
        if !rule.meta().needs.whole_days {
            return None;
        }
        let said = flap.of_day(as_of).filter(|found| !found || is_open)?;
        debug_assert_eq!(
            told(&rule.check(&self.case(as_of))),
            Some(said),
            "{} says one thing of a day",
            rule.meta().id
        );
        Some(said)
    }

    /// Times with a point whose verdict may have changed, oldest first: those from `touched` on,
    /// or all that are still known when something else than a point changed.
    fn times_to_judge(&self, meta: &Meta, touched: Option<Timestamp>) -> SmallVec<[Timestamp; 1]> {
        let series = || {
            meta.needs
                .metrics
                .iter()
                .filter_map(|metric| self.state.memory.series.get(metric.name))
        };
        if let Some(touched) = touched
            && series().all(|series| series.times().next_back() <= Some(touched))
        {
            return smallvec::smallvec![touched];
        }
        let mut times: SmallVec<[Timestamp; 1]> = series()
            .flat_map(Series::times)
            .filter(|at| touched.is_none_or(|touched| *at >= touched))
            .collect();
        times.sort_unstable();
        times.dedup();
        times
    }

    /// Judges a momentary rule on the event at hand.
    pub(super) fn judge_moment(&mut self, rule: RuleRef, event: &Event, at: Timestamp) {
        let case = Case {
            event: Some((event, at)),
            ..self.case(self.now)
        };
        if let Verdict::Found(found) = rule.check(&case) {
            for found in found {
                self.open_or_update(rule.meta(), *found);
            }
        }
    }
}

/// Whether the verdict is yes or no; `None` is silence.
fn told(verdict: &Verdict) -> Option<bool> {
    match verdict {
        Verdict::Silent => None,
        Verdict::Clear => Some(false),
        Verdict::Found(_) => Some(true),
    }
}
