//! Changes the tags of snapshots, by a record in the history; the snapshot itself stays as it is.

use repo_format::SnapshotId;
use repo_format::codec::Text;
use repo_format::history::{Event, TagChange};
use repo_format::limits::TEXT_BYTES_MAX;

use crate::Ambient;
use crate::error::{Error, Kind, Result};
use crate::repo::Repository;
use crate::repo::create::Actor;
use crate::repo::history::History;

/// Most tags of one snapshot.
pub const TAGS_MAX: usize = 1000;

/// A change of tags: `set` replaces all of them first, then `remove` and `add` are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// All tags from now on.
    pub set: Option<Vec<String>>,
    /// Tags to take away; one that is not there is passed over.
    pub remove: Vec<String>,
    /// Tags to put on; one that is there already is passed over.
    pub add: Vec<String>,
}

impl Change {
    /// The tags that this change makes of `old`: each once, in order of their coming.
    pub fn apply(&self, old: &[Text]) -> Result<Vec<Text>> {
        let mut tags: Vec<Text> = Vec::new();
        let set = self.set.as_ref().map(|tags| tags.iter().map(String::as_str).collect());
        let start: Vec<&str> = set.unwrap_or_else(|| old.iter().map(Text::as_str).collect());
        let kept = start.into_iter().filter(|tag| !self.remove.iter().any(|gone| gone == tag));
        for tag in kept.chain(self.add.iter().map(String::as_str)) {
            check(tag)?;
            let tag = Text::new(tag);
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
        if tags.len() > TAGS_MAX {
            let what = format!("a snapshot may have at most {TAGS_MAX} tags");
            return Err(Error::new(Kind::InvalidSetting, what));
        }
        Ok(tags)
    }
}

fn check(tag: &str) -> Result<()> {
    if tag.is_empty() || tag.len() > TEXT_BYTES_MAX || tag.chars().any(char::is_control) {
        let what = format!("'{}' cannot be a tag", tag.escape_default());
        return Err(Error::new(Kind::InvalidSetting, what));
    }
    Ok(())
}

/// Changes the tags of one snapshot; gives its tags from now on, or `None` where they are so
/// already and nothing was written.
///
/// # Errors
/// [`Kind::NotFound`] when there is no such snapshot; [`Kind::InvalidSetting`] for a tag that is
/// empty, too long or holds control characters.
pub fn change(
    repo: &Repository,
    history: &mut History,
    id: SnapshotId,
    change: &Change,
    actor: &Actor,
    ambient: &Ambient,
) -> Result<Option<Vec<Text>>> {
    repo.must_be_writable()?;
    let taken = history.snapshots().into_iter().find(|taken| taken.id == id).ok_or_else(|| {
        Error::new(Kind::NotFound, format!("there is no snapshot {}", id.short()))
    })?;
    let tags = change.apply(&taken.snapshot.tags)?;
    if tags == taken.snapshot.tags {
        return Ok(None);
    }
    ambient.go_on()?;
    let event = TagChange { snapshot: id, tags: tags.clone(), actor: actor.who() };
    history.commit(repo, Event::Tags(event), 0, actor, ambient)?;
    Ok(Some(tags))
}
