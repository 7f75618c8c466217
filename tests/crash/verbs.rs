//! The verbs under test, one entry each in [`VERBS`]: what is there before, what is done, and what
//! may be there when it was cut off.
//!
//! A verb that was cut off is recovered by running it again, so `act` does what a person would do
//! who types the same command a second time.

use std::collections::BTreeSet;

use engine::backup::Parent;
use engine::check::{self, ReadData};
use engine::{keys, repair};

use crate::acts::{
    Act, Trouble, back_up, init, key_passwd, key_remove, restore_newest, snapshot_of_one, tag,
};
use crate::model::{Effect, Pending};
use crate::stage::Stage;
use crate::world::{COST, actor, secret};

/// A verb under test.
#[allow(clippy::struct_excessive_bools, reason = "each says something else about a verb")]
pub(crate) struct Verb {
    /// Name in cases.
    pub(crate) name: &'static str,
    /// Brings an empty stage to where the verb starts.
    pub(crate) prepare: fn(&mut Stage<'_>),
    /// Runs the verb; gives what it says it did.
    pub(crate) act: fn(&Act<'_>) -> Result<Vec<Effect>, Trouble>,
    /// What it may have done when it did not end.
    pub(crate) pending: fn(&Act<'_>) -> Pending,
    /// Whether the repository is damaged before, so that only its bytes can be judged until the
    /// verb is done.
    pub(crate) starts_damaged: bool,
    /// Machine whose memory matters most.
    pub(crate) machine: &'static str,
    /// Most snapshots that one run may leave.
    pub(crate) snapshots: usize,
    /// Whether a write of a run that was cut off may come in the middle of the next. Not so for
    /// `init`: a marker that comes when the second run has cleared its keys away leaves an empty
    /// place that must be cleared by hand.
    pub(crate) lands_late: bool,
    /// Whether it is one of the verbs of the random walks, where it may run in any state.
    pub(crate) walks: bool,
    /// Whether it makes no sense without a snapshot.
    pub(crate) needs_snapshot: bool,
}

/// Every verb. Another one needs an entry here and nothing else.
#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "a method of a stage of one lifetime is no function of all"
)]
pub(crate) const VERBS: &[Verb] = &[
    Verb {
        name: "init",
        act: init,
        // The slot of the creation that was cut off, which came late.
        pending: |_| Pending { findings: &["belongs to another repository"], ..NOTHING },
        lands_late: false,
        ..PLAIN
    },
    Verb {
        name: "first-backup",
        prepare: |stage| stage.create(),
        act: |act| back_up(act, "one", Parent::Newest),
        pending: snapshot_of_one,
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "second-backup",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.set_tree(1);
        },
        act: |act| back_up(act, "one", Parent::Newest),
        pending: snapshot_of_one,
        ..PLAIN
    },
    Verb {
        name: "unchanged-backup",
        prepare: |stage| stage.back_up(0, "one"),
        act: |act| back_up(act, "one", Parent::Newest),
        pending: snapshot_of_one,
        ..PLAIN
    },
    Verb {
        name: "known-blobs-backup",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
        },
        act: |act| back_up(act, "one", Parent::None),
        pending: snapshot_of_one,
        ..PLAIN
    },
    Verb {
        name: "other-writer-backup",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "two");
            stage.back_up(1, "one");
            stage.set_tree(2);
        },
        act: |act| back_up(act, "two", Parent::Newest),
        pending: snapshot_of_one,
        machine: "two",
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "writers-in-turn",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.set_tree(1);
        },
        act: |act| {
            let mut effects = back_up(act, "two", Parent::Newest)?;
            effects.extend(back_up(act, "one", Parent::Newest)?);
            Ok(effects)
        },
        pending: snapshot_of_one,
        snapshots: 2,
        ..PLAIN
    },
    Verb {
        name: "tag",
        prepare: |stage| stage.back_up(0, "one"),
        act: tag,
        pending: |act| Pending {
            tags: act.newest().map(|id| (id, vec!["paid".to_owned()])),
            ..Pending::default()
        },
        walks: true,
        needs_snapshot: true,
        ..PLAIN
    },
    Verb {
        name: "key-add",
        prepare: |stage| stage.back_up(0, "one"),
        act: |act| {
            let repo = act.open("one")?;
            keys::add(&repo, &secret("second"), "two", COST, &actor("one"), &act.ambient)?;
            Ok(vec![Effect::SecretAdded("second")])
        },
        pending: |_| Pending { secrets: ["second"].into(), ..Pending::default() },
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "key-remove",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.add_second_key();
        },
        act: key_remove,
        pending: |_| Pending { secrets: ["second"].into(), ..old_key_stands() },
        ..PLAIN
    },
    Verb {
        name: "key-passwd",
        prepare: |stage| stage.back_up(0, "one"),
        act: key_passwd,
        pending: |_| Pending { secrets: ["first", "second"].into(), ..old_key_stands() },
        ..PLAIN
    },
    Verb {
        name: "repair-index",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
            stage.break_index();
        },
        act: |act| {
            let options = repair::Options { threads: 1, ..Default::default() };
            let report = repair::index(&act.open("one")?, &options, &act.ambient)?;
            let stays = |finding: &&engine::Finding| {
                finding.severity == engine::Severity::Loss || finding.what.contains("left alone")
            };
            match report.findings.iter().find(stays) {
                None => Ok(Vec::new()),
                Some(finding) => Err(Trouble::SaidDamage(finding.to_string())),
            }
        },
        starts_damaged: true,
        walks: true,
        ..PLAIN
    },
    Verb {
        name: "restore",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
        },
        act: restore_newest,
        walks: true,
        needs_snapshot: true,
        ..PLAIN
    },
    Verb {
        name: "check",
        prepare: |stage| {
            stage.back_up(0, "one");
            stage.back_up(1, "one");
        },
        act: |act| {
            let repo = act.open("one")?;
            let options =
                check::Options { read_data: ReadData::All, threads: 1, ..Default::default() };
            let report = check::check(&repo, &options, &act.ambient)?;
            if report.has_damage() {
                return Err(Trouble::SaidDamage(report.sentence()));
            }
            Ok(Vec::new())
        },
        walks: true,
        ..PLAIN
    },
];

const PLAIN: Verb = Verb {
    name: "",
    prepare: |_| {},
    act: |_| Ok(Vec::new()),
    pending: |_| NOTHING,
    starts_damaged: false,
    machine: "one",
    snapshots: 1,
    lands_late: true,
    walks: false,
    needs_snapshot: false,
};

/// Nothing may have been done.
const NOTHING: Pending = Pending {
    snapshot: None,
    tags: None,
    forgotten: BTreeSet::new(),
    secrets: BTreeSet::new(),
    findings: &[],
    attempts: 0,
};

/// A key slot goes after the record that says so: until then it may be found where it must not be.
fn old_key_stands() -> Pending {
    Pending { findings: &["it was removed and is there again"], ..NOTHING }
}
