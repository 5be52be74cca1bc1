//! A TCP connection between two pods that stays open, and whether data still crosses it.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    reach::{PATIENCE, Reach, dial},
    sockets::Pair,
};

/// A connection, both of its ends in our hands.
#[derive(Debug)]
pub(super) struct Flow {
    client: TcpStream,
    server: TcpStream,
    /// What is sent is numbered: what was held up and comes later is not taken for an answer.
    number: u8,
}

/// What crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Crossed {
    /// Data, in both directions.
    Both,
    /// Data of the client alone.
    ToServer,
    /// Data of the server alone.
    ToClient,
    /// Nothing.
    Neither,
    /// An end was told that the connection is over.
    Reset,
}

/// What became of data in one direction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Data {
    Arrived,
    Silent,
    Reset,
}

impl Flow {
    /// Opens a connection and sends data both ways.
    ///
    /// # Errors
    /// It does not come about, or carries no data: why, in words.
    pub(super) async fn open(pair: &Pair) -> Result<Self, String> {
        let listener = listener(pair).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let dialled = dial(&pair.client, address, PATIENCE).await;
        let client = dialled.map_err(|reach| match reach {
            Reach::Rejected(why) | Reach::Unable(why) => why,
            Reach::Answered | Reach::Silent => "no answer".to_owned(),
        })?;
        let accepted = timeout(PATIENCE, listener.accept()).await;
        let (server, _) = accepted
            .map_err(|_| "the server saw no connection".to_owned())?
            .map_err(|error| error.to_string())?;
        let mut flow = Self {
            client,
            server,
            number: 0,
        };
        match flow.exchange(PATIENCE).await {
            Crossed::Both => Ok(flow),
            _ => Err("no data crosses".to_owned()),
        }
    }

    /// Sends data both ways at once.
    pub(super) async fn exchange(&mut self, patience: Duration) -> Crossed {
        self.number = self.number.wrapping_add(1);
        let (client_in, client_out) = self.client.split();
        let (server_in, server_out) = self.server.split();
        let (there, back) = tokio::join!(
            cross(client_out, server_in, self.number, patience),
            cross(server_out, client_in, self.number, patience)
        );
        match (there, back) {
            (Data::Reset, _) | (_, Data::Reset) => Crossed::Reset,
            (Data::Arrived, Data::Arrived) => Crossed::Both,
            (Data::Arrived, Data::Silent) => Crossed::ToServer,
            (Data::Silent, Data::Arrived) => Crossed::ToClient,
            (Data::Silent, Data::Silent) => Crossed::Neither,
        }
    }
}

/// Listens on a port of the server that nobody has.
fn listener(pair: &Pair) -> io::Result<TcpListener> {
    let bound = pair
        .server
        .run(|| std::net::TcpListener::bind(SocketAddr::new(pair.address, 0)))
        .map_err(io::Error::other)??;
    bound.set_nonblocking(true)?;
    TcpListener::from_std(bound)
}

async fn cross(
    mut from: impl AsyncWrite + Unpin,
    mut to: impl AsyncRead + Unpin,
    number: u8,
    patience: Duration,
) -> Data {
    let mut byte = [0];
    let crossing = async {
        from.write_all(&[number]).await?;
        while byte != [number] {
            to.read_exact(&mut byte).await?;
        }
        Ok::<_, io::Error>(())
    };
    match timeout(patience, crossing).await {
        Ok(Ok(())) => Data::Arrived,
        Ok(Err(_)) => Data::Reset,
        Err(_) => Data::Silent,
    }
}
