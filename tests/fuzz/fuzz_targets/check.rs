//! What holds of every payload, whatever it is.

use skyherd::model::{Message, Subject, Topic};
use skyherd::sources::{Decoded, decode};

/// Decoding does not panic, is deterministic, and gives only subjects that read back.
pub fn check(topic: Topic, payload: &[u8]) {
    let decoded = decode(topic, None, Some(payload));
    assert_eq!(decoded, decode(topic, Some(b"key"), Some(payload)));
    if let Ok(Decoded::Message(Message::Facts(facts))) = decoded {
        assert!(!facts.is_empty());
        let account = facts[0].subject.account().to_owned();
        for fact in &facts {
            assert!(Subject::parse(fact.subject.as_str()).is_ok(), "{}", fact.subject);
            assert_eq!(fact.subject.account(), account);
        }
    }
}
