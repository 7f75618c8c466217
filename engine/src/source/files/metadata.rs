//! From what a file system says to what a snapshot keeps.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{PoisonError, RwLock};

use repo_format::Text;
use repo_format::tree::{Attributes, Body, LinkGroup, Metadata};

use super::stat::{Kind, Stat};

/// Names of users and groups by number, asked of the system once each.
///
/// A number without a name, or with one that is not UTF-8, has the empty name.
#[derive(Debug, Default)]
pub struct OwnerNames {
    users: RwLock<HashMap<u32, Text>>,
    groups: RwLock<HashMap<u32, Text>>,
}

impl OwnerNames {
    /// Starts with nothing asked.
    pub fn new() -> Self {
        Self::default()
    }

    /// Name of a user.
    pub fn user(&self, uid: u32) -> Text {
        cached(&self.users, uid, || {
            uzers::get_user_by_uid(uid).map_or_else(Text::default, |user| text(user.name()))
        })
    }

    /// Name of a group.
    pub fn group(&self, gid: u32) -> Text {
        cached(&self.groups, gid, || {
            uzers::get_group_by_gid(gid).map_or_else(Text::default, |group| text(group.name()))
        })
    }
}

fn cached(names: &RwLock<HashMap<u32, Text>>, number: u32, ask: impl FnOnce() -> Text) -> Text {
    if let Some(name) = names.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
        return name.clone();
    }
    let name = ask();
    names.write().unwrap_or_else(PoisonError::into_inner).insert(number, name.clone());
    name
}

fn text(name: &OsStr) -> Text {
    name.to_str().map_or_else(Text::default, Text::from)
}

impl Stat {
    /// The metadata of a snapshot entry, without extended attributes: whether those are kept in
    /// the entry or in a blob is the caller's to decide.
    ///
    /// Only a thing with several names that is no directory has a link group.
    pub fn metadata(&self, owners: &OwnerNames) -> Metadata {
        let linked = self.nlink > 1 && self.kind != Kind::Directory;
        let group = LinkGroup { device: self.device, inode: self.inode };
        Metadata {
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            user: owners.user(self.uid),
            group: owners.group(self.gid),
            mtime: self.mtime,
            ctime: self.ctime,
            btime: self.btime,
            link_group: linked.then_some(group),
            attributes: Attributes::None,
        }
    }

    /// The body of an entry that a stat tells whole: devices, named pipes, sockets.
    pub const fn special_body(&self) -> Option<Body> {
        match self.kind {
            Kind::BlockDevice => Some(Body::BlockDevice { major: self.major, minor: self.minor }),
            Kind::CharacterDevice => {
                Some(Body::CharacterDevice { major: self.major, minor: self.minor })
            }
            Kind::Fifo => Some(Body::Fifo),
            Kind::Socket => Some(Body::Socket),
            Kind::File | Kind::Directory | Kind::Symlink => None,
        }
    }
}
