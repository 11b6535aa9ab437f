/*!
The server: its socket, its connections, and its end.
*/

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::application::Application;
use super::forecast_request::Forecast;
use super::guard::Guard;
use super::limits::{CONNECTIONS, HEAD_TIME, Limits, OPEN_FILES, WRITE_TIME};
use super::metrics::{Metrics, ModelMetrics};
use super::models::Models;
use super::routes::routes;
use super::trainer::Trainer;
use super::work::Turns;
use crate::error::{Error, Result};

/// Threads that read and write; the models compute on others.
const THREADS: usize = 2;
/// Time in which a client is told that there are too many connections, and in which it is told of the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Pause after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);
/// The answer to more connections than can be.
const FULL: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
{\"error\":{\"message\":\"too many connections; try again in a second\",\"type\":\"server_error\",\"param\":null,\"code\":\"overloaded\"}}";

/// What is served, and to whom.
pub struct Options {
    /// The address to listen on.
    pub address: IpAddr,
    /// The port; 0 is a free one.
    pub port: u16,
    /// Names by which the server may be called, beside those of this machine.
    pub hosts: Vec<String>,
    /// The key that requests need, if any.
    pub key: Option<String>,
    /// The models.
    pub models: Models,
    /// The folder of runs that are shown.
    pub runs: Option<PathBuf>,
    /// The program `carousel`, if clients may start runs in that folder.
    pub trains: Option<PathBuf>,
    /// Bounds on requests.
    pub limits: Limits,
    /// How forecasts are made.
    pub forecast: Forecast,
}

/// What happens to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// It listens at this address.
    Listens(SocketAddr),
    /// It was asked to end, and finishes what runs.
    Ends,
    /// It tells those whose requests are not finished.
    CutsShort,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// A port that is in use, or that may not be used.
pub fn serve(options: Options, on_event: impl Fn(ServerEvent)) -> Result<()> {
    raise_open_files();
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|e| Error::new(format!("cannot start threads: {e}")))?;
    let result = runtime.block_on(run(options, on_event));
    // What still computes is not waited for.
    runtime.shutdown_background();
    result
}

async fn run(options: Options, on_event: impl Fn(ServerEvent)) -> Result<()> {
    let Options { address, port, .. } = options;
    let cannot = |e: io::Error| cannot_listen(address, port, &e);
    let listener = TcpListener::bind((address, port)).await.map_err(cannot)?;
    let mut signals = signals()?;
    let application = Arc::new(Application {
        guard: Guard::new(address, &options.hosts, options.key.as_deref()),
        metrics: Metrics::default(),
        forecasts: Turns::new(Arc::new(ModelMetrics::default()), options.limits.queue),
        models: options.models,
        limits: options.limits,
        forecast: options.forecast,
        trainer: options.trains.zip(options.runs.clone()).map(Trainer::of),
        runs: options.runs,
    });
    on_event(ServerEvent::Listens(listener.local_addr().map_err(cannot)?));
    let graceful = GracefulShutdown::new();
    let connections = Connections {
        routes: routes(Arc::clone(&application)),
        application: Arc::clone(&application),
        free: Arc::new(Semaphore::new(CONNECTIONS)),
    };
    tokio::select! {
        () = connections.accept(&listener, &graceful) => {}
        () = any(&mut signals) => {}
    }
    drop(listener);
    on_event(ServerEvent::Ends);
    // It saves all it has, and goes on to its end alone.
    application.trainer.as_ref().and_then(Trainer::stop);
    let mut finished = Box::pin(graceful.shutdown());
    tokio::select! {
        () = &mut finished => return Ok(()),
        () = sleep(application.limits.grace) => {}
        // Asked a second time, it waits no more.
        () = any(&mut signals) => {}
    }
    on_event(ServerEvent::CutsShort);
    application.stop();
    let _ = timeout(FAREWELL, finished).await;
    Ok(())
}

/// The connections, and what answers their requests.
struct Connections {
    routes: Router,
    application: Arc<Application>,
    /// Room for more.
    free: Arc<Semaphore>,
}

impl Connections {
    /// Accepts connections for ever.
    async fn accept(&self, listener: &TcpListener, graceful: &GracefulShutdown) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // As with too many open files: others end meanwhile.
                sleep(PAUSE).await;
                continue;
            };
            self.answer(stream, graceful);
        }
    }

    /// Answers the requests of a connection, in a task of its own.
    fn answer(&self, mut stream: TcpStream, graceful: &GracefulShutdown) {
        let Ok(room) = Arc::clone(&self.free).try_acquire_owned() else {
            tokio::spawn(async move {
                let _ = timeout(FAREWELL, stream.write_all(FULL.as_bytes())).await;
            });
            return;
        };
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(WRITE_TIME));
        let service = TowerToHyperService::new(self.routes.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        let connection = graceful.watch(connection);
        let application = Arc::clone(&self.application);
        tokio::spawn(async move {
            let count = &application.metrics.connections;
            count.fetch_add(1, Ordering::Relaxed);
            // A client that breaks off is none of our errors.
            let _ = connection.await;
            count.fetch_sub(1, Ordering::Relaxed);
            drop(room);
        });
    }
}

fn cannot_listen(address: IpAddr, port: u16, error: &io::Error) -> Error {
    Error::new(match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "port {port} of {address} is in use; give another one with --port, or 0 for one that is free"
        ),
        io::ErrorKind::PermissionDenied => {
            format!("port {port} may not be used; give one above 1023 with --port")
        }
        _ => format!("cannot listen at {address}, port {port}: {error}"),
    })
}

/// The signals that ask the server to end.
fn signals() -> Result<[Signal; 2]> {
    let handler =
        |kind| signal(kind).map_err(|e| Error::new(format!("cannot handle signals: {e}")));
    Ok([
        handler(SignalKind::terminate())?,
        handler(SignalKind::interrupt())?,
    ])
}

/// Waits for any of the signals.
async fn any([first, second]: &mut [Signal; 2]) {
    tokio::select! {
        _ = first.recv() => {}
        _ = second.recv() => {}
    }
}

/// Lets the process have as many files open as there may be connections, as far as the system lets it.
fn raise_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
