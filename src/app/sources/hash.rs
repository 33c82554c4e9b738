//! Short names for what is too long to be kept.

/// A number made of bytes: other bytes, another number.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let head = blake3::hash(bytes).as_bytes().first_chunk().copied();
    u64::from_be_bytes(head.unwrap_or_default())
}

/// A number made of words, each by itself.
pub(super) fn hash_of(words: &[&str]) -> u64 {
    let mut bytes = Vec::new();
    for word in words {
        bytes.extend((word.len() as u64).to_le_bytes());
        bytes.extend(word.as_bytes());
    }
    hash(&bytes)
}
