//! The console: static files built into the program, compressed once at start.
//!
//! They say nothing about any account and need no token; what they show comes from the API, which asks
//! for one.

use std::io::Write as _;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Problem;

/// Nothing inline, nothing from elsewhere, and no text ever becomes markup or script.
const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    object-src 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
/// The page itself is checked against its ETag every time, so a new version of the program shows at
/// once; it names the other files with their version, and those are then kept for a year.
const CHECKED: &str = "no-cache";
const KEPT: &str = "public, max-age=31536000, immutable";
/// Where the files are served.
const PREFIX: &str = "/console/";
/// The file at `/`.
const INDEX: &str = "index.html";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// Every file by its path below `src/http/console`; a test compares it with the folder.
        pub const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!("console/", $name)))),*];
    };
}
files![
    "api.js",
    "dom.js",
    "early.js",
    "format.js",
    "icon.svg",
    "index.html",
    "keys.js",
    "live.js",
    "main.js",
    "parts.css",
    "parts/bits.js",
    "parts/chart.js",
    "parts/icons.js",
    "parts/markdown.js",
    "parts/windowed.js",
    "shell.css",
    "store.js",
    "tokens.css",
    "views.css",
    "views/agents.js",
    "views/ask.js",
    "views/dead-letters.js",
    "views/recommendation.js",
    "views/recommendations.js",
    "views/rules.js",
    "views/subject.js",
    "views/subjects.js",
    "views/topology.js",
];

/// The console's routes, as metrics name them.
pub(super) const ROUTES: [&str; 2] = ["/", "/console/{*file}"];

/// Routes that need no token and no state.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let console = Console::new();
    let answer = move |request: Request| {
        let answer = console.answer(&request);
        async move { answer }
    };
    let mut router = Router::new();
    for route in ROUTES {
        router = router.route(route, get(answer.clone()));
    }
    router.method_not_allowed_fallback(|| async { Problem::METHOD.into_response() })
}

/// One file as it is served.
struct Asset {
    name: &'static str,
    kind: HeaderValue,
    tag: HeaderValue,
    plain: Bytes,
    /// Absent where compressing does not pay.
    gzip: Option<Bytes>,
}

/// Every file, ready to be served.
#[derive(Clone)]
struct Console {
    assets: Arc<[Asset]>,
    /// A hash of every file; modules import each other by relative paths, so it reaches them all.
    version: Arc<str>,
}

impl Console {
    /// Hashes and compresses the files.
    fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        for (name, bytes) in FILES {
            hasher.update(name.as_bytes()).update(bytes);
        }
        let version = &hasher.finalize().to_hex()[..16];
        let versioned = format!("\"{PREFIX}{version}/");
        let asset = |(name, bytes): &(&'static str, &'static [u8])| {
            let plain = match std::str::from_utf8(bytes) {
                Ok(page) if *name == INDEX => {
                    Bytes::from(page.replace(&format!("\"{PREFIX}"), &versioned))
                }
                _ => Bytes::from_static(bytes),
            };
            Asset::new(name, plain)
        };
        Self {
            assets: FILES.iter().map(asset).collect(),
            version: version.into(),
        }
    }

    /// Answers GET and HEAD of `/` and `/console/…`.
    fn answer(&self, request: &Request) -> Response {
        let path = request.uri().path();
        let name = path
            .strip_prefix(PREFIX)
            .filter(|name| !name.is_empty())
            .unwrap_or(INDEX);
        let (name, cache) = name
            .strip_prefix(&*self.version)
            .and_then(|rest| rest.strip_prefix('/'))
            .map_or((name, CHECKED), |name| (name, KEPT));
        match self.assets.iter().find(|asset| asset.name == name) {
            Some(asset) => asset.answer(request.headers(), cache),
            None => Problem::NOT_FOUND.into_response(),
        }
    }
}

impl Asset {
    fn new(name: &'static str, plain: Bytes) -> Self {
        let hash = blake3::hash(&plain).to_hex();
        let tag = format!("\"{}\"", &hash[..32]);
        Self {
            name,
            kind: HeaderValue::from_static(kind(name)),
            tag: HeaderValue::try_from(tag)
                .expect("hexadecimal digits in quotes are a header value"),
            gzip: compressed(&plain)
                .filter(|packed| packed.len() < plain.len())
                .map(Bytes::from),
            plain,
        }
    }

    fn answer(&self, asked: &HeaderMap, cache: &'static str) -> Response {
        let unchanged = asked
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|list| list.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/"))
            .any(|tag| tag == "*" || tag.as_bytes() == self.tag.as_bytes());
        let mut response = if unchanged {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            match &self.gzip {
                Some(packed) if takes_gzip(asked) => {
                    let mut response = packed.clone().into_response();
                    response
                        .headers_mut()
                        .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                    response
                }
                _ => self.plain.clone().into_response(),
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, self.kind.clone());
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        for (name, value) in ALWAYS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// On every answer of the console.
const ALWAYS: [(HeaderName, &str); 5] = [
    (header::VARY, "accept-encoding"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
];

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn compressed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Whether the client takes gzip: named, or by `*`, and not with a quality of nought.
fn takes_gzip(asked: &HeaderMap) -> bool {
    let mut any = false;
    for value in asked.get_all(header::ACCEPT_ENCODING) {
        for part in value.to_str().unwrap_or_default().split(',') {
            let mut words = part.split(';').map(str::trim);
            let coding = words.next().unwrap_or_default();
            let refused = words
                .filter_map(|word| word.strip_prefix("q="))
                .any(|quality| quality.parse::<f32>().is_ok_and(|quality| quality <= 0.0));
            if coding.eq_ignore_ascii_case("gzip") {
                return !refused;
            }
            any |= coding == "*" && !refused;
        }
    }
    any
}
