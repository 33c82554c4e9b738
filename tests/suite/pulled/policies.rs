//! The policies allow what the code calls: judged by botocore's own lists of operations.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;
use skyherd::adapters::aws::operations;

use super::moto::boto3;

/// Every word of the code, without comments, texts and tests.
fn words(folder: &Path, words: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            self::words(&path, words);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for line in code.lines() {
            let line = line.split("//").next().unwrap_or_default();
            // Texts are every second part between quotes.
            for part in line.split('"').step_by(2) {
                let part = part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                words.extend(part.filter(|word| word.contains('_')).map(str::to_owned));
            }
        }
    }
}

#[test]
fn whatever_the_code_calls_is_in_a_policy_and_nothing_else_is() {
    let mut found = BTreeSet::new();
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapters/aws");
    words(&adapter, &mut found);
    let Some(known) = boto3(
        r#"
from botocore import xform_name
services = ("sts", "ec2", "autoscaling", "elbv2", "organizations", "cloudwatch", "ce",
    "budgets")
names = {operation for service in services
    for operation in client(service).meta.service_model.operation_names}
answer = {xform_name(name): name for name in names}
"#,
    ) else {
        return;
    };
    let names = known.as_object().unwrap();
    let calls: BTreeSet<&str> = found
        .iter()
        .filter_map(|word| names.get(word)?.as_str())
        .collect();
    let listed: BTreeSet<&str> = operations()
        .map(|named| named.split_once(':').unwrap().1)
        .collect();
    assert_eq!(calls, listed);
    // The judge itself must be able to say no.
    assert_eq!(known["terminate_instances"], json!("TerminateInstances"));
    assert!(calls.contains("DescribeNatGateways"), "a call in a table");
    assert!(calls.contains("ListAccountsForParent"), "a paged call");
}
