//! Compressed parts, undone in memory.

use std::io::Read as _;

use super::UNPACKED_BYTES_MAX;

/// How bytes are compressed.
#[derive(Clone, Copy)]
pub(super) enum Packing {
    /// Log subscriptions, Firehose, S3.
    Gzip,
    /// Some programs that play a log subscription leave gzip's frame out.
    Zlib,
}

impl Packing {
    /// What the first bytes say.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            // A request of 120 bytes would be followed by its first field's tag, 10.
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => Some(Self::Zlib),
            _ => None,
        }
    }

    /// The bytes as they were; else why not.
    pub(super) fn undo(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut plain = Vec::new();
        let limit = UNPACKED_BYTES_MAX as u64 + 1;
        let read = match self {
            Self::Gzip => flate2::bufread::MultiGzDecoder::new(bytes)
                .take(limit)
                .read_to_end(&mut plain),
            Self::Zlib => flate2::bufread::ZlibDecoder::new(bytes)
                .take(limit)
                .read_to_end(&mut plain),
        };
        match read {
            Ok(_) if plain.len() <= UNPACKED_BYTES_MAX => Ok(plain),
            Ok(_) => Err(format!(
                "the part unpacks to more than {UNPACKED_BYTES_MAX} bytes; split it"
            )),
            Err(error) => Err(format!("the part does not unpack: {error}")),
        }
    }
}
