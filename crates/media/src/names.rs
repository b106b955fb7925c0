//! Looking names up: once per request, and by nobody else. A seam, so that a test can rebind a name.

use std::{fmt::Debug, io, net::SocketAddr};

use futures::future::BoxFuture;

/// Names to addresses.
pub trait Names: Debug + Send + Sync {
    /// All addresses of a host.
    ///
    /// # Errors
    /// When there are none, or nobody answers.
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The operating system's.
#[derive(Debug)]
pub struct System;

impl Names for System {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }
}
