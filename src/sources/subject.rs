//! How things of the outside are named: one place, so that a metric, an event and an inventory
//! item about one resource meet in one subject.

use smallvec::SmallVec;

use super::undecodable;
use crate::model::{Subject, Undecodable, derive_hex};

/// Longest account id or region taken, in bytes. AWS's have 12 and up to 14.
const NAME_BYTES_MAX: usize = 64;
/// Hexadecimal digits of the hash that stands for a cut tail.
const TAIL_HEX: usize = 32;

/// Refuses text that cannot be an account id or region, such as `{{{account_id}}}`. Ids of any
/// length pass: they are opaque.
pub(super) fn check_name(what: &str, text: &str) -> Result<(), Undecodable> {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.');
    if !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(plain) {
        return Ok(());
    }
    Err(undecodable(format!(
        "{what} is {text:?}; expected letters, digits and dashes such as 111122223333 or eu-west-1"
    )))
}

/// The subject `account/region/resource`; a resource too long for one ends in a hash of itself.
pub(super) fn subject(account: &str, region: &str, resource: &str) -> Subject {
    let room = Subject::BYTES_MAX - account.len() - region.len() - 2;
    if resource.len() <= room {
        return Subject::new(account, region, resource);
    }
    let kept = &resource[..resource.floor_char_boundary(room - TAIL_HEX - 1)];
    let cut = format!("{kept}~{}", derive_hex(&[resource]));
    Subject::new(account, region, &cut)
}

/// The subject `account/region/kind/id`.
pub(super) fn resource(account: &str, region: &str, kind: &str, id: &str) -> Subject {
    let mut path = Path::new(kind);
    path.raw(id);
    path.subject(account, region)
}

/// A resource path put together without allocating.
pub(super) struct Path(SmallVec<[u8; 128]>);

impl Path {
    /// A path that begins with `kind`.
    pub(super) fn new(kind: &str) -> Self {
        Self(SmallVec::from_slice(kind.as_bytes()))
    }
    /// Appends `/id` as it is.
    pub(super) fn raw(&mut self, id: &str) {
        self.0.push(b'/');
        self.0.extend_from_slice(id.as_bytes());
    }
    /// Appends `/part`, slashes inside it as colons so that parts stay apart.
    pub(super) fn part(&mut self, part: &str) {
        self.0.push(b'/');
        self.append(part);
    }
    /// Appends `/name=value`, slashes inside as colons.
    pub(super) fn pair(&mut self, name: &str, value: &str) {
        self.part(name);
        self.0.push(b'=');
        self.append(value);
    }
    /// The subject of this path.
    pub(super) fn subject(&self, account: &str, region: &str) -> Subject {
        let path = std::str::from_utf8(&self.0).unwrap_or_default();
        subject(account, region, path)
    }
    fn append(&mut self, part: &str) {
        let bytes = part
            .bytes()
            .map(|byte| if byte == b'/' { b':' } else { byte });
        self.0.extend(bytes);
    }
}

/// A resource as its ARN or bare id names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// The region of the ARN, when it has one.
    pub(super) region: Option<String>,
    /// `instance/i-0abc`.
    pub(super) resource: String,
}

impl Named {
    /// The subject, in the ARN's own region or else `region`.
    pub(super) fn subject(&self, account: &str, region: &str) -> Subject {
        let own = self.region.as_deref().unwrap_or(region);
        subject(account, own, &self.resource)
    }
}

/// Reads an ARN or a bare EC2 id; `None` for text that is neither.
pub(super) fn named(text: &str) -> Option<Named> {
    let text = text.trim();
    if let Some(kind) = kind_of_id(text) {
        return Some(Named {
            region: None,
            resource: format!("{kind}/{text}"),
        });
    }
    let mut parts = text.splitn(6, ':');
    if parts.next() != Some("arn") {
        return None;
    }
    let (_, service, region, _, tail) = (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
    );
    if tail.is_empty() || service.is_empty() {
        return None;
    }
    let region = match service {
        "iam" | "sts" => Some("global".to_owned()),
        _ => Some(region)
            .filter(|region| check_name("region", region).is_ok())
            .map(str::to_owned),
    };
    Some(Named {
        region,
        resource: resource_of_arn(service, tail),
    })
}

fn resource_of_arn(service: &str, tail: &str) -> String {
    match service {
        // ec2 names its ARNs' types as we name kinds.
        "ec2" => tail.to_owned(),
        // What principals have is named by its own kind.
        "iam" if tail.starts_with("policy/") || tail.starts_with("instance-profile/") => {
            tail.to_owned()
        }
        "iam" | "sts" => format!("principal/{tail}"),
        "cloudtrail" if tail.starts_with("trail/") => tail.to_owned(),
        "s3" => format!("bucket/{}", tail.split('/').next().unwrap_or(tail)),
        "autoscaling" => scaling_resource(tail),
        "elasticloadbalancing" => balancing_resource(tail),
        _ => format!("{service}/{}", tail.replace(':', "/")),
    }
}

