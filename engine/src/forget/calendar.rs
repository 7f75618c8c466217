//! Calendar arithmetic of the rules: the period that a time lies in, and going back by a span.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::policy::{Period, Span};

/// Number of the period that a time lies in; equal exactly for times of one period.
pub(super) fn number_of(period: Period, time_ms: i64, position: usize, zone: &TimeZone) -> i64 {
    if period == Period::Each {
        return i64::try_from(position).unwrap_or(i64::MAX);
    }
    let civil = timestamp(time_ms).to_zoned(zone.clone()).datetime();
    let date = civil.date();
    let (year, month, day) =
        (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    match period {
        Period::Each => 0,
        Period::Hour => ((year * 100 + month) * 100 + day) * 100 + i64::from(civil.hour()),
        Period::Day => (year * 100 + month) * 100 + day,
        Period::Week => {
            let week = date.iso_week_date();
            i64::from(week.year()) * 100 + i64::from(week.week())
        }
        Period::Month => year * 100 + month,
        Period::Quarter => year * 10 + (month - 1) / 3,
        Period::Year => year,
    }
}

fn timestamp(time_ms: i64) -> Timestamp {
    let nearest = if time_ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(time_ms).unwrap_or(nearest)
}

/// Time of `span` before another, in milliseconds since 1970: years, months and days by the
/// calendar with the same time of day, then hours.
///
/// A day that a month lacks counts on into the next one: a month before 31 March is 3 March.
/// What reaches back further than calendars do is the beginning of time.
pub(super) fn before(time_ms: i64, span: Span, zone: &TimeZone) -> i64 {
    try_before(time_ms, span, zone).unwrap_or(i64::MIN)
}

fn try_before(time_ms: i64, span: Span, zone: &TimeZone) -> Option<i64> {
    let civil = timestamp(time_ms).to_zoned(zone.clone()).datetime();
    let date = civil.date();
    let months = i32::from(date.year()) * 12 + i32::from(date.month())
        - 1
        - i32::from(span.years) * 12
        - i32::from(span.months);
    let year = i16::try_from(months.div_euclid(12)).ok()?;
    let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
    let first = Date::new(year, month, 1).ok()?;
    let days = i64::from(date.day()) - 1 - i64::from(span.days);
    let date = first.checked_add(days.days()).ok()?;
    let back = date.to_datetime(civil.time()).to_zoned(zone.clone()).ok()?;
    let hours = SignedDuration::from_hours(i64::from(span.hours));
    Some(back.timestamp().checked_sub(hours).ok()?.as_millisecond())
}
