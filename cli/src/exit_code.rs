//! What each way to end means to a script: exhaustive matches from kind to exit code, name and
//! hint.
//!
//! A kind that the engine gains breaks the matches, so no error leaves with a code nobody chose.

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

    /// The code of a number that another run of this program ended with.
    pub(crate) fn of(number: u8) -> Option<Self> {
        let all = [
            Self::Done,
            Self::Failed,
            Self::Usage,
            Self::SourceUnreadable,
            Self::Damage,
            Self::NoRepository,
            Self::Password,
            Self::NewerFormat,
            Self::Setting,
            Self::Refused,
            Self::Interrupted,
        ];
        all.into_iter().find(|code| code.number() == number)
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

/// Says what a kind of error means.
pub(crate) const fn meaning(kind: Kind) -> Meaning {
    let (code, name) = code_and_name(kind);
    Meaning { code, name, hint: hint(kind) }
}

const fn code_and_name(kind: Kind) -> (ExitCode, &'static str) {
    match kind {
        Kind::NoRepository => (ExitCode::NoRepository, "no_repository"),
        Kind::RepositoryExists => (ExitCode::Failed, "repository_exists"),
        Kind::WrongPassword => (ExitCode::Password, "wrong_password"),
        Kind::NewerFormat => (ExitCode::NewerFormat, "newer_format"),
        Kind::Damaged => (ExitCode::Damage, "damaged"),
        Kind::Rollback => (ExitCode::Damage, "rollback"),
        Kind::NotFound => (ExitCode::Failed, "not_found"),
        Kind::AmbiguousName => (ExitCode::Failed, "ambiguous_name"),
        Kind::Store => (ExitCode::Failed, "store"),
        Kind::StoreFull => (ExitCode::Failed, "store_full"),
        Kind::StoreDenied => (ExitCode::Failed, "store_denied"),
        Kind::StoreReadOnly => (ExitCode::Failed, "store_read_only"),
        Kind::Source => (ExitCode::Failed, "source"),
        Kind::Target => (ExitCode::Failed, "target"),
        Kind::InvalidSetting => (ExitCode::Setting, "invalid_setting"),
        Kind::Interrupted => (ExitCode::Interrupted, "interrupted"),
        Kind::Refused => (ExitCode::Refused, "refused"),
        Kind::Other => (ExitCode::Failed, "other"),
    }
}

/// What to do about an error of a kind, where that does not depend on more.
const fn hint(kind: Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::NoRepository => "check --repo, or create a repository with `strongroom init`",
        Kind::RepositoryExists => {
            "nothing was changed; choose another place, or use the repository that is there"
        }
        Kind::WrongPassword => {
            "check the password or key file that was given; any one key slot opens the repository"
        }
        Kind::NewerFormat => "use a newer strongroom; nothing is damaged",
        Kind::Damaged => "`strongroom check --read-data` says what else is damaged",
        Kind::Rollback => {
            "someone may have put an older copy back; find out before writing to it, or go on with --accept-rollback"
        }
        Kind::AmbiguousName => "give more characters of the id",
        Kind::Store => {
            "what landed is kept; the same command goes on from there once the store answers"
        }
        Kind::StoreFull => {
            "make room in the store, then run the same command again; what landed is kept"
        }
        Kind::StoreDenied => {
            "check the permissions of the folder, or the credentials: `strongroom help stores` says which each store reads"
        }
        Kind::StoreReadOnly => "the store takes no writes; nothing was changed",
        Kind::Source => "no snapshot was made; mend the source, then run the same command again",
        Kind::Target => {
            "check that the target can be written and has room, then run the same command again"
        }
        Kind::Interrupted => "what landed is kept; the same command goes on from there",
        Kind::NotFound | Kind::InvalidSetting | Kind::Refused | Kind::Other => return None,
    })
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
