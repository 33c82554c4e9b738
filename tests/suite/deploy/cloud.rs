//! What connects an account: the template for a stack set, and the same in Terraform.
//!
//! Terraform itself is in none of our registries: its files are read by a parser of its language, and held to the
//! template and to themselves.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::{read, root, run};
use crate::harness::require_tools;

const TEMPLATE: &str = "deploy/cloudformation/account.yaml";
/// Names of sources and topics that are ours or nobody's: AWS sends no events of them.
const OURS: [&str; 6] = [
    "aws",
    "aws.billing",
    "aws.budgets",
    "aws.events",
    "aws.logs",
    "aws.partner",
];

fn template(tools: &Path) -> Value {
    let code = "import json, sys; from cfnlint.decode import cfn_yaml; print(json.dumps(cfn_yaml.load(sys.argv[1])))";
    let said = run(&tools.join("python3"), &["-c", code, TEMPLATE]);
    serde_json::from_str(&said).unwrap()
}

fn terraform(tools: &Path, file: &str) -> Value {
    let path = format!("deploy/terraform/{file}");
    serde_json::from_str(&run(&tools.join("hcl2tojson"), &[&path])).unwrap()
}

/// Everything in `text` that begins with `start` and goes on in the characters of a name.
fn names(text: &str, start: &str) -> BTreeSet<String> {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.' || c == '-';
    text.match_indices(start)
        .filter(|(at, _)| !text[..*at].ends_with(part))
        .map(|(at, _)| {
            let name = &text[at..];
            let end = name.find(|c| !part(c)).unwrap_or(name.len());
            name[..end].trim_end_matches('.').to_owned()
        })
        .collect()
}

/// Blocks of a kind, such as `variable`, by their labels joined with dots.
fn blocks(file: &Value, kind: &str) -> BTreeSet<String> {
    let blocks = file[kind].as_array().into_iter().flatten();
    let mut labels = BTreeSet::new();
    for block in blocks {
        for (first, inner) in block.as_object().unwrap() {
            let first = first.trim_matches('"');
            if kind != "resource" {
                labels.insert(first.to_owned());
                continue;
            }
            for second in inner.as_object().unwrap().keys() {
                labels.insert(format!("{first}.{}", second.trim_matches('"')));
            }
        }
    }
    labels
}

