//! How object_store reaches S3: over the SDK's own HTTP client, so that there is one TLS, counted
//! as every call is, and sent only when a policy allows it.

use std::pin::Pin;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};

use super::tally::Meter;

/// Status with which S3 puts off (`SlowDown`).
const PUT_OFF: [u16; 2] = [429, 503];

/// The SDK's client as object_store asks for one.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    connector: std::sync::Arc<Connector>,
    meter: Meter,
}

impl Wire {
    pub(super) fn new(connector: std::sync::Arc<Connector>, meter: Meter) -> Self {
        Self { connector, meter }
    }

    /// Sends a request and hands its answer back as it begins.
    pub(super) async fn send(
        &self,
        request: http::Request<SdkBody>,
    ) -> Result<http::Response<SdkBody>, HttpError> {
        let operation = operation(&request);
        if !self.meter.sent(operation.unwrap_or_default()) {
            let told = format!(
                "{} {} is in no policy, so it is not sent",
                request.method(),
                request.uri().path()
            );
            return Err(failed(HttpErrorKind::Unknown, told.into()));
        }
        let request =
            request
                .try_into()
                .map_err(|error: aws_smithy_runtime_api::http::HttpError| {
                    failed(HttpErrorKind::Unknown, error.into())
                })?;
        let answer = self.connector.call(request).await;
        let status = answer.as_ref().map(|answer| answer.status().as_u16());
        match status {
            // 304 and 412 answer a condition.
            Ok(200..=399 | 412) => {}
            Ok(status) if PUT_OFF.contains(&status) => self.meter.put_off(),
            _ => self.meter.failed(),
        }
        let answer = answer.map_err(|error| failed(kind(&error), error.into()))?;
        answer
            .try_into_http1x()
            .map_err(|error| failed(HttpErrorKind::Decode, error.into()))
    }
}

fn failed(kind: HttpErrorKind, error: Box<dyn std::error::Error + Send + Sync>) -> HttpError {
    HttpError::new_boxed(kind, error)
}

fn kind(error: &ConnectorError) -> HttpErrorKind {
    if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_user() {
        HttpErrorKind::Unknown
    } else {
        // Everything asked here may be asked again.
        HttpErrorKind::Request
    }
}

/// The IAM action that allows a request, without the service; `None` for what changes anything.
fn operation(request: &http::Request<SdkBody>) -> Option<&'static str> {
    let query = request.uri().query().unwrap_or_default();
    let lists = query.split('&').any(|pair| pair == "list-type=2");
    match *request.method() {
        http::Method::GET if lists => Some("ListBucket"),
        http::Method::GET => Some("GetObject"),
        // Of a bucket, for its region.
        http::Method::HEAD => Some("ListBucket"),
        _ => None,
    }
}

impl HttpConnector for Wire {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

/// What the trait's attribute makes of an async function.
type Answer<'a> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'a>>;

impl HttpService for Wire {
    fn call<'s, 'a>(&'s self, request: HttpRequest) -> Answer<'a>
    where
        's: 'a,
        Self: 'a,
    {
        Box::pin(async move {
            // What is read has no body.
            let request =
                request.map(|body| SdkBody::from(body.as_bytes().cloned().unwrap_or_default()));
            let answer = self.send(request).await?;
            Ok(answer.map(|body| {
                HttpResponseBody::new(
                    body.map_err(|error| failed(HttpErrorKind::Interrupted, error)),
                )
            }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_that_read_have_an_action() {
        let of = |method: &str, uri: &str| {
            let request = http::Request::builder().method(method).uri(uri);
            operation(&request.body(SdkBody::empty()).expect("a request"))
        };
        assert_eq!(
            of("GET", "https://b.s3/?list-type=2&prefix=a"),
            Some("ListBucket")
        );
        assert_eq!(of("GET", "https://b.s3/a/list-type=2"), Some("GetObject"));
        assert_eq!(of("HEAD", "https://s3/b"), Some("ListBucket"));
        for method in ["PUT", "POST", "DELETE", "PATCH"] {
            assert_eq!(of(method, "https://b.s3/a"), None);
        }
    }
}
