//! Flap control as a function of the data, not of the order it came in.
//!
//! A rule over metrics is judged once for every time that has a point. The newest verdicts are
//! kept with their times, so that a late point puts its verdict where it belongs; what came
//! before them is folded into a few bits.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// Verdicts that may still be revised by late points.
pub const ENTRIES: usize = 8;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "(bool, bool, u8)", into = "(bool, bool, u8)")]
struct Machine {
    open: bool,
    ever: bool,
    run: u8,
}
impl From<(bool, bool, u8)> for Machine {
    fn from((open, ever, run): (bool, bool, u8)) -> Self {
        Self { open, ever, run }
    }
}
impl From<Machine> for (bool, bool, u8) {
    fn from(machine: Machine) -> Self {
        (machine.open, machine.ever, machine.run)
    }
}

impl Machine {
    fn step(mut self, found: bool, reopen_after: u8, clear_after: u8) -> Self {
        if found == self.open {
            self.run = 0;
            return self;
        }
        self.run = self.run.saturating_add(1);
        let needed = match (self.open, self.ever) {
            (true, _) => clear_after,
            (false, true) => reopen_after,
            (false, false) => 1,
        };
        if self.run >= needed {
            self = Self {
                open: found,
                ever: true,
                run: 0,
            };
        }
        self
    }
}

/// Verdicts of one rule on one subject.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Flap {
    #[serde(default, rename = "b")]
    base: Machine,
    /// Time of the last verdict folded into `base`.
    #[serde(default, rename = "f", skip_serializing_if = "Option::is_none")]
    folded: Option<Timestamp>,
    /// Sorted by time.
    #[serde(default, rename = "e")]
    entries: Vec<(Timestamp, bool)>,
}

impl Flap {
    /// A finding that an earlier owner published.
    pub fn adopted(open: bool) -> Self {
        Self {
            base: Machine {
                open,
                ever: true,
                run: 0,
            },
            ..Self::default()
        }
    }

    /// Whether the verdict as of `at` may still be written.
    pub fn revisable(&self, at: Timestamp) -> bool {
        self.folded.is_none_or(|folded| at > folded)
    }

    /// The newest verdict, if it is of the same UTC day as `at` and not later.
    pub fn of_day(&self, at: Timestamp) -> Option<bool> {
        let (newest, found) = self.entries.last()?;
        (newest.day() == at.day() && *newest <= at).then_some(*found)
    }

    /// Writes the verdict as of `at`; `None` is silence, which is no verdict.
    pub fn set(&mut self, at: Timestamp, found: Option<bool>, reopen_after: u8, clear_after: u8) {
        if !self.revisable(at) {
            return;
        }
        let place = self.entries.binary_search_by_key(&at, |(at, _)| *at);
        match (place, found) {
            (Ok(index), Some(found)) => self.entries[index].1 = found,
            (Ok(index), None) => {
                self.entries.remove(index);
            }
            (Err(index), Some(found)) => self.entries.insert(index, (at, found)),
            (Err(_), None) => {}
        }
        if self.entries.len() > ENTRIES {
            let (at, found) = self.entries.remove(0);
            self.base = self.base.step(found, reopen_after, clear_after);
            self.folded = Some(at);
        }
    }

    /// Whether the finding is open, and when it last changed, if that can still be told.
    pub fn fold(&self, reopen_after: u8, clear_after: u8) -> (bool, Option<Timestamp>) {
        let mut machine = self.base;
        let mut changed = None;
        for (at, found) in &self.entries {
            let next = machine.step(*found, reopen_after, clear_after);
            if next.open != machine.open {
                changed = Some(*at);
            }
            machine = next;
        }
        (machine.open, changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(verdicts: &[bool]) -> Vec<bool> {
        let mut flap = Flap::default();
        verdicts
            .iter()
            .enumerate()
            .map(|(index, found)| {
                flap.set(Timestamp::from_ms(index as i64), Some(*found), 2, 2);
                flap.fold(2, 2).0
            })
            .collect()
    }

    #[test]
    fn the_first_finding_opens_at_once_and_two_clean_ones_close_it() {
        let (f, c) = (true, false);
        assert_eq!(run(&[c, f, c, f, c, c, c]), [c, f, f, f, f, c, c]);
    }

    #[test]
    fn a_closed_finding_needs_two_in_a_row_to_open_again() {
        let (f, c) = (true, false);
        assert_eq!(run(&[f, c, c, f, c, f, f]), [f, f, c, c, c, c, f]);
    }

    #[test]
    fn memory_of_old_verdicts_survives_their_leaving() {
        let mut verdicts = vec![true, false, false];
        verdicts.extend([false; 20]);
        verdicts.push(true);
        assert_eq!(run(&verdicts).last(), Some(&false));
    }

    #[test]
    fn a_late_verdict_gives_what_it_would_have_given_in_time() {
        let verdicts = [true, true, false, true, false, false];
        let mut in_time = Flap::default();
        for (index, found) in verdicts.iter().enumerate() {
            in_time.set(Timestamp::from_ms(index as i64), Some(*found), 2, 2);
        }
        let mut late = Flap::default();
        for index in [5, 0, 3, 1, 4, 2_usize] {
            late.set(
                Timestamp::from_ms(index as i64),
                Some(verdicts[index]),
                2,
                2,
            );
        }
        assert_eq!(in_time, late);
        assert_eq!(late.fold(2, 2), (false, Some(Timestamp::from_ms(5))));
    }
}
