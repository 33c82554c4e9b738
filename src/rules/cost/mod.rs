//! Cost, usage, budgets, savings.

pub mod budget;
pub mod idle_instance;
pub mod low_use_instance;
pub mod old_volume_type;
pub mod spend_anomaly;
pub mod unattached_volume;
pub mod unused_address;
