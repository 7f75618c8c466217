//! Times as programs read them (RFC 3339, UTC) and as people do (local, with the zone).

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use repo_format::tree::Time;

/// Which moment of a day a bare date means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BareDate {
    /// Its first moment.
    Start,
    /// Its last millisecond, so that "until" and "at or before" include the day.
    End,
}

/// Writes a time in milliseconds since 1970 as RFC 3339 in UTC; what no calendar holds is clamped.
pub(crate) fn rfc3339_ms(ms: i64) -> String {
    timestamp(ms).to_string()
}

/// Writes a time in milliseconds since 1970 for people: local, with the zone.
pub(crate) fn local_ms(ms: i64) -> String {
    format_in(timestamp(ms), TimeZone::system())
}

/// Writes a time of a file as RFC 3339 in UTC.
pub(crate) fn rfc3339(time: Time) -> String {
    timestamp_of(time).to_string()
}

/// Writes a time of a file for people: local, with the zone.
pub(crate) fn local(time: Time) -> String {
    format_in(timestamp_of(time), TimeZone::system())
}

fn timestamp_of(time: Time) -> Timestamp {
    let nanos = i32::try_from(time.nanos).unwrap_or(0);
    let limit = if time.seconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::new(time.seconds, nanos).unwrap_or(limit)
}

fn format_in(time: Timestamp, zone: TimeZone) -> String {
    time.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

/// Parses a date or time of this machine's zone, or one that names its own zone or offset.
pub(crate) fn parse(text: &str, bare_date: BareDate) -> Result<Timestamp, String> {
    parse_in(text, bare_date, &TimeZone::system())
}

/// Parses a time for clap; a bare date is its first moment.
pub(crate) fn parse_start(text: &str) -> Result<Timestamp, String> {
    parse(text, BareDate::Start)
}

/// Parses a time for clap; a bare date is its last moment.
pub(crate) fn parse_end(text: &str) -> Result<Timestamp, String> {
    parse(text, BareDate::End)
}

/// Like [`parse`], with the zone said.
pub(crate) fn parse_in(
    text: &str,
    bare_date: BareDate,
    zone: &TimeZone,
) -> Result<Timestamp, String> {
    let invalid =
        || format!("`{}` is no time such as 2026-04-05T12:00", crate::output::escape::text(text));
    if !starts_like_a_date(text) {
        return Err(invalid());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<Zoned>() {
        return Ok(time.timestamp());
    }
    let civil = if text.len() == "2026-04-05".len() {
        let day = text.parse::<Date>().map_err(|_| invalid())?;
        match bare_date {
            BareDate::Start => day.to_datetime(jiff::civil::Time::midnight()),
            BareDate::End => {
                let next = day.tomorrow().map_err(|_| invalid())?;
                let end = next
                    .to_zoned(zone.clone())
                    .and_then(|next| next.checked_sub(1.millisecond()))
                    .map_err(|_| invalid())?;
                return Ok(end.timestamp());
            }
        }
    } else {
        text.parse::<DateTime>().map_err(|_| invalid())?
    };
    Ok(civil.to_zoned(zone.clone()).map_err(|_| invalid())?.timestamp())
}

fn starts_like_a_date(text: &str) -> bool {
    text.len() >= 10
        && text.bytes().zip(*b"dddd-dd-dd").all(|(byte, form)| match form {
            b'd' => byte.is_ascii_digit(),
            _ => byte == form,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    fn parsed(text: &str) -> Result<String, String> {
        parse_in(text, BareDate::End, &zone()).map(|time| time.to_string())
    }

    #[test]
    fn times_are_local_unless_they_say_otherwise() {
        for (text, utc) in [
            ("2026-04-05T12:00", "2026-04-05T10:00:00Z"),
            ("2026-04-05 12:00:30", "2026-04-05T10:00:30Z"),
            ("2026-01-05T12:00", "2026-01-05T11:00:00Z"),
            ("2026-04-05T12:00Z", "2026-04-05T12:00:00Z"),
            ("2026-04-05T12:00:00-05:00", "2026-04-05T17:00:00Z"),
            ("2026-04-05T12:00[UTC]", "2026-04-05T12:00:00Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(utc), "{text}");
        }
    }

    #[test]
    fn a_bare_date_is_its_first_or_its_last_moment() {
        assert_eq!(parsed("2026-04-05").unwrap(), "2026-04-05T21:59:59.999Z");
        let start = parse_in("2026-04-05", BareDate::Start, &zone()).unwrap();
        assert_eq!(start.to_string(), "2026-04-04T22:00:00Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "20260405", "2026-13-05", "2026-04-05T25:00", "2026-04-05x"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_see_the_zone_and_programs_utc() {
        let time = timestamp(1_775_397_600_000);
        assert_eq!(format_in(time, zone()), "2026-04-05 16:00:00 CEST");
        assert_eq!(rfc3339_ms(1_775_397_600_000), "2026-04-05T14:00:00Z");
    }

    #[test]
    fn times_beyond_all_calendars_are_clamped() {
        assert!(rfc3339_ms(i64::MAX).starts_with("9999-12-30"));
        assert!(rfc3339_ms(i64::MIN).starts_with("-009999"));
        let time = |seconds| rfc3339(Time { seconds, nanos: 5 });
        assert!(time(i64::MAX).starts_with("9999-12-30"));
        assert!(time(i64::MIN).starts_with("-009999"));
        assert_eq!(time(-1), "1969-12-31T23:59:59.000000005Z");
    }
}
