//! Proves that what the sources cite of SPEC.md is there: sections by number, rules by name.

use std::collections::BTreeSet;

use strongroom_tests::repository_tree::{files, read, root};

/// Text of the specification, once there is one.
fn specification() -> Option<String> {
    root().join("SPEC.md").is_file().then(|| read("SPEC.md"))
}

/// Numbers that follow `SPEC ` in a text, also when several are listed.
fn cited(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, word) in text.match_indices("SPEC ") {
        let mut rest = &text[at + word.len()..];
        while let Some(number) = number(rest) {
            rest = &rest[number.len()..];
            found.push(number.to_owned());
            let Some(next) = [", ", " and ", "; "].iter().find_map(|by| rest.strip_prefix(by))
            else {
                break;
            };
            rest = next;
        }
    }
    found
}

/// Section number at the beginning of a text, such as `8` or `8.1`.
fn number(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number = text[..end].trim_end_matches('.');
    (!number.is_empty() && number.starts_with(|c: char| c.is_ascii_digit())).then_some(number)
}

#[test]
fn every_section_that_is_cited_is_there() {
    let Some(specification) = specification() else { return };
    let headings: BTreeSet<&str> = specification
        .lines()
        .filter_map(|line| number(line.strip_prefix('#')?.trim_start_matches('#').trim_start()))
        .collect();
    assert!(headings.len() > 10, "headings of SPEC.md have lost their numbers");
    let mut wrong = Vec::new();
    for path in files("", ".rs") {
        for (line_number, line) in read(&path).lines().enumerate() {
            for section in cited(line).iter().filter(|section| !headings.contains(section.as_str()))
            {
                wrong.push(format!("{}:{}: SPEC {section}", path.display(), line_number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "cited but not in SPEC.md:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_rule_that_is_cited_is_there() {
    let Some(specification) = specification() else { return };
    let mut wrong = Vec::new();
    for path in files("", ".rs") {
        if path.starts_with("tests") {
            continue;
        }
        for (line_number, line) in read(&path).lines().enumerate() {
            for (at, _) in line.match_indices("O-") {
                let digits = line[at + 2..].chars().take_while(char::is_ascii_digit).count();
                let is_word = line[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
                let rule = &line[at..at + 2 + digits];
                if digits > 0 && !is_word && !specification.contains(rule) {
                    wrong.push(format!("{}:{}: {rule}", path.display(), line_number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "rules that SPEC.md does not have:\n  {}", wrong.join("\n  "));
}

#[test]
fn citations_are_read_as_they_are_meant() {
    assert_eq!(cited("as SPEC 5.1, 5.2 and 6 say. SPEC 10."), ["5.1", "5.2", "6", "10"]);
    assert_eq!(cited("SPEC.md says"), Vec::<String>::new());
}
