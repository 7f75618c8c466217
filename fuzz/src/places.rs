//! What people and stores write as text: names of objects, addresses of stores, patterns.

use engine::source::files::excludes::patterns_in;
use engine::source::files::{ExcludeOptions, Excludes};
use engine::store::Location;
use repo_format::ObjectName;
use repo_format::object_name::Meaning;

/// A name as a store lists it.
pub fn object_name(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some(name) = ObjectName::parse(text) else { return };
    assert_eq!(name.as_str(), text);
    assert!(text.len() <= ObjectName::BYTES_MAX, "{text} is too long");
    let leads_elsewhere = |part: &str| part.is_empty() || part.starts_with('.');
    assert!(!text.split('/').any(leads_elsewhere), "{text} leads elsewhere");
    let again = match name.meaning() {
        Some(Meaning::Marker) => ObjectName::marker(),
        Some(Meaning::Config(generation)) => ObjectName::config(generation),
        Some(Meaning::KeySlot(id)) => ObjectName::key_slot(id),
        Some(Meaning::WriterCard(id)) => ObjectName::writer_card(id),
        Some(Meaning::DataPack(hash)) => ObjectName::data_pack(hash),
        Some(Meaning::MetadataPack(hash)) => ObjectName::metadata_pack(hash),
        Some(Meaning::IndexSegment(hash)) => ObjectName::index_segment(hash),
        _ => return,
    };
    assert_eq!(again, name, "a name with two spellings");
}

/// An address of a store, as it is typed.
pub fn location(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match Location::parse(text) {
        Ok(location) => {
            assert_eq!(Location::parse(text).as_ref().ok(), Some(&location), "read in two ways");
            let shown = location.to_string();
            assert!(!shown.is_empty(), "an address without words");
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.is_empty(), "an error without words");
            assert!(!shown.contains(|c: char| c.is_control()), "{shown:?} moves the cursor");
        }
    }
}

/// A file of exclude patterns, a zero byte, and the path that is held against them.
pub fn excludes(data: &[u8]) {
    let cut = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (text, path) = data.split_at(cut);
    let Ok(text) = std::str::from_utf8(text) else { return };
    let patterns = patterns_in(text);
    let options = |patterns: Vec<String>| ExcludeOptions { patterns, ..ExcludeOptions::default() };
    let Ok(excludes) = Excludes::new(&options(patterns.clone())) else { return };
    let path: Vec<u8> = path.iter().map(|byte| if *byte == 0 { b'/' } else { *byte }).collect();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let found = [false, true].map(|is_directory| excludes.excludes(&path, name, is_directory));
    if patterns.is_empty() {
        assert_eq!(found, [false, false], "nothing was asked for and something is left out");
    }
    // The last word is the last pattern's: one that takes everything back leaves nothing out.
    let mut all_back = patterns;
    all_back.push("!*".to_owned());
    if let Ok(excludes) = Excludes::new(&options(all_back))
        && !name.is_empty()
    {
        assert!(!excludes.excludes(&path, name, true), "what was taken back is left out");
    }
}
