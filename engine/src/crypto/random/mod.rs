//! The one way to random bytes: from the operating system, a page at a time a thread.

use std::cell::RefCell;

use super::Error;

const PAGE: usize = 4096;

struct Pool {
    bytes: [u8; PAGE],
    left: usize,
    process: u32,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool { bytes: [0; PAGE], left: 0, process: 0 })
    };
}

#[cfg(any(test, feature = "testkit"))]
pub mod pinned;

/// Fills `out` with random bytes; fails only when the system gives none.
pub fn fill(out: &mut [u8]) -> Result<(), Error> {
    #[cfg(any(test, feature = "testkit"))]
    if pinned::fill(out) {
        return Ok(());
    }
    let from_system =
        |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|error| Error::Random(error.to_string()));
    if out.len() > PAGE / 4 {
        return from_system(out);
    }
    POOL.with_borrow_mut(|pool| {
        // A forked process must not repeat what its parent draws.
        let process = std::process::id();
        if pool.left < out.len() || pool.process != process {
            pool.left = 0;
            from_system(&mut pool.bytes)?;
            pool.left = PAGE;
            pool.process = process;
        }
        let from = pool.left - out.len();
        out.copy_from_slice(&pool.bytes[from..pool.left]);
        pool.bytes[from..pool.left].fill(0);
        pool.left = from;
        Ok(())
    })
}

/// Draws an array of random bytes.
pub fn array<const N: usize>() -> Result<[u8; N], Error> {
    let mut out = [0; N];
    fill(&mut out)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_million_salts_differ() {
        let drawn: HashSet<[u8; 24]> = (0..1_000_000).map(|_| array().unwrap()).collect();
        assert_eq!(drawn.len(), 1_000_000);
    }
}
