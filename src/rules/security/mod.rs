//! Security, compliance, vulnerabilities, access.

pub mod all_ports_open;
pub mod exposed_instance;
pub mod group_changed;
pub mod remote_access_open;
pub mod root_used;
