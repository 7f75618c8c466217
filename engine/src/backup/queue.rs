//! Work for the threads of a backup: batches of small files, and large files that several threads
//! share.
//!
//! The queue is short, so the walk never runs far ahead; the first failure ends it for everybody.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::large::Large;
use super::small::SmallFile;
use crate::error::{Error, Result};

/// Jobs that may wait.
const WAITING_MAX: usize = 32;

/// One piece of work.
pub(super) enum Job {
    /// Files that one thread reads one after another.
    Small(Vec<SmallFile>),
    /// A file or stream that threads share, still to be opened.
    Large(Arc<Large>),
}

/// What a thread is to do next.
pub(super) enum Task {
    /// A job of its own.
    Job(Job),
    /// Help with a large file that another thread has opened.
    Help(Arc<Large>),
    /// Nothing more.
    End,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    shared: Vec<Arc<Large>>,
    starting: usize,
    is_closed: bool,
    failure: Option<Error>,
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    has_work: Condvar,
    has_room: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job; waits while the queue is full.
    pub(super) fn push(&self, job: Job) {
        let mut state = self.lock();
        while state.jobs.len() >= WAITING_MAX && state.failure.is_none() {
            state = self.has_room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.failure.is_none() {
            state.jobs.push_back(job);
            self.has_work.notify_one();
        }
    }

    /// Gives a thread something to do; waits while there is nothing yet.
    pub(super) fn take(&self) -> Task {
        let mut state = self.lock();
        loop {
            if state.failure.is_some() {
                return Task::End;
            }
            if let Some(large) = state.shared.last() {
                return Task::Help(Arc::clone(large));
            }
            if let Some(job) = state.jobs.pop_front() {
                state.starting += usize::from(matches!(job, Job::Large(_)));
                self.has_room.notify_one();
                return Task::Job(job);
            }
            if state.is_closed && state.starting == 0 {
                return Task::End;
            }
            state = self.has_work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Offers a large file that was opened to the other threads; `None` when it cannot be shared.
    pub(super) fn share(&self, large: Option<&Arc<Large>>) {
        let mut state = self.lock();
        state.starting -= 1;
        state.shared.extend(large.cloned());
        self.has_work.notify_all();
    }

    /// Takes back an offer: everything of the file is in somebody's hands.
    pub(super) fn unshare(&self, large: &Arc<Large>) {
        let mut state = self.lock();
        state.shared.retain(|other| !Arc::ptr_eq(other, large));
        self.has_work.notify_all();
    }

    /// Says that no more jobs will come.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.has_work.notify_all();
    }

    /// Ends the work; the first reason counts.
    pub(super) fn fail(&self, error: Error) {
        self.lock().failure.get_or_insert(error);
        self.has_work.notify_all();
        self.has_room.notify_all();
    }

    /// Says whether the work has failed.
    pub(super) fn has_failed(&self) -> bool {
        self.lock().failure.is_some()
    }

    /// Result of the work.
    pub(super) fn result(&self) -> Result<()> {
        self.lock().failure.take().map_or(Ok(()), Err)
    }
}
