//! A small repository in memory, and the rooms of browsing tried on it.

mod dump;
mod find_and_diff;
mod objects;
mod places;
mod snapshots;
mod view;
mod world;
