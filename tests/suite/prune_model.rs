//! Goes through every order of steps of writers, pruners and a forgetter over one small repository,
//! each stopping anywhere, and proves that no committed snapshot loses a blob unsaid; and that each
//! rule of the protocol is needed. SPEC 10.3.
//!
//! The model knows two blobs, A and B; B may be stored whole or as a delta on A. It shares no code
//! with the engine: it is the protocol, not the program.
//!
//! Rule (c) is not among the rules that are seen to be needed: since rule (a) keeps every copy of
//! what a snapshot needs, the model finds no loss without (c). It stays as a second guard.

use std::collections::HashMap;

const PACKS: usize = 8;
const PLANS: usize = 3;
const SNAPS: usize = 4;
const PROCS: usize = 4;

const A: u8 = 1;
const B: u8 = 2;
/// B as a delta on A.
const D: u8 = 4;

/// What is left out of the protocol, to see that it is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    NoRuleA,
    NoRuleB,
    /// Rule (a) keeps one copy of what it keeps instead of all.
    OneCopyRuleA,
    NoSecondLook,
    ReadBeforeSweep,
    PlanAfterRead,
    NoBasesInRuleA,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
struct Plan {
    is_put: bool,
    is_visible: bool,
    is_swept: bool,
    is_done: bool,
    condemned: u8,
    survivors: u8,
    seen: u8,
    knows: u8,
    /// Whether a record says that packs of it are deleted, and the snapshots that all such know.
    has_record: bool,
    record_knows: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
struct Snap {
    is_there: bool,
    is_forgotten: bool,
    /// Needs of A and B.
    needs: u8,
    basis: u8,
    /// Plans whose records its writer knew, at its commit or when it was looked at again.
    records: u8,
    /// Whether its writer said that it could not be mended.
    is_lost: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
enum Step {
    #[default]
    Idle,
    // A writer with the needs given.
    W0(u8),
    W1(u8),
    W3,
    W3Put(u8),
    W4,
    W5,
    W5Put(u8),
    Rebase,
    // A pruner.
    G1,
    G3(u8),
    G4,
    G6(u8),
    G7(u8),
    G8(u8),
    Record(u8),
    Done(u8),
    Clean(u8),
    // Forgets snapshot 0.
    Forget,
    Crashed,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
struct Proc {
    step: Step,
    needs: u8,
    seen: u8,
    records: u8,
    snap: u8,
    condemned: u8,
    survivors: u8,
    knows: u8,
    todo: u8,
    deleted: u8,
    /// Snapshots seen in G7.
    known: u8,
    runs: u8,
    puts: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
struct State {
    packs: u8,
    content: [u8; PACKS],
    next: u8,
    tombs: u8,
    plans: [Plan; PLANS],
    snaps: [Snap; SNAPS],
    procs: [Proc; PROCS],
}

fn ones(mask: u8) -> impl Iterator<Item = usize> {
    (0..8).filter(move |bit| mask & (1 << bit) != 0)
}

impl State {
    /// Packs among `packs` that hold a form of a blob.
    fn places(&self, blob: u8, packs: u8) -> u8 {
        let forms = if blob == B { B | D } else { A };
        ones(packs).filter(|pack| self.content[*pack] & forms != 0).map(|pack| 1 << pack).sum()
    }

    /// Best pack of a blob among some: whole before delta.
    fn best(&self, blob: u8, packs: u8) -> Option<usize> {
        let whole = ones(packs).find(|pack| self.content[*pack] & blob != 0);
        if whole.is_some() || blob == A {
            return whole;
        }
        self.best(A, packs)?;
        ones(packs).find(|pack| self.content[*pack] & D != 0)
    }

    fn lacks(&self, needs: u8, packs: u8) -> u8 {
        [A, B].into_iter().filter(|b| needs & b != 0 && self.best(*b, packs).is_none()).sum()
    }

    /// Needs closed over the bases of all places.
    fn closed(&self, needs: u8) -> u8 {
        let has_delta = self.content.iter().any(|content| content & D != 0);
        if needs & B != 0 && has_delta { needs | A } else { needs }
    }

    fn visible(&self) -> u8 {
        (0..PLANS).filter(|plan| self.plans[*plan].is_visible).map(|plan| 1 << plan).sum()
    }

    fn recorded(&self) -> u8 {
        (0..PLANS).filter(|plan| self.plans[*plan].has_record).map(|plan| 1 << plan).sum()
    }

