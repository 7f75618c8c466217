//! Retention policies: which snapshots to keep, as rules that people know from calendars.

use jiff::tz::TimeZone;

/// How many snapshots a rule keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Count {
    /// None by this rule.
    #[default]
    None,
    /// At most so many.
    AtMost(u32),
    /// All that the rule fits.
    All,
}

impl Count {
    pub(super) fn is_open(self) -> bool {
        !matches!(self, Self::None | Self::AtMost(0))
    }

    pub(super) const fn take(&mut self) {
        if let Self::AtMost(left) = self {
            *left = left.saturating_sub(1);
        }
    }
}

/// A length of time in parts of a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// Years.
    pub years: u16,
    /// Months.
    pub months: u16,
    /// Days.
    pub days: u32,
    /// Hours of 60 minutes each.
    pub hours: u32,
}

impl Span {
    /// Reads `1y2m3w4d5h`: whole numbers with a unit each, in any order, each unit at most once;
    /// a week counts as seven days.
    pub fn parse(text: &str) -> Option<Self> {
        let mut span = Self::default();
        let mut seen = Vec::new();
        let mut digits = String::new();
        for c in text.chars() {
            if c.is_ascii_digit() {
                digits.push(c);
                continue;
            }
            let number: u32 = std::mem::take(&mut digits).parse().ok()?;
            if seen.contains(&c) {
                return None;
            }
            seen.push(c);
            match c {
                'y' => span.years = u16::try_from(number).ok()?,
                'm' => span.months = u16::try_from(number).ok()?,
                'w' => span.days = span.days.checked_add(number.checked_mul(7)?)?,
                'd' => span.days = span.days.checked_add(number)?,
                'h' => span.hours = number,
                _ => return None,
            }
        }
        (digits.is_empty() && !span.is_zero()).then_some(span)
    }

    pub(super) fn is_zero(self) -> bool {
        self == Self::default()
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [
            (u32::from(self.years), 'y'),
            (u32::from(self.months), 'm'),
            (self.days, 'd'),
            (self.hours, 'h'),
        ];
        parts.iter().filter(|(n, _)| *n > 0).try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

/// What spans reach back from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RelativeTo {
    /// The newest snapshot of the group that does not lie in the future: a machine that stopped
    /// backing up loses nothing by age alone.
    #[default]
    Newest,
    /// Now.
    Now,
}

/// Periods that rules choose the newest snapshot of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// Every snapshot is its own.
    Each,
    /// Hours by the clock on the wall.
    Hour,
    /// Days.
    Day,
    /// Weeks of ISO 8601, which begin on Monday.
    Week,
    /// Months.
    Month,
    /// Quarters of a year.
    Quarter,
    /// Years.
    Year,
}

impl Period {
    /// Every period, the shortest first.
    pub const ALL: [Self; 7] =
        [Self::Each, Self::Hour, Self::Day, Self::Week, Self::Month, Self::Quarter, Self::Year];

    /// As it stands before `snapshot`.
    pub const fn adjective(self) -> &'static str {
        match self {
            Self::Each => "last",
            Self::Hour => "hourly",
            Self::Day => "daily",
            Self::Week => "weekly",
            Self::Month => "monthly",
            Self::Quarter => "quarterly",
            Self::Year => "yearly",
        }
    }
}

/// Which snapshots to keep. A snapshot that any rule keeps is kept.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How many of each period to keep, in the order of [`Period::ALL`].
    pub counts: [Count; 7],
    /// For how long to keep one of each period, in the order of [`Period::ALL`].
    pub within: [Option<Span>; 7],
    /// Keep what has all tags of any of these sets.
    pub tags: Vec<Vec<String>>,
    /// What spans reach back from.
    pub relative_to: RelativeTo,
    /// Zone whose calendar counts.
    pub zone: TimeZone,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            counts: [Count::None; 7],
            within: [None; 7],
            tags: Vec::new(),
            relative_to: RelativeTo::Newest,
            zone: TimeZone::UTC,
        }
    }
}

impl Policy {
    /// Says whether no rule keeps anything.
    pub fn is_empty(&self) -> bool {
        !self.counts.iter().any(|count| count.is_open())
            && self.within.iter().flatten().all(|span| span.is_zero())
            && self.tags.is_empty()
    }
}
