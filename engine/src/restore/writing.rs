//! The walk of a real restore: makes folders, cuts files into windows, removes what is too much.
//!
//! All that takes time happens in the workers; what is decided here is decided in the order of the
//! snapshot, so that the same name is always the one that holds the content of a file with several.

use std::sync::Arc;

use crossbeam_channel::Sender;
use repo_format::tree::{Entry, Metadata};

use super::cut::Cut;
use super::extras::Extras;
use super::folder::{Folder, look};
use super::here::Here;
use super::job::Job;
use super::links::{Claim, Key};
use super::naming;
use super::options::{Choice, Overwrite, Selection, Sources};
use super::report::shown;
use super::run::{Run, send};
use super::walk::{Visitor, name_of};
use super::window::{Piece, Window, WindowLimits, Windows};
use crate::error::{Error, Result};
use crate::finding::Finding;
use crate::repo::blobs::BlobReader;
use crate::target::files::{Directory, Existing, remove_tree};

/// What the walk hands to the workers.
pub(super) type Work = Window<Arc<Job>, Directory>;

/// The walk of a real restore.
#[derive(Debug)]
pub(super) struct Writing<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) selection: &'a Selection,
    pub(super) sources: &'a Sources,
    /// Reads content lists and attributes, beside the reader of the walk.
    pub(super) reader: BlobReader<'a>,
    pub(super) limits: WindowLimits,
    pub(super) windows: Windows<Arc<Job>, Directory>,
    pub(super) workers: &'a Sender<Work>,
}

impl Writing<'_> {
    /// Sends off what there is.
    pub(super) fn flush(&mut self) -> Result<()> {
        match self.windows.take() {
            Some(window) => send(self.workers, window),
            None => Ok(()),
        }
    }

    fn push(
        &mut self,
        handle: &Arc<Directory>,
        job: Arc<Job>,
        extents: Vec<(u64, repo_format::content::Extent)>,
    ) -> Result<()> {
        match self.windows.push(Piece { job, extents }, handle) {
            Some(window) => send(self.workers, window),
            None => Ok(()),
        }
    }

    /// Restores the content of a thing: as one piece, or in parts that several workers write.
    fn write(
        &mut self,
        handle: &Arc<Directory>,
        folder: Arc<Folder>,
        entry: Entry,
        link: Option<Key>,
    ) -> Result<()> {
        let Some(mut cut) = Cut::new(&mut self.reader, &entry, self.limits)? else {
            return self.push(handle, Job::new(folder, entry, link, false), Vec::new());
        };
        let first = cut.next(&mut self.reader)?;
        let job = Job::new(folder, entry, link, !cut.is_done());
        cut.tell_lost(&job);
        if cut.is_done() {
            return self.push(handle, job, first);
        }
        self.push(handle, Arc::clone(&job), first)?;
        while !cut.is_done() {
            self.run.go_on()?;
            let next = cut.next(&mut self.reader)?;
            cut.tell_lost(&job);
            self.push(handle, Arc::clone(&job), next)?;
        }
        job.release(self.run, &mut self.reader)
    }

    /// Restores one of several names of a file: its content, if it is the first.
    fn take_linked(
        &mut self,
        handle: &Arc<Directory>,
        folder: &Arc<Folder>,
        path: &[u8],
        entry: Entry,
        key: Key,
    ) -> Result<()> {
        loop {
            match self.run.links.claim(key, folder, &entry.name) {
                Claim::First => {
                    return self.write(handle, Arc::clone(folder), entry, Some(key));
                }
                Claim::Alone => {
                    let what = "it is a file of its own: there are more files with several names \
                                than the memory allows";
                    self.run.trouble(path, what.to_owned());
                    return self.write(handle, Arc::clone(folder), entry, None);
                }
                Claim::Link(made) => {
                    let (run, reader) = (self.run, &mut self.reader);
                    return naming::link_or_copy(run, reader, &made, &entry, folder, &entry.name);
                }
                Claim::Waits => return Ok(()),
                Claim::Lost => {
                    naming::report_lost(self.run, path);
                    return Ok(());
                }
                Claim::Crowded => {
                    self.flush()?;
                    self.run.links.wait();
                    self.run.go_on()?;
                }
            }
        }
    }

    /// Lists what may have to be removed of a folder, if that is wanted and it is known whole.
    pub(super) fn extras(
        &self,
        directory: &Directory,
        path: &[u8],
        is_new: bool,
    ) -> Result<Option<Extras>> {
        if !self.run.options.delete || is_new || !self.sources.cover(path) {
            return Ok(None);
        }
        match look(directory).and_then(|directory| directory.names()) {
            Ok(names) => Ok(Some(Extras::new(names))),
            Err(error) => {
                self.run.refused(path, "listing the folder", &error)?;
                Ok(None)
            }
        }
    }

    /// Removes what the snapshot lacks, but for what the patterns leave out.
    fn remove(&self, here: &mut Here, path: &[u8], extras: &[(Vec<u8>, bool)]) -> Result<()> {
        for (name, is_directory) in extras {
            self.run.go_on()?;
            let path = [path, b"/", name].concat();
            let is_taken = self.selection.takes_whole(&path[..path.len() - name.len() - 1]);
            if self.selection.choose(&path, *is_directory, is_taken) != Choice::Take {
                continue;
            }
            let removed = here.handle().and_then(|directory| remove_tree(&directory, name));
            match removed {
                Ok(()) => self.run.tally.deleted.add(1),
                Err(error) => {
                    let what = "removing what the snapshot lacks";
                    self.run.refused(&path, what, &error)?;
                }
            }
        }
        Ok(())
    }
}

