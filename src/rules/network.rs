//! Which addresses and ports a security group opens.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smol_str::SmolStr;

/// Permissions kept of a group, and ranges kept of them all; AWS allows at most 1,000 rules.
const PERMISSIONS: usize = 256;
const RANGES: usize = 1_000;

/// One ingress permission, its private ranges left out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Permission {
    /// `tcp`, `udp`, `icmp`, `-1` for all.
    pub protocol: SmolStr,
    /// First port.
    pub from: i64,
    /// Last port.
    pub to: i64,
    /// IPv4 and IPv6 ranges as written.
    pub ranges: Vec<SmolStr>,
}

impl Permission {
    /// Whether it lets this TCP port in.
    pub fn opens_tcp(&self, port: i64) -> bool {
        self.protocol == "-1" || (self.protocol == "tcp" && self.from <= port && port <= self.to)
    }
    /// Whether it lets every port of a protocol in.
    pub fn opens_all(&self) -> bool {
        self.protocol == "-1"
            || (matches!(self.protocol.as_str(), "tcp" | "udp")
                && self.from <= 0
                && self.to >= 65_535)
    }
}

/// Services that must not face the internet (CATALOGUE.md SEC-EXP-1, after Prowler's checks).
pub const SERVICES: [(&str, &[i64]); 17] = [
    ("ssh", &[22]),
    ("rdp", &[3389]),
    ("cassandra", &[7000, 7001, 7199, 9042, 9160]),
    ("cifs", &[139, 445]),
    ("elasticsearch", &[9200, 9300]),
    ("kibana", &[5601]),
    ("ftp", &[20, 21]),
    ("kafka", &[9092]),
    ("kerberos", &[88, 464, 749, 750]),
    ("ldap", &[389, 636]),
    ("memcached", &[11_211]),
    ("mongodb", &[27_017, 27_018]),
    ("mysql", &[3306]),
    ("oracle", &[1521, 2483, 2484]),
    ("postgres", &[5432]),
    ("redis", &[6379]),
    ("sqlserver", &[1433, 1434]),
];

/// What a group opens to anywhere.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Exposure {
    /// Service names, in [`SERVICES`]' order.
    pub services: Vec<SmolStr>,
    /// The permissions that do it, in AWS's shape.
    pub permissions: String,
}

/// What these permissions open to anywhere; `None` when no service of [`SERVICES`].
pub fn exposure(permissions: &[Permission]) -> Option<Exposure> {
    let mut opening: Vec<Permission> = Vec::new();
    let mut services = Vec::new();
    for (service, ports) in SERVICES {
        let open = ports.iter().any(|port| {
            let through = open_to_anywhere(permissions, |permission| permission.opens_tcp(*port));
            let open = !through.is_empty();
            for permission in through {
                if !opening.contains(&permission) {
                    opening.push(permission);
                }
            }
            open
        });
        if open {
            services.push(SmolStr::new_static(service));
        }
    }
    opening.sort();
    (!services.is_empty()).then(|| Exposure {
        services,
        permissions: describe(&opening),
    })
}

/// Of the permissions that pass `which`, what opens them to every public address: ranges that do
/// so alone, else all of them when their union does (`0.0.0.0/1` and `128.0.0.0/1` are anywhere).
/// Empty when they do not.
pub fn open_to_anywhere(
    permissions: &[Permission],
    which: impl Fn(&Permission) -> bool,
) -> Vec<Permission> {
    let chosen = permissions.iter().filter(|permission| which(permission));
    let alone: Vec<Permission> = chosen
        .clone()
        .filter_map(|permission| {
            let wide = |range: &&SmolStr| covers_anywhere(std::iter::once(range.as_str()));
            let ranges: Vec<SmolStr> = permission.ranges.iter().filter(wide).cloned().collect();
            (!ranges.is_empty()).then(|| Permission {
                ranges,
                ..permission.clone()
            })
        })
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    let ranges = chosen.clone().flat_map(|permission| &permission.ranges);
    if covers_anywhere(ranges.map(SmolStr::as_str)) {
        chosen.cloned().collect()
    } else {
        Vec::new()
    }
}

/// The permissions as `IpPermissions` of `RevokeSecurityGroupIngress`.
pub fn describe(permissions: &[Permission]) -> String {
    let list: Vec<Value> = permissions
        .iter()
        .map(|permission| {
            let (v6, v4): (Vec<_>, Vec<_>) = permission
                .ranges
                .iter()
                .partition(|range| range.contains(':'));
            let mut value = json!({"IpProtocol": permission.protocol});
            if permission.protocol != "-1" {
                value["FromPort"] = permission.from.into();
                value["ToPort"] = permission.to.into();
            }
            if !v4.is_empty() {
                value["IpRanges"] = v4.iter().map(|range| json!({"CidrIp": range})).collect();
            }
            if !v6.is_empty() {
                value["Ipv6Ranges"] = v6.iter().map(|range| json!({"CidrIpv6": range})).collect();
            }
            value
        })
        .collect();
    Value::Array(list).to_string()
}

