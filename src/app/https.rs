//! How SNS' certificates and confirmations are fetched: over TLS, from who has a certificate for
//! that name, and nowhere else.

use std::time::Duration;

use crate::http::{CERTIFICATE_BYTES_MAX, Fetch};

/// Longest fetch; SNS waits 15 s for an answer.
const SECONDS_MAX: u64 = 10;

/// Fetches over HTTPS.
pub(super) struct Https {
    agent: ureq::Agent,
}

impl Https {
    /// Trusts the authorities that browsers trust.
    pub(super) fn new() -> Self {
        Self {
            agent: settings().build().into(),
        }
    }
}

fn settings() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    ureq::Agent::config_builder()
        .timeout_global(Some(Duration::from_secs(SECONDS_MAX)))
        .https_only(true)
        // Whoever sent us elsewhere would be trusted like SNS.
        .max_redirects(0)
}

impl Fetch for Https {
    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let failed = |error: ureq::Error| format!("{url}: {error}");
        let mut answer = self.agent.get(url).call().map_err(failed)?;
        if answer.status() != 200 {
            return Err(format!("{url}: status {}", answer.status()));
        }
        answer
            .body_mut()
            .with_config()
            .limit(CERTIFICATE_BYTES_MAX)
            .read_to_vec()
            .map_err(failed)
    }
}

#[cfg(test)]
#[cfg(feature = "aws")]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;

    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use ureq::tls::{Certificate, RootCerts, TlsConfig};

    use super::*;

    fn make_certificate(folder: &Path) {
        let made = Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            ])
            .args([
                "-keyout",
                "key.pem",
                "-out",
                "cert.pem",
                "-subj",
                "/CN=localhost",
            ])
            .args(["-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .current_dir(folder)
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
    }

    /// Answers by path, over TLS as `localhost`. The thread ends with the test's process.
    fn serve(folder: &Path) -> u16 {
        let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let session = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
                // One that does not trust us hangs up: the next is answered all the same.
                let _ = answer(rustls::StreamOwned::new(session, stream));
            }
        });
        port
    }

    fn answer(
        mut stream: rustls::StreamOwned<rustls::ServerConnection, std::net::TcpStream>,
    ) -> std::io::Result<()> {
        let mut first = String::new();
        let mut lines = BufReader::new(&mut stream);
        lines.read_line(&mut first)?;
        let mut line = String::new();
        while lines.read_line(&mut line)? > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let (head, body) = match path {
            "/certificate" => ("200 OK", b"a certificate".to_vec()),
            "/largest" => ("200 OK", vec![b'x'; CERTIFICATE_BYTES_MAX as usize]),
            "/larger" => ("200 OK", vec![b'x'; CERTIFICATE_BYTES_MAX as usize + 1]),
            "/elsewhere" => ("302 Found\r\nLocation: /certificate", Vec::new()),
            _ => ("404 Not Found", b"nothing".to_vec()),
        };
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
        )?;
        stream.write_all(&body)?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    /// Trusts this certificate alone.
    fn trusting(folder: &Path) -> Https {
        let pem = std::fs::read(folder.join("cert.pem")).unwrap();
        let root = Certificate::from_pem(&pem).unwrap();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
        let settings = settings().proxy(None).tls_config(tls.build());
        Https {
            agent: settings.build().into(),
        }
    }

    #[test]
    fn what_is_fetched_comes_whole_from_who_is_trusted_and_from_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        make_certificate(folder.path());
        let port = serve(folder.path());
        let at = |path: &str| format!("https://localhost:{port}/{path}");
        let own = trusting(folder.path());
        assert_eq!(own.get(&at("certificate")), Ok(b"a certificate".to_vec()));
        let largest = own.get(&at("largest")).unwrap();
        assert_eq!(largest.len() as u64, CERTIFICATE_BYTES_MAX);
        for (url, why) in [
            (at("larger"), "larger than"),
            (at("elsewhere"), "302"),
            (at("missing"), "404"),
            (at("certificate").replace("https:", "http:"), "http"),
            // The name is not in the certificate.
            (
                at("certificate").replace("localhost", "127.0.0.1"),
                "ertificate",
            ),
        ] {
            let refused = own.get(&url).unwrap_err();
            assert!(refused.contains(&url) && refused.contains(why), "{refused}");
        }
        // No authority vouches for it.
        let public = Https {
            agent: settings().proxy(None).build().into(),
        };
        let refused = public.get(&at("certificate")).unwrap_err();
        assert!(refused.contains("ertificate"), "{refused}");
    }
}
