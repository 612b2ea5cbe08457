//! A server that can be taken away and brought back, for tests of what the functions do without it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::time::Duration;

use socket2::SockRef;
use tokio::runtime::{Builder, Runtime};

/// How long requests under way may take when the server stops.
const STOP_LIMIT: Duration = Duration::from_secs(2);

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A server on a runtime to itself: ending that cuts every connection at once.
pub(crate) struct Server {
    name: &'static str,
    address: SocketAddr,
    run: Box<dyn Fn(tokio::net::TcpListener) -> Running + Send>,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves what comes to `listener`: `run` accepts connections for as long as it's let.
    ///
    /// # Errors
    /// There are no threads to be had.
    pub(crate) fn start<F: Future<Output = ()> + Send + 'static>(
        name: &'static str,
        listener: TcpListener,
        run: impl Fn(tokio::net::TcpListener) -> F + Send + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let mut server = Self { name, address, run: Box::new(move |listener| Box::pin(run(listener))), runtime: None };
        server.serve(listener)?;
        Ok(server)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening and cuts every connection.
    pub(crate) async fn pause(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for its threads may not happen on a thread of this runtime. An error would be a
            // panic over there, and then the server is gone too.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP_LIMIT)).await;
        }
    }

    /// Listens again where it did before.
    ///
    /// # Errors
    /// Another program has taken the port in the meantime.
    pub(crate) fn resume(&mut self) -> io::Result<()> {
        if self.runtime.is_none() {
            self.serve(TcpListener::bind(self.address)?)?;
        }
        Ok(())
    }

    fn serve(&mut self, listener: TcpListener) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        // Connections inherit it. Otherwise the end of an answer may wait for an acknowledgement that comes 40 ms late.
        SockRef::from(&listener).set_tcp_nodelay(true)?;
        let runtime = Builder::new_multi_thread().worker_threads(2).thread_name(self.name).enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn((self.run)(listener));
        self.runtime = Some(runtime);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
