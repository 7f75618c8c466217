//! A store that fails on demand, at chosen calls, always in the same way.
//!
//! Calls are numbered from 0 in the order in which they start; what happens at a call depends only
//! on its number, its kind and the plan, so a failed test is repeated by its seed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use repo_format::ObjectName;

use super::layers::Call;
use super::{Cause, Error, Listed, Put, Result, Store, Traits};

/// What happens to one call. A fault that makes no sense for the kind of call acts as
/// [`Fault::ErrorBefore`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; [`Cause::Unavailable`].
    ErrorBefore,
    /// Nothing is done; [`Cause::Ambiguous`].
    Ambiguous,
    /// Writes and deletes are done; [`Cause::Ambiguous`].
    ErrorAfter,
    /// Writes and deletes are done; [`Cause::Unavailable`], as from a server that misjudges.
    ErrorAfterUnavailable,
    /// The first half of the object gets its name; [`Cause::Ambiguous`].
    TornPut,
    /// Nothing is written, and the call succeeds.
    LostPut,
    /// Nothing is deleted, and the call succeeds.
    LostDelete,
    /// The last byte is missing, and the call succeeds.
    ShortGet,
    /// One bit is flipped, and the call succeeds.
    CorruptGet,
    /// The listing lacks every second object, and the call succeeds: a store that breaks its
    /// promise.
    PartialList,
    /// This call and all later ones do nothing and fail for good, as after a crash.
    Stop,
}

/// Faults that [`Faulty::seeded`] draws from: those that an honest store shows.
const HONEST: [Fault; 4] =
    [Fault::ErrorBefore, Fault::Ambiguous, Fault::ErrorAfter, Fault::ErrorAfterUnavailable];

/// A store with a plan of faults.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: BTreeMap<u64, Fault>,
    always: Vec<(Call, Fault)>,
    random: Option<Random>,
    stop_at: Option<u64>,
    log: Vec<(Call, String)>,
}

#[derive(Debug, Clone, Copy)]
struct Random {
    seed: u64,
    per_mille: u16,
}

impl<S: Store> Faulty<S> {
    /// Wraps a store; no fault is planned.
    pub fn new(inner: S) -> Self {
        Self { inner, state: Mutex::default() }
    }

    /// Wraps a store; about `per_mille` of a thousand calls meet a fault of an honest store, drawn
    /// by the seed and the number of the call.
    pub fn seeded(inner: S, seed: u64, per_mille: u16) -> Self {
        let random = Some(Random { seed, per_mille });
        Self { inner, state: Mutex::new(State { random, ..State::default() }) }
    }

    /// Plans a fault for the call of this number.
    pub fn inject(&self, call: u64, fault: Fault) {
        self.state().plan.insert(call, fault);
    }

    /// Plans a fault for every call of a kind from now on.
    pub fn inject_always(&self, call: Call, fault: Fault) {
        self.state().always.push((call, fault));
    }

    /// Lets `calls` more calls through, then stops the world.
    pub fn stop_after(&self, calls: u64) {
        let mut state = self.state();
        state.stop_at = Some(state.log.len() as u64 + calls);
    }

    /// Forgets every planned fault and lets a stopped world go on.
    pub fn heal(&self) {
        let mut state = self.state();
        state.plan.clear();
        state.always.clear();
        state.random = None;
        state.stop_at = None;
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.state().log.len() as u64
    }

    /// Kind of each call so far and the name or prefix it was for.
    pub fn log(&self) -> Vec<(Call, String)> {
        self.state().log.clone()
    }

    /// The store below.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers a call and says which fault it meets.
    fn meet(&self, call: Call, object: &str) -> (u64, Option<Fault>) {
        let mut state = self.state();
        let number = state.log.len() as u64;
        state.log.push((call, object.to_owned()));
        let planned = state.plan.get(&number).copied();
        if planned == Some(Fault::Stop) {
            state.stop_at = Some(number);
        }
        if state.stop_at.is_some_and(|stop| number >= stop) {
            return (number, Some(Fault::Stop));
        }
        let always = state.always.iter().find(|(kind, _)| *kind == call).map(|(_, fault)| *fault);
        (number, planned.or(always).or_else(|| state.random?.draw(number)))
    }