    fn absent(&self) -> u8 {
        self.plans
            .iter()
            .filter(|plan| plan.is_visible)
            .fold(self.tombs, |all, p| all | p.condemned)
    }

    fn live(&self) -> u8 {
        let is_live = |snap: &Snap| snap.is_there && !snap.is_forgotten;
        (0..SNAPS).filter(|snap| is_live(&self.snaps[*snap])).map(|snap| 1 << snap).sum()
    }

    fn obeys(&self, snap: usize, plan: usize) -> bool {
        let vouched = |other: usize| {
            let one = &self.plans[other];
            one.is_visible
                && one.knows & (1 << snap) != 0
                && (other == plan || one.seen & (1 << plan) != 0)
        };
        self.snaps[snap].basis & (1 << plan) != 0 || (0..PLANS).any(vouched)
    }

    /// Whether whoever opens the repository is told of the snapshot.
    fn is_flagged(&self, snap: usize) -> bool {
        (0..PLANS).any(|plan| {
            let one = &self.plans[plan];
            let swept = one.is_visible && one.is_swept && !self.obeys(snap, plan);
            let bit = 1 << snap;
            let recorded = one.has_record
                && one.record_knows & bit == 0
                && self.snaps[snap].records & (1 << plan) == 0
                && self.snaps[snap].basis & (1 << plan) == 0;
            swept || recorded
        })
    }

    /// Puts a pack; `None` when the model has no room for more.
    fn put(&mut self, content: u8) -> Option<usize> {
        let pack = usize::from(self.next);
        if pack >= PACKS {
            return None;
        }
        self.next += 1;
        self.packs |= 1 << pack;
        self.content[pack] = content;
        Some(pack)
    }

    /// Names a snapshot that is lost without anyone being told.
    fn violation(&self) -> Option<usize> {
        (0..SNAPS).find(|&snap| {
            let one = &self.snaps[snap];
            if !one.is_there || one.is_forgotten || self.lacks(one.needs, self.packs) == 0 {
                return false;
            }
            let writer = self.procs.iter().find(|proc| usize::from(proc.snap) == snap && snap > 0);
            let is_told = match writer.map(|writer| writer.step) {
                Some(Step::W5 | Step::W5Put(_) | Step::Rebase) => true,
                Some(Step::Crashed) => self.is_flagged(snap),
                _ => false,
            };
            !is_told && !one.is_lost
        })
    }
}

struct World {
    flaw: Flaw,
    can_crash: bool,
    puts_max: u8,
}

type Next = Vec<(State, String)>;

impl World {
    fn next(&self, state: &State) -> Next {
        let mut all = Vec::new();
        for number in 0..PROCS {
            let step = state.procs[number].step;
            if matches!(step, Step::Idle | Step::Crashed | Step::End) {
                continue;
            }
            if self.can_crash {
                let mut crashed = *state;
                crashed.procs[number].step = Step::Crashed;
                all.push((crashed, format!("{number} stops")));
            }
            if matches!(step, Step::Forget) {
                let mut state = *state;
                state.snaps[0].is_forgotten = true;
                state.procs[number].step = Step::End;
                all.push((state, format!("{number} forgets")));
            } else if matches!(
                step,
                Step::W0(_)
                    | Step::W1(_)
                    | Step::W3
                    | Step::W3Put(_)
                    | Step::W4
                    | Step::W5
                    | Step::W5Put(_)
                    | Step::Rebase
            ) {
                self.write(state, number, &mut all);
            } else {
                self.prune(state, number, &mut all);
            }
        }
        all
    }

