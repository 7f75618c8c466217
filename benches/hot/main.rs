//! The hot path piece by piece, and a whole backup, in bytes a second.
#![allow(missing_docs, clippy::unwrap_used, reason = "criterion makes the entry point")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::chunk::compression::{Compressor, Decompressor, Level};
use engine::chunk::cutter::{Cutter, Gear};
use engine::crypto::blob::{blob_id, open_frame, seal_frame};
use engine::crypto::seal::Key;
use engine::store::MemoryStore;
use repo_format::content::Chunker;
use repo_format::pack::BlobKind;
use strongroom_benches::{back_up, lines, noise, repository};

const MIB: usize = 1 << 20;
const CHUNKER: Chunker = Chunker::FastCdc { min: 64 << 10, avg: 256 << 10, max: 1 << 20 };

fn cut(c: &mut Criterion) {
    let bytes = noise(1, 64 * MIB);
    let cutter = Cutter::new(&Gear::new(&Key::new([1; 32])), CHUNKER);
    let mut group = c.benchmark_group("cut");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("fastcdc 256 KiB", |b| {
        b.iter(|| {
            let mut rest = &bytes[..];
            let mut chunks = 0;
            while let Some(length) = cutter.cut(rest, true) {
                rest = &rest[length..];
                chunks += 1;
                if rest.is_empty() {
                    break;
                }
            }
            chunks
        });
    });
    group.finish();
}

fn pieces(c: &mut Criterion) {
    let plain = lines(2, 256 << 10);
    let (id_key, key) = (Key::new([2; 32]), Key::new([3; 32]));
    let mut group = c.benchmark_group("blob of 256 KiB");
    group.throughput(Throughput::Bytes(plain.len() as u64));
    group.bench_function("id", |b| b.iter(|| blob_id(&id_key, BlobKind::Data, black_box(&plain))));
    let mut encoded = Vec::new();
    for (name, level) in [("fast", Level::Fast), ("default", Level::Default), ("max", Level::Max)] {
        let mut compressor = Compressor::new(level).unwrap();
        group.bench_function(format!("compress {name}"), |b| {
            b.iter(|| compressor.encode(black_box(&plain), &mut encoded));
        });
    }
    let encoding = Compressor::new(Level::Default).unwrap().encode(&plain, &mut encoded);
    let mut decompressor = Decompressor::new().unwrap();
    let (length, mut out) = (u32::try_from(plain.len()).unwrap(), Vec::new());
    group.bench_function("decompress", |b| {
        b.iter(|| decompressor.decode(encoding, black_box(&encoded), length, &mut out).unwrap());
    });
    let id = blob_id(&id_key, BlobKind::Data, &plain);
    let mut frame = Vec::new();
    group.bench_function("seal", |b| {
        b.iter(|| {
            frame.clear();
            seal_frame(&mut frame, &key, id, b"context", black_box(&plain)).unwrap();
        });
    });
    let mut opened = Vec::new();
    group.bench_function("open", |b| {
        b.iter(|| {
            opened.clone_from(&frame);
            open_frame(&mut opened, &key, id, b"context").unwrap().len()
        });
    });
    group.finish();
}

/// A backup of 64 MiB into memory: half lines, half noise, in one file each and in many.
fn pipeline(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("lines"), lines(3, 24 * MIB)).unwrap();
    std::fs::write(folder.path().join("noise"), noise(4, 24 * MIB)).unwrap();
    for number in 0..4000 {
        let bytes = if number % 2 == 0 { lines(number, 4096) } else { noise(number, 4096) };
        std::fs::write(folder.path().join(format!("small-{number}")), bytes).unwrap();
    }
    let mut group = c.benchmark_group("backup");
    group.sample_size(10);
    group.throughput(Throughput::Bytes(64 * MIB as u64));
    group.bench_function("first, 4,002 files", |b| {
        b.iter_with_large_drop(|| {
            let store = MemoryStore::new();
            let repo = repository(Arc::new(store.clone()), None);
            back_up(&repo, folder.path().to_owned());
            store
        });
    });
    let repo = repository(Arc::new(MemoryStore::new()), None);
    back_up(&repo, folder.path().to_owned());
    group.bench_function("unchanged, 4,002 files", |b| {
        b.iter(|| back_up(&repo, folder.path().to_owned()).statistics.files_unchanged);
    });
    group.finish();
}

criterion_group!(benches, cut, pieces, pipeline);
criterion_main!(benches);
