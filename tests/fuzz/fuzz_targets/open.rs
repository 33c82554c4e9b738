//! The opener of whatever AWS sends; the first byte chooses what the rest comes wrapped in.
#![no_main]

use skyherd::model::Topic;
use skyherd::sources::{Decoded, Fate, Hints, PARTS_MAX, decode, open};

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else {
        return;
    };
    let text = || serde_json::Value::from(String::from_utf8_lossy(bytes)).to_string();
    let wrapped = match first % 4 {
        0 => bytes.to_vec(),
        1 => format!(r#"{{"Type":"Notification","TopicArn":"arn:aws:sns:a-1:1:t","Message":{}}}"#, text()).into_bytes(),
        2 => format!(r#"{{"Records":[{{"messageId":"m","body":{}}}]}}"#, text()).into_bytes(),
        _ => format!(r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logEvents":[{{"id":"1","timestamp":1,"message":{}}}]}}"#, text()).into_bytes(),
    };
    let hints = Hints {
        account: (first & 0x80 != 0).then(|| "111122223333".into()),
        ..Hints::default()
    };
    let parts = open(&wrapped, &hints);
    assert!(!parts.is_empty() && parts.len() <= PARTS_MAX);
    for part in parts {
        if let Fate::Record { topic, account } = part.fate {
            assert!(Topic::RAW.contains(&topic));
            match decode(topic, None, Some(&part.payload)) {
                Ok(Decoded::Message(message)) => assert_eq!(message.account(), account),
                other => panic!("{other:?}"),
            }
        }
    }
});
