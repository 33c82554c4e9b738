//! The sources that pull, against AWS's APIs on loopback.

mod estate;
mod files;
mod inventory;
mod moto;
mod paid;
mod plan;
mod policies;
mod reports;
mod world;
