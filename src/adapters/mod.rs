//! The ports made real.

#[cfg(feature = "aws")]
pub mod aws;
pub mod embedded;
#[cfg(feature = "kafka")]
pub mod kafka;
#[cfg(feature = "kafka")]
pub mod redis;
pub mod sim;
