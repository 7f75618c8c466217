//! Sources as far as a test can tell them apart from comments and from their own tests.

/// Lines of a file with their numbers, without the tests that stand at its end.
pub fn shipped_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text.find("\n#[cfg(test)]\nmod tests").map_or(text.len(), |at| at + 1);
    text[..end].lines().enumerate().map(|(number, line)| (number + 1, line))
}

/// A line without its comment. Slashes in a string count only where a space or nothing stands
/// before them, which addresses do not have.
pub fn without_comment(line: &str) -> &str {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|at| at + from) {
        if at == 0 || line[..at].ends_with(' ') {
            return &line[..at];
        }
        from = at + 2;
    }
    line
}

/// Whether a path is of tests only.
pub fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// Whether a word stands in a line, not as a part of another word.
pub fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_part) && !line[at + word.len()..].starts_with(is_part)
    })
}