    /// Runs a call that only reads; `damage` changes its result where the fault says so.
    fn read<T>(
        &self,
        call: Call,
        object: &str,
        read: impl FnOnce() -> Result<T>,
        damage: impl FnOnce(Fault, u64, T) -> Option<T>,
    ) -> Result<T> {
        match self.meet(call, object) {
            (_, None) => read(),
            (number, Some(fault)) => {
                if matches!(fault, Fault::ShortGet | Fault::CorruptGet | Fault::PartialList)
                    && let Some(damaged) = damage(fault, number, read()?)
                {
                    return Ok(damaged);
                }
                Err(failure(fault, call, object, number))
            }
        }
    }
}

impl Random {
    fn draw(self, number: u64) -> Option<Fault> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.seed.to_le_bytes()).update(&number.to_le_bytes());
        let hash = hasher.finalize();
        let [a, b, c, ..] = hash.as_bytes();
        let drawn = u16::from_le_bytes([*a, *b]) % 1000;
        (drawn < self.per_mille).then(|| HONEST[usize::from(*c) % HONEST.len()])
    }
}

fn failure(fault: Fault, call: Call, object: &str, number: u64) -> Error {
    let cause = match fault {
        Fault::Stop => Cause::Other,
        Fault::Ambiguous | Fault::ErrorAfter | Fault::TornPut if call == Call::Put => {
            Cause::Ambiguous
        }
        _ => Cause::Unavailable,
    };
    let action = match call {
        Call::Put => "writing",
        Call::Get | Call::GetRange | Call::Size => "reading",
        Call::List => "listing",
        Call::Delete => "deleting",
    };
    Error::new(cause, action, object, format!("planned fault {fault:?} at call {number}"))
}

fn damage_bytes(fault: Fault, number: u64, bytes: &Bytes) -> Option<Bytes> {
    let mut damaged = bytes.to_vec();
    match fault {
        Fault::ShortGet => {
            damaged.pop()?;
        }
        Fault::CorruptGet => {
            let place =
                usize::try_from(number.wrapping_mul(0x9e37_79b9) % damaged.len().max(1) as u64);
            *damaged.get_mut(place.ok()?)? ^= 1 << (number % 8);
        }
        _ => return None,
    }
    Some(Bytes::from(damaged))
}

