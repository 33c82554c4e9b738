//! Budgets of the file: what an account may cost a month, without AWS being asked.

use std::collections::BTreeSet;

use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, Problem, list};
use crate::model::Usd;
use crate::rules::budget::{Plan, THRESHOLDS};

/// Most a threshold may be, in percent.
const PERCENT_MAX: u8 = 200;

/// What an account may cost a month.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Its name, by which findings call it.
    pub name: String,
    /// The accounts it is for, each by itself; every one when empty.
    #[serde(default, deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    pub accounts: Vec<String>,
    /// Whole US dollars a calendar month, in UTC.
    pub monthly_usd: u32,
    /// Percent of it that are told when they are spent.
    #[serde(default = "thresholds")]
    pub thresholds: Vec<u8>,
}

fn thresholds() -> Vec<u8> {
    THRESHOLDS.to_vec()
}

impl Config {
    /// The budgets as the cost agent takes them.
    pub fn plans(&self) -> Vec<Plan> {
        let plan = |budget: &Budget| Plan {
            name: budget.name.as_str().into(),
            accounts: budget.accounts.clone(),
            limit: Usd::new(Decimal::from(budget.monthly_usd)),
            thresholds: budget.thresholds.clone(),
        };
        self.budgets.iter().map(plan).collect()
    }

    pub(super) fn budget_problems(&self, problems: &mut Vec<Problem>) {
        let mut names = BTreeSet::new();
        for (index, budget) in self.budgets.iter().enumerate() {
            let mut add = |field: &str, what: String, hint: &str| {
                let path = format!("budgets.{}.{field}", index + 1);
                problems.push(Problem::new(&path, what, hint));
            };
            let name = &budget.name;
            if name.trim().is_empty() || name.len() > 100 || name.contains('/') {
                let what = format!("{name:?} is no name of 1 to 100 bytes without a slash");
                add("name", what, "name it as people call it");
            } else if !names.insert(name) {
                let what = format!("{name:?} names a budget before it too");
                add("name", what, "give each a name of its own");
            }
            if budget.monthly_usd == 0 {
                let what = "0 has no parts that could be spent".to_owned();
                add("monthly_usd", what, "take at least 1");
            }
            let within = |part: &u8| (1..=PERCENT_MAX).contains(part);
            if budget.thresholds.is_empty() || !budget.thresholds.iter().all(within) {
                let what = format!(
                    "{:?} are not percents of 1 to {PERCENT_MAX}",
                    budget.thresholds
                );
                add("thresholds", what, "leave it out for 50, 80 and 100");
            }
            for account in &budget.accounts {
                if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
                    let what = format!("{account:?} is not 12 digits");
                    add("accounts", what, "quote it, so that leading zeros stay");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    #[test]
    fn a_budget_takes_a_name_and_a_sum_and_every_wrong_one_is_told() {
        let text = "[[budgets]]\nname = 'platform'\nmonthly_usd = 1200\n";
        let loaded = load(text, &[], Config::default());
        assert_eq!(loaded.problems, []);
        let plans = loaded.config.plans();
        assert_eq!(plans[0].thresholds, [50, 80, 100]);
        assert_eq!(plans[0].limit.to_string(), "$1200.00");
        let text = "[[budgets]]\nname = ''\nmonthly_usd = 0\nthresholds = [0]\naccounts = ['1']\n\
                    [[budgets]]\nname = 'a'\nmonthly_usd = 1\n[[budgets]]\nname = 'a'\nmonthly_usd = 1\nthresholds = []";
        let problems = load(text, &[], Config::default()).problems;
        let paths: Vec<&str> = problems
            .iter()
            .map(|problem| problem.path.as_str())
            .collect();
        let all = [
            "budgets.1.accounts",
            "budgets.1.monthly_usd",
            "budgets.1.name",
            "budgets.1.thresholds",
            "budgets.3.name",
            "budgets.3.thresholds",
        ];
        assert_eq!(paths, all);
    }
}
