//! The greeting of `cargo run`, printed when the stack is ready.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

use local::Stack;

/// Says what to try, and where everything is.
pub(crate) fn greet(stack: &Stack, host: IpAddr) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let url = stack.url();
    writeln!(out, "Ready. Sign in, then show the token:\n")?;
    writeln!(out, "  curl -d \"username=johndoe&password=secret\" {url}/login")?;
    writeln!(out, "  curl -H \"Authorization: Bearer $TOKEN\" {url}/protected\n")?;
    if host == Ipv4Addr::LOCALHOST || host.is_unspecified() {
        let port = stack.port();
        writeln!(
            out,
            "A browser keeps cookies only where the page and the API have the same host in their addresses:"
        )?;
        writeln!(out, "  a page on http://localhost calls http://localhost:{port},")?;
        writeln!(out, "  a page on http://127.0.0.1 calls http://127.0.0.1:{port}.")?;
    }
    writeln!(out, "The table is {} at {}.", stack.table_name(), stack.store_url())?;
    if host.is_unspecified() {
        let port = stack.store_url().rsplit(':').next().unwrap_or_default();
        writeln!(out, "Containers of `sam local` reach it at http://host.docker.internal:{port}.")?;
    }
    writeln!(out, "Ctrl-C ends everything.")
}
