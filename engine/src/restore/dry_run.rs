//! The walk of a restore that changes nothing: looks, compares, and counts what would be done.

use std::collections::HashSet;

use repo_format::tree::{Body, Entry, Metadata};

use super::existing::{self, Found};
use super::extras::Extras;
use super::folder::look;
use super::here::Here;
use super::links::Key;
use super::options::{Choice, Overwrite, Selection, Sources};
use super::report::shown;
use super::run::Run;
use super::walk::{Visitor, name_of};
use crate::ambient::Event;
use crate::error::{Error, Result};
use crate::finding::Finding;

/// Groups of names that are remembered, so that their content is counted once.
const GROUPS_MAX: usize = 1 << 20;

/// The walk of a dry run.
#[derive(Debug)]
pub(super) struct DryRun<'a> {
    run: &'a Run<'a>,
    selection: &'a Selection,
    sources: &'a Sources,
    groups: HashSet<Key>,
}

impl<'a> DryRun<'a> {
    pub(super) fn new(run: &'a Run<'a>, selection: &'a Selection, sources: &'a Sources) -> Self {
        Self { run, selection, sources, groups: HashSet::new() }
    }

    /// Lists what would be removed of a folder.
    pub(super) fn extras(&self, here: &mut Here, path: &[u8]) -> Option<Extras> {
        if !self.run.options.delete || !self.sources.cover(path) {
            return None;
        }
        let names = here.handle().and_then(|handle| look(&handle)?.names());
        names.ok().map(Extras::new)
    }

    fn count_extras(&self, path: &[u8], extras: &[(Vec<u8>, bool)]) {
        for (name, is_directory) in extras {
            let is_taken = self.selection.takes_whole(path);
            let path = [path, b"/", name].concat();
            if self.selection.choose(&path, *is_directory, is_taken) == Choice::Take {
                self.run.tally.deleted.add(1);
                self.tell(&path, "would be removed");
            }
        }
    }

    fn tell(&self, path: &[u8], action: &'static str) {
        let progress = &self.run.ambient.progress;
        if progress.is_verbose {
            progress.event(&Event::File { path: path.to_vec(), action });
        }
    }

    /// Says what would be done about a thing.
    fn judge(&mut self, here: Option<&mut Here>, entry: &Entry) -> std::io::Result<&'static str> {
        let tally = &self.run.tally;
        let size = match entry.body {
            Body::File { size, .. } => size,
            _ => 0,
        };
        if let Some(here) = here {
            let directory = look(&*here.handle()?)?;
            let is_there = directory.stat(&entry.name).is_ok();
            if is_there && self.run.options.overwrite == Overwrite::Never {
                tally.left.add(1);
                return Ok("would be left");
            }
            let options = self.run.options;
            let found = existing::examine_all(&directory, entry, options)?;
            if let Found::Right(_) = found {
                tally.files.add(1);
                tally.files_right.add(1);
                tally.bytes_right.add(size);
                return Ok("unchanged");
            }
        }
        tally.files.add(1);
        let is_first = Key::of(entry)
            .is_none_or(|key| self.groups.len() >= GROUPS_MAX || self.groups.insert(key));
        if is_first {
            tally.bytes_written.add(size);
        }
        Ok("would be restored")
    }
}

impl Visitor for DryRun<'_> {
    /// A folder that is in the target already; what is in one that is not needs no look.
    type Folder = Option<Here>;

    fn enter(
        &mut self,
        parent: &mut Option<Here>,
        path: &[u8],
        _metadata: Metadata,
    ) -> Result<Option<Option<Here>>> {
        self.run.go_on()?;
        self.run.ambient.progress.set_current(path);
        let Some(parent) = parent else {
            self.run.tally.directories.add(1);
            return Ok(Some(None));
        };
        let name = name_of(path);
        let opened = parent.handle().and_then(|handle| handle.open_child(name));
        let is_there = opened.is_ok();
        let mut here = opened.ok().map(|directory| parent.child(name, directory, None));
        if !is_there && self.run.options.overwrite == Overwrite::Never {
            let stat = parent.handle().and_then(|handle| look(&handle)?.stat(name));
            if stat.is_ok() {
                let what = "making the folder, and all that is in it: something else is there";
                self.run.tally.fail(path, what.to_owned());
                return Ok(None);
            }
        }
        self.run.tally.directories.add(1);
        if let Some(here) = &mut here {
            here.extras = self.extras(here, path);
        }
        Ok(Some(here))
    }

    fn pass(&mut self, here: &mut Option<Here>, path: &[u8]) -> Result<()> {
        let name = name_of(path);
        let extras = here.as_mut().and_then(|here| here.extras.as_mut());
        let Some(extras) = extras.map(|extras| extras.before(name)) else { return Ok(()) };
        self.count_extras(&path[..path.len() - name.len() - 1], &extras);
        Ok(())
    }

    fn take(&mut self, here: &mut Option<Here>, path: &[u8], entry: Entry) -> Result<()> {
        self.run.go_on()?;
        match self.judge(here.as_mut(), &entry) {
            Ok(action) => self.tell(path, action),
            Err(error) => self.run.refused(path, "looking at what is there", &error)?,
        }
        self.run.ambient.progress.done(1, entry.totals().bytes);
        Ok(())
    }

    fn damaged(
        &mut self,
        here: Option<&mut Option<Here>>,
        path: &[u8],
        error: &Error,
    ) -> Result<()> {
        if let Some(Some(here)) = here {
            here.extras = None;
        }
        let what = format!("a part of this folder cannot be read: {error}");
        self.run.find(Finding::loss(shown(path), what));
        Ok(())
    }

    fn leave(&mut self, here: Option<Here>, path: &[u8]) -> Result<()> {
        if let Some(extras) = here.and_then(|here| here.extras) {
            self.count_extras(path, &extras.rest());
        }
        Ok(())
    }
}
