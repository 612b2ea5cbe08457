//! Where the gateway listens: on the loopback interface at both addresses that `localhost` may mean.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The gateway's sockets. They hold their port, but until they listen, connections are refused.
pub(crate) struct Sockets {
    address: SocketAddr,
    sockets: Vec<TcpSocket>,
}

impl Sockets {
    /// Takes the port, any free one for 0. For `127.0.0.1` that of `::1` too, where the machine has that address.
    ///
    /// # Errors
    /// Another program listens there, or the address isn't one of this machine.
    pub(crate) fn bind(host: IpAddr, port: u16) -> io::Result<Self> {
        let socket = bind(SocketAddr::new(host, port))?;
        let address = socket.local_addr()?;
        let mut sockets = vec![socket];
        if host == Ipv4Addr::LOCALHOST {
            match bind((Ipv6Addr::LOCALHOST, address.port()).into()) {
                Ok(socket) => sockets.push(socket),
                // Then a browser would find the other program at `localhost`.
                Err(error) if error.kind() == ErrorKind::AddrInUse && port != 0 => return Err(error),
                Err(_) => {}
            }
        }
        Ok(Self { address, sockets })
    }

    /// The address that the caller asked for, with the port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections in.
    ///
    /// # Errors
    /// Another program has begun to listen there.
    pub(crate) fn listen(self) -> io::Result<Vec<TcpListener>> {
        self.sockets.into_iter().map(|socket| socket.listen(BACKLOG)).collect()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the standard library does: connections of a run before don't hold the port.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
