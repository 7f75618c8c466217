//! Proves that commands say word for word what the transcripts in tests/commands say.
//!
//! A transcript holds only what is the same in every run; ids and times are elided there.

use strongroom_tests::repository_tree::files;

#[test]
fn commands_say_what_their_transcripts_say() {
    assert!(!files("tests/commands", ".trycmd").is_empty());
    trycmd::TestCases::new()
        .case("commands/*.trycmd")
        .register_bin("strongroom", std::path::Path::new(env!("CARGO_BIN_EXE_strongroom")))
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .env("STRONGROOM_PASSWORD", strongroom_tests::world::PASSWORD)
        .env("STRONGROOM_REPO", "repository")
        .env("STRONGROOM_CACHE_DIR", "cache")
        .run();
}
