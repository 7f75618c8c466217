//! A store that fails on demand, at chosen calls, always in the same way.
//!
//! Calls are numbered from 0 in the order in which they start; what happens at a call depends only
//! on its number, its kind and the plan, so a failed test is repeated by its seed.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use repo_format::ObjectName;

use super::layers::Call;
use super::{Listed, Put, Result, Store, Traits};

mod fault;
#[cfg(test)]
mod tests;

pub use fault::Fault;
use fault::{absent, damaged, failure};

/// Faults that [`Faulty::seeded`] draws from: those that an honest store shows.
const HONEST: [Fault; 4] =
    [Fault::ErrorBefore, Fault::Ambiguous, Fault::ErrorAfter, Fault::ErrorAfterUnavailable];

/// A store with a plan of faults.
#[derive(Debug)]
pub struct Faulty<S> {
    inner: S,
    traits: Option<Traits>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: BTreeMap<u64, Fault>,
    always: Vec<(Call, Fault)>,
    random: Option<Random>,
    stop_at: Option<u64>,
    log: Vec<(Call, String)>,
    /// Objects that come later, and the call before which they come.
    later: Vec<(u64, ObjectName, Bytes)>,
    /// Names in the order in which they were written.
    written: Vec<ObjectName>,
    /// What an object was before it was last replaced or deleted.
    before: BTreeMap<ObjectName, Bytes>,
}

#[derive(Debug, Clone, Copy)]
struct Random {
    seed: u64,
    per_mille: u16,
}

impl<S: Store> Faulty<S> {
    /// Wraps a store; no fault is planned.
    pub fn new(inner: S) -> Self {
        Self { inner, traits: None, state: Mutex::default() }
    }

    /// Wraps a store; about `per_mille` of a thousand calls meet a fault of an honest store, drawn
    /// by the seed and the number of the call.
    pub fn seeded(inner: S, seed: u64, per_mille: u16) -> Self {
        let random = Some(Random { seed, per_mille });
        Self { state: Mutex::new(State { random, ..State::default() }), ..Self::new(inner) }
    }