impl Visitor for Writing<'_> {
    type Folder = Here;

    fn enter(
        &mut self,
        parent: &mut Here,
        path: &[u8],
        metadata: Metadata,
    ) -> Result<Option<Here>> {
        self.run.go_on()?;
        self.run.ambient.progress.set_current(path);
        let keeps = self.run.options.overwrite == Overwrite::Never;
        let existing = match (parent.folder.is_new(), keeps) {
            (true, _) => Existing::Fail,
            (false, true) => Existing::Update,
            (false, false) => Existing::Replace,
        };
        let name = name_of(path);
        let made = parent.handle().and_then(|above| above.create_directory(name, existing));
        let directory = match made {
            Ok(made) => made,
            Err(error) => {
                let doing = "making the folder, and all that is in it";
                self.run.refused(path, doing, &error)?;
                return Ok(None);
            }
        };
        let is_new = directory.is_new();
        let metadata = (is_new || !keeps).then_some(metadata);
        self.run.tally.directories.add(1);
        let extras = self.extras(&directory, path, is_new)?;
        let mut here = parent.child(name, directory, metadata);
        here.extras = extras;
        Ok(Some(here))
    }

    fn pass(&mut self, here: &mut Here, path: &[u8]) -> Result<()> {
        let name = name_of(path);
        let Some(extras) = &mut here.extras else { return Ok(()) };
        let extras = extras.before(name);
        self.remove(here, &path[..path.len() - name.len() - 1], &extras)
    }

    fn take(&mut self, here: &mut Here, path: &[u8], entry: Entry) -> Result<()> {
        self.run.go_on()?;
        let handle = match here.handle() {
            Ok(handle) => handle,
            Err(error) => return self.run.refused(path, "opening its folder again", &error),
        };
        if self.run.options.overwrite == Overwrite::Never && !here.folder.is_new() {
            let is_there = look(&handle).and_then(|directory| directory.stat(&entry.name));
            if is_there.is_ok() {
                self.run.tally.left.add(1);
                self.run.ambient.progress.done(1, entry.totals().bytes);
                return Ok(());
            }
        }
        match Key::of(&entry) {
            Some(key) => self.take_linked(&handle, &here.folder, path, entry, key),
            None => self.write(&handle, Arc::clone(&here.folder), entry, None),
        }
    }

    fn damaged(&mut self, here: Option<&mut Here>, path: &[u8], error: &Error) -> Result<()> {
        if let Some(here) = here {
            // What seems too much may be in the part that cannot be read.
            here.extras = None;
        }
        let what = format!("a part of this folder cannot be read, and is not restored: {error}");
        self.run.find(Finding::loss(shown(path), what));
        Ok(())
    }

    fn leave(&mut self, mut here: Here, path: &[u8]) -> Result<()> {
        if let Some(extras) = here.extras.take() {
            self.remove(&mut here, path, &extras.rest())?;
        }
        here.folder.leave(self.run, &mut self.reader)
    }
}
