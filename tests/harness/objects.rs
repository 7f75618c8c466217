//! What lies in a repository, seen through its store: which objects there are, and how long.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::store::{Environment, Location, OpenOptions, Store};

use crate::World;

/// Names and lengths of objects.
pub type Objects = BTreeMap<String, u64>;

/// Credentials that the servers of the suite take.
pub const CREDENTIALS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "suite"), ("AWS_SECRET_ACCESS_KEY", "suite-secret")];

/// Opens the store of an address.
pub fn store(place: &str) -> Arc<dyn Store> {
    let environment = Environment::fixed(CREDENTIALS);
    let options = OpenOptions { environment, ..OpenOptions::default() };
    Location::parse(place).unwrap().open(&options).unwrap()
}

/// Every object of the repository of a world.
pub fn all(world: &World) -> Objects {
    under(world, "")
}

/// Every object whose name starts with a prefix that ends in a slash.
pub fn under(world: &World, prefix: &str) -> Objects {
    let listed = store(&world.place).list(prefix).unwrap();
    listed.into_iter().map(|one| (one.name.as_str().to_owned(), one.bytes)).collect()
}

/// Bytes of all objects together.
pub fn total_bytes(objects: &Objects) -> u64 {
    objects.values().sum()
}

/// Objects of `after` that are not in `before`.
pub fn added(before: &Objects, after: &Objects) -> Objects {
    let is_new = |name: &&String| !before.contains_key(*name);
    after.keys().filter(is_new).map(|name| (name.clone(), after[name])).collect()
}
