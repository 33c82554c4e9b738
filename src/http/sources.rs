//! How the sources that pull from AWS do, place by place.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::endpoint::Endpoint;
use super::extract::answer;
use super::{Credential, Problem, Shared};
use crate::model::Timestamp;

/// One source in one account and region.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SourceRow {
    /// The account's id; how it is reached, while its id is not known; the place of files.
    pub account: String,
    /// The region; `-` where none was reached.
    pub region: String,
    /// What is pulled: `inventory`, `metrics`, `costs`, `files`, …, or `accounts` for an account that
    /// does not answer.
    pub source: String,
    /// When everything was last taken, without a gap.
    pub last_success: Option<Timestamp>,
    /// When it was last tried.
    pub last_tried: Option<Timestamp>,
    /// Resources, series, or files and deliveries known.
    pub known: u64,
    /// Records published since the process began.
    pub published: u64,
    /// What asking cost since the process began, in US dollars by AWS's list prices.
    pub usd: f64,
    /// What went wrong the last time; empty when nothing did.
    pub errors: Vec<String>,
    /// What there was nothing of, in AWS's words: no savings plan, say, or a thing not switched on.
    pub nothing: Vec<String>,
}

/// Requests to one API of AWS since the process began.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ApiRow {
    /// Its name in IAM actions.
    pub api: String,
    /// Requests sent, retries too.
    pub calls: u64,
    /// Of them, those AWS put off.
    pub throttles: u64,
    /// Of them, those that failed otherwise.
    pub errors: u64,
}

/// How this process's sources do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Sources {
    /// Every source this process pulls, by account, region and source.
    pub sources: Vec<SourceRow>,
    /// Every API asked.
    pub apis: Vec<ApiRow>,
}

pub(super) async fn list(
    State(shared): State<Shared>,
    Extension(credential): Extension<Credential>,
) -> Result<Response, Problem> {
    answer(move || {
        let mut all = shared.service.sources();
        all.sources.retain(|row| credential.reaches(&row.account));
        Ok(all)
    })
    .await
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint::get("/api/v1/sources", list)
            .says("Operations", "How the sources that pull from AWS do.")
            .answers::<Sources>(200, "Every one of this process."),
    ]
}
