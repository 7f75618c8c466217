//! One thing being restored, from the first look at what is there to its metadata.
//!
//! Whoever lets go of it last completes it. Content that could not be read whole never keeps its
//! name: what could be read lies beside it under a name that says so.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use repo_format::content::Content;
use repo_format::tree::{Body, Entry};

use super::existing::{self, Found};
use super::folder::Folder;
use super::links::{Key, Made};
use super::naming;
use super::report::shown;
use super::run::{Run, Thing};
use crate::ambient::Event;
use crate::error::Result;
use crate::finding::Finding;
use crate::repo::blobs::BlobReader;
use crate::target::files::{FileWriter, Inode, Place};

/// One thing being restored.
#[derive(Debug)]
pub(super) struct Job {
    folder: Arc<Folder>,
    entry: Entry,
    link: Option<Key>,
    /// Whether several workers write it, a part each.
    in_parts: bool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    lost: Option<Lost>,
    /// Whether anything was written into it.
    is_written: bool,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nothing was done yet.
    #[default]
    New,
    /// It is being written.
    Open(Arc<FileWriter>),
    /// The content is there already.
    Right(File),
    /// The target refused it.
    Refused,
}

/// Content that cannot be read.
#[derive(Debug)]
struct Lost {
    bytes: u64,
    /// Why, of the first.
    why: String,
}

/// What is needed of the content.
#[derive(Debug)]
pub(super) enum Need {
    /// Nothing: it is there, or cannot be written.
    Nothing,
    /// All of it.
    All,
    /// What differs from what this file holds.
    Differing(Arc<FileWriter>),
}

