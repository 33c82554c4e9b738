//! Provisioning, configuration, lifecycle, state.

pub mod failed_system_check;
pub mod long_stopped;
pub mod missing_tags;
pub mod previous_generation;
pub mod retirement_scheduled;