impl<S: Store> Store for Faulty<S> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        let (number, fault) = self.meet(Call::Put, name.as_str());
        let Some(fault) = fault else { return self.inner.put(name, bytes, mode) };
        match fault {
            Fault::LostPut => return Ok(()),
            Fault::ErrorAfter | Fault::ErrorAfterUnavailable => {
                self.inner.put(name, bytes, mode)?;
            }
            Fault::TornPut => self.inner.put(name, bytes.slice(..bytes.len() / 2), mode)?,
            _ => {}
        }
        Err(failure(fault, Call::Put, name.as_str(), number))
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        let read = || self.inner.get(name);
        let damage = |fault, number, bytes| damage_bytes(fault, number, &bytes);
        self.read(Call::Get, name.as_str(), read, damage)
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let read = || self.inner.get_range(name, offset, length);
        let damage = |fault, number, bytes| damage_bytes(fault, number, &bytes);
        self.read(Call::GetRange, name.as_str(), read, damage)
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        self.read(Call::Size, name.as_str(), || self.inner.size(name), |_, _, _| None)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let damage = |fault, _, listed: Vec<Listed>| {
            (fault == Fault::PartialList).then(|| listed.into_iter().step_by(2).collect())
        };
        self.read(Call::List, prefix, || self.inner.list(prefix), damage)
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let (number, fault) = self.meet(Call::Delete, name.as_str());
        let Some(fault) = fault else { return self.inner.delete(name) };
        match fault {
            Fault::LostDelete => return Ok(()),
            Fault::ErrorAfter | Fault::ErrorAfterUnavailable => self.inner.delete(name)?,
            _ => {}
        }
        Err(failure(fault, Call::Delete, name.as_str(), number))
    }

    fn traits(&self) -> Traits {
        self.inner.traits()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::layers::{Retry, RetryPolicy};
    use crate::store::{MemoryStore, conformance};

    fn name() -> ObjectName {
        ObjectName::parse("packs/ab/1").unwrap()
    }

    const BYTES: Bytes = Bytes::from_static(b"0123456789");

    #[test]
    fn without_a_plan_every_promise_is_kept() {
        conformance::run_all(&Faulty::new(MemoryStore::new())).unwrap();
    }

    #[test]
    fn behind_retries_every_promise_is_kept_on_a_shaky_store() {
        for seed in 0..20 {
            let shaky = Faulty::seeded(MemoryStore::new(), seed, 150);
            let policy = RetryPolicy { attempts: 30, ..RetryPolicy::default() };
            let store = Retry::with_wait(shaky, policy, |_: Duration| {});
            conformance::run_all(&store).unwrap_or_else(|seen| panic!("seed {seed}: {seen}"));
        }
    }

    #[test]
    fn the_conformance_suite_notices_a_store_that_lies() {
        let lies = [
            (Call::Put, Fault::LostPut),
            (Call::Get, Fault::ShortGet),
            (Call::Get, Fault::CorruptGet),
            (Call::GetRange, Fault::ShortGet),
            (Call::GetRange, Fault::CorruptGet),
            (Call::List, Fault::PartialList),
            (Call::Delete, Fault::LostDelete),
        ];
        for (call, lie) in lies {
            let store = Faulty::new(MemoryStore::new());
            store.inject_always(call, lie);
            assert!(conformance::run_all(&store).is_err(), "{lie:?}");
        }
    }

    #[test]
    fn each_fault_does_what_its_name_says() {
        let memory = MemoryStore::new();
        let store = Faulty::new(memory.clone());
        let put = |fault| {
            memory.delete(&name()).unwrap();
            store.inject(store.calls(), fault);
            let cause = store.put(&name(), BYTES, Put::Create).err().map(|error| error.cause);
            (cause, memory.get(&name()).ok())
        };
        assert_eq!(put(Fault::ErrorBefore), (Some(Cause::Unavailable), None));
        assert_eq!(put(Fault::Ambiguous), (Some(Cause::Ambiguous), None));
        assert_eq!(put(Fault::ErrorAfter), (Some(Cause::Ambiguous), Some(BYTES)));
        assert_eq!(put(Fault::LostPut), (None, None));
        assert_eq!(put(Fault::TornPut), (Some(Cause::Ambiguous), Some(BYTES.slice(..5))));
        memory.put(&name(), BYTES, Put::Overwrite).unwrap();
        store.inject(store.calls(), Fault::ShortGet);
        assert_eq!(store.get(&name()).unwrap(), BYTES.slice(..9));
        store.inject(store.calls(), Fault::CorruptGet);
        let corrupt = store.get(&name()).unwrap();
        assert!(corrupt.len() == 10 && corrupt != BYTES);
        store.inject(store.calls(), Fault::LostDelete);
        store.delete(&name()).unwrap();
        assert_eq!(store.get(&name()).unwrap(), BYTES);
    }

    #[test]
    fn a_stopped_world_stays_stopped_until_it_is_healed() {
        let store = Faulty::new(MemoryStore::new());
        store.stop_after(1);
        store.put(&name(), BYTES, Put::Create).unwrap();
        for _ in 0..3 {
            assert_eq!(store.delete(&name()).unwrap_err().cause, Cause::Other);
        }
        store.heal();
        assert_eq!(store.get(&name()).unwrap(), BYTES);
        assert_eq!(store.calls(), 5);
        assert_eq!(store.log()[1], (Call::Delete, "packs/ab/1".to_owned()));
    }
}
