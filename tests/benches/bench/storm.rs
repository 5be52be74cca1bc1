//! New TCP connections at a rate, from one pod to many addresses of another: opened, accepted, and closed.

use std::{
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    os::fd::{AsFd as _, AsRawFd as _},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use netpol_verify::sensor::{NetnsPath, inside};
use netpol_verify_tests::Pair;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, poll},
    sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, connect, listen, socket},
};

const PORT: u16 = 80;
/// That open connections. One opens some 20,000 a second where nobody else wants the processor.
const THREADS: u32 = 2;

/// Connections that go on until it is dropped.
pub(crate) struct Storm {
    over: Arc<AtomicBool>,
    opened: Arc<AtomicU64>,
    /// How many a second, and to how many addresses.
    pace: Arc<(AtomicU32, AtomicU32)>,
    threads: Vec<JoinHandle<()>>,
}

impl Storm {
    /// Prepares both pods; nothing is opened yet.
    pub(crate) fn prepare(pair: &Pair) -> Result<Self> {
        // All of these are addresses of b.
        pair.inside("b", "ip route add local 10.78.0.0/16 dev lo")?;
        pair.inside("r", "ip route add 10.78.0.0/16 via 10.77.1.2")?;
        // A port whose connection is over is free again after a second, not after a minute.
        pair.inside("a", "sysctl -qw net.ipv4.tcp_tw_reuse=1")?;
        let listener = inside(&NetnsPath::from(pair.path("b")), || {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, PORT))
        })??;
        listen(&listener, Backlog::new(4_095)?)?;
        listener.set_nonblocking(true)?;
        let mut storm = Self {
            over: Arc::default(),
            opened: Arc::default(),
            pace: Arc::default(),
            threads: Vec::new(),
        };
        let over = storm.over.clone();
        storm
            .threads
            .push(thread::spawn(move || accept(&listener, &over)));
        for number in 0..THREADS {
            let (over, opened, pace) = (storm.over.clone(), storm.opened.clone(), storm.pace.clone());
            let place = NetnsPath::from(pair.path("a"));
            storm.threads.push(thread::spawn(move || {
                let done = inside(&place, || open(number, &over, &opened, &pace));
                if let Err(error) = done.map_err(|error| anyhow!("{error}")).flatten() {
                    eprintln!("The storm is over: {error:#}");
                }
            }));
        }
        Ok(storm)
    }

    /// From now on so many a second, to so many addresses in turn.
    pub(crate) fn set(&self, rate: u32, addresses: u32) {
        self.pace.1.store(addresses.max(1), Ordering::Relaxed);
        self.pace.0.store(rate, Ordering::Relaxed);
    }

    /// How many were opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        if listener.accept().is_err() {
            let mut one = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
            // Whatever it says, the next look tells.
            let _ = poll(&mut one, 100_u16);
        }
    }
}

fn open(number: u32, over: &AtomicBool, opened: &AtomicU64, pace: &(AtomicU32, AtomicU32)) -> Result<()> {
    let mut next = number;
    let mut due = Instant::now();
    loop {
        let (rate, addresses) = (pace.0.load(Ordering::Relaxed), pace.1.load(Ordering::Relaxed));
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        if rate == 0 {
            thread::sleep(Duration::from_millis(10));
            due = Instant::now();
            continue;
        }
        let to = next % addresses.max(1);
        next = next.wrapping_add(THREADS);
        let [_, _, high, low] = to.to_be_bytes();
        let is_open = one(SocketAddrV4::new(Ipv4Addr::new(10, 78, high, low), PORT))?;
        opened.fetch_add(u64::from(is_open), Ordering::Relaxed);
        due += Duration::from_secs(1) * THREADS / rate;
        let now = Instant::now();
        if due > now {
            thread::sleep(due - now);
        } else if now - due > Duration::from_millis(100) {
            // As fast as it can; what was missed is not made up for.
            due = now;
        }
    }
}

/// Opens one connection and closes it; whether it could.
fn one(to: SocketAddrV4) -> Result<bool> {
    let socket = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    match connect(socket.as_raw_fd(), &SockaddrIn::from(to)) {
        // No port is free yet: the rate that was reached is told.
        Err(Errno::EADDRNOTAVAIL) => Ok(false),
        connected => Ok(connected.map(|()| true)?),
    }
}
