//! Writer cards: the public key of a writer, vouched for by the repository, and its label.
//! SPEC 8.1.

use crate::envelope::{self, Fields, Header, push_sized};
use crate::error::Result;
use crate::id::{ObjectHash, RepositoryId, WriterId};
use crate::limits;
use crate::object_name::ObjectKind;

const DOMAIN: &[u8] = b"strongroom v1 writer card";

/// A writer card, its label ([`crate::key_slot::Label`]) still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterCard {
    /// Repository.
    pub repository: RepositoryId,
    /// Epoch of the key that seals the label.
    pub epoch: u32,
    /// Writer; also the name of the card.
    pub writer: WriterId,
    /// Ed25519 public key of the writer.
    pub public_key: [u8; 32],
    /// Ed25519 signature of [`WriterCard::signed`] by the repository's root key.
    pub signature: [u8; 64],
    /// Label, sealed.
    pub sealed_label: Vec<u8>,
}

impl WriterCard {
    /// Header of the object, for the context of its sealed part.
    pub const fn header(&self) -> Header {
        Header::new(ObjectKind::WriterCard, self.epoch, self.repository)
    }

    /// What the root key signs: domain, repository, writer, public key.
    pub fn signed(&self) -> Vec<u8> {
        [DOMAIN, &self.repository.0, &self.writer.0, &self.public_key].concat()
    }

    /// Encodes the whole object.
    pub fn encode(&self) -> (Vec<u8>, ObjectHash) {
        let mut out = self.header().encode().to_vec();
        out.extend_from_slice(&self.writer.0);
        out.extend_from_slice(&self.public_key);
        out.extend_from_slice(&self.signature);
        push_sized(&mut out, &self.sealed_label);
        let hash = envelope::finish(&mut out);
        (out, hash)
    }

    /// Decodes a whole object.
    pub fn decode(bytes: &[u8], repository: RepositoryId) -> Result<Self> {
        let object = envelope::open(
            bytes,
            ObjectKind::WriterCard,
            Some(repository),
            limits::RECORD_BYTES_MAX,
        )?;
        let mut fields = Fields::new("writer card", object.body);
        let card = Self {
            repository,
            epoch: object.header.epoch,
            writer: WriterId(fields.array()?),
            public_key: fields.array()?,
            signature: fields.array()?,
            sealed_label: fields.sized()?.to_vec(),
        };
        fields.end()?;
        Ok(card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_reads_back() {
        let card = WriterCard {
            repository: RepositoryId([1; 16]),
            epoch: 2,
            writer: WriterId([3; 16]),
            public_key: [4; 32],
            signature: [5; 64],
            sealed_label: vec![6; 60],
        };
        let (bytes, _) = card.encode();
        assert_eq!(WriterCard::decode(&bytes, card.repository).unwrap(), card);
    }
}
