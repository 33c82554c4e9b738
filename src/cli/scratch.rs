//! A directory that is gone when the command is, also after ctrl-c.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Names tried before giving up.
const TRIES: u32 = 100;

pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty directory under the system's temporary one. From here on ctrl-c removes it
    /// and ends the process with 130.
    pub(super) fn new() -> anyhow::Result<Self> {
        let base = std::env::temp_dir();
        let mut tried = Ok(());
        for number in 0..TRIES {
            let path = base.join(format!("skyherd-{}-{number}", std::process::id()));
            tried = std::fs::create_dir(&path);
            if tried.is_ok() {
                remove_when_interrupted(path.clone());
                return Ok(Self(path));
            }
        }
        tried.with_context(|| format!("could not make a directory in {}", base.display()))?;
        anyhow::bail!("could not make a directory in {}", base.display())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies in the temporary directory, for the system to clear.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn remove_when_interrupted(path: PathBuf) {
    let (listening, heard) = std::sync::mpsc::channel::<()>();
    let wait = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let interrupted = runtime.and_then(|runtime| {
            runtime.block_on(async {
                let interrupt = tokio::signal::ctrl_c();
                tokio::pin!(interrupt);
                // Asked once before anybody is told, so that a signal from then on is heard.
                tokio::select! {
                    biased;
                    ended = &mut interrupt => return ended,
                    () = async { drop(listening) } => {}
                }
                interrupt.await
            })
        });
        if interrupted.is_ok() {
            // Others are at work in it until the end, and a file made meanwhile keeps its folder.
            for _ in 0..TRIES {
                if std::fs::remove_dir_all(&path).is_ok() || !path.exists() {
                    break;
                }
            }
            std::process::exit(130);
        }
    };
    // Without the thread ctrl-c still ends the process; only the directory stays.
    let thread = std::thread::Builder::new().name("interrupt".to_owned());
    if thread.spawn(wait).is_ok() {
        // Ends when the other side is dropped, which is what is waited for.
        let _ = heard.recv();
    }
}
