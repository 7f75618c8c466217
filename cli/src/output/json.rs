//! JSON Lines for programs: every object has a `type` and `v`, fields keep their order.
//!
//! Names are exact: one that is not UTF-8 has a `*_base64` twin with its bytes. What could steer a
//! terminal is written as a `\u` escape, which changes nothing for a parser.

use std::borrow::Cow;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use engine::Finding;
use engine::finding::Severity;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::escape;
use crate::failure::Failure;
use crate::time;

/// Version of the objects; it grows when a field changes its meaning or goes away.
const VERSION: u64 = 1;

/// One object, its fields in the order they were added.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Object {
    fields: Vec<(Cow<'static, str>, Value)>,
}

impl Object {
    /// Starts a line.
    pub(crate) fn new(kind: &'static str) -> Self {
        Self::default().field("type", kind).field("v", VERSION)
    }

    /// Adds a field.
    #[must_use]
    pub(crate) fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name.into(), value.into()));
        self
    }

    /// Adds a name that may be any bytes, with its exact twin when it is not UTF-8.
    #[must_use]
    pub(crate) fn name(mut self, name: &'static str, bytes: &[u8]) -> Self {
        self.fields.push((name.into(), String::from_utf8_lossy(bytes).into()));
        if std::str::from_utf8(bytes).is_err() {
            self.fields.push((format!("{name}_base64").into(), STANDARD.encode(bytes).into()));
        }
        self
    }

    /// Adds a list of names that may be any bytes; the twin, when any needs one, holds all of them.
    #[must_use]
    pub(crate) fn names<T: AsRef<[u8]>>(mut self, name: &'static str, all: &[T]) -> Self {
        let lossy: Vec<Value> =
            all.iter().map(|n| String::from_utf8_lossy(n.as_ref()).into()).collect();
        self.fields.push((name.into(), lossy.into()));
        if all.iter().any(|n| std::str::from_utf8(n.as_ref()).is_err()) {
            let exact: Vec<Value> = all.iter().map(|n| STANDARD.encode(n).into()).collect();
            self.fields.push((format!("{name}_base64").into(), exact.into()));
        }
        self
    }

    /// Adds a time, in milliseconds since 1970, as RFC 3339 in UTC.
    #[must_use]
    pub(crate) fn time_ms(self, name: &'static str, ms: i64) -> Self {
        self.field(name, time::rfc3339_ms(ms))
    }

    /// Adds all fields of another object.
    #[must_use]
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self
    }

    /// As a value, for a field of another object.
    pub(crate) fn into_value(self) -> Value {
        Value::Object(self.fields.into_iter().map(|(k, v)| (k.into_owned(), v)).collect())
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Writes one object and a line end.
pub(crate) fn write_line(out: &mut dyn Write, object: &Object) -> io::Result<()> {
    let mut line = Vec::new();
    object.serialize(&mut serde_json::Serializer::with_formatter(&mut line, Careful))?;
    line.push(b'\n');
    out.write_all(&line)
}

/// Compact, and escapes what a terminal might act on.
struct Careful;

impl serde_json::ser::Formatter for Careful {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(escape::is_unsafe) {
            let (plain, tail) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = tail.chars();
            let mut units = [0; 2];
            for unit in chars.next().unwrap_or_default().encode_utf16(&mut units) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = chars.as_str();
        }
        writer.write_all(rest.as_bytes())
    }
}

/// The object of a failure. `code` is the exit code, `kind` its finer name.
pub(crate) fn failure(failure: &Failure) -> Object {
    Object::new("error")
        .field("code", failure.code.number())
        .field("kind", failure.name)
        .field("message", failure.message.as_str())
        .field("hint", failure.hint.as_deref())
        .field("retryable", failure.is_retryable)
}

/// The object of a warning.
pub(crate) fn warning(object: &[u8], message: &str) -> Object {
    Object::new("warning").name("object", object).field("message", message)
}

/// The object of a finding.
pub(crate) fn finding(finding: &Finding) -> Object {
    Object::new("finding")
        .field("severity", severity(finding.severity))
        .field("object", finding.object.as_str())
        .field("what", finding.what.as_str())
        .field("repair", Some(finding.repair.as_str()).filter(|r| !r.is_empty()))
}

/// How bad a finding is, in one word.
pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Notice => "notice",
        Severity::Repairable => "repairable",
        Severity::Loss => "loss",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::error::Kind;

    fn line(object: &Object) -> String {
        let mut out = Vec::new();
        write_line(&mut out, object).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_object_starts_with_type_and_version() {
        assert_eq!(
            line(&Object::new("node").field("size", 7).time_ms("time", 1_775_397_600_500)),
            "{\"type\":\"node\",\"v\":1,\"size\":7,\"time\":\"2026-04-05T14:00:00.5Z\"}\n"
        );
    }

    #[test]
    fn a_name_that_is_not_utf8_has_an_exact_twin() {
        assert_eq!(
            line(&Object::new("node").name("path", b"/a\xff")),
            "{\"type\":\"node\",\"v\":1,\"path\":\"/a\u{fffd}\",\"path_base64\":\"L2H/\"}\n"
        );
        assert!(!line(&Object::new("node").name("path", "/ä".as_bytes())).contains("base64"));
    }

    #[test]
    fn a_list_with_one_such_name_has_a_twin_of_all() {
        let object = Object::new("snapshot").names("paths", &[&b"/a"[..], b"/\xff"]);
        assert!(line(&object).ends_with("\"paths_base64\":[\"L2E=\",\"L/8=\"]}\n"));
    }

    #[test]
    fn what_steers_a_terminal_is_escaped_and_reads_back_exactly() {
        let hostile = "a\x1b[2J\u{9b}\u{202e}\u{e0001}\n\"\\\u{7f}b\u{feff}";
        let text = line(&Object::new("node").name("path", hostile.as_bytes()));
        assert!(!text.trim_end().chars().any(escape::is_unsafe), "{text}");
        let back: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(back["path"], hostile);
    }

    #[test]
    fn an_error_carries_code_message_hint_and_retryable() {
        let object = failure(&Failure::new(Kind::NoRepository, "no repository at /x").hint("look"));
        assert_eq!(
            line(&object),
            "{\"type\":\"error\",\"v\":1,\"code\":10,\"kind\":\"no_repository\",\
             \"message\":\"no repository at /x\",\"hint\":\"look\",\"retryable\":false}\n"
        );
    }

    #[test]
    fn findings_and_warnings_have_their_shapes() {
        assert_eq!(
            line(&finding(&Finding::loss("packs/ab", "cut short"))),
            "{\"type\":\"finding\",\"v\":1,\"severity\":\"loss\",\"object\":\"packs/ab\",\
             \"what\":\"cut short\",\"repair\":null}\n"
        );
        assert_eq!(
            line(&warning(b"/a", "vanished")),
            "{\"type\":\"warning\",\"v\":1,\"object\":\"/a\",\"message\":\"vanished\"}\n"
        );
    }
}
