//! Holds and retention bind, whatever is asked and whatever the clock says.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use repo_format::SnapshotId;
use repo_format::codec::Text;
use repo_format::history::Event;
use repo_format::retention::Forget;

use super::super::*;
use crate::ambient::Clock;
use crate::repo::fixture::Fixture;

const DAY: i64 = 24 * 3_600_000;

#[derive(Debug)]
struct Pinned(AtomicI64);

impl Clock for Pinned {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A repository whose clock the test turns.
struct World {
    fixture: Fixture,
    clock: Arc<Pinned>,
}

impl World {
    fn new() -> Self {
        let mut fixture = Fixture::empty();
        let clock = Arc::new(Pinned(AtomicI64::new(Ambient::default().clock.now_ms())));
        let shared = Arc::clone(&clock);
        fixture.ambient.clock = shared;
        Self { fixture, clock }
    }

    fn pass(&self, ms: i64) {
        self.clock.0.fetch_add(ms, Ordering::Relaxed);
    }

    fn history(&self) -> History {
        History::load(&self.fixture.repo, &self.fixture.ambient).unwrap()
    }

    fn live(&self) -> Vec<SnapshotId> {
        self.history().snapshots().into_iter().map(|taken| taken.id).collect()
    }

    fn forget(&self, ids: &[SnapshotId]) -> Result<Vec<SnapshotId>> {
        let mut history = self.history();
        let ambient = &self.fixture.ambient;
        let plan = plan_named(&history, ids, true, ambient)?;
        let actor = Actor::default();
        execute(&self.fixture.repo, &mut history, &plan, "test", &actor, ambient)
    }

    fn hold(&self, id: SnapshotId, until_ms: i64) {
        let mut history = self.history();
        let (actor, ambient) = (Actor::default(), &self.fixture.ambient);
        add_hold(&self.fixture.repo, &mut history, &[id], until_ms, "audit", &actor, ambient)
            .unwrap();
    }

    fn release(&self, id: SnapshotId) -> Result<usize> {
        let mut history = self.history();
        let (actor, ambient) = (Actor::default(), &self.fixture.ambient);
        remove_hold(&self.fixture.repo, &mut history, &[id], "over", &actor, ambient)
    }

    /// Lets time pass as a machine in use sees it: a record every 50 days.
    fn live_through(&mut self, days: i64) {
        let end = self.clock.now_ms() + days * DAY;
        while self.clock.now_ms() < end {
            self.pass((50 * DAY).min(end - self.clock.now_ms()));
            self.fixture.back_up(b"later");
        }
    }
}

#[test]
fn a_held_snapshot_stays_until_its_hold_is_released() {
    let mut world = World::new();
    let id = world.fixture.back_up(b"books");
    world.hold(id, 0);
    let error = world.forget(&[id]).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("held: audit"), "{error}");
    assert_eq!(world.release(id).unwrap(), 1);
    assert_eq!(world.forget(&[id]).unwrap(), [id]);
    assert!(world.live().is_empty());
}

#[test]
fn a_record_of_another_program_forgets_no_held_snapshot() {
    let mut world = World::new();
    let id = world.fixture.back_up(b"books");
    let mut history = world.history();
    let event = Forget { snapshots: vec![id], reason: Text::new(""), actor: Text::new("x") };
    let (actor, ambient) = (Actor::default(), world.fixture.ambient.clone());
    world.hold(id, 0);
    // Written without having seen the hold.
    history.commit(&world.fixture.repo, Event::Forget(event), 0, &actor, &ambient).unwrap();
    assert_eq!(world.live(), [id]);
    world.release(id).unwrap();
    assert!(world.live().is_empty());
}

#[test]
fn retention_can_be_made_longer_and_never_shorter() {
    let mut world = World::new();
    let id = world.fixture.back_up(b"books");
    let now = world.clock.now_ms();
    world.hold(id, now + 300 * DAY);
    world.hold(id, now + 100 * DAY);
    assert_eq!(world.release(id).unwrap_err().kind(), Kind::Refused);
    world.live_through(299);
    assert_eq!(world.forget(&[id]).unwrap_err().kind(), Kind::Refused);
    world.live_through(2);
    assert_eq!(world.forget(&[id]).unwrap(), [id]);
}

#[test]
fn a_clock_that_jumps_ends_no_retention() {
    for jump in [3650 * DAY, 400 * DAY, -3650 * DAY] {
        let mut world = World::new();
        let id = world.fixture.back_up(b"books");
        world.hold(id, world.clock.now_ms() + 300 * DAY);
        world.live_through(100);
        world.pass(jump);
        world.fixture.back_up(b"at the wrong time");
        assert_eq!(world.forget(&[id]).unwrap_err().kind(), Kind::Refused, "{jump}");
        // Even one that another program wrote at the wrong time counts for nothing.
        let mut history = world.history();
        let event = Forget { snapshots: vec![id], reason: Text::new(""), actor: Text::new("x") };
        let (actor, ambient) = (Actor::default(), world.fixture.ambient.clone());
        history.commit(&world.fixture.repo, Event::Forget(event), 0, &actor, &ambient).unwrap();
        assert!(world.live().contains(&id), "{jump}");
        world.pass(-jump);
        world.live_through(199);
        assert_eq!(world.forget(&[id]).unwrap_err().kind(), Kind::Refused, "{jump}");
        world.live_through(60);
        // The record of the wrong time may count now, since the retention is over.
        if world.live().contains(&id) {
            assert_eq!(world.forget(&[id]).unwrap(), [id], "{jump}");
        }
        assert!(!world.live().contains(&id), "{jump}");
    }
}

#[test]
fn what_was_forgotten_can_be_taken_back() {
    let mut world = World::new();
    let (first, second) = (world.fixture.back_up(b"one"), world.fixture.back_up(b"two"));
    world.forget(&[first, second]).unwrap();
    let mut history = world.history();
    assert_eq!(list_forgotten(&history).len(), 2);
    let (actor, ambient) = (Actor::default(), &world.fixture.ambient);
    undo(&world.fixture.repo, &mut history, &[first], "a mistake", &actor, ambient).unwrap();
    assert_eq!(world.live(), [first]);
    let again = undo(&world.fixture.repo, &mut history, &[first], "", &actor, ambient);
    assert_eq!(again.unwrap_err().kind(), Kind::NotFound);
    // A newer forget is not taken back by the older release.
    assert_eq!(world.forget(&[first]).unwrap(), [first]);
    assert!(world.live().is_empty());
}

#[test]
fn the_last_complete_snapshot_of_a_group_stays_unless_told() {
    let mut world = World::new();
    let ids = [world.fixture.back_up(b"one"), world.fixture.back_up(b"two")];
    let (history, ambient) = (world.history(), &world.fixture.ambient);
    let error = plan_named(&history, &ids, false, ambient).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert_eq!(plan_named(&history, &ids[..1], false, ambient).unwrap().forgotten(), ids[..1]);
    let policy = Policy { tags: vec![vec!["none".to_owned()]], ..Policy::default() };
    let mut options = Options { policy, ..Options::default() };
    let plan = plan(&history, &options, &|_| true, ambient).unwrap();
    assert_eq!((plan.forgotten().len(), plan.kept()), (1, 1));
    assert!(plan.groups[0].1.iter().any(|one| one.reasons == [Reason::LastOfGroup]));
    options.may_empty_groups = true;
    assert_eq!(super::super::plan(&history, &options, &|_| true, ambient).unwrap().kept(), 0);
    let nothing = Options::default();
    let error = super::super::plan(&history, &nothing, &|_| true, ambient).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidSetting);
}
