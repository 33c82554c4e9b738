//! The API without a socket, for commands that find no running service.

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use tower_service::Service as _;

use super::BODY_BYTES_MAX;

/// Largest answer taken, in bytes.
const ANSWER_BYTES_MAX: usize = 256 * BODY_BYTES_MAX;

/// A router and what it runs on.
pub struct Local {
    router: Router,
    runtime: tokio::runtime::Runtime,
}

impl Local {
    /// Asks `router` in this process.
    ///
    /// # Errors
    /// When the system gives no runtime.
    pub fn new(router: Router) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self { router, runtime })
    }

    /// Status and body of the answer. `body` is JSON.
    ///
    /// # Errors
    /// When method or path cannot be written into a request, or the answer cannot be read.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, Vec<u8>), axum::Error> {
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).map_err(axum::Error::new)?)
            .uri(path)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map_or_else(Body::empty, Body::from))
            .map_err(axum::Error::new)?;
        let mut router = self.router.clone();
        self.runtime.block_on(async move {
            let answer = match router.call(request).await {
                Ok(answer) => answer,
                Err(never) => match never {},
            };
            let status = answer.status().as_u16();
            let bytes = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await?;
            Ok((status, bytes.to_vec()))
        })
    }
}
