//! Files with several names: read once, whichever name comes first.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use repo_format::codec::Bytes;
use repo_format::tree::{Attributes, Body, Entry, LinkGroup, Metadata};

use super::folder::Folder;
use super::run::Run;
use crate::error::Result;
use crate::repo::packer::Scratch;

/// A further name that waits for the first one to be read.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) folder: Arc<Folder>,
    pub(super) place: u64,
    pub(super) name: Vec<u8>,
    pub(super) metadata: Metadata,
}

#[derive(Debug)]
enum Link {
    Pending(Vec<Waiting>),
    Done(Box<(Attributes, Body)>),
}

/// Files with several names, as far as they were met.
#[derive(Debug, Default)]
pub(super) struct Links(Mutex<HashMap<LinkGroup, Link>>);

impl Links {
    /// Says whether the caller is the first to meet the file, and so has to read it; else its name
    /// is filled in as soon as the content is known.
    pub(super) fn is_first(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        group: LinkGroup,
        name: Waiting,
    ) -> Result<bool> {
        let known = {
            let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match links.get_mut(&group) {
                None => {
                    links.insert(group, Link::Pending(Vec::new()));
                    return Ok(true);
                }
                Some(Link::Pending(waiting)) => {
                    waiting.push(name);
                    return Ok(false);
                }
                Some(Link::Done(known)) => known.clone(),
            }
        };
        name.fill(run, scratch, Some(&known))?;
        Ok(false)
    }

    /// Fills in every name that waits; `None` when the file could not be read.
    pub(super) fn finish(
        &self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        group: LinkGroup,
        read: Option<&(Attributes, Body)>,
    ) -> Result<()> {
        let waiting = {
            let mut links = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let before = match read {
                Some(read) => links.insert(group, Link::Done(Box::new(read.clone()))),
                None => links.remove(&group),
            };
            match before {
                Some(Link::Pending(waiting)) => waiting,
                Some(Link::Done(_)) | None => Vec::new(),
            }
        };
        for name in waiting {
            name.fill(run, scratch, read)?;
        }
        Ok(())
    }
}

impl Waiting {
    fn fill(
        self,
        run: &Run<'_>,
        scratch: &mut Scratch,
        known: Option<&(Attributes, Body)>,
    ) -> Result<()> {
        let entry = known.map(|(attributes, body)| Entry {
            name: Bytes(self.name.clone()),
            metadata: Metadata { attributes: attributes.clone(), ..self.metadata.clone() },
            body: body.clone(),
        });
        self.folder.fill(run, scratch, self.place, entry)
    }
}
