//! The rules against an oracle that is slow, obvious and shares nothing with them: each rule as the
//! set that it keeps, over a calendar and two time zones counted out by hand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use repo_format::ObjectHash;

use super::super::plan::{Candidate, decide};
use super::super::policy::{Count, Period, Policy, RelativeTo, Span};

/// Numbers that depend on a seed alone.
struct Draw(u64);

impl Draw {
    fn next(&mut self, below: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.next(of.len() as u64)).unwrap()]
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970, counted one year and one month after another.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year_days = |year| if is_leap(year) { 366 } else { 365 };
    let years: i64 = if year >= 1970 {
        (1970..year).map(year_days).sum()
    } else {
        -(year..1970).map(year_days).sum::<i64>()
    };
    years + (1..month).map(|month| month_days(year, month)).sum::<i64>() + day - 1
}

fn date_of(mut days: i64) -> (i64, i64, i64) {
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += if is_leap(year) { 366 } else { 365 };
    }
    while days >= if is_leap(year) { 366 } else { 365 } {
        days -= if is_leap(year) { 366 } else { 365 };
        year += 1;
    }
    let mut month = 1;
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

/// Monday is 0; 1 January 1970 was a Thursday.
fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7)
}

/// The ISO week is that of its Thursday, and that Thursday's year is its year.
fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days - weekday(days) + 3;
    let (year, _, _) = date_of(thursday);
    (year, (thursday - days_of(year, 1, 1)) / 7 + 1)
}

