//! Sealing: ChaCha20-Poly1305 (RFC 8439) under a key that is used once. SPEC 3.3.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use zeroize::ZeroizeOnDrop;

use super::{Error, random};

/// Bytes of the salt before a ciphertext.
pub const SALT_BYTES: usize = 24;
/// Bytes of the tag after it.
pub const TAG_BYTES: usize = 16;
/// Bytes that sealing adds.
pub const OVERHEAD: usize = SALT_BYTES + TAG_BYTES;

/// A secret of 32 bytes; wiped when dropped, never printed.
#[derive(Clone, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

impl Key {
    /// Takes 32 secret bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Derives the key for one purpose: BLAKE3 `derive_key`.
    #[must_use]
    pub fn derive(&self, context: &str) -> Self {
        Self(blake3::derive_key(context, &self.0))
    }

    /// The secret bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Keyed BLAKE3 over parts, one after another.
pub fn keyed_hash(key: &Key, parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(key.as_bytes());
    for part in parts {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

fn cipher(one_use: &[u8; 32]) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&CHACHA20_POLY1305, one_use)
        .map(LessSafeKey::new)
        .map_err(|_| Error::NotAuthentic)
}

/// Encrypts `buffer` in place under a key that is used for nothing else; gives the tag.
pub fn seal_in_place(
    one_use: &[u8; 32],
    aad: &[u8],
    buffer: &mut [u8],
) -> Result<[u8; TAG_BYTES], Error> {
    let aad = if planted!(ContextMissing) { &[] } else { aad };
    let tag = cipher(one_use)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key([0; 12]), Aad::from(aad), buffer)
        .map_err(|_| Error::NotAuthentic)?;
    tag.as_ref().try_into().map_err(|_| Error::NotAuthentic)
}

/// Decrypts `buffer`, ciphertext then tag, in place; gives the length of the plain bytes.
pub fn open_in_place(one_use: &[u8; 32], aad: &[u8], buffer: &mut [u8]) -> Result<usize, Error> {
    let aad = if planted!(ContextMissing) { &[] } else { aad };
    cipher(one_use)?
        .open_in_place(Nonce::assume_unique_for_key([0; 12]), Aad::from(aad), buffer)
        .map(|plain| plain.len())
        .map_err(|_| Error::NotAuthentic)
}

/// Seals `plain` for one domain and context: salt, ciphertext, tag.
pub fn seal(key: &Key, domain: &str, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
    let salt: [u8; SALT_BYTES] = random::array()?;
    let one_use = keyed_hash(key, &[&salt, domain.as_bytes()]);
    let mut out = Vec::with_capacity(plain.len() + OVERHEAD);
    out.extend_from_slice(&salt);
    out.extend_from_slice(plain);
    let tag = seal_in_place(&one_use, aad, &mut out[SALT_BYTES..])?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// Opens what [`seal`] sealed for the same domain and context.
pub fn open(key: &Key, domain: &str, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Error> {
    if sealed.len() < OVERHEAD {
        return Err(Error::NotAuthentic);
    }
    let (salt, rest) = sealed.split_at(SALT_BYTES);
    let one_use = keyed_hash(key, &[salt, domain.as_bytes()]);
    let mut plain = rest.to_vec();
    let length = open_in_place(&one_use, aad, &mut plain)?;
    plain.truncate(length);
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
    use chacha20poly1305::{ChaCha20Poly1305, Nonce as ReferenceNonce};

    use super::*;

    #[test]
    fn the_bytes_are_those_of_the_portable_reference() {
        for length in (0..300).chain([4096, 65_537, 300_001]) {
            let plain: Vec<u8> = (0..length).map(|i: u32| (i % 251) as u8).collect();
            let key: [u8; 32] = random::array().unwrap();
            let aad = &plain[..plain.len().min(77)];
            let mut ours = plain.clone();
            let tag = seal_in_place(&key, aad, &mut ours).unwrap();
            let mut theirs = plain.clone();
            let reference = ChaCha20Poly1305::new(&key.into());
            let reference_tag = reference
                .encrypt_inout_detached(
                    &ReferenceNonce::default(),
                    aad,
                    theirs.as_mut_slice().into(),
                )
                .unwrap();
            assert_eq!(ours, theirs);
            assert_eq!(tag[..], reference_tag[..]);
            ours.extend_from_slice(&tag);
            assert_eq!(open_in_place(&key, aad, &mut ours).unwrap(), plain.len());
            assert_eq!(ours[..plain.len()], plain);
        }
    }

    #[test]
    fn any_change_is_noticed() {
        let key = Key::new([7; 32]);
        let sealed = seal(&key, "d", b"context", b"forty-two invoices").unwrap();
        assert_eq!(open(&key, "d", b"context", &sealed).unwrap(), b"forty-two invoices");
        for at in 0..sealed.len() {
            let mut flipped = sealed.clone();
            flipped[at] ^= 1;
            assert!(open(&key, "d", b"context", &flipped).is_err());
            assert!(open(&key, "d", b"context", &sealed[..at]).is_err());
        }
        assert!(open(&key, "e", b"context", &sealed).is_err());
        assert!(open(&key, "d", b"contexT", &sealed).is_err());
        assert!(open(&Key::new([8; 32]), "d", b"context", &sealed).is_err());
    }

    #[test]
    fn equal_plain_bytes_never_seal_to_equal_bytes() {
        let key = Key::new([7; 32]);
        assert_ne!(seal(&key, "d", b"", b"x").unwrap(), seal(&key, "d", b"", b"x").unwrap());
    }
}