/// Groups and configurations have names, policies have one within their group.
fn scaling_resource(tail: &str) -> String {
    let name_after = |mark: &str| tail.split_once(mark).map(|(_, name)| name);
    if tail.starts_with("scalingPolicy:")
        && let Some(names) = name_after("autoScalingGroupName/")
    {
        return format!("scaling-policy/{}", names.replacen(":policyName/", "/", 1));
    }
    if let Some(name) = name_after("launchConfigurationName/") {
        return format!("launch-configuration/{name}");
    }
    name_after("autoScalingGroupName/").map_or_else(
        || format!("autoscaling/{tail}"),
        |name| format!("auto-scaling-group/{name}"),
    )
}

fn balancing_resource(tail: &str) -> String {
    if let Some(id) = tail.strip_prefix("loadbalancer/") {
        return format!("load-balancer/{}", load_balancer_name(id));
    }
    // `targetgroup/NAME/HASH`.
    let group = tail.strip_prefix("targetgroup/");
    group.and_then(|group| group.split('/').next()).map_or_else(
        || format!("elasticloadbalancing/{tail}"),
        |name| format!("target-group/{name}"),
    )
}

/// `app/NAME/HASH`, `net/NAME/HASH` and `gwy/NAME/HASH`, as metrics and ARNs write load balancers,
/// or a bare name → the name the Describe item has.
pub(super) fn load_balancer_name(id: &str) -> &str {
    let mut parts = id.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("app" | "net" | "gwy"), Some(name), Some(_), None) if !name.is_empty() => name,
        _ => id,
    }
}

/// The kind an EC2 id's prefix tells.
pub(super) fn kind_of_id(id: &str) -> Option<&'static str> {
    let (prefix, rest) = id.split_once('-')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if rest.is_empty() || !rest.bytes().all(plain) {
        return None;
    }
    Some(match prefix {
        "i" | "mi" => "instance",
        "vol" => "volume",
        "sg" => "security-group",
        "snap" => "snapshot",
        "eipalloc" => "elastic-ip",
        "eni" => "network-interface",
        "nat" => "natgateway",
        "ami" => "image",
        "subnet" => "subnet",
        "vpc" => "vpc",
        "acl" => "network-acl",
        "rtb" => "route-table",
        "igw" => "internet-gateway",
        "vpce" => "vpc-endpoint",
        "pcx" => "vpc-peering-connection",
        "vpn" => "vpn-connection",
        "tgw" => "transit-gateway",
        "key" => "key-pair",
        "fl" => "vpc-flow-log",
        "lt" => "launch-template",
        _ => return None,
    })
}

/// Recognises one fact told twice: 64 bits of BLAKE3 over the parts, each preceded by its length.
pub(super) fn fact_key(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut key = [0; 8];
    key.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_and_ids_of_one_resource_meet_in_one_name() {
        for (text, expected) in [
            ("i-1", "instance/i-1"),
            (" i-1", "instance/i-1"),
            ("arn:aws:ec2:eu-west-1:1:instance/i-1", "instance/i-1"),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/web/0123",
                "load-balancer/web",
            ),
            (
                "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:u-u:autoScalingGroupName/web",
                "auto-scaling-group/web",
            ),
            (
                "arn:aws:autoscaling:eu-west-1:1:scalingPolicy:u-u:autoScalingGroupName/web:policyName/up",
                "scaling-policy/web/up",
            ),
            (
                "arn:aws:autoscaling:eu-west-1:1:launchConfiguration:u-u:launchConfigurationName/web",
                "launch-configuration/web",
            ),
            (
                "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/shop/0123",
                "target-group/shop",
            ),
            ("arn:aws:cloudtrail:eu-west-1:1:trail/all", "trail/all"),
            ("arn:aws:iam::1:user/ann", "principal/user/ann"),
            ("arn:aws:iam::1:policy/path/read", "policy/path/read"),
            (
                "arn:aws:iam::1:instance-profile/web",
                "instance-profile/web",
            ),
            ("rtb-0abc", "route-table/rtb-0abc"),
            ("arn:aws:s3:::logs/key", "bucket/logs"),
            ("arn:aws:rds:eu-west-1:1:cluster:db", "rds/cluster/db"),
        ] {
            let found = named(text).map(|named| named.resource);
            assert_eq!(found.as_deref(), Some(expected), "{text}");
        }
        for text in [
            "",
            "i-",
            "arn:",
            "arn:aws:ec2:::",
            "x-1",
            "plain",
            "AWS::::Account:1",
        ] {
            assert_eq!(named(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_resource_keeps_apart_from_its_neighbour_within_the_limit() {
        let long = |last: &str| subject("1", "eu-west-1", &("é".repeat(900) + last));
        let (one, other) = (long("a"), long("b"));
        assert_ne!(one, other);
        assert!(one.as_str().len() <= Subject::BYTES_MAX);
        assert!(Subject::parse(one.as_str()).is_ok());
    }
}