fn strings(list: &Value) -> BTreeSet<String> {
    let texts = list.as_array().unwrap().iter();
    texts
        .map(|text| text.as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn the_template_passes_its_linter_and_lets_nothing_be_written_into_an_account() {
    let Some(tools) = require_tools() else {
        return;
    };
    run(&tools.join("cfn-lint"), &["--", TEMPLATE]);
    let template = template(&tools);
    let resources = template["Resources"].as_object().unwrap();
    // Roles of AWS's own services aside, there is one: Skyherd's, and it reads.
    let reading = &resources["ReadingRole"]["Properties"];
    let mut policies = BTreeSet::new();
    for policy in reading["Policies"].as_array().unwrap() {
        // The second of `!If` is what it is when the condition holds.
        let policy = policy.get("Fn::If").map_or(policy, |chosen| &chosen[1]);
        let name = policy["PolicyName"].as_str().unwrap();
        let file: Value = serde_json::from_str(&read(&format!("deploy/iam/{name}.json"))).unwrap();
        // The bucket's name is put in where one is read.
        let told = policy["PolicyDocument"].to_string();
        let told = told.replace(
            "{\"Fn::Sub\":\"arn:aws:s3:::${Bucket}\"}",
            "\"arn:aws:s3:::BUCKET\"",
        );
        let told = told.replace(
            "{\"Fn::Sub\":\"arn:aws:s3:::${Bucket}/*\"}",
            "\"arn:aws:s3:::BUCKET/*\"",
        );
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told, file, "{name}");
        policies.insert(name.to_owned());
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            for action in strings(&statement["Action"]) {
                let (_, verb) = action.split_once(':').unwrap();
                let reads = ["Describe", "Get", "List", "Lookup", "Search", "View"];
                // Has IAM write down what it knows of credentials; changes none.
                let report = action == "iam:GenerateCredentialReport";
                let reads = report || reads.iter().any(|read| verb.starts_with(read));
                assert!(reads, "{action}");
            }
        }
    }
    let listed = std::fs::read_dir(root().join("deploy/iam")).unwrap();
    let mut listed: BTreeSet<String> = listed
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    // Not of an account that is read, but of Skyherd's own role.
    assert!(listed.remove("roles"));
    assert_eq!(policies, listed);
    for (name, resource) in resources {
        let condition = resource["Condition"].as_str();
        assert!(condition.is_some(), "{name} is made whether wanted or not");
        if resource["Type"] != "AWS::IAM::Role" {
            continue;
        }
        let trust = &resource["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
        let bound = trust["Condition"]["StringEquals"].as_object();
        assert_eq!(bound.map(serde_json::Map::len), Some(1), "{name}");
    }
    assert_eq!(template["Parameters"]["AccessKey"]["NoEcho"], true);
}

#[test]
fn every_source_of_events_the_program_knows_is_sent() {
    let Some(tools) = require_tools() else {
        return;
    };
    let code = read("src/sources/events.rs");
    let known: BTreeSet<String> = names(&code, "aws.");
    let template = template(&tools);
    let sent = strings(&template["Resources"]["Events"]["Properties"]["EventPattern"]["source"]);
    for source in known {
        assert!(
            OURS.contains(&source.as_str()) || sent.contains(&source),
            "{source} is not sent"
        );
    }
}

#[test]
fn terraform_names_only_what_there_is_and_says_the_same_as_the_template() {
    let Some(tools) = require_tools() else {
        return;
    };
    let main = terraform(&tools, "main.tf");
    let variables = blocks(&terraform(&tools, "variables.tf"), "variable");
    let outputs = terraform(&tools, "outputs.tf").to_string();
    let text = main.to_string();

    let used: BTreeSet<String> = names(&text, "var.")
        .iter()
        .map(|name| name.trim_start_matches("var.").to_owned())
        .collect();
    assert_eq!(used, variables);
    let resources = blocks(&main, "resource");
    for name in names(&text, "aws_").union(&names(&outputs, "aws_")) {
        // A kind alone is a label, `kind.name.attribute` a reference.
        let mut parts = name.splitn(3, '.');
        if let (Some(kind), Some(label)) = (parts.next(), parts.next()) {
            let named = format!("{kind}.{label}");
            assert!(
                resources.contains(&named) || kind == "aws_caller_identity",
                "{name}"
            );
        }
    }

    let template = template(&tools);
    let made = |name: &str| &template["Resources"][name]["Properties"];
    let sources = strings(&made("Events")["EventPattern"]["source"]);
    assert_eq!(names(&text, "aws."), sources);
    let filters = made("MetricStream")["IncludeFilters"].as_array().unwrap();
    let spaces: BTreeSet<String> = filters
        .iter()
        .map(|filter| filter["Namespace"].as_str().unwrap().to_owned())
        .collect();
    let own: BTreeSet<String> = text
        .split('"')
        .map(|word| word.trim_end_matches('\\'))
        .filter(|word| word.starts_with("AWS/"))
        .map(str::to_owned)
        .collect();
    assert_eq!(own, spaces);
    for (name, role) in template["Resources"].as_object().unwrap() {
        for policy in role["Properties"]["Policies"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if name == "ReadingRole" {
                continue;
            }
            for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
                for action in statement["Action"]
                    .as_array()
                    .unwrap_or(&vec![statement["Action"].clone()])
                {
                    let action = action.as_str().unwrap();
                    assert!(text.contains(action), "{name}: {action}");
                }
            }
        }
    }
}
