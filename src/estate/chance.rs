//! What the seed decides: ids and noise, each a hash of what it is for, so that nothing depends on the order it is asked in.

/// A source of everything that looks drawn at random.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0x5eed))
    }

    /// 64 bits of `what`.
    pub(super) fn bits(self, what: &str) -> u64 {
        let mut state = self.0;
        for byte in what.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        state
    }

    /// An id as EC2 gives them: `prefix-0` and sixteen hexadecimal digits.
    pub(super) fn id(self, prefix: &str, name: &str) -> String {
        format!("{prefix}-0{:016x}", self.bits(&format!("{prefix}/{name}")))
    }

    /// An account id: twelve digits, the first not zero.
    pub(super) fn account(self, name: &str) -> String {
        let number = 100_000_000_000 + self.bits(&format!("account/{name}")) % 900_000_000_000;
        number.to_string()
    }

    /// An address of TEST-NET-2 or TEST-NET-3.
    pub(super) fn address(self, name: &str) -> String {
        let bits = self.bits(&format!("address/{name}"));
        let net = if bits & 1 == 0 {
            "198.51.100"
        } else {
            "203.0.113"
        };
        format!("{net}.{}", 1 + (bits >> 8) % 254)
    }

    /// Between -1 and 1, of a series at a time.
    pub(super) fn noise(self, series: u64, minute: i64) -> f64 {
        let bits = mix(self.0 ^ series ^ (minute as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// The finaliser of splitmix64.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
