//! Proves that every store and every layer keeps the promises of `engine::store::Store`, on real
//! servers too.

use std::path::Path;
use std::time::Duration;

use engine::store::conformance::run_all;
use engine::store::faulty::Faulty;
use engine::store::layers::{Cache, Deadline, Limits, Retry, RetryPolicy, Throttle, Trace};
use engine::store::{CreateOnly, LocalStore, MemoryStore, Store, probe};
use strongroom_tests::objects;
use strongroom_tests::servers::{Moto, S3, S3sFs};

#[track_caller]
fn conforms(store: &dyn Store) {
    run_all(store).unwrap_or_else(|seen| panic!("{seen}"));
}

/// Every layer over a store that this makes, and all of them at once.
fn layers_conform<S: Store + 'static>(make: impl Fn() -> S) {
    let folder = tempfile::tempdir().unwrap();
    let patient = RetryPolicy::default();
    conforms(&Trace::new(make()));
    conforms(&Throttle::new(make(), Limits::default()));
    conforms(&Retry::with_wait(make(), patient, |_: Duration| {}));
    let long = Duration::from_mins(10);
    conforms(&Deadline::new(std::sync::Arc::new(make()), long, Duration::ZERO));
    conforms(&Cache::new(make(), &folder.path().join("one")));
    conforms(&all_layers(make(), &folder.path().join("all")));
}

/// Every layer at once, as deep as any program stacks them.
fn all_layers<S: Store>(store: S, cache: &Path) -> impl Store {
    let slow = Throttle::new(store, Limits::default());
    let patient = Retry::with_wait(slow, RetryPolicy::default(), |_: Duration| {});
    Trace::new(Cache::new(patient, cache))
}

#[test]
fn a_folder_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("deep/repository");
    conforms(&LocalStore::create(&place).unwrap());
    let store = LocalStore::open(&place).unwrap();
    conforms(&store);
    assert_eq!(store.list("").unwrap(), [], "the cases left something behind");
}

#[test]
fn the_memory_keeps_every_promise() {
    conforms(&MemoryStore::new());
}

#[test]
fn layers_over_the_memory_keep_every_promise() {
    layers_conform(MemoryStore::new);
}

#[test]
fn layers_over_a_folder_keep_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    layers_conform(|| LocalStore::create(folder.path().join("repository")).unwrap());
}

#[test]
fn a_shaky_store_behind_retries_keeps_every_promise() {
    for seed in 100..105 {
        let shaky = Faulty::seeded(MemoryStore::new(), seed, 200);
        let policy = RetryPolicy { attempts: 40, ..RetryPolicy::default() };
        conforms(&Retry::with_wait(shaky, policy, |_: Duration| {}));
    }
}

#[test]
fn moto_keeps_every_promise() {
    let moto = Moto::start();
    let store = objects::store(&moto.place("conformance"));
    conforms(&*store);
    assert_eq!(store.list("").unwrap(), [], "the cases left something behind");
    assert_eq!(probe::create_only(&*store).unwrap(), CreateOnly::Atomic);
}

#[test]
fn s3s_fs_keeps_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3sFs::start(folder.path());
    let store = objects::store(&server.place("conformance"));
    conforms(&*store);
    assert_eq!(store.list("").unwrap(), [], "the cases left something behind");
    // It refuses a second create, but several racing ones may win: either is seen, none is not.
    assert_ne!(probe::create_only(&*store).unwrap(), CreateOnly::None);
}

#[test]
fn layers_over_s3_keep_every_promise() {
    let folder = tempfile::tempdir().unwrap();
    let server = S3sFs::start(&folder.path().join("server"));
    conforms(&all_layers(objects::store(&server.place("layers")), &folder.path().join("cache")));
}
