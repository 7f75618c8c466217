//! What is made before a verb runs: a repository with a past.

use std::sync::Arc;

use engine::backup::Parent;
use engine::store::{MemoryStore, Put, Store};
use repo_format::ObjectName;

use crate::acts::{Act, Trouble, back_up, init};
use crate::model::{Effect, Model};
use crate::verbs::VERBS;
use crate::world::{self, Folders, Tree, calm};

/// What is made before a verb runs.
pub(crate) struct Stage<'a> {
    pub(crate) folders: &'a Folders,
    pub(crate) store: MemoryStore,
    pub(crate) model: Model,
    pub(crate) trees: [Arc<Tree>; 3],
    /// Which of them the source holds.
    pub(crate) tree: usize,
}

impl Stage<'_> {
    fn act(&self) -> Act<'_> {
        Act {
            folders: self.folders,
            store: Arc::new(
                engine::store::faulty::Faulty::new(self.store.clone()).like(world::traits()),
            ),
            model: &self.model,
            tree: Arc::clone(&self.trees[self.tree]),
            ambient: calm(),
        }
    }

    fn done(&mut self, act: fn(&Act<'_>) -> Result<Vec<Effect>, Trouble>) {
        let effects = act(&self.act()).unwrap_or_else(|trouble| panic!("preparing: {trouble}"));
        for effect in effects {
            self.model.apply(effect);
        }
    }

    pub(crate) fn create(&mut self) {
        if !self.model.exists {
            self.done(init);
        }
    }

    pub(crate) fn set_tree(&mut self, tree: usize) {
        self.tree = tree;
        self.folders.set_source(&self.trees[tree]);
    }

    pub(crate) fn back_up(&mut self, tree: usize, machine: &str) {
        self.create();
        self.set_tree(tree);
        match machine {
            "one" => self.done(|act| back_up(act, "one", Parent::Newest)),
            _ => self.done(|act| back_up(act, "two", Parent::Newest)),
        }
    }

    pub(crate) fn add_second_key(&mut self) {
        let add = VERBS.iter().find(|verb| verb.name == "key-add").map(|verb| verb.act);
        self.done(add.unwrap());
    }

    /// Removes one segment and spoils another.
    pub(crate) fn break_index(&mut self) {
        let names: Vec<ObjectName> = self
            .store
            .names()
            .into_iter()
            .filter(|name| name.as_str().starts_with("index/"))
            .collect();
        assert!(names.len() > 2, "{names:?}");
        self.store.delete(&names[0]).unwrap();
        let mut bytes = self.store.get(&names[1]).unwrap().to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.store.put(&names[1], bytes.into(), Put::Overwrite).unwrap();
    }
}
