//! One case: a verb, a world, and what goes wrong. A case is a line of text, so that one that
//! failed can be run again alone, whatever is added later.

use std::fmt;

use engine::store::disk_model::DiskFault;
use engine::store::faulty::Fault;
use engine::store::layers::Call;

use crate::verbs::{VERBS, Verb};

/// What lies beneath the verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum World {
    /// A store in memory, its errors as they come.
    Bare,
    /// The same behind the layer that repeats calls, as remote stores are.
    Retried,
    /// A folder on a model of a disk.
    Disk,
}

/// What becomes of the files of a machine that crashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Memory {
    /// They are as they were.
    Kept,
    /// They are as before the verb: nothing of it was synced.
    Old,
    /// They are gone.
    Lost,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Plan {
    /// Nothing.
    Calm,
    /// One call meets a fault.
    Fault(u64, Fault),
    /// Two calls do.
    Pair((u64, Fault), (u64, Fault)),
    /// The world stops before a call; the memory of the machine may suffer.
    Crash(u64, Memory),
    /// The same, and the recovery stops too.
    CrashTwice(u64, Memory, u64),
    /// A write is under way when the world stops, and lands during the recovery.
    CrashLate(u64, u64),
    /// The world stops, and the recovery meets a fault.
    CrashThenFault(u64, u64, Fault),
    /// The clock jumps at a reading by decades.
    Clock(u64, i64),
    /// A bit of an encoded blob flips before it leaves.
    Strike(u64),
    /// After the verb, the store is as it was before: an older copy was put back.
    RolledBack,
    /// After the verb, the records that it wrote are removed one by one.
    RecordRemoved,
    /// What is sealed in two objects changes places.
    Swapped,
    /// One call to the disk meets a fault.
    Disk(u64, DiskFault),
    /// The process is killed before a call to the disk, which forgets nothing yet.
    Kill(u64),
    /// The machine stops before a call to the disk, which then holds one of its residues.
    Power(u64, u64),
    /// The same, and the recovery stops too.
    PowerTwice(u64, u64, u64, u64),
}

/// A case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) verb: &'static Verb,
    pub(crate) world: World,
    pub(crate) plan: Plan,
    /// Random bytes of the run come from it.
    pub(crate) seed: u64,
}

impl fmt::Debug for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} seed={} {:?}", self.verb.name, self.world, self.seed, self.plan)
    }
}

impl Case {
    /// Reads a case as it was printed.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let name = words.next()?;
        let verb = VERBS.iter().find(|verb| verb.name == name)?;
        let world = match words.next()? {
            "Bare" => World::Bare,
            "Retried" => World::Retried,
            "Disk" => World::Disk,
            _ => return None,
        };
        let seed = words.next()?.strip_prefix("seed=")?.parse().ok()?;
        Some(Self { verb, world, plan: parse_plan(words.next()?.trim())?, seed })
    }

    /// Whether the store and the machine keep their promises in this case.
    pub(crate) fn is_honest(&self) -> bool {
        match self.plan {
            Plan::Fault(_, fault) | Plan::CrashThenFault(_, _, fault) => fault.is_honest(),
            Plan::Pair((_, a), (_, b)) => a.is_honest() && b.is_honest(),
            _ => true,
        }
    }
}

/// Faults that only falsify what is read, so that the store itself stays right.
pub(crate) fn only_misleads(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::ShortGet
            | Fault::CorruptGet
            | Fault::StaleGet
            | Fault::MisdirectedGet
            | Fault::PartialList
            | Fault::LaggingList(_)
            | Fault::GhostList
            | Fault::TwiceList
    )
}

const CALLS: [Call; 6] =
    [Call::Put, Call::Get, Call::GetRange, Call::Size, Call::List, Call::Delete];

fn parse_fault(text: &str) -> Option<Fault> {
    let mut all = CALLS.iter().flat_map(|call| Fault::of(*call));
    all.find(|fault| format!("{fault:?}") == text).copied()
}

fn disk_fault(text: &str) -> Option<DiskFault> {
    use DiskFault::{ErrorAfter, ErrorBefore, Full, Interrupted, ShortRead};
    let all = [ErrorBefore, ErrorAfter, Full, ShortRead, Interrupted];
    all.into_iter().find(|fault| format!("{fault:?}") == text)
}

/// Reads what `Debug` writes of a plan: a word and arguments in parentheses.
fn parse_plan(text: &str) -> Option<Plan> {
    let (word, rest) = text.split_once('(').unwrap_or((text, ""));
    let arguments: Vec<String> = split(rest.strip_suffix(')').unwrap_or(rest));
    let number = |at: usize| arguments.get(at)?.trim().parse::<u64>().ok();
    let fault = |at: usize| parse_fault(arguments.get(at)?.trim());
    let memory = |at: usize| match arguments.get(at)?.trim() {
        "Kept" => Some(Memory::Kept),
        "Old" => Some(Memory::Old),
        "Lost" => Some(Memory::Lost),
        _ => None,
    };
    let pair = |at: usize| {
        let inner = arguments.get(at)?.trim().strip_prefix('(')?.strip_suffix(')')?;
        let (call, fault) = inner.split_once(',')?;
        Some((call.trim().parse().ok()?, parse_fault(fault.trim())?))
    };
    Some(match word {
        "Calm" => Plan::Calm,
        "Fault" => Plan::Fault(number(0)?, fault(1)?),
        "Pair" => Plan::Pair(pair(0)?, pair(1)?),
        "Crash" => Plan::Crash(number(0)?, memory(1)?),
        "CrashTwice" => Plan::CrashTwice(number(0)?, memory(1)?, number(2)?),
        "CrashLate" => Plan::CrashLate(number(0)?, number(1)?),
        "CrashThenFault" => Plan::CrashThenFault(number(0)?, number(1)?, fault(2)?),
        "Clock" => Plan::Clock(number(0)?, arguments.get(1)?.trim().parse().ok()?),
        "Strike" => Plan::Strike(number(0)?),
        "RolledBack" => Plan::RolledBack,
        "RecordRemoved" => Plan::RecordRemoved,
        "Swapped" => Plan::Swapped,
        "Disk" => Plan::Disk(number(0)?, disk_fault(arguments.get(1)?.trim())?),
        "Kill" => Plan::Kill(number(0)?),
        "Power" => Plan::Power(number(0)?, number(1)?),
        "PowerTwice" => Plan::PowerTwice(number(0)?, number(1)?, number(2)?, number(3)?),
        _ => return None,
    })
}

/// Splits at commas that stand in no parentheses.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts
}
