//! Takes back the space of what no snapshot needs, beside any number of writers and other pruners,
//! without a lock. SPEC 10.3.
//!
//! Nothing is deleted before what replaces it, the index of that, and the announcement are stored;
//! then the grace time passes; then the sweep is announced, and everything is read again before the
//! first deletion. A run carries out the plans whose time has come, whoever made them, and makes
//! one of its own where there is something to gain.

use std::collections::BTreeSet;

use repo_format::codec::Text;
use repo_format::gc::{Condemned, Plan, PlanName, Rebase};
use repo_format::history::Event;
use repo_format::{ObjectHash, limits};

use crate::Ambient;
use crate::ambient::Event as Told;
use crate::chunk::compression::Level;
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::history::History;
use crate::repo::marks::{self, Marks};
use crate::repo::packer::PackSettings;
use crate::repo::securing::Seen;
use crate::repo::vouching::unconfirmed;

mod choose;
mod finish;
mod options;
mod relocate;
mod report;
mod segments;
mod survey;
#[cfg(test)]
mod tests;

pub use options::{GRACE_MS, Options};
pub use report::{Report, Waiting};

use choose::{Choice, Circumstances};
use survey::{Heads, Survey};

/// Times that a plan is begun anew because another prune deleted meanwhile.
const TRIES: usize = 5;
/// Most packs that one plan condemns.
const CONDEMNED_MAX: usize = 100_000;
/// Plans whose time lies further ahead than this were made by a clock that was wrong, in
/// milliseconds.
const AHEAD_MS_MAX: i64 = 24 * 3_600_000;

/// Prunes a repository, or says what that would do.
///
/// # Errors
/// [`Kind::Refused`] when listing, index and history do not fit together; [`Kind::Damaged`] when
/// something that a snapshot needs is gone; [`Kind::NewerFormat`] when the repository needs a
/// feature for this that is not known here. Nothing is deleted then.
pub fn prune(repo: &Repository, options: &Options, ambient: &Ambient) -> Result<Report> {
    repo.must_be_writable()?;
    repo.must_be_collectable()?;
    let repo = repo.without_copies();
    let mut report = Report { is_idle: true, ..Report::default() };
    if !options.is_dry_run {
        carry_out_due(&repo, options, &mut report, ambient)?;
    }
    let mut tries = 0;
    loop {
        let before = Seen::now(&repo, ambient)?;
        let mut attempt = report.clone();
        match plan(&repo, options, &mut attempt, ambient) {
            // Another prune deleted under this one's eyes: what is there now?
            Err(error)
                if tries < TRIES
                    && (error.kind() == Kind::NotFound || before != Seen::now(&repo, ambient)?) =>
            {
                tries += 1;
                let told = format!("another prune was at work: {error}");
                ambient.progress.event(&Told::Step("looking again"));
                ambient.progress.set_current(told.as_bytes());
            }
            result => {
                result?;
                report = attempt;
                break;
            }
        }
    }
    if !options.is_dry_run {
        if options.grace_ms == 0 {
            carry_out_due(&repo, options, &mut report, ambient)?;
        }
        if report.deleted_packs > 0 {
            drop_places(&repo, &mut report, ambient)?;
        }
        report.waiting = waiting(&Marks::load(&repo, ambient)?);
    }
    Ok(report)
}

/// Looks at everything, and makes a plan where there is something to gain (G1 to G4).
fn plan(
    repo: &Repository,
    options: &Options,
    report: &mut Report,
    ambient: &Ambient,
) -> Result<()> {
    let survey = Survey::make(repo, ambient)?;
    let choice = chosen(&survey, repo, options);
    let moves = relocate::find(&survey, &choice.condemned)?;
    let deleted = marks::deleted(&survey.history);
    let groups = segments::groups(&survey.reading, &deleted);
    describe(report, &survey, &choice, &moves, &groups);
    if options.is_dry_run {
        report.waiting = waiting(&survey.marks);
        return Ok(());
    }
    if !groups.is_empty() || !survey.reading.superseded.is_empty() {
        report.segments_merged =
            segments::replace(repo, &survey.reading, &groups, &deleted, ambient)?;
    }
    if choice.condemned.is_empty() {
        report.is_idle &= confirm_all(repo, survey, options, ambient)? == 0;
    } else {
        announce(repo, &survey, &choice, &moves, options, ambient)?;
    }
    Ok(())
}