    #[expect(clippy::too_many_lines, reason = "one arm a step of the protocol")]
    fn write(&self, state: &State, number: usize, all: &mut Next) {
        let proc = state.procs[number];
        let absent = state.absent();
        let reliable = state.packs & !absent;
        let mut s = *state;
        let me = &mut s.procs[number];
        let has_room = proc.puts < self.puts_max;
        match proc.step {
            Step::W0(needs) => {
                (me.needs, me.seen, me.records) = (needs, state.visible(), state.recorded());
                let lacks = state.lacks(needs, reliable);
                me.step = if lacks == 0 { Step::W3 } else { Step::W1(lacks) };
                all.push((s, format!("w{number} W0 lacks {lacks}")));
            }
            Step::W1(lacks) | Step::W3Put(lacks) => {
                if !has_room {
                    return;
                }
                me.puts += 1;
                me.step = Step::W3;
                // B on its own may be stored as a delta on an A that the writer relies on.
                for content in [lacks, D] {
                    let mut s = s;
                    let is_delta = content == D;
                    if is_delta && (lacks != B || proc.step != Step::W1(lacks)) {
                        continue;
                    }
                    if is_delta && state.best(A, reliable).is_none() {
                        continue;
                    }
                    if let Some(pack) = s.put(content) {
                        all.push((s, format!("w{number} puts pack {pack} of {content}")));
                    }
                }
            }
            Step::W3 => {
                let news = state.visible() & !proc.seen | state.recorded() & !proc.records;
                if news == 0 {
                    me.step = Step::W4;
                    all.push((s, format!("w{number} W3 clean")));
                    return;
                }
                me.seen |= state.visible();
                me.records |= state.recorded();
                let lacks = state.lacks(proc.needs, reliable);
                me.step = if lacks == 0 { Step::W3 } else { Step::W3Put(lacks) };
                all.push((s, format!("w{number} W3 lacks {lacks}")));
            }
            Step::W4 => {
                let Some(snap) = (1..SNAPS).find(|snap| !state.snaps[*snap].is_there) else {
                    return;
                };
                me.snap = u8::try_from(snap).unwrap();
                me.step = if self.flaw == Flaw::NoSecondLook { Step::End } else { Step::W5 };
                let (basis, records) = (proc.seen, proc.records);
                let needs = proc.needs;
                s.snaps[snap] = Snap { is_there: true, needs, basis, records, ..Snap::default() };
                all.push((s, format!("w{number} W4 snapshot {snap}")));
            }
            Step::W5 => {
                let swept = (0..PLANS).any(|plan| {
                    let one = &state.plans[plan];
                    one.is_visible && one.is_swept && proc.seen & (1 << plan) == 0
                });
                if !swept && state.recorded() & !proc.records == 0 {
                    me.step = Step::End;
                    all.push((s, format!("w{number} W5 clean")));
                    return;
                }
                me.seen |= state.visible();
                me.records |= state.recorded();
                let lacks = state.lacks(proc.needs, reliable);
                me.step = if lacks == 0 { Step::Rebase } else { Step::W5Put(lacks) };
                all.push((s, format!("w{number} W5 lacks {lacks}")));
            }
            Step::W5Put(lacks) => {
                let snap = usize::from(proc.snap);
                if state.lacks(proc.needs, state.packs) != 0 {
                    s.snaps[snap].is_lost = true;
                    me_end(&mut s, number);
                    all.push((s, format!("w{number} says that snapshot {snap} is lost")));
                } else if has_room {
                    me.puts += 1;
                    me.step = Step::Rebase;
                    if s.put(lacks).is_some() {
                        all.push((s, format!("w{number} copies {lacks}")));
                    }
                }
            }
            Step::Rebase => {
                me.step = Step::W5;
                let snap = &mut s.snaps[usize::from(proc.snap)];
                snap.basis |= proc.seen;
                snap.records |= proc.records;
                all.push((s, format!("w{number} rebase")));
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_lines, reason = "one arm a step of the protocol")]
    fn prune(&self, state: &State, number: usize, all: &mut Next) {
        let proc = state.procs[number];
        let mut s = *state;
        let me = &mut s.procs[number];
        match proc.step {
            Step::G1 => Self::begin(state, number, all),
            Step::G3(content) => {
                if let Some(pack) = s.put(content) {
                    s.procs[number].survivors |= 1 << pack;
                    s.procs[number].step = Step::G4;
                    all.push((s, format!("c{number} G3 copies {content} to pack {pack}")));
                }
            }
            Step::G4 => {
                let Some(plan) = (0..PLANS).find(|plan| !state.plans[*plan].is_put) else { return };
                me.step = Step::G1;
                let is_late = self.flaw == Flaw::PlanAfterRead;
                if is_late {
                    me.step = Step::G6(u8::try_from(plan).unwrap());
                }
                s.plans[plan] = Plan {
                    is_put: true,
                    is_visible: !is_late,
                    condemned: proc.condemned,
                    survivors: proc.survivors,
                    seen: proc.seen,
                    knows: proc.knows,
                    record_knows: u8::MAX,
                    ..Plan::default()
                };
                all.push((s, format!("c{number} G4 plan {plan} of packs {:b}", proc.condemned)));
            }
            Step::G6(plan) => {
                me.step = Step::G7(plan);
                if self.flaw == Flaw::ReadBeforeSweep && proc.known == 0 {
                    // Looks first, and announces the sweep only then.
                    let todo = self.todo(state, usize::from(plan));
                    me.todo = todo;
                    me.known = state.live() | 1 << 7;
                    me.step = Step::G6(plan);
                    all.push((s, format!("c{number} looks before the sweep of {plan}")));
                    return;
                }
                s.plans[usize::from(plan)].is_swept = true;
                if self.flaw == Flaw::ReadBeforeSweep {
                    s.procs[number].step = Step::G8(plan);
                }
                all.push((s, format!("c{number} G6 sweep of {plan}")));
            }
            Step::G7(plan) => {
                me.todo = self.todo(state, usize::from(plan));
                me.known = state.live();
                me.step = Step::G8(plan);
                let todo = me.todo;
                all.push((s, format!("c{number} G7 of {plan} deletes {todo:b}")));
            }
            Step::G8(plan)
                if self.flaw == Flaw::PlanAfterRead
                    && !state.plans[usize::from(plan)].is_visible =>
            {
                s.plans[usize::from(plan)].is_visible = true;
                all.push((s, format!("c{number} puts plan {plan} at last")));
            }
            Step::G8(plan) => {
                let there = proc.todo & state.packs;
                if there == 0 {
                    me.deleted |= proc.todo;
                    me.step = Step::Record(plan);
                    all.push((s, format!("c{number} G8 of {plan} is over")));
                }
                for pack in ones(there) {
                    let mut s = s;
                    s.packs &= !(1 << pack);
                    all.push((s, format!("c{number} G8 deletes pack {pack}")));
                }
            }
            Step::Record(plan) => {
                me.step = Step::Done(plan);
                let fresh = proc.deleted & !state.tombs;
                if fresh != 0 {
                    s.tombs |= fresh;
                    let one = &mut s.plans[usize::from(plan)];
                    one.has_record = true;
                    one.record_knows &= proc.known;
                }
                all.push((s, format!("c{number} records of {plan}")));
            }
            Step::Done(plan) => {
                me.step = Step::G1;
                (me.todo, me.deleted, me.known) = (0, 0, 0);
                s.plans[usize::from(plan)].is_done = true;
                all.push((s, format!("c{number} G9 of {plan}")));
            }
            Step::Clean(plan) => {
                me.step = Step::G1;
                s.plans[usize::from(plan)].is_visible = false;
                all.push((s, format!("c{number} removes plan {plan}")));
            }
            _ => {}
        }
    }

    /// What is left to delete of a plan after the rules.
    fn todo(&self, state: &State, number: usize) -> u8 {
        let plan = &state.plans[number];
        let mut kept = 0;
        if self.flaw != Flaw::NoRuleA {
            for snap in ones(state.live()) {
                let one = &state.snaps[snap];
                if plan.knows & (1 << snap) != 0 || one.basis & (1 << number) != 0 {
                    continue;
                }
                let is_flawed = self.flaw == Flaw::NoBasesInRuleA;
                let needs = if is_flawed { one.needs } else { state.closed(one.needs) };
                let keeps_one = self.flaw == Flaw::OneCopyRuleA;
                for blob in [A, B].into_iter().filter(|blob| needs & blob != 0) {
                    let places = state.places(blob, plan.condemned);
                    let last = ones(places).last().map_or(0, |pack| 1 << pack);
                    kept |= if keeps_one { last } else { places };
                }
            }
        }
        let others = state.plans.iter().enumerate().filter(|(other, _)| *other != number);
        for (_, one) in others.filter(|(_, one)| one.is_visible) {
            if self.flaw != Flaw::NoRuleB && one.is_swept && one.condemned & plan.survivors != 0 {
                kept = plan.condemned;
            }
            kept |= one.survivors & plan.condemned;
        }
        if self.flaw != Flaw::NoRuleB && plan.survivors & !state.packs != 0 {
            kept = plan.condemned;
        }
        plan.condemned & !kept
    }

    /// A pruner takes up something: an open plan, a plan that is over, or one of its own.
    fn begin(state: &State, number: usize, all: &mut Next) {
        let proc = state.procs[number];
        let mut s = *state;
        s.procs[number].step = Step::End;
        all.push((s, format!("c{number} ends")));
        for plan in 0..PLANS {
            let one = &state.plans[plan];
            let place = u8::try_from(plan).unwrap();
            if one.is_visible && !one.is_done {
                let mut s = *state;
                s.procs[number].step = Step::G6(place);
                all.push((s, format!("c{number} takes up plan {plan}")));
            }
            let is_over = one.is_visible && one.is_done && one.condemned & state.packs == 0;
            let is_obeyed = || ones(state.live()).all(|snap| state.obeys(snap, plan));
            if is_over && is_obeyed() {
                let mut s = *state;
                s.procs[number].step = Step::Clean(place);
                // What no record names yet is recorded first, by one who knows all snapshots.
                if one.condemned & !state.tombs != 0 {
                    s.tombs |= one.condemned;
                    s.plans[plan].has_record = true;
                    s.plans[plan].record_knows &= state.live();
                }
                all.push((s, format!("c{number} finds plan {plan} over")));
            }
        }
        if proc.runs > 0 {
            Self::plan(state, number, all);
        }
    }

    fn plan(state: &State, number: usize, all: &mut Next) {
        let live = state.live();
        let needs: u8 = ones(live).fold(0, |needs, snap| needs | state.snaps[snap].needs);
        if state.lacks(needs, state.packs) != 0 {
            return;
        }
        let needs = state.closed(needs);
        let absent = state.absent();
        let is_visible = |plan: &&Plan| plan.is_visible;
        let survivors = state.plans.iter().filter(is_visible).fold(0, |all, p| all | p.survivors);
        let stranded = state.lacks(needs, state.packs & !absent) != 0;
        let free = state.packs & !absent & !survivors;
        for condemned in 1..=u8::MAX {
            let forced = if stranded { absent & state.packs } else { 0 };
            if condemned & !(free | absent & state.packs) != 0 || condemned & forced != forced {
                continue;
            }
            if (condemned & !forced).count_ones() > 2 {
                continue;
            }
            let stay = state.packs & !absent & !condemned;
            let (mut copies, mut held) = (0, 0);
            for blob in [A, B].into_iter().filter(|blob| needs & blob != 0) {
                if state.places(blob, condemned) == 0 {
                    continue;
                }
                if let Some(pack) = state.best(blob, stay) {
                    held |= 1 << pack;
                } else {
                    // A delta is copied as it is; its base is needed too, and so has its own place.
                    let whole = ones(state.packs).any(|pack| state.content[pack] & blob != 0);
                    copies |= if whole { blob } else { D };
                }
            }
            let mut s = *state;
            let me = &mut s.procs[number];
            me.runs -= 1;
            (me.condemned, me.survivors) = (condemned, held);
            (me.seen, me.knows) = (state.visible(), live);
            me.step = if copies == 0 { Step::G4 } else { Step::G3(copies) };
            all.push((s, format!("c{number} G1 condemns {condemned:b}, copies {copies}")));
        }
    }
}

fn me_end(state: &mut State, number: usize) {
    state.procs[number].step = Step::End;
}

/// What exploring found.
struct Found {
    states: usize,
    lost: Option<(usize, Vec<String>)>,
}

/// Goes through all states that can be reached, or as many as `states_max`.
fn explore(start: State, world: &World, states_max: usize) -> Found {
    let mut from: HashMap<State, Option<(u32, u32)>> = HashMap::new();
    let mut order = vec![start];
    let mut labels: Vec<String> = Vec::new();
    let mut label_numbers: HashMap<String, u32> = HashMap::new();
    from.insert(start, None);
    let mut stack = vec![0_usize];
    while let Some(place) = stack.pop() {
        let state = order[place];
        if let Some(snap) = state.violation() {
            let mut trace = Vec::new();
            let mut at = state;
            while let Some(Some((before, label))) = from.get(&at) {
                trace.push(labels[*label as usize].clone());
                at = order[*before as usize];
            }
            trace.reverse();
            return Found { states: order.len(), lost: Some((snap, trace)) };
        }
        if order.len() >= states_max {
            continue;
        }
        for (next, label) in world.next(&state) {
            if from.contains_key(&next) {
                continue;
            }
            let fresh = u32::try_from(labels.len()).unwrap();
            let number = *label_numbers.entry(label).or_insert_with_key(|label| {
                labels.push(label.clone());
                fresh
            });
            from.insert(next, Some((u32::try_from(place).unwrap(), number)));
            stack.push(order.len());
            order.push(next);
        }
    }
    Found { states: order.len(), lost: None }
}

/// One case: contents of the first packs, what snapshot 0 needs, writers by what they need,
/// pruners by how many plans each makes, and whether someone forgets snapshot 0.
struct Case {
    packs: &'static [u8],
    first_needs: u8,
    writers: &'static [u8],
    pruners: &'static [u8],
    forgets: bool,
    can_crash: bool,
}

fn start(case: &Case) -> State {
    let mut state = State::default();
    for content in case.packs {
        state.put(*content).unwrap();
    }
    if case.first_needs != 0 {
        state.snaps[0] = Snap { is_there: true, needs: case.first_needs, ..Snap::default() };
    }
    let writers =
        case.writers.iter().map(|needs| Proc { step: Step::W0(*needs), ..Proc::default() });
    let pruners =
        case.pruners.iter().map(|runs| Proc { step: Step::G1, runs: *runs, ..Proc::default() });
    let forgetter = case.forgets.then(|| Proc { step: Step::Forget, ..Proc::default() });
    for (place, proc) in writers.chain(pruners).chain(forgetter).enumerate() {
        state.procs[place] = proc;
    }
    state
}

/// Cases that the protocol must survive.
const CASES: [Case; 7] = [
    // One writer, one pruner that plans twice, a snapshot that someone forgets.
    Case {
        packs: &[A | B, A],
        first_needs: A,
        writers: &[A],
        pruners: &[2],
        forgets: true,
        can_crash: true,
    },
    // A delta whose base lies elsewhere.
    Case {
        packs: &[A, D],
        first_needs: B,
        writers: &[B],
        pruners: &[1],
        forgets: true,
        can_crash: true,
    },
    Case {
        packs: &[A, D, B],
        first_needs: 0,
        writers: &[B],
        pruners: &[2],
        forgets: false,
        can_crash: true,
    },
    // Two pruners that cross, and that take up each other's plans.
    Case {
        packs: &[A, A],
        first_needs: A,
        writers: &[],
        pruners: &[1, 1],
        forgets: false,
        can_crash: true,
    },
    Case {
        packs: &[A, A],
        first_needs: 0,
        writers: &[A],
        pruners: &[1, 1],
        forgets: false,
        can_crash: false,
    },
    Case {
        packs: &[A, A],
        first_needs: A,
        writers: &[A],
        pruners: &[1, 1],
        forgets: true,
        can_crash: false,
    },
    // Two writers beside one pruner.
    Case {
        packs: &[A | B],
        first_needs: B,
        writers: &[A, B],
        pruners: &[1],
        forgets: true,
        can_crash: true,
    },
];

/// States of one case in the default run; `STRONGROOM_TEST_BIG=1` goes to the end of each.
const STATES_MAX: usize = 300_000;

fn states_max() -> usize {
    if std::env::var_os("STRONGROOM_TEST_BIG").is_some() { 40_000_000 } else { STATES_MAX }
}

#[test]
fn no_order_of_steps_loses_a_committed_snapshot() {
    let mut states = 0;
    for (number, case) in CASES.iter().enumerate() {
        let world = World { flaw: Flaw::None, can_crash: case.can_crash, puts_max: 2 };
        let found = explore(start(case), &world, states_max());
        if let Some((snap, trace)) = found.lost {
            panic!("case {number} loses snapshot {snap}:\n  {}", trace.join("\n  "));
        }
        eprintln!("case {number}: {} states", found.states);
        states += found.states;
    }
    assert!(states >= 1_000_000, "only {states} states");
}

#[test]
fn every_rule_is_needed() {
    let flaws = [
        Flaw::NoRuleA,
        Flaw::OneCopyRuleA,
        Flaw::NoBasesInRuleA,
        Flaw::NoRuleB,
        Flaw::NoSecondLook,
        Flaw::ReadBeforeSweep,
        Flaw::PlanAfterRead,
    ];
    for flaw in flaws {
        let is_caught = CASES.iter().any(|case| {
            // Without crashes the way to the loss is short.
            let world = World { flaw, can_crash: false, puts_max: 2 };
            explore(start(case), &world, STATES_MAX).lost.is_some()
        });
        assert!(is_caught, "{flaw:?} is not caught");
    }
}