    /// Says that the store is like this, whatever the one below says.
    #[must_use]
    pub fn like(self, traits: Traits) -> Self {
        Self { traits: Some(traits), ..self }
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

    /// Forgets every planned fault and lets a stopped world go on; what was to come later comes
    /// now.
    pub fn heal(&self) {
        let mut state = self.state();
        state.plan.clear();
        state.always.clear();
        state.random = None;
        state.stop_at = None;
        for (_, name, bytes) in std::mem::take(&mut state.later) {
            let _ = self.inner.put(&name, bytes, Put::Overwrite);
        }
    }

    /// Lets a stopped world go on; what was to come later still comes later.
    pub fn go_on(&self) {
        let mut state = self.state();
        state.plan.clear();
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
        let (due, later) = std::mem::take(&mut state.later)
            .into_iter()
            .partition::<Vec<_>, _>(|(at, ..)| *at <= number);
        state.later = later;
        let planned = state.plan.get(&number).copied();
        if planned == Some(Fault::Stop) {
            state.stop_at = Some(number);
        }
        let is_stopped = state.stop_at.is_some_and(|stop| number >= stop);
        if !is_stopped {
            for (_, name, bytes) in due {
                let _ = self.inner.put(&name, bytes, Put::Overwrite);
            }
        }
        if is_stopped {
            return (number, Some(Fault::Stop));
        }
        let always = state.always.iter().find(|(kind, _)| *kind == call).map(|(_, fault)| *fault);
        (number, planned.or(always).or_else(|| state.random?.draw(number)))
    }

    /// Has an object come before the call that is so many calls later than `number`.
    fn come_later(&self, number: u64, calls: u64, name: &ObjectName, bytes: Bytes) {
        self.state().later.push((number + calls + 1, name.clone(), bytes));
    }

    /// Remembers what is about to be replaced or deleted.
    fn remember(&self, name: &ObjectName) -> Option<Bytes> {
        let bytes = self.inner.get(name).ok()?;
        self.state().before.insert(name.clone(), bytes.clone());
        Some(bytes)
    }

    fn put_now(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        self.remember(name);
        self.inner.put(name, bytes, mode)?;
        self.state().written.push(name.clone());
        Ok(())
    }

    /// Bytes as a fault of reading gives them; `None` where the fault is an error.
    fn read_wrong(
        &self,
        fault: Fault,
        number: u64,
        name: &ObjectName,
        read: impl Fn(&ObjectName) -> Result<Bytes>,
    ) -> Result<Option<Bytes>> {
        match fault {
            Fault::ShortGet | Fault::CorruptGet => Ok(damaged(fault, number, &read(name)?)),
            Fault::StaleGet => match self.state().before.get(name) {
                Some(bytes) => Ok(Some(bytes.clone())),
                None => Err(absent(name.as_str())),
            },
            Fault::MisdirectedGet => {
                let folder = name.as_str().split_inclusive('/').next().unwrap_or_default();
                let folder = if folder.ends_with('/') { folder } else { "" };
                let other = self.inner.list(folder)?.into_iter().find(|other| other.name != *name);
                Ok(other.and_then(|other| read(&other.name).ok()))
            }
            _ => Ok(None),
        }
    }

    /// A listing as a fault gives it; `None` where the fault is an error.
    fn list_wrong(&self, fault: Fault, prefix: &str) -> Result<Option<Vec<Listed>>> {
        let mut listed = self.inner.list(prefix)?;
        let state = self.state();
        match fault {
            Fault::PartialList => listed = listed.into_iter().step_by(2).collect(),
            Fault::LaggingList(objects) => {
                let newest: Vec<_> = state.written.iter().rev().take(objects).collect();
                listed.retain(|object| !newest.contains(&&object.name));
            }
            Fault::GhostList => {
                let is_gone = |name: &&ObjectName| {
                    name.as_str().starts_with(prefix)
                        && listed.iter().all(|object| object.name != **name)
                };
                let gone = state.before.keys().find(is_gone).cloned();
                let never = || {
                    let name = listed.first()?.name.as_str();
                    let end = if name.ends_with('0') { "1" } else { "0" };
                    ObjectName::parse(&format!("{}{end}", &name[..name.len() - 1]))
                };
                let ghost = gone.or_else(never);
                listed.extend(ghost.map(|name| Listed { name, bytes: 100, modified_ms: None }));
            }
            Fault::TwiceList => {
                let again = listed.clone();
                listed.extend(again);
            }
            _ => return Ok(None),
        }
        Ok(Some(listed))
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

impl<S: Store> Store for Faulty<S> {
    fn put(&self, name: &ObjectName, bytes: Bytes, mode: Put) -> Result<()> {
        let (number, fault) = self.meet(Call::Put, name.as_str());
        let Some(fault) = fault else { return self.put_now(name, bytes, mode) };
        match fault {
            Fault::LostPut => return Ok(()),
            Fault::DuplicatedPut(calls) => {
                self.come_later(number, calls, name, bytes.clone());
                return self.put_now(name, bytes, mode);
            }
            Fault::ReorderedPut(calls) => {
                self.come_later(number, calls, name, bytes);
                return Ok(());
            }
            Fault::DelayedPut(calls) => self.come_later(number, calls, name, bytes),
            Fault::ErrorAfter | Fault::ErrorAfterUnavailable => self.put_now(name, bytes, mode)?,
            Fault::TornPut => self.put_now(name, bytes.slice(..bytes.len() / 2), mode)?,
            _ => {}
        }
        Err(failure(fault, Call::Put, name.as_str(), number))
    }

    fn get(&self, name: &ObjectName) -> Result<Bytes> {
        let (number, fault) = self.meet(Call::Get, name.as_str());
        let read = |name: &ObjectName| self.inner.get(name);
        let Some(fault) = fault else { return read(name) };
        let wrong = self.read_wrong(fault, number, name, read)?;
        wrong.ok_or_else(|| failure(fault, Call::Get, name.as_str(), number))
    }

    fn get_range(&self, name: &ObjectName, offset: u64, length: u64) -> Result<Bytes> {
        let (number, fault) = self.meet(Call::GetRange, name.as_str());
        let read = |name: &ObjectName| self.inner.get_range(name, offset, length);
        let Some(fault) = fault else { return read(name) };
        let wrong = self.read_wrong(fault, number, name, read)?;
        wrong.ok_or_else(|| failure(fault, Call::GetRange, name.as_str(), number))
    }

    fn size(&self, name: &ObjectName) -> Result<u64> {
        match self.meet(Call::Size, name.as_str()) {
            (_, None) => self.inner.size(name),
            (_, Some(Fault::StaleGet)) => Err(absent(name.as_str())),
            (number, Some(fault)) => Err(failure(fault, Call::Size, name.as_str(), number)),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<Listed>> {
        let (number, fault) = self.meet(Call::List, prefix);
        let Some(fault) = fault else { return self.inner.list(prefix) };
        let wrong = self.list_wrong(fault, prefix)?;
        wrong.ok_or_else(|| failure(fault, Call::List, prefix, number))
    }

    fn delete(&self, name: &ObjectName) -> Result<()> {
        let (number, fault) = self.meet(Call::Delete, name.as_str());
        let old = self.remember(name);
        let Some(fault) = fault else { return self.inner.delete(name) };
        match fault {
            Fault::LostDelete => return Ok(()),
            Fault::Resurrection(calls) => {
                if let Some(bytes) = old {
                    self.come_later(number, calls, name, bytes);
                }
                return self.inner.delete(name);
            }
            Fault::ErrorAfter | Fault::ErrorAfterUnavailable => self.inner.delete(name)?,
            _ => {}
        }
        Err(failure(fault, Call::Delete, name.as_str(), number))
    }

    fn settle(&self) -> Result<()> {
        self.inner.settle()
    }

    fn traits(&self) -> Traits {
        self.traits.unwrap_or_else(|| self.inner.traits())
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}
