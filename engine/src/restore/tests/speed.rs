use super::*;
use crate::store::LocalStore;
use std::time::Instant;

fn tick() -> (f64, f64) {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    (f[11].parse::<f64>().unwrap() / 100.0, f[12].parse::<f64>().unwrap() / 100.0)
}

fn go(label: &str, root: Item, bundle: &[u8]) {
    let base = PathBuf::from("/tmp/speed");
    let _ = std::fs::remove_dir_all(&base);
    std::fs::create_dir_all(&base).unwrap();
    let ambient = Ambient::default();
    let shared: Arc<dyn Store> = Arc::new(LocalStore::create(&base.join("repo")).unwrap());
    let cost = Cost { memory_kib: 64, passes: 1, lanes: 1 };
    let settings = create::Settings { cost, ..create::Settings::default() };
    let repo = create::create(shared, &Secret::passphrase("x"), &settings, &ambient).unwrap();
    let (tree, entries, totals) = {
        let repo = repo.load_index(&ambient).unwrap();
        let packs = PackSettings { data_bytes: 32 << 20, metadata_bytes: 8 << 20, level: Level::Default, uploads: 2 };
        BlobWriter::with(&repo, packs, &ambient.progress, |writer| {
            let scratch = writer.scratch()?;
            let mut build = Build { repo: &repo, writer, scratch, bundle, last: Body::Fifo };
            let Body::Directory { tree, entries, totals } = build.body(&root)? else { panic!() };
            Ok((tree, entries, totals))
        }).unwrap()
    };
    drop(root);
    let snapshot = commit(&repo, snapshot(tree, entries, totals, &["/src"]), &ambient);
    let repo = repo.load_index(&ambient).unwrap();
    for threads in [1, 2, 3, 4] {
        rustix::fs::sync();
        let target = base.join(format!("target-{threads}"));
        let options = Options { target: target.clone(), threads, ..Options::default() };
        let (before, start) = (tick(), Instant::now());
        let report = restore(&repo, &snapshot, &options, &ambient).unwrap();
        let after = tick();
        println!("{label} threads {threads}: {:.2} s, user {:.2} sys {:.2}, files {} written {} findings {}", start.elapsed().as_secs_f64(), after.0 - before.0, after.1 - before.1, report.files, report.bytes_written, report.findings.len() + report.failures.len());
        let (before, start) = (tick(), Instant::now());
        let report = restore(&repo, &snapshot, &options, &ambient).unwrap();
        let after = tick();
        println!("{label} threads {threads} again: {:.2} s, user {:.2} sys {:.2}, right {} written {}", start.elapsed().as_secs_f64(), after.0 - before.0, after.1 - before.1, report.files_right, report.bytes_written);
        std::fs::remove_dir_all(target).unwrap();
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|l| l.starts_with("VmHWM")).unwrap());
    std::fs::remove_dir_all(&base).unwrap();
}

#[test]
#[ignore]
fn speed_small() {
    let mut all: Vec<u8> = Vec::new();
    let mut dirs = Vec::new();
    let mut bundle = noise(0, 250_000);
    for byte in &mut bundle { *byte = b'a' + (*byte & 15); }
    for d in 0..500 {
        let files: Vec<_> = (0..200).map(|f| (format!("{f:04}"), Item::new(Node::Slice(f * 1200, 1200)))).collect();
        dirs.push((format!("{d:04}"), folder(files)));
    }
    all.clear();
    go("small", folder([("src", folder(dirs))]), &bundle);
}

#[test]
#[ignore]
fn speed_big() {
    let list = |s: u64| (0..256).map(|i| { let mut b = noise(s * 1000 + i, 256 << 10); for x in b.iter_mut().step_by(2) { *x = 7; } Part::Bytes(b) }).collect();
    let files: Vec<_> = (0..12).map(|f| (format!("{f}"), parts(list(f)))).collect();
    go("big", folder([("src", folder(files))]), &[]);
}
