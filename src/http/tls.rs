//! An address reached over TLS, which this process ends itself.
//!
//! A certificate that is renewed on disk is taken up without a restart, one that does not fit its
//! key never; and whoever begins a handshake and does not end it holds up nobody else.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use parking_lot::RwLock;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes under way at once; who comes then waits for one of them to end.
const HANDSHAKES_MAX: usize = 256;
/// Longest handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);
/// Between two looks at the certificate's files.
const RENEW_EVERY: Duration = Duration::from_mins(1);
/// Pause after a connection could not be taken, as when files run out.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or holds no PEM of that kind.
    #[error("{}: {why}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The key is another certificate's.
    #[error("{} is not the key of the first certificate in {}", .key.display(), .certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
}

/// A chain of certificates and its key, as two files hold them.
#[derive(Debug)]
pub struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    held: RwLock<Held>,
}

#[derive(Clone, Debug)]
struct Held {
    certified: Arc<CertifiedKey>,
    print: blake3::Hash,
}

impl Certificate {
    /// Reads both files, PEM.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            held: RwLock::new(held(certificate, key)?),
            chain_file: certificate.to_owned(),
            key_file: key.to_owned(),
        })
    }

    /// Reads the files again; whether they hold another certificate now.
    ///
    /// # Errors
    /// [`TlsError`]; what was read before goes on being used.
    pub fn renew(&self) -> Result<bool, TlsError> {
        let now = held(&self.chain_file, &self.key_file)?;
        let fresh = now.print != self.held.read().print;
        if fresh {
            *self.held.write() = now;
        }
        Ok(fresh)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.held.read().certified))
    }
}

fn held(certificate: &Path, key: &Path) -> Result<Held, TlsError> {
    let wrong = |file: &Path, why: String| TlsError::File {
        file: file.to_owned(),
        why,
    };
    let bytes = |file: &Path| std::fs::read(file).map_err(|error| wrong(file, error.to_string()));
    let (chain_pem, key_pem) = (bytes(certificate)?, bytes(key)?);
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain_pem).collect();
    // Never the parser's own words: they may quote the key.
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| wrong(certificate, "it holds no PEM certificate".into()))?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|_| {
        wrong(
            key,
            "it holds no PEM private key without a passphrase".into(),
        )
    })?;
    let certified =
        CertifiedKey::from_der(chain, private, &rustls::crypto::ring::default_provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
        },
        other => wrong(certificate, other.to_string()),
    })?;
    let mut hasher = blake3::Hasher::new();
    hasher.update(blake3::hash(&chain_pem).as_bytes());
    hasher.update(&key_pem);
    Ok(Held {
        certified: Arc::new(certified),
        print: hasher.finalize(),
    })
}

/// Connections whose handshake is over.
#[derive(Debug)]
pub struct Secured {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    address: SocketAddr,
}

impl Secured {
    /// Takes connections of `listener` until it is dropped itself.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn new(listener: TcpListener, certificate: Arc<Certificate>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let settings = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?;
        let mut settings = settings
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&certificate) as _);
        settings.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (done, ready) = mpsc::channel(HANDSHAKES_MAX);
        tokio::spawn(renewals(certificate, done.clone()));
        tokio::spawn(handshakes(
            listener,
            TlsAcceptor::from(Arc::new(settings)),
            done,
        ));
        Ok(Self { ready, address })
    }
}

type Done = mpsc::Sender<(TlsStream<TcpStream>, SocketAddr)>;

async fn handshakes(listener: TcpListener, acceptor: TlsAcceptor, done: Done) {
    let room = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = done.closed() => return,
        };
        let Ok((stream, peer)) = taken else {
            tokio::time::sleep(ACCEPT_REST).await;
            continue;
        };
        let (acceptor, done) = (acceptor.clone(), done.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let shaken = tokio::time::timeout(HANDSHAKE_WAIT, acceptor.accept(stream)).await;
            if let Ok(Ok(stream)) = shaken {
                // Nobody to take it: the service stops.
                let _ = done.send((stream, peer)).await;
            }
        });
    }
}

async fn renewals(certificate: Arc<Certificate>, done: Done) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(RENEW_EVERY) => {}
            () = done.closed() => return,
        }
        let again = Arc::clone(&certificate);
        match tokio::task::spawn_blocking(move || again.renew()).await {
            Ok(Ok(true)) => tracing::info!("the certificate was renewed"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the certificate could not be read again; the one before is used");
            }
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(taken) => taken,
            None => pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A key and a certificate of its own.
    fn make(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = (
            folder.join(format!("{name}.pem")),
            folder.join(format!("{name}.key")),
        );
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args([std::ffi::OsStr::new("-keyout"), key.as_os_str()])
            .args([std::ffi::OsStr::new("-out"), certificate.as_os_str()])
            .output()
            .expect("openssl is installed");
        assert!(made.status.success(), "{made:?}");
        (certificate, key)
    }

    #[test]
    fn a_renewed_certificate_is_taken_up_and_a_broken_one_leaves_the_one_before() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = make(folder.path(), "first");
        let (next_certificate, next_key) = make(folder.path(), "next");
        let used = Certificate::read(&certificate, &key).expect("both fit");
        let shown = || used.held.read().certified.cert.clone();
        let first = shown();
        assert!(!used.renew().expect("nothing changed"));
        // Half renewed: certificate and key are two files.
        std::fs::copy(&next_certificate, &certificate).expect("a copy");
        let error = used.renew().expect_err("the key is the old one");
        assert!(matches!(error, TlsError::Mismatch { .. }), "{error}");
        assert_eq!(shown(), first);
        std::fs::copy(&next_key, &key).expect("a copy");
        assert!(used.renew().expect("both fit again"));
        assert_ne!(shown(), first);
    }

    #[test]
    fn what_is_no_certificate_or_key_is_named_and_never_quoted() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = make(folder.path(), "own");
        let odd = folder.path().join("odd.pem");
        std::fs::write(
            &odd,
            "-----BEGIN PRIVATE KEY-----\nsecret!\n-----END PRIVATE KEY-----\n",
        )
        .expect("it can be written");
        let absent = folder.path().join("absent.pem");
        for (certificate, key, named) in [
            (&odd, &key, "odd.pem: it holds no PEM certificate"),
            (&key, &key, "own.key: it holds no PEM certificate"),
            (&certificate, &odd, "odd.pem: it holds no PEM private key"),
            (
                &certificate,
                &certificate,
                "own.pem: it holds no PEM private key",
            ),
            (&absent, &key, "absent.pem: No such file"),
        ] {
            let error = Certificate::read(certificate, key).expect_err("it is wrong");
            let said = error.to_string();
            assert!(said.contains(named), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }
}
