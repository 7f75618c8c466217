//! What stands behind a seal, and what is cut: costs, frames, encodings, lengths.

use engine::chunk::compression::{Compressor, Decompressor, Level};
use engine::chunk::cutter::{Cutter, Gear};
use engine::crypto::passphrase::{self, Cost};
use engine::crypto::seal::Key;
use engine::crypto::{blob, seal};
use repo_format::content::Chunker;
use repo_format::key_slot::Bundle;
use repo_format::pack::{BlobKind, blob_context, encoding};
use repo_format::{BlobId, RepositoryId, limits};

use crate::memory::{STRANGER, peak_of};
use crate::number;

/// Costs of a key slot: memory, passes and lanes, four bytes each. What is outside the limits is
/// refused before memory is taken.
pub fn argon2_costs(data: &[u8]) {
    let Some((costs, _)) = data.split_first_chunk::<12>() else { return };
    let at = |from: usize| {
        let bytes = costs.get(from..from + 4).and_then(|bytes| bytes.try_into().ok());
        u32::from_le_bytes(bytes.unwrap_or_default())
    };
    let cost = Cost { memory_kib: at(0), passes: at(4), lanes: at(8) };
    let is_allowed = (1..=16).contains(&cost.lanes)
        && (1..=16).contains(&cost.passes)
        && (8 * cost.lanes..=2 << 20).contains(&cost.memory_kib);
    assert_eq!(cost.check().is_ok(), is_allowed, "{cost:?}");
    if !is_allowed {
        let (key, peak) = peak_of(|| passphrase::derive(b"x", &[0; 32], cost));
        assert!(key.is_err() && peak < 4096, "{peak} bytes were taken for {cost:?}");
    } else if cost.memory_kib <= 256 && cost.passes <= 2 {
        assert!(passphrase::derive(b"x", &[0; 32], cost).is_ok(), "{cost:?}");
    }
}

/// An encoded blob: its encoding, the bytes that it claims to be in three, and what decodes.
pub fn blob(data: &[u8]) {
    let Some((encoded_as, data)) = number::<1>(data) else { return };
    let Some((claimed, encoded)) = number::<3>(data) else { return };
    let claimed = u32::try_from(claimed).unwrap_or(0).min(limits::BLOB_BYTES_MAX);
    let encoded_as = u8::try_from(encoded_as).unwrap_or(0);
    let Ok(mut decompressor) = Decompressor::new() else { return };
    let (plain, peak) = peak_of(|| {
        let mut plain = Vec::new();
        decompressor.decode(encoded_as, encoded, claimed, &mut plain).map(|()| plain)
    });
    let most = claimed as usize + encoded.len() + STRANGER.slack_bytes;
    assert!(peak <= most, "{peak} bytes were taken where {claimed} were promised");
    if let Ok(plain) = plain {
        assert_eq!(plain.len(), claimed as usize);
        assert!(encoded_as != encoding::RAW || plain == encoded);
    }
    encode(encoded);
}

/// Whatever the bytes are, what is encoded comes back.
fn encode(plain: &[u8]) {
    for level in [Level::Off, Level::Fast, Level::Default] {
        let (Ok(mut compressor), Ok(mut decompressor)) =
            (Compressor::new(level), Decompressor::new())
        else {
            return;
        };
        let (mut encoded, mut again) = (Vec::new(), Vec::new());
        let encoded_as = compressor.encode(plain, &mut encoded);
        assert!(encoded.len() <= plain.len(), "encoding made it longer");
        let length = u32::try_from(plain.len()).unwrap_or(u32::MAX);
        let decoded = decompressor.decode(encoded_as, &encoded, length, &mut again);
        assert!(decoded.is_ok() && again == plain, "what was encoded does not come back");
    }
}

/// A frame with one bit changed does not open; the first four bytes say which.
pub fn frame(data: &[u8]) {
    let Some((place, plain)) = number::<4>(data) else { return };
    let (key, id_key) = (Key::new([1; 32]), Key::new([2; 32]));
    let id = blob::blob_id(&id_key, BlobKind::Data, plain);
    let length = u32::try_from(plain.len()).unwrap_or(u32::MAX);
    let repository = RepositoryId([3; 16]);
    let context = blob_context(repository, id, BlobKind::Data, encoding::RAW, length, &[]);
    let mut frame = Vec::new();
    if blob::seal_frame(&mut frame, &key, id, &context, plain).is_err() {
        return;
    }
    let open = |mut frame: Vec<u8>, id: BlobId| {
        blob::open_frame(&mut frame, &key, id, &context).map(<[u8]>::to_vec)
    };
    assert!(open(frame.clone(), id).is_ok_and(|found| found == plain), "a frame does not open");
    let bit = usize::try_from(place).unwrap_or(0) % (frame.len() * 8);
    let mut other = id;
    other.0[bit / 8 % 32] ^= 1 << (bit % 8);
    assert!(open(frame.clone(), other).is_err(), "a frame opens under another id");
    frame[bit / 8] ^= 1 << (bit % 8);
    assert!(open(frame.clone(), id).is_err(), "a changed frame opens");
    frame.truncate(bit / 8);
    assert!(open(frame, id).is_err(), "a frame that was cut opens");
}

/// A sealed bundle of keys: opened as it is, then sealed anew with the plain bytes of the input.
pub fn bundle(data: &[u8]) {
    let key = Key::new([4; 32]);
    assert!(seal::open(&key, "strongroom v1 key slot", b"", data).is_err(), "forged");
    let Ok(sealed) = seal::seal(&key, "strongroom v1 key slot", b"aad", data) else { return };
    let opened = seal::open(&key, "strongroom v1 key slot", b"aad", &sealed);
    assert!(opened.as_ref().is_ok_and(|plain| plain == data), "a seal does not open");
    assert!(seal::open(&key, "strongroom v1 label", b"aad", &sealed).is_err(), "another domain");
    assert!(seal::open(&key, "strongroom v1 key slot", b"", &sealed).is_err(), "another context");
    if let Ok(bundle) = Bundle::decode(data) {
        assert!(bundle.encode() == data, "encodes to other bytes than it was decoded from");
    }
}

/// A stream: where it is cut depends on its bytes alone. The first byte chooses the sizes.
pub fn cuts(data: &[u8]) {
    let Some((which, data)) = number::<1>(data) else { return };
    let (min, max) = match which % 4 {
        0 => (64, 256),
        1 => (64, 64),
        2 => (128, 1024),
        _ => (256, 4096),
    };
    let avg = (min + max) / 4 * 2;
    let cutter = Cutter::new(&Gear::new(&Key::new([5; 32])), Chunker::FastCdc { min, avg, max });
    let mut rest = data;
    while let Some(length) = cutter.cut(rest, true) {
        let (min, max) = (min as usize, max as usize);
        assert!(length <= max && (length >= min || length == rest.len()), "a cut at {length}");
        // Bytes beyond the longest chunk must not matter.
        let seen = &rest[..rest.len().min(max)];
        assert_eq!(cutter.cut(seen, seen.len() < max), Some(length), "buffers show");
        rest = &rest[length..];
    }
    assert!(rest.is_empty(), "bytes are left over");
}