/// The n-th Sunday of a month, or the last for 5.
fn sunday(year: i64, month: i64, which: i64) -> i64 {
    let first = days_of(year, month, 1);
    let all: Vec<i64> =
        (first..first + month_days(year, month)).filter(|day| weekday(*day) == 6).collect();
    if which == 5 { *all.last().unwrap() } else { all[usize::try_from(which - 1).unwrap()] }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Zone {
    Utc,
    London,
    NewYork,
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

impl Zone {
    fn real(self) -> TimeZone {
        match self {
            Self::Utc => TimeZone::UTC,
            Self::London => TimeZone::posix("GMT0BST,M3.5.0/1,M10.5.0/2").unwrap(),
            Self::NewYork => TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").unwrap(),
        }
    }

    fn offset_at(self, utc_ms: i64) -> i64 {
        let (year, _, _) = date_of(utc_ms.div_euclid(DAY));
        let is_summer = |from: i64, to: i64| from <= utc_ms && utc_ms < to;
        match self {
            Self::Utc => 0,
            Self::London => {
                let (from, to) =
                    (sunday(year, 3, 5) * DAY + HOUR, sunday(year, 10, 5) * DAY + HOUR);
                if is_summer(from, to) { HOUR } else { 0 }
            }
            Self::NewYork => {
                let from = sunday(year, 3, 2) * DAY + 7 * HOUR;
                let to = sunday(year, 11, 1) * DAY + 6 * HOUR;
                if is_summer(from, to) { -4 * HOUR } else { -5 * HOUR }
            }
        }
    }

    /// The first moment that has this time on the wall; in a gap, as far behind its beginning.
    fn utc_of(self, wall_ms: i64) -> i64 {
        let (winter, summer) = match self {
            Self::Utc => (0, 0),
            Self::London => (0, HOUR),
            Self::NewYork => (-5 * HOUR, -4 * HOUR),
        };
        let fitting = [summer, winter].map(|offset| (wall_ms - offset, offset));
        let fitting = fitting.into_iter().filter(|(utc, offset)| self.offset_at(*utc) == *offset);
        fitting.map(|(utc, _)| utc).min().unwrap_or(wall_ms - winter)
    }
}

/// Names the period of a time, so that equal names are the same period.
fn name_of(period: Period, one: &Candidate, zone: Zone) -> String {
    let wall = one.time_ms + zone.offset_at(one.time_ms);
    let days = wall.div_euclid(DAY);
    let (year, month, day) = date_of(days);
    match period {
        Period::Each => format!("{:?}", one.id),
        Period::Hour => format!("{year} {month} {day} {}", wall.rem_euclid(DAY) / HOUR),
        Period::Day => format!("{year} {month} {day}"),
        Period::Week => format!("{:?}", iso_week(days)),
        Period::Month => format!("{year} {month}"),
        Period::Quarter => format!("{year} {}", (month + 2) / 3),
        Period::Year => format!("{year}"),
    }
}

fn go_back(from_ms: i64, span: Span, zone: Zone) -> i64 {
    let wall = from_ms + zone.offset_at(from_ms);
    let (mut year, mut month, day) = date_of(wall.div_euclid(DAY));
    year -= i64::from(span.years);
    for _ in 0..span.months {
        month -= 1;
        if month == 0 {
            month = 12;
            year -= 1;
        }
    }
    let days = days_of(year, month, 1) + day - 1 - i64::from(span.days);
    zone.utc_of(days * DAY + wall.rem_euclid(DAY)) - i64::from(span.hours) * HOUR
}

/// The newest of each period, periods from the newest to the oldest.
fn newest_of_each(all: &[Candidate], period: Period, zone: Zone) -> Vec<ObjectHash> {
    let mut periods: BTreeMap<String, &Candidate> = BTreeMap::new();
    for one in all {
        let best = periods.entry(name_of(period, one, zone)).or_insert(one);
        if (one.time_ms, one.id) > (best.time_ms, best.id) {
            *best = one;
        }
    }
    let mut best: Vec<&Candidate> = periods.into_values().collect();
    best.sort_by_key(|one| std::cmp::Reverse((one.time_ms, one.id)));
    best.into_iter().map(|one| one.id).collect()
}

fn kept(all: &[Candidate], policy: &Policy, zone: Zone, now_ms: i64) -> BTreeSet<ObjectHash> {
    let mut kept = BTreeSet::new();
    let oldest = all.iter().min_by_key(|one| (one.time_ms, one.id)).unwrap();
    for (period, count) in Period::ALL.into_iter().zip(policy.counts) {
        let newest = newest_of_each(all, period, zone);
        let limit = match count {
            Count::None => continue,
            Count::AtMost(limit) => usize::try_from(limit).unwrap(),
            Count::All => usize::MAX,
        };
        if newest.len() < limit {
            kept.insert(oldest.id);
        }
        kept.extend(newest.into_iter().take(limit));
    }
    let past = all.iter().map(|one| one.time_ms).filter(|time| *time <= now_ms).max();
    let reference = match policy.relative_to {
        RelativeTo::Newest => past.unwrap_or(now_ms),
        RelativeTo::Now => now_ms,
    };
    for (period, span) in Period::ALL.into_iter().zip(policy.within) {
        let Some(span) = span else { continue };
        let from = go_back(reference, span, zone);
        let inside: Vec<Candidate> = all.iter().filter(|one| one.time_ms > from).cloned().collect();
        kept.extend(newest_of_each(&inside, period, zone));
        if oldest.time_ms > from {
            kept.insert(oldest.id);
        }
    }
    for tags in &policy.tags {
        let with = all.iter().filter(|one| tags.iter().all(|tag| one.tags.contains(tag)));
        kept.extend(with.map(|one| one.id));
    }
    kept
}

/// Times near where calendars are difficult.
const CORNERS: [(i64, i64, i64); 8] = [
    (2024, 2, 28),
    (2023, 12, 30),
    (2020, 12, 31),
    (2026, 12, 30),
    (2026, 3, 28),
    (2026, 10, 24),
    (2025, 3, 8),
    (2025, 11, 1),
];

fn made_up(draw: &mut Draw) -> Vec<Candidate> {
    let mut at = if draw.next(2) == 0 {
        let (year, month, day) = draw.pick(&CORNERS);
        days_of(year, month, day) * DAY
    } else {
        1_400_000_000_000 + i64::try_from(draw.next(400_000_000)).unwrap() * 1000
    };
    let step = draw.pick(&[HOUR / 3, HOUR, DAY, 7 * DAY, 30 * DAY, 170 * DAY]);
    let count = 1 + draw.next(20);
    (0..count)
        .map(|number| {
            at += draw.pick(&[step, step, step / 3, 0]);
            at += i64::try_from(draw.next(u64::try_from(step).unwrap())).unwrap();
            let mut id = [0; 32];
            id[0] = u8::try_from(draw.next(256)).unwrap();
            id[1] = u8::try_from(number).unwrap();
            let tags = ["a", "b"].iter().filter(|_| draw.next(3) == 0);
            let tags = tags.map(|tag| (*tag).to_owned()).collect();
            Candidate { id: ObjectHash(id), time_ms: at, tags, ..Candidate::default() }
        })
        .collect()
}

fn made_up_policy(draw: &mut Draw, zone: Zone) -> Policy {
    let mut policy = Policy { zone: zone.real(), ..Policy::default() };
    for place in 0..7 {
        if draw.next(3) == 0 {
            policy.counts[place] = draw.pick(&[
                Count::All,
                Count::AtMost(1),
                Count::AtMost(2),
                Count::AtMost(3),
                Count::AtMost(7),
                Count::AtMost(0),
            ]);
        }
        if draw.next(5) == 0 {
            let part = |draw: &mut Draw, below: u64| draw.next(below);
            policy.within[place] = Some(Span {
                years: u16::try_from(part(draw, 3)).unwrap(),
                months: u16::try_from(part(draw, 15)).unwrap(),
                days: u32::try_from(part(draw, 40)).unwrap(),
                hours: u32::try_from(1 + part(draw, 50)).unwrap(),
            });
        }
    }
    if draw.next(6) == 0 {
        policy.tags.push(vec!["a".to_owned()]);
    }
    if draw.next(6) == 0 {
        policy.tags.push(vec!["a".to_owned(), "b".to_owned()]);
    }
    policy.relative_to = draw.pick(&[RelativeTo::Newest, RelativeTo::Now]);
    policy
}

#[test]
fn ten_thousand_histories_are_decided_as_the_oracle_decides() {
    let mut draw = Draw(2026);
    for number in 0..10_000 {
        let zone = draw.pick(&[Zone::Utc, Zone::London, Zone::NewYork]);
        let all = made_up(&mut draw);
        let policy = made_up_policy(&mut draw, zone);
        let newest = all.iter().map(|one| one.time_ms).max().unwrap();
        let now_ms = newest + i64::try_from(draw.next(100)).unwrap() * DAY - 10 * DAY;
        let expected = kept(&all, &policy, zone, now_ms);
        let decisions = decide(all.clone(), &policy, now_ms, true);
        let found: BTreeSet<ObjectHash> = decisions
            .iter()
            .filter(|decision| decision.is_kept())
            .map(|decision| decision.candidate.id)
            .collect();
        assert_eq!(found, expected, "history {number}: {policy:?} {zone:?} {all:?}");
    }
}

#[test]
fn the_calendar_of_the_oracle_is_right_where_it_is_known() {
    assert_eq!(iso_week(days_of(2020, 12, 31)), (2020, 53));
    assert_eq!(iso_week(days_of(2021, 1, 3)), (2020, 53));
    assert_eq!(iso_week(days_of(2021, 1, 4)), (2021, 1));
    assert_eq!(iso_week(days_of(2024, 12, 30)), (2025, 1));
    assert_eq!(date_of(days_of(2024, 2, 29)), (2024, 2, 29));
    assert_eq!(days_of(2000, 3, 1), 11_017);
    assert_eq!(sunday(2026, 3, 5), days_of(2026, 3, 29));
}