/// Reads `IpPermissions` of `DescribeSecurityGroups`, or `ipPermissions.items` as `CloudTrail`
/// writes them. Ranges of private addresses are left out; malformed ones are ignored.
pub fn parse_permissions(list: &[Value]) -> Vec<Permission> {
    let mut room = RANGES;
    let mut permissions: Vec<Permission> = list
        .iter()
        .map(|value| {
            let field = |described: &str, recorded: &str| {
                value
                    .get(described)
                    .or_else(|| value.get(recorded))
                    .unwrap_or(&Value::Null)
            };
            let port =
                |described, recorded, absent| field(described, recorded).as_i64().unwrap_or(absent);
            let mut ranges = cidrs(field("IpRanges", "ipRanges"), "CidrIp", "cidrIp");
            ranges.extend(cidrs(
                field("Ipv6Ranges", "ipv6Ranges"),
                "CidrIpv6",
                "cidrIpv6",
            ));
            ranges.sort();
            ranges.dedup();
            ranges.truncate(room);
            room -= ranges.len();
            Permission {
                protocol: protocol(field("IpProtocol", "ipProtocol").as_str().unwrap_or("-1")),
                from: port("FromPort", "fromPort", 0),
                to: port("ToPort", "toPort", 65_535),
                ranges,
            }
        })
        .filter(|permission| !permission.ranges.is_empty())
        .take(PERMISSIONS)
        .collect();
    permissions.sort();
    permissions
}

fn protocol(text: &str) -> SmolStr {
    match text {
        "6" => "tcp".into(),
        "17" => "udp".into(),
        "all" => "-1".into(),
        other => other.chars().take(16).collect(),
    }
}

fn cidrs(value: &Value, described: &str, recorded: &str) -> Vec<SmolStr> {
    let list = value.as_array().or_else(|| value.get("items")?.as_array());
    list.map_or(&[][..], Vec::as_slice)
        .iter()
        .filter_map(|range| {
            range
                .get(described)
                .or_else(|| range.get(recorded))?
                .as_str()
        })
        .filter(|text| {
            parse_v4(text).is_some_and(|span| !within_special(span)) || parse_v6(text).is_some()
        })
        .take(RANGES)
        .map(SmolStr::from)
        .collect()
}

type Span = (u128, u128);

fn parse_v4(text: &str) -> Option<Span> {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
    let address = u32::from(address.parse::<std::net::Ipv4Addr>().ok()?);
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32)?;
    let mask = u32::MAX.checked_shr(prefix).unwrap_or(0);
    Some((u128::from(address & !mask), u128::from(address | mask)))
}

fn parse_v6(text: &str) -> Option<Span> {
    let (address, prefix) = text.split_once('/').unwrap_or((text, "128"));
    let address = u128::from(address.parse::<std::net::Ipv6Addr>().ok()?);
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 128)?;
    let mask = u128::MAX.checked_shr(prefix).unwrap_or(0);
    Some((address & !mask, address | mask))
}

/// IPv4 that is not globally routable (RFC 6890): leaving it out does not narrow "anywhere".
const SPECIAL: [&str; 9] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/3",
];

fn within_special(span: Span) -> bool {
    SPECIAL
        .iter()
        .filter_map(|text| parse_v4(text))
        .any(|special| special.0 <= span.0 && span.1 <= special.1)
}

/// Whether the union of these ranges leaves no public IPv4 address out, or no IPv6 address of
/// the global unicast range.
pub fn covers_anywhere<'a>(ranges: impl Iterator<Item = &'a str>) -> bool {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for text in ranges {
        if let Some(span) = parse_v4(text) {
            v4.push(span);
        } else if let Some(span) = parse_v6(text) {
            v6.push(span);
        }
    }
    if !v4.is_empty() {
        v4.extend(SPECIAL.iter().filter_map(|text| parse_v4(text)));
    }
    let global_unicast = (0x2000_u128 << 112, (0x4000_u128 << 112) - 1);
    covers(v4, (0, u128::from(u32::MAX))) || covers(v6, global_unicast)
}

fn covers(mut spans: Vec<Span>, whole: Span) -> bool {
    spans.sort_unstable();
    let mut next = whole.0;
    for (first, last) in spans {
        if first > next {
            return false;
        }
        if last >= whole.1 {
            return true;
        }
        next = next.max(last + 1);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_make_a_whole() {
        assert!(covers_anywhere(["0.0.0.0/0"].into_iter()));
        assert!(covers_anywhere(["0.0.0.0/1", "128.0.0.0/1"].into_iter()));
        assert!(covers_anywhere(["::/0"].into_iter()));
        assert!(covers_anywhere(["8000::/1", "::/1"].into_iter()));
        assert!(!covers_anywhere(["0.0.0.0/1"].into_iter()));
        assert!(!covers_anywhere(["10.0.0.0/8", "fe80::/10"].into_iter()));
        assert!(!covers_anywhere(["nonsense", "1.2.3.4/99"].into_iter()));
    }

    #[test]
    fn everything_but_private_addresses_is_anywhere() {
        // The complement of 10.0.0.0/8.
        let ranges = [
            "0.0.0.0/5",
            "8.0.0.0/7",
            "11.0.0.0/8",
            "12.0.0.0/6",
            "16.0.0.0/4",
            "32.0.0.0/3",
            "64.0.0.0/2",
            "128.0.0.0/1",
        ];
        assert!(covers_anywhere(ranges.into_iter()));
        assert!(!covers_anywhere(
            ranges.into_iter().filter(|range| *range != "11.0.0.0/8")
        ));
    }

    #[test]
    fn both_spellings_of_a_permission_are_read() {
        let described = json!([{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22,
            "IpRanges": [{"CidrIp": "0.0.0.0/0"}, {"CidrIp": "10.0.0.0/8"}]}]);
        let recorded = json!([{"ipProtocol": "tcp", "fromPort": 22, "toPort": 22,
            "ipRanges": {"items": [{"cidrIp": "0.0.0.0/0"}]}}]);
        let described = parse_permissions(described.as_array().expect("array"));
        assert_eq!(
            described,
            parse_permissions(recorded.as_array().expect("array"))
        );
        assert_eq!(described[0].ranges, ["0.0.0.0/0"]);
        assert!(described[0].opens_tcp(22) && !described[0].opens_tcp(23));
    }
}
