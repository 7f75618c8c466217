//! Ed25519 signatures, checked strictly. SPEC 8.1.

use ed25519_dalek::{Signature, Signer as _, VerifyingKey};

/// A signing key; wiped when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// Makes the key that belongs to a seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(&seed))
    }

    /// Public half.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

/// Checks a signature; weak keys and malleable signatures are refused.
pub fn verify(public: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    VerifyingKey::from_bytes(public)
        .and_then(|key| key.verify_strict(message, &Signature::from_bytes(signature)))
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_message_and_key_only() {
        let key = SigningKey::from_seed([1; 32]);
        let signature = key.sign(b"record");
        assert!(verify(&key.public(), b"record", &signature));
        assert!(!verify(&key.public(), b"Record", &signature));
        assert!(!verify(&SigningKey::from_seed([2; 32]).public(), b"record", &signature));
        assert!(!verify(&[0; 32], b"record", &signature));
    }
}
