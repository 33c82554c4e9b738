//! State values: a format byte, the agent's state version, then MessagePack with field names.
//!
//! Named fields let a state grow by `#[serde(default)]`; the two bytes let it change otherwise.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The container format; raised when the layout around the payload changes.
const FORMAT: u8 = 1;

/// A stored value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Written by a newer program.
    #[error(
        "state version {found} is newer than this program's {known}; run the version that wrote it or wipe the memory and let the backup restore it"
    )]
    Newer {
        /// The version found.
        found: u8,
        /// The newest version this program reads.
        known: u8,
    },
    /// Not a state value.
    #[error("state value is damaged: {0}")]
    Damaged(String),
}

/// Encodes a state.
///
/// # Panics
/// Never: MessagePack takes every state type of the agents (a conformance test encodes them all).
pub fn encode_state<S: Serialize>(version: u8, state: &S) -> Vec<u8> {
    let mut bytes = vec![FORMAT, version];
    rmp_serde::encode::write_named(&mut bytes, state).expect("agent states are plain data");
    bytes
}

/// Decodes a state written by this or an older program.
pub fn decode_state<S: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<S, CodecError> {
    let [format, found, payload @ ..] = bytes else {
        return Err(CodecError::Damaged("shorter than its header".into()));
    };
    if *format > FORMAT {
        return Err(CodecError::Newer {
            found: *format,
            known: FORMAT,
        });
    }
    if *found > version {
        return Err(CodecError::Newer {
            found: *found,
            known: version,
        });
    }
    rmp_serde::from_slice(payload).map_err(|error| CodecError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize, serde::Deserialize, PartialEq, Debug, Default)]
    struct Old {
        a: u32,
    }
    #[derive(Serialize, serde::Deserialize, PartialEq, Debug, Default)]
    struct Grown {
        a: u32,
        #[serde(default)]
        b: String,
    }

    #[test]
    fn a_state_may_grow_and_a_newer_one_is_refused() {
        let bytes = encode_state(1, &Old { a: 7 });
        assert_eq!(
            decode_state::<Grown>(1, &bytes),
            Ok(Grown {
                a: 7,
                b: String::new()
            })
        );
        let newer = encode_state(2, &Old { a: 7 });
        assert_eq!(
            decode_state::<Old>(1, &newer),
            Err(CodecError::Newer { found: 2, known: 1 })
        );
        assert!(matches!(
            decode_state::<Old>(1, &[1]),
            Err(CodecError::Damaged(_))
        ));
        assert!(matches!(
            decode_state::<Old>(1, &[1, 1, 0xc1]),
            Err(CodecError::Damaged(_))
        ));
    }
}
