//! Shared test world.