impl Job {
    pub(super) fn new(
        folder: Arc<Folder>,
        entry: Entry,
        link: Option<Key>,
        in_parts: bool,
    ) -> Arc<Self> {
        Arc::new(Self { folder, entry, link, in_parts, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes that lie in the entry itself.
    pub(super) fn inline_bytes(&self) -> u64 {
        match &self.entry.body {
            Body::File { content: Content::Inline(bytes), .. } => bytes.len() as u64,
            _ => 0,
        }
    }

    /// Looks at what is in the target, and says what is needed.
    pub(super) fn begin(&self, run: &Run<'_>, buffer: &mut Vec<u8>) -> Result<Need> {
        let Body::File { .. } = &self.entry.body else { return Ok(Need::Nothing) };
        let mut state = self.lock();
        match &state.stage {
            Stage::Open(writer) if writer.is_new() => return Ok(Need::All),
            Stage::Open(writer) => return Ok(Need::Differing(Arc::clone(writer))),
            Stage::Right(_) | Stage::Refused => return Ok(Need::Nothing),
            Stage::New if self.folder.is_new() => return Ok(Need::All),
            Stage::New => {}
        }
        // What cannot even be looked at is met again when it is written.
        let found = self.folder.look().and_then(|directory| {
            existing::examine(&directory, &self.entry, run.options, self.in_parts, buffer)
        });
        match found {
            Ok(Found::Right(file)) => {
                state.stage = Stage::Right(file);
                Ok(Need::Nothing)
            }
            Ok(Found::Other) if self.in_parts => match self.open(run, &mut state)? {
                Some(writer) if writer.is_new() => Ok(Need::All),
                Some(writer) => Ok(Need::Differing(writer)),
                None => Ok(Need::Nothing),
            },
            Ok(Found::Other | Found::Nothing) | Err(_) => Ok(Need::All),
        }
    }

    /// Takes note of content that cannot be read.
    pub(super) fn lose(&self, bytes: u64, why: impl FnOnce() -> String) {
        let mut state = self.lock();
        match &mut state.lost {
            Some(lost) => lost.bytes = lost.bytes.saturating_add(bytes),
            None => state.lost = Some(Lost { bytes, why: why() }),
        }
    }

    /// Writes a run of bytes.
    pub(super) fn write(&self, run: &Run<'_>, at: u64, bytes: &[u8]) -> Result<()> {
        let writer = {
            let mut state = self.lock();
            state.is_written = true;
            self.open(run, &mut state)?
        };
        let Some(writer) = writer else { return Ok(()) };
        match writer.write_at(at, bytes) {
            Ok(()) => {
                run.tally.bytes_written.add(bytes.len() as u64);
                Ok(())
            }
            Err(error) => {
                self.lock().stage = Stage::Refused;
                run.refused(&self.path(), "writing", &error)?;
                self.remove(run)
            }
        }
    }

    /// Makes a run of a file that was there a hole.
    pub(super) fn punch(
        &self,
        run: &Run<'_>,
        writer: &FileWriter,
        at: u64,
        length: u64,
    ) -> Result<()> {
        writer.punch_hole(at..at.saturating_add(length)).or_else(|error| {
            self.lock().stage = Stage::Refused;
            run.refused(&self.path(), "making a hole", &error)?;
            self.remove(run)
        })
    }

    /// The file for writing; `None` where it is not to be written.
    fn open(&self, run: &Run<'_>, state: &mut State) -> Result<Option<Arc<FileWriter>>> {
        match &state.stage {
            Stage::Open(writer) => return Ok(Some(Arc::clone(writer))),
            Stage::Right(_) | Stage::Refused => return Ok(None),
            Stage::New => {}
        }
        match self.create(run) {
            Ok(writer) => {
                let writer = Arc::new(writer);
                state.stage = Stage::Open(Arc::clone(&writer));
                Ok(Some(writer))
            }
            Err(error) => {
                state.stage = Stage::Refused;
                run.refused(&self.path(), "making the file", &error)?;
                Ok(None)
            }
        }
    }

    fn create(&self, run: &Run<'_>) -> std::io::Result<FileWriter> {
        let Body::File { size, .. } = self.entry.body else {
            return Err(std::io::Error::other("not a file"));
        };
        let mut writer = naming::make_file(run, &self.folder, &self.entry.name, size)?;
        if !writer.is_new() && !self.in_parts {
            // All of it is written: what was there is not to show through its holes.
            writer.set_len(0)?;
            writer.set_len(size)?;
        }
        Ok(writer)
    }

    /// Takes away what could not be written to its end.
    fn remove(&self, run: &Run<'_>) -> Result<()> {
        let removed = self.folder.directory().and_then(|it| it.unlink(&self.entry.name));
        removed.or_else(|error| run.refused(&self.path(), "removing what is left of it", &error))
    }

    fn path(&self) -> Vec<u8> {
        self.folder.path_of(&self.entry.name)
    }

    /// Lets go of the job; the last one to do so completes it.
    pub(super) fn release(
        self: Arc<Self>,
        run: &Run<'_>,
        reader: &mut BlobReader<'_>,
    ) -> Result<()> {
        Arc::into_inner(self).map_or(Ok(()), |job| job.complete(run, reader))
    }

    fn complete(self, run: &Run<'_>, reader: &mut BlobReader<'_>) -> Result<()> {
        let path = self.path();
        let made = self.settle(run, reader, &path)?;
        run.ambient.progress.done(1, 0);
        let Self { folder, entry, link, .. } = self;
        if let Some(key) = link {
            settle_group(run, reader, key, &folder, &entry, made)?;
        }
        folder.leave(run, reader)
    }

    /// Brings the thing to its end; says whether it is now as in the snapshot.
    fn settle(&self, run: &Run<'_>, reader: &mut BlobReader<'_>, path: &[u8]) -> Result<bool> {
        let mut state = self.lock();
        if !matches!(state.stage, Stage::Right(_))
            && let Some(lost) = state.lost.take()
        {
            self.salvage(run, path, &state.stage, &lost)?;
            return Ok(false);
        }
        let metadata = &self.entry.metadata;
        let thing = Thing { path, metadata };
        let action = match (&self.entry.body, &state.stage) {
            (_, Stage::Refused) => return Ok(false),
            (Body::File { size, .. }, Stage::Right(file)) => {
                run.put_back(reader, Place::Open(file.as_fd()), thing)?;
                run.tally.files_right.add(1);
                run.tally.bytes_right.add(*size);
                "unchanged"
            }
            (Body::File { content, .. }, _) => {
                let Some(writer) = self.open(run, &mut state)? else { return Ok(false) };
                if let Content::Inline(bytes) = content {
                    if let Err(error) = writer.write_at(0, bytes) {
                        run.refused(path, "writing", &error)?;
                        self.remove(run)?;
                        return Ok(false);
                    }
                    run.tally.bytes_written.add(bytes.len() as u64);
                }
                run.put_back(reader, Place::Open(writer.as_fd()), thing)?;
                if self.in_parts && !writer.is_new() && !state.is_written {
                    run.tally.files_right.add(1);
                    "unchanged"
                } else {
                    "restored"
                }
            }
            _ => {
                if !self.make_special(run, reader, thing)? {
                    return Ok(false);
                }
                "restored"
            }
        };
        run.tally.files.add(1);
        if run.ambient.progress.is_verbose {
            run.ambient.progress.event(&Event::File { path: path.to_vec(), action });
        }
        Ok(true)
    }

    fn make_special(
        &self,
        run: &Run<'_>,
        reader: &mut BlobReader<'_>,
        thing: Thing<'_>,
    ) -> Result<bool> {
        let made = naming::make_special(run, &self.entry.body, &self.folder, &self.entry.name);
        match made {
            Ok(directory) => {
                let (name, body) = (&*self.entry.name, &self.entry.body);
                run.put_back(reader, Place::Named { directory: &directory, name, body }, thing)?;
                Ok(true)
            }
            Err(error) => {
                run.refused(thing.path, "making it", &error)?;
                Ok(false)
            }
        }
    }

    /// Leaves what could be read under a name that says that it is not all.
    fn salvage(&self, run: &Run<'_>, path: &[u8], stage: &Stage, lost: &Lost) -> Result<()> {
        let mut what = format!("{} bytes of it cannot be read: {}", lost.bytes, lost.why);
        if let Stage::Open(_) = stage {
            match naming::set_aside(&self.folder, &self.entry.name) {
                Ok(name) => {
                    what.push_str("; the rest of it is in ");
                    what.push_str(&shown(&name));
                    what.push_str(", with zeros or older bytes in their place");
                }
                Err(_) => self.remove(run)?,
            }
        } else {
            what.push_str("; it is not restored");
        }
        run.find(Finding::loss(shown(path), what));
        Ok(())
    }
}

/// Gives the further names of a file its content, or says of them that there is none.
fn settle_group(
    run: &Run<'_>,
    reader: &mut BlobReader<'_>,
    key: Key,
    folder: &Arc<Folder>,
    entry: &Entry,
    is_made: bool,
) -> Result<()> {
    if is_made {
        match folder.directory().and_then(|directory| Inode::of(&directory, &entry.name)) {
            Ok(inode) => {
                let name = entry.name.0.clone().into_boxed_slice();
                let made = Made { folder: Arc::clone(folder), name, inode };
                for (further, name) in run.links.made(key, made.clone()) {
                    naming::link_or_copy(run, reader, &made, entry, &further, &name)?;
                    further.leave(run, reader)?;
                }
                return made.folder.leave(run, reader);
            }
            Err(error) => {
                run.refused(&folder.path_of(&entry.name), "looking at the file again", &error)?;
            }
        }
    }
    for (further, name) in run.links.lost(key) {
        naming::report_lost(run, &further.path_of(&name));
        further.leave(run, reader)?;
    }
    Ok(())
}
