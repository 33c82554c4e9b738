//! A throw-away certificate authority and a server certificate for 127.0.0.1, made by the `openssl` program.

use std::path::{Path, PathBuf};
use std::process::Command;

/// PEM files in a test's folder.
#[derive(Clone, Debug)]
pub(crate) struct Certs {
    /// The authority's certificate: what clients trust.
    pub(crate) authority: PathBuf,
    /// The server's certificate, for `127.0.0.1` and `localhost`.
    pub(crate) certificate: PathBuf,
    /// The server's private key (PKCS 8).
    pub(crate) key: PathBuf,
    /// Key and certificate in one file, as Kafka wants them.
    pub(crate) store: PathBuf,
}

impl Certs {
    /// Makes all four files in `folder`.
    pub(crate) fn make(folder: &Path) -> Self {
        let certs = Self {
            authority: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            store: folder.join("server-store.pem"),
        };
        let authority_key = folder.join("ca.key");
        openssl(
            Command::new("openssl")
                .args(NEW_KEY)
                .args(["-subj", "/CN=skyherd test authority"])
                .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
                .arg("-keyout")
                .arg(&authority_key)
                .arg("-out")
                .arg(&certs.authority),
        );
        openssl(
            Command::new("openssl")
                .args(NEW_KEY)
                .args(["-subj", "/CN=localhost"])
                .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-addext", "extendedKeyUsage=serverAuth,clientAuth"])
                .arg("-CA")
                .arg(&certs.authority)
                .arg("-CAkey")
                .arg(&authority_key)
                .arg("-keyout")
                .arg(&certs.key)
                .arg("-out")
                .arg(&certs.certificate),
        );
        let mut both = std::fs::read(&certs.key).expect("openssl wrote the key");
        both.extend(std::fs::read(&certs.certificate).expect("openssl wrote the certificate"));
        std::fs::write(&certs.store, both).expect("the folder can be written");
        certs
    }
}

const NEW_KEY: [&str; 9] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
];

fn openssl(command: &mut Command) {
    let output = command
        .output()
        .expect("openssl is installed (./dev test installs it)");
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
