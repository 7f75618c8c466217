//! The way of every foreign string to a terminal: what could steer one is shown as an escape.
//!
//! Control characters (C0, DEL, C1), marks that reorder or hide text, and bytes that are not UTF-8
//! never pass. Names also double the backslash, so two different names never look the same.

use std::fmt::Write as _;

/// Says whether a character could steer a terminal, reorder text, or hide.
pub(crate) const fn is_unsafe(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        // Soft hyphen, Arabic letter mark, Hangul fillers, Mongolian vowel separator.
        | '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{180e}'
        // Zero width space, left-to-right and right-to-left mark; joiners stay, scripts need them.
        | '\u{200b}' | '\u{200e}' | '\u{200f}'
        // Line and paragraph separator, embeddings, overrides.
        | '\u{2028}'..='\u{202e}'
        // Invisible operators, isolates, deprecated format characters.
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        // Tags.
        | '\u{e0000}'..='\u{e007f}')
}

/// Makes a name (path, host, tag: any bytes) fit to be shown; different names stay different.
pub(crate) fn name(bytes: &[u8]) -> String {
    escape(bytes, true)
}

/// Makes a line of text fit to be shown; what was escaped already stays as it is.
pub(crate) fn text(line: &str) -> String {
    escape(line.as_bytes(), false)
}

fn escape(bytes: &[u8], double_backslash: bool) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push(&mut out, c, double_backslash);
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

fn push(out: &mut String, c: char, double_backslash: bool) {
    match c {
        '\\' if double_backslash => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        c if c.is_ascii() && is_unsafe(c) => {
            let _ = write!(out, "\\x{:02x}", u32::from(c));
        }
        c if is_unsafe(c) => {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        }
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_steer_a_terminal_are_shown_as_escapes() {
        let cases: [(&[u8], &str); 12] = [
            (b"a\x1b[2Jb", "a\\x1b[2Jb"),
            (b"\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
            (b"good\rbad", "good\\rbad"),
            (b"two\nlines", "two\\nlines"),
            (b"tab\there", "tab\\there"),
            (b"bell\x07", "bell\\x07"),
            (b"nul\0", "nul\\x00"),
            (b"del\x7f", "del\\x7f"),
            ("c1 \u{9b}2J".as_bytes(), "c1 \\u{9b}2J"),
            ("txt.\u{202e}exe".as_bytes(), "txt.\\u{202e}exe"),
            (b"latin \xe4\xff", "latin \\xe4\\xff"),
            (b"back\\slash", "back\\\\slash"),
        ];
        for (bytes, shown) in cases {
            assert_eq!(name(bytes), shown);
        }
    }

    #[test]
    fn every_mark_that_reorders_or_hides_is_escaped() {
        for c in ['\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2066}', '\u{2069}', '\u{feff}']
            .into_iter()
            .chain('\u{202a}'..='\u{202e}')
        {
            assert!(name(c.to_string().as_bytes()).starts_with("\\u{"), "{:x}", u32::from(c));
        }
    }

    #[test]
    fn ordinary_names_of_all_scripts_stay_as_they_are() {
        for text in ["/home/Jörg/Übung 1.txt", "日本語", "नमस्ते", "👩\u{200d}💻", "می\u{200c}خواهم"]
        {
            assert_eq!(name(text.as_bytes()), text);
        }
    }

    #[test]
    fn a_name_that_reads_like_an_escape_stays_apart_from_the_one_it_reads_like() {
        assert_ne!(name(b"a\x1bb"), name(b"a\\x1bb"));
    }

    #[test]
    fn text_that_was_escaped_stays_the_same() {
        let once = name(b"x\x1b[31m\\\xff");
        assert_eq!(text(&once), once);
    }

    #[test]
    fn no_byte_sequence_leaves_anything_unsafe() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let shown = name(&[first, second, b'm']);
                assert!(!shown.chars().any(is_unsafe), "{first:02x} {second:02x}");
            }
        }
    }
}
