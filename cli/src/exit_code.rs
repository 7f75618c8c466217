//! What each way to end means to a script: one exhaustive match from kind to exit code, name and hint.
//!
//! A kind that the engine gains breaks the match, so no error leaves with a code nobody chose.

use engine::error::Kind;

/// Codes that the program ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// Done, and what the command claims is true.
    Done,
    /// Failed.
    Failed,
    /// The command line makes no sense.
    Usage,
    /// The snapshot is stored but some source could not be read.
    SourceUnreadable,
    /// Damage was found.
    Damage,
    /// There is no repository.
    NoRepository,
    /// The password is wrong or missing.
    Password,
    /// The repository is newer than this program.
    NewerFormat,
    /// A setting is invalid.
    Setting,
    /// A check before the work refused it.
    Refused,
    /// Interrupted.
    Interrupted,
}

impl ExitCode {
    /// The number that the process ends with.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::SourceUnreadable => 3,
            Self::Damage => 4,
            Self::NoRepository => 10,
            Self::Password => 12,
            Self::NewerFormat => 13,
            Self::Setting => 20,
            Self::Refused => 23,
            Self::Interrupted => 130,
        }
    }
}

/// What a kind of error means to a script and to a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meaning {
    /// Code to end with.
    pub(crate) code: ExitCode,
    /// Name in JSON.
    pub(crate) name: &'static str,
    /// What to do about it.
    pub(crate) hint: Option<&'static str>,
}

const fn means(code: ExitCode, name: &'static str, hint: Option<&'static str>) -> Meaning {
    Meaning { code, name, hint }
}

/// Says what a kind of error means.
pub(crate) const fn meaning(kind: Kind) -> Meaning {
    use ExitCode::{
        Damage, Failed, Interrupted, NewerFormat, NoRepository, Password, Refused, Setting,
    };
    match kind {
        Kind::NoRepository => means(
            NoRepository,
            "no_repository",
            Some("check --repo, or create a repository with `strongroom init`"),
        ),
        Kind::RepositoryExists => means(
            Failed,
            "repository_exists",
            Some("nothing was changed; choose another place, or use the repository that is there"),
        ),
        Kind::WrongPassword => means(
            Password,
            "wrong_password",
            Some(
                "check the password or key file that was given; any one key slot opens the repository",
            ),
        ),
        Kind::NewerFormat => {
            means(NewerFormat, "newer_format", Some("use a newer strongroom; nothing is damaged"))
        }
        Kind::Damaged => means(
            Damage,
            "damaged",
            Some("`strongroom check --read-data` says what else is damaged"),
        ),
        Kind::Rollback => means(
            Damage,
            "rollback",
            Some(
                "someone may have put an older copy back; find out before writing to it, or say --accept-rollback to go on",
            ),
        ),
        Kind::NotFound => means(
            Failed,
            "not_found",
            Some("`strongroom snapshots` lists snapshots, `strongroom ls SNAP` what is in one"),
        ),
        Kind::AmbiguousName => {
            means(Failed, "ambiguous_name", Some("give more characters of the id"))
        }
        Kind::Store => means(
            Failed,
            "store",
            Some("what landed is kept; the same command goes on from there once the store answers"),
        ),
        Kind::StoreFull => means(
            Failed,
            "store_full",
            Some("make room in the store, then run the same command again; what landed is kept"),
        ),
        Kind::StoreDenied => means(
            Failed,
            "store_denied",
            Some(
                "check the permissions of the folder, or the credentials: `strongroom help stores` says which each store reads",
            ),
        ),
        Kind::StoreReadOnly => {
            means(Failed, "store_read_only", Some("the store takes no writes; nothing was changed"))
        }
        Kind::Source => means(
            Failed,
            "source",
            Some("no snapshot was made; mend the source, then run the same command again"),
        ),
        Kind::Target => means(
            Failed,
            "target",
            Some(
                "check that the target can be written and has room, then run the same command again",
            ),
        ),
        Kind::InvalidSetting => means(Setting, "invalid_setting", None),
        Kind::Interrupted => means(
            Interrupted,
            "interrupted",
            Some("what landed is kept; the same command goes on from there"),
        ),
        Kind::Refused => means(Refused, "refused", None),
        Kind::Other => means(Failed, "other", None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_the_code_that_scripts_know() {
        let expected = [
            (Kind::NoRepository, 10),
            (Kind::RepositoryExists, 1),
            (Kind::WrongPassword, 12),
            (Kind::NewerFormat, 13),
            (Kind::Damaged, 4),
            (Kind::Rollback, 4),
            (Kind::NotFound, 1),
            (Kind::AmbiguousName, 1),
            (Kind::Store, 1),
            (Kind::StoreFull, 1),
            (Kind::StoreDenied, 1),
            (Kind::StoreReadOnly, 1),
            (Kind::Source, 1),
            (Kind::Target, 1),
            (Kind::InvalidSetting, 20),
            (Kind::Interrupted, 130),
            (Kind::Refused, 23),
            (Kind::Other, 1),
        ];
        for (kind, number) in expected {
            assert_eq!(meaning(kind).code.number(), number, "{kind:?}");
        }
        assert_eq!(ExitCode::Usage.number(), 2);
        assert_eq!(ExitCode::SourceUnreadable.number(), 3);
        assert_eq!(ExitCode::Done.number(), 0);
    }

    #[test]
    fn names_are_snake_case_and_hints_are_one_lower_case_line() {
        for kind in [Kind::NoRepository, Kind::Rollback, Kind::StoreDenied, Kind::Interrupted] {
            let meaning = meaning(kind);
            assert!(meaning.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
            let hint = meaning.hint.unwrap();
            assert!(!hint.contains('\n') && !hint.ends_with('.'), "{hint}");
        }
    }
}
