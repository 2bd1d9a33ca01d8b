//! The HTTP server: who is answered, and for how long.

use std::convert::Infallible;
use std::net::TcpListener as StdListener;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::{Metrics, MetricsAddress, Unwell, text};
use crate::engine::Intake;
use crate::gateway::GatewayError;

/// How many clients there may be at a time.
const MOST_CLIENTS: usize = 16;
/// How long a client may take, from its first octet to the last of its answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many octets of a request are read before it is refused: the least that hyper takes.
const LONGEST_REQUEST: usize = 8192;
/// How many headers a request may have.
const MOST_HEADERS: usize = 32;
/// How long nobody is let in when the process has no descriptor left.
const REST: Duration = Duration::from_millis(100);
/// What somebody hears who is one too many.
const BUSY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The server, while it has its address.
pub(in crate::gateway) struct MetricsServer {
    address: MetricsAddress,
    listener: Option<StdListener>,
    /// `None` until it serves.
    task: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Takes the address; nobody is answered yet.
    ///
    /// # Errors
    /// Another program has it.
    pub(in crate::gateway) fn open(address: MetricsAddress) -> Result<Self, GatewayError> {
        let listen = || {
            let listener = StdListener::bind(address.socket())?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = listen().map_err(|cause| GatewayError::Metrics { address, cause })?;
        Ok(Self {
            address,
            listener: Some(listener),
            task: None,
        })
    }

    /// Where it is, also where the port was left to the kernel.
    #[cfg(test)]
    pub(super) fn local_address(&self) -> std::net::SocketAddr {
        self.listener.as_ref().unwrap().local_addr().unwrap()
    }

    /// Serves metrics, from now on.
    ///
    /// # Errors
    /// The async runtime does not take the socket.
    pub(in crate::gateway) fn serve(&mut self, metrics: Metrics) -> Result<(), GatewayError> {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let listener =
            TcpListener::from_std(listener).map_err(GatewayError::process("serve metrics"))?;
        self.task = Some(tokio::spawn(serve(listener, metrics)));
        info!(address = %self.address, "metrics");
        Ok(())
    }

    /// Lets all clients go.
    pub(in crate::gateway) async fn close(self) {
        if let Some(task) = self.task {
            task.abort();
            let _ = task.await;
        }
    }
}

/// Serves whoever comes, until it is aborted.
async fn serve(listener: TcpListener, metrics: Metrics) {
    let metrics = Arc::new(metrics);
    let places = Arc::new(Semaphore::new(MOST_CLIENTS));
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        clients.spawn(serve_client(stream, Arc::clone(&metrics), place));
                    }
                    // Whether it hears that or not: nobody waits for it.
                    Err(_) => {
                        let _ = stream.try_write(BUSY);
                    }
                },
                Err(error) => {
                    warn!(%error, "nobody gets to the metrics");
                    tokio::time::sleep(REST).await;
                }
            },
            Some(_) = clients.join_next(), if !clients.is_empty() => {}
        }
    }
}

/// Answers one request.
async fn serve_client(stream: TcpStream, metrics: Arc<Metrics>, _place: OwnedSemaphorePermit) {
    let service = service_fn(|request: Request<Incoming>| {
        let metrics = Arc::clone(&metrics);
        async move { Ok::<_, Infallible>(answer(&request, &metrics).await) }
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        // The whole of it has a limit.
        .header_read_timeout(None)
        .max_buf_size(LONGEST_REQUEST)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(PATIENCE, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a client of the metrics was let go"),
        Err(_) => debug!("a client of the metrics was too slow"),
    }
}

async fn answer(request: &Request<Incoming>, metrics: &Metrics) -> Response<Full<Bytes>> {
    let is_known = matches!(request.uri().path(), "/metrics" | "/health" | "/ready");
    if !is_known {
        let known = "there are /metrics, /health and /ready\n";
        return response(StatusCode::NOT_FOUND, PLAIN, known.to_owned());
    }
    // hyper leaves the body of an answer to HEAD away.
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = response(StatusCode::METHOD_NOT_ALLOWED, PLAIN, String::new());
        let allowed = HeaderValue::from_static("GET, HEAD");
        refused.headers_mut().insert(ALLOW, allowed);
        return refused;
    }
    match request.uri().path() {
        "/metrics" => match metrics.text().await {
            Ok(text) => response(StatusCode::OK, text::MEDIA_TYPE, text),
            Err(unwell) => unavailable(unwell),
        },
        "/health" => match metrics.intake().await {
            Ok(Intake::Open | Intake::Drained) => {
                response(StatusCode::OK, PLAIN, "healthy\n".to_owned())
            }
            Err(unwell) => unavailable(unwell),
        },
        _ => match metrics.intake().await {
            Ok(Intake::Open) => match metrics.life().missing_device() {
                None => response(StatusCode::OK, PLAIN, "ready\n".to_owned()),
                Some(name) => {
                    let missing = format!("the device `{name}` is missing\n");
                    response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, missing)
                }
            },
            Ok(Intake::Drained) => {
                let draining = "no new session begins\n".to_owned();
                response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, draining)
            }
            Err(unwell) => unavailable(unwell),
        },
    }
}

fn unavailable(why: Unwell) -> Response<Full<Bytes>> {
    response(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("{why}\n"))
}

fn response(status: StatusCode, media: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let media = HeaderValue::from_static(media);
    response.headers_mut().insert(CONTENT_TYPE, media);
    response
}
