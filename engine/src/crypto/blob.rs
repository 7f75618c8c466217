//! Blobs: their keyed names, and the frames that they are stored in. SPEC 5.1, 5.2.

use repo_format::BlobId;
use repo_format::pack::BlobKind;

use super::seal::{self, Key, OVERHEAD, SALT_BYTES, keyed_hash};
use super::{Error, random};

/// Names a blob: keyed BLAKE3 over its kind and its plain bytes.
pub fn blob_id(id_key: &Key, kind: BlobKind, plain: &[u8]) -> BlobId {
    BlobId(keyed_hash(id_key, &[&[kind as u8], plain]))
}

/// Appends the frame of a blob to `out`: salt, ciphertext of `encoded`, tag.
///
/// The one-use key binds salt and id, so that even a repeated salt could only meet the same blob.
pub fn seal_frame(
    out: &mut Vec<u8>,
    key: &Key,
    id: BlobId,
    context: &[u8],
    encoded: &[u8],
) -> Result<(), Error> {
    let salt: [u8; SALT_BYTES] = random::array()?;
    let one_use = keyed_hash(key, &[&salt, &id.0]);
    out.extend_from_slice(&salt);
    let start = out.len();
    out.extend_from_slice(encoded);
    let tag = seal::seal_in_place(&one_use, context, &mut out[start..])?;
    out.extend_from_slice(&tag);
    Ok(())
}

/// Opens the frame of a blob in place; gives the encoded bytes.
pub fn open_frame<'a>(
    frame: &'a mut [u8],
    key: &Key,
    id: BlobId,
    context: &[u8],
) -> Result<&'a [u8], Error> {
    if frame.len() < OVERHEAD {
        return Err(Error::NotAuthentic);
    }
    let (salt, rest) = frame.split_at_mut(SALT_BYTES);
    let one_use = keyed_hash(key, &[salt, &id.0]);
    let length = seal::open_in_place(&one_use, context, rest)?;
    Ok(&rest[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_opens_under_its_own_id_and_context_only() {
        let key = Key::new([1; 32]);
        let id = blob_id(&Key::new([2; 32]), BlobKind::Data, b"plain");
        let mut pack = b"before".to_vec();
        seal_frame(&mut pack, &key, id, b"context", b"plain").unwrap();
        let frame = &pack[6..];
        let open = |key: &Key, id, context: &[u8]| {
            open_frame(&mut frame.to_vec(), key, id, context).map(<[u8]>::to_vec)
        };
        assert_eq!(open(&key, id, b"context").unwrap(), b"plain");
        assert!(open(&key, BlobId([0; 32]), b"context").is_err());
        assert!(open(&key, id, b"other").is_err());
        assert!(open(&Key::new([9; 32]), id, b"context").is_err());
    }

    #[test]
    fn the_kind_is_part_of_the_name() {
        let key = Key::new([2; 32]);
        assert_ne!(blob_id(&key, BlobKind::Data, b"x"), blob_id(&key, BlobKind::Tree, b"x"));
    }
}