/// Carries out the plans whose time has come, and removes the marks of those that are over.
fn carry_out_due(
    repo: &Repository,
    options: &Options,
    report: &mut Report,
    ambient: &Ambient,
) -> Result<()> {
    let marks = Marks::load(repo, ambient)?;
    if marks.plans.is_empty() && marks.swept.is_empty() && marks.done.is_empty() {
        return Ok(());
    }
    let mut history = History::load(repo, ambient)?;
    survey::must_be_whole(&history)?;
    let now_ms = ambient.clock.now_ms();
    for (name, plan) in &marks.plans {
        let is_over = marks.done.contains_key(name);
        if is_over || !(marks.swept.contains(name) || is_due(plan, now_ms)) {
            continue;
        }
        ambient.progress.event(&Told::Step("deleting"));
        report.is_idle = false;
        finish::finish(repo, &mut history, *name, plan, options, report, ambient)?;
    }
    if finish::clean(repo, &mut history, options, ambient)? > 0 {
        report.is_idle = false;
    }
    Ok(())
}

/// Replaces the segments that name packs which are gone, so that nobody looks for blobs there.
fn drop_places(repo: &Repository, report: &mut Report, ambient: &Ambient) -> Result<()> {
    let history = History::load(repo, ambient)?;
    let reading = Heads::read(repo, ambient)?;
    let deleted = marks::deleted(&history);
    let groups = segments::groups(&reading, &deleted);
    match segments::replace(repo, &reading, &groups, &deleted, ambient) {
        // Another prune replaces them at this moment.
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        replaced => replaced.map(|count| report.segments_merged += count),
    }
}

/// When a plan may be carried out, in milliseconds since 1970.
fn due_ms(plan: &Plan) -> i64 {
    plan.time_ms.saturating_add(i64::try_from(plan.grace_ms).unwrap_or(i64::MAX))
}

/// Says whether the grace time is over. It is a courtesy to readers: nothing that is safe hangs on
/// it, so a clock that was far ahead does not hold a plan back for ever.
fn is_due(plan: &Plan, now_ms: i64) -> bool {
    now_ms >= due_ms(plan) || plan.time_ms > now_ms.saturating_add(AHEAD_MS_MAX)
}

fn waiting(marks: &Marks) -> Vec<Waiting> {
    let open = marks.plans.iter().filter(|(name, _)| !marks.done.contains_key(name));
    open.map(|(name, plan)| Waiting {
        plan: name.to_string(),
        packs: plan.condemned.len() as u64,
        bytes: plan.condemned.iter().map(|one| one.bytes).fold(0, u64::saturating_add),
        due_ms: due_ms(plan),
    })
    .collect()
}

fn chosen(survey: &Survey, repo: &Repository, options: &Options) -> Choice {
    let marks = &survey.marks;
    let open = marks.plans.iter().filter(|(name, _)| !marks.done.contains_key(name));
    let settings = pack_settings(repo, options);
    let target = |bytes: usize| bytes as u64;
    let around = Circumstances {
        survivors: marks.plans.values().flat_map(|plan| plan.survivors.iter().copied()).collect(),
        pending: open.flat_map(|(_, plan)| plan.condemned.iter().map(|one| one.pack)).collect(),
        has_stranded: survey.has_stranded(),
        target_bytes: [target(settings.data_bytes), target(settings.metadata_bytes)],
    };
    let mut choice = choose::choose(&survey.packs, &around, options);
    choose::add_small(&survey.packs, &around, options, &mut choice);
    while choice.condemned.len() > CONDEMNED_MAX {
        choice.condemned.pop_last();
    }
    choice
}

