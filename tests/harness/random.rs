//! Bytes and numbers that look random and are the same in every run.

/// Bytes that do not compress, named by a seed.
pub fn bytes(seed: &str, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new_derive_key("strongroom suite bytes")
        .update(seed.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// A number below `limit`, named by a seed and an index.
pub fn below(seed: &str, index: u64, limit: u64) -> u64 {
    let drawn = bytes(&format!("{seed} {index}"), 8);
    u64::from_le_bytes(drawn.try_into().unwrap()) % limit
}

/// Text of lines that compress about as well as prose.
pub fn text(seed: &str, length: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "store", "snapshot", "pack", "tree", "of", "the", "is", "sealed", "a", "folder", "below",
        "index",
    ];
    let drawn = bytes(seed, length / 3 + 1);
    let mut text = Vec::with_capacity(length + 16);
    for (place, byte) in drawn.iter().enumerate() {
        if text.len() >= length {
            break;
        }
        text.extend_from_slice(WORDS[usize::from(*byte) % WORDS.len()].as_bytes());
        text.push(if place % 11 == 10 { b'\n' } else { b' ' });
    }
    text.resize(length, b'.');
    text
}
