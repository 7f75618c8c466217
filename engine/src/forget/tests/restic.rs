//! What restic keeps, from a table that restic itself made (tests/retention/make_table.py).

use jiff::tz::TimeZone;
use repo_format::ObjectHash;

use super::super::plan::{Candidate, decide};
use super::super::policy::{Count, Policy, Span};

const TABLE: &str = include_str!("../../../../tests/retention/restic-table.txt");

fn history(line: &str) -> Vec<Candidate> {
    let one = |(number, word): (usize, &str)| {
        let (seconds, tags) = word.split_once(':').unwrap();
        let time_ms = seconds.parse::<i64>().unwrap() * 1000;
        let tags = tags.split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        let mut id = [0; 32];
        id[0] = u8::try_from(255 - number).unwrap();
        Candidate { id: ObjectHash(id), time_ms, tags, ..Candidate::default() }
    };
    line.split(' ').enumerate().map(one).collect()
}

fn policy(flags: &str) -> Policy {
    let words: Vec<&str> = flags.split(' ').collect();
    let mut policy = Policy { zone: TimeZone::UTC, ..Policy::default() };
    let places = ["last", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly"];
    for pair in words.chunks(2) {
        let rule = pair[0].strip_prefix("--keep-").unwrap();
        let place = |name: &str| places.iter().position(|place| *place == name).unwrap();
        if rule == "tag" {
            policy.tags.push(pair[1].split(',').map(str::to_owned).collect());
        } else if let Some(within) = rule.strip_prefix("within") {
            let name = within.strip_prefix('-').unwrap_or("last");
            policy.within[place(name)] = Some(Span::parse(pair[1]).unwrap());
        } else {
            policy.counts[place(rule)] = match pair[1] {
                "unlimited" => Count::All,
                number => Count::AtMost(number.parse().unwrap()),
            };
        }
    }
    policy
}

#[test]
fn the_rules_of_restic_keep_what_restic_keeps() {
    let lines = || TABLE.lines();
    let histories: Vec<_> =
        lines().filter_map(|line| line.strip_prefix("history ")).map(history).collect();
    let mut cases = 0;
    for line in lines().filter_map(|line| line.strip_prefix("policy ")) {
        let (flags, kept) = line.split_once(" => ").unwrap();
        let policy = policy(flags);
        for (number, (history, expected)) in histories.iter().zip(kept.split(';')).enumerate() {
            let decisions = decide(history.clone(), &policy, i64::MAX, true);
            let kept = decisions.iter().enumerate().filter(|(_, decision)| decision.is_kept());
            let kept: Vec<String> = kept.map(|(place, _)| place.to_string()).collect();
            assert_eq!(kept.join(","), expected, "history {number} under {flags}");
            cases += 1;
        }
    }
    assert!(cases >= 2000, "only {cases} cases");
}
