//! Tests of pruning: what goes and what stays, every crash, every order of calls that a seed draws.

mod crash;
mod race;
mod rules;
mod world;
mod years;
