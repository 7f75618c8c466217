//! Lookups: a blob in the index, a name in a directory of very many, a place in a long file.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion makes the entry point")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use engine::Ambient;
use engine::browse::{Selector, View, snapshots};
use engine::repo::history::History;
use engine::repo::index::synthetic;
use engine::store::MemoryStore;
use strongroom_benches::{back_up, noise, repository};

fn index(c: &mut Criterion) {
    const BLOBS: u64 = 1_000_000;
    let cache = tempfile::tempdir().unwrap();
    let repo = repository(Arc::new(MemoryStore::new()), Some(cache.path()));
    synthetic::fill(&repo, BLOBS).unwrap();
    let indexed = repo.load_index(&Ambient::default()).unwrap();
    let mut group = c.benchmark_group("index of 1,000,000 blobs");
    let mut number = 0;
    group.bench_function("a blob that is there", |b| {
        b.iter(|| {
            number = (number + 7919) % BLOBS;
            assert!(indexed.index().contains(&synthetic::blob(number)));
        });
    });
    group.bench_function("a blob that is not", |b| {
        b.iter(|| {
            number += 1;
            assert!(!indexed.index().contains(&synthetic::blob(BLOBS + number)));
        });
    });
    group.finish();
}

fn tree(c: &mut Criterion) {
    const FILES: u64 = 20_000;
    let folder = tempfile::tempdir().unwrap();
    for number in 0..FILES {
        std::fs::write(folder.path().join(format!("{number:08}")), number.to_string()).unwrap();
    }
    std::fs::write(folder.path().join("long"), noise(1, 64 << 20)).unwrap();
    let repo = repository(Arc::new(MemoryStore::new()), None);
    back_up(&repo, folder.path().to_owned());
    let ambient = Ambient::default();
    let indexed = repo.load_index(&ambient).unwrap();
    let history = History::load(&repo, &ambient).unwrap();
    let newest = snapshots::pick(&history, "latest", &Selector::default()).unwrap();
    let view = View::new(&indexed, &newest);
    let path =
        |name: &str| [folder.path().as_os_str().as_encoded_bytes(), b"/", name.as_bytes()].concat();
    let mut group = c.benchmark_group("snapshot of 20,001 files");
    let mut number = 0;
    group.bench_function("lookup of a path", |b| {
        b.iter(|| {
            number = (number + 7919) % FILES;
            view.lookup(&path(&format!("{number:08}"))).unwrap().unwrap()
        });
    });
    let long = view.lookup(&path("long")).unwrap().unwrap();
    group.bench_function("4 KiB at random of a file of 64 MiB", |b| {
        b.iter(|| {
            number = (number + 104_729) % (16 << 10);
            black_box(view.read_at(&long, number << 12, 4096).unwrap())
        });
    });
    group.finish();
}

criterion_group!(benches, index, tree);
criterion_main!(benches);