fn pack_settings(repo: &Repository, options: &Options) -> PackSettings {
    let traits = repo.store().traits();
    let uploads = if traits.is_remote { traits.concurrency } else { 2 };
    PackSettings::within(options.memory_bytes, traits.pack_bytes, 1, uploads, Level::Default)
}

fn describe(
    report: &mut Report,
    survey: &Survey,
    choice: &Choice,
    moves: &relocate::Moves,
    groups: &[Vec<ObjectHash>],
) {
    let bytes_of = |packs: &BTreeSet<ObjectHash>| {
        let packs = packs.iter().filter_map(|hash| survey.packs.get(hash));
        packs.map(|pack| pack.bytes).fold(0, u64::saturating_add)
    };
    let live = survey.standings.iter().filter(|one| !one.is_forgotten());
    report.snapshots = live.count() as u64;
    report.packs = survey.packs.len() as u64;
    report.bytes = survey.packs.values().map(|pack| pack.bytes).sum();
    report.used_bytes = survey.packs.values().map(|pack| pack.used_bytes).sum();
    report.condemned_packs = choice.condemned.len() as u64;
    report.condemned_bytes = bytes_of(&choice.condemned);
    report.unused_packs = choice.unused.len() as u64;
    report.young_packs = choice.young.len() as u64;
    report.young_bytes = bytes_of(&choice.young);
    report.copied_blobs = moves.blobs;
    report.copied_bytes = moves.bytes;
    report.segments_merged = groups.iter().map(|group| group.len() as u64).sum();
    report.is_idle &=
        choice.condemned.is_empty() && groups.is_empty() && survey.reading.superseded.is_empty();
}

/// Moves what is needed out of the chosen packs and puts the plan (G3, G4).
fn announce(
    repo: &Repository,
    survey: &Survey,
    choice: &Choice,
    moves: &relocate::Moves,
    options: &Options,
    ambient: &Ambient,
) -> Result<PlanName> {
    ambient.progress.event(&Told::Step("copying what is needed"));
    let settings = pack_settings(repo, options);
    let survivors = relocate::copy(survey, &choice.condemned, moves, settings, ambient)?;
    let condemned = choice.condemned.iter().filter_map(|hash| {
        let pack = survey.packs.get(hash)?;
        Some(Condemned { pack: *hash, is_metadata: pack.is_metadata, bytes: pack.bytes })
    });
    let plan = Plan {
        heads: survey.history.tips(),
        seen: survey.marks.plans.keys().map(|name| name.text()).collect(),
        time_ms: ambient.clock.now_ms(),
        grace_ms: options.grace_ms,
        actor: options.actor.who(),
        condemned: condemned.collect(),
        survivors: survivors.into_iter().collect(),
    };
    if plan.encode().len() as u64 > limits::RECORD_BYTES_MAX / 2 {
        return Err(Error::new(Kind::Other, "the plan is over the limit: use --max-repack"));
    }
    let name = survey.marks.next_name()?;
    marks::put_plan(repo, name, &plan)?;
    Ok(name)
}

/// Confirms the snapshots that a sweep may have taken something of: all that they need was found,
/// in packs that may be relied on. Gives how many.
fn confirm_all(
    repo: &Repository,
    survey: Survey,
    options: &Options,
    ambient: &Ambient,
) -> Result<usize> {
    let is_stranded = survey.has_stranded();
    let (marks, mut history) = (survey.marks, survey.history);
    let doubtful = unconfirmed(&history, &survey.standings, &marks);
    if doubtful.is_empty() || is_stranded {
        return Ok(0);
    }
    let basis: Vec<Text> = marks.plans.keys().map(|name| name.text()).collect();
    for snapshot in &doubtful {
        let (snapshot, basis) = (*snapshot, basis.clone());
        let event = Rebase { snapshot, basis, actor: options.actor.who() };
        history.commit(repo, Event::Rebase(event), 0, &options.actor, ambient)?;
    }
    Ok(doubtful.len())
}
