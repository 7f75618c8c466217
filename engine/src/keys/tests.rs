//! Slots come, go and are told of; the last one stays.

use repo_format::{ObjectName, SlotId};
use zeroize::Zeroizing;

use super::{add, find, list, passwd, remove};
use crate::check::{self, check};
use crate::error::{Kind, Result};
use crate::repo::create::Actor;
use crate::repo::fixture::{CHEAP, Fixture};
use crate::repo::{OpenSettings, Repository, Secret, open};

fn open_with(fixture: &Fixture, secret: &Secret) -> Result<Repository> {
    let store = std::sync::Arc::new(fixture.store.clone());
    open(store, secret, &OpenSettings::default())
}

fn add_to(fixture: &Fixture, secret: &Secret, name: &str) -> Result<SlotId> {
    add(&fixture.repo, secret, name, CHEAP, &Actor::default(), &fixture.ambient)
}

fn is_clean(fixture: &Fixture) {
    let report = check(&fixture.repo, &check::Options::default(), &fixture.ambient).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

#[test]
fn an_added_passphrase_and_key_file_open_the_repository() {
    let fixture = Fixture::small();
    let passphrase = Secret::passphrase("another");
    let key_file = Secret::KeyFile(Zeroizing::new(vec![7; 64]));
    let second = add_to(&fixture, &passphrase, "laptop").unwrap();
    let third = add_to(&fixture, &key_file, "safe").unwrap();
    assert_eq!(open_with(&fixture, &passphrase).unwrap().slot(), second);
    assert_eq!(open_with(&fixture, &key_file).unwrap().slot(), third);
    open_with(&fixture, &Secret::passphrase("secret")).unwrap();
    let wrong = open_with(&fixture, &Secret::passphrase("wrong")).unwrap_err();
    assert_eq!(wrong.kind(), Kind::WrongPassword);
    let slots = list(&fixture.repo).unwrap();
    assert_eq!(slots.len(), 3);
    assert_eq!(slots.iter().filter(|slot| slot.is_in_use).count(), 1);
    assert_eq!(find(&fixture.repo, "laptop").unwrap(), second);
    assert_eq!(find(&fixture.repo, &third.to_hex()).unwrap(), third);
    assert_eq!(find(&fixture.repo, "nobody").unwrap_err().kind(), Kind::NotFound);
    is_clean(&fixture);
}

#[test]
fn the_last_slot_is_never_removed_and_the_one_in_use_only_beside_another() {
    let fixture = Fixture::small();
    let actor = Actor::default();
    let first = fixture.repo.slot();
    let refused = remove(&fixture.repo, first, &actor, &fixture.ambient).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    let other = Secret::passphrase("another");
    let second = add_to(&fixture, &other, "second").unwrap();
    // Another slot that cannot be read does not count.
    let name = ObjectName::key_slot(second);
    let whole = fixture.get(&name);
    fixture.put(&name, whole[..50].to_vec());
    let refused = remove(&fixture.repo, first, &actor, &fixture.ambient).unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    fixture.put(&name, whole);

    remove(&fixture.repo, first, &actor, &fixture.ambient).unwrap();
    let gone = open_with(&fixture, &Secret::passphrase("secret")).unwrap_err();
    assert_eq!(gone.kind(), Kind::WrongPassword);
    open_with(&fixture, &other).unwrap();
    let absent = remove(&fixture.repo, first, &actor, &fixture.ambient).unwrap_err();
    assert_eq!(absent.kind(), Kind::NotFound);
    is_clean(&fixture);
}

#[test]
fn a_new_password_takes_the_place_of_the_old_one() {
    let fixture = Fixture::small();
    let new = Secret::passphrase("new");
    let old = fixture.repo.slot();
    let actor = Actor::default();
    let id = passwd(&fixture.repo, &new, CHEAP, &actor, &fixture.ambient).unwrap();
    let gone = open_with(&fixture, &Secret::passphrase("secret")).unwrap_err();
    assert_eq!(gone.kind(), Kind::WrongPassword);
    assert_eq!(open_with(&fixture, &new).unwrap().slot(), id);
    let slots = list(&fixture.repo).unwrap();
    assert_eq!(slots.iter().map(|slot| slot.id).collect::<Vec<_>>(), [id]);
    assert_ne!(id, old);
    let label = slots[0].info.as_ref().unwrap().label.as_ref().unwrap();
    assert_eq!(label.name.as_str(), "first");
    is_clean(&fixture);
}

#[test]
fn a_slot_that_was_removed_and_is_put_back_is_found_and_so_is_one_that_vanished() {
    let fixture = Fixture::small();
    let actor = Actor::default();
    let second = add_to(&fixture, &Secret::passphrase("another"), "second").unwrap();
    let name = ObjectName::key_slot(second);
    let whole = fixture.get(&name);
    let found = || {
        let options = check::Options::default();
        let report = check(&fixture.repo, &options, &fixture.ambient).unwrap();
        assert!(report.has_damage());
        report.findings.iter().any(|finding| finding.object == name.as_str())
    };
    crate::store::Store::delete(&fixture.store, &name).unwrap();
    assert!(found());
    fixture.put(&name, whole.clone());
    remove(&fixture.repo, second, &actor, &fixture.ambient).unwrap();
    is_clean(&fixture);
    fixture.put(&name, whole);
    assert!(found());
    remove(&fixture.repo, second, &actor, &fixture.ambient).unwrap();
    is_clean(&fixture);
}

#[test]
fn no_more_passphrases_are_added_than_are_ever_tried() {
    let fixture = Fixture::small();
    for number in 1..16 {
        add_to(&fixture, &Secret::passphrase(format!("{number}")), "").unwrap();
    }
    let refused = add_to(&fixture, &Secret::passphrase("one more"), "").unwrap_err();
    assert_eq!(refused.kind(), Kind::Refused);
    add_to(&fixture, &Secret::KeyFile(Zeroizing::new(vec![7; 64])), "file").unwrap();
    open_with(&fixture, &Secret::passphrase("15")).unwrap();
}
