//! Nanoseconds a packet costs in both classifiers, by `BPF_PROG_TEST_RUN`, beside a program that only returns.
//!
//! A test run repeats one packet on the loopback device of this namespace. With folding off each repeat is a new record;
//! the way that makes a new fold entry is measured apart, one run a packet with ports that change.

use anyhow::{Context as _, Result, ensure};
use aya::{
    maps::{MapData, PerCpuArray, RingBuf},
    programs::{TestRun as _, TestRunOptions},
};
use netpol_verify::{
    kernel::KernelFacts,
    net::Protocol,
    sensor::{EMBEDDED, Mode, Object, Options, Probe},
};
use netpol_verify_ebpf::settings::{Settings, counter, name};

use crate::spread::Spread;

/// Runs of which the median is told.
const RUNS: usize = 31;
/// Packets of one run; fewer than the ring of 8 MiB holds records (43,690).
const PACKETS: u32 = 40_000;
/// Packets of the creation path, each a run of its own.
const SINGLE: u32 = 20_000;

/// Every packet a record.
const RECORD_ALL: Settings = Mode::Active.settings();
const FOLD_ALL: Settings = Settings {
    fold_window_ns: u64::MAX,
    ..RECORD_ALL
};
/// The whole way of the passive mode, each packet beyond its window and within its budget.
const PASSIVE_RECORD: Settings = Settings {
    fold_window_ns: 1,
    bucket_interval_ns: 1,
    bucket_burst_ns: u64::MAX >> 1,
    ..RECORD_ALL
};

struct Bench {
    object: Object,
    ring: RingBuf<MapData>,
    counters: PerCpuArray<MapData, u64>,
}

pub(crate) fn run() -> Result<()> {
    let options = Options {
        // Other people's drops would fill the ring meanwhile.
        without_drops: true,
        ..Options::default()
    };
    let mut object = Object::load_with(EMBEDDED, &KernelFacts::of_kernel(), options)?;
    let (ring, counters) = object.take_maps_for_test_run()?;
    let mut bench = Bench {
        object,
        ring,
        counters,
    };
    println!("\nclassifiers: ns per packet, median of {RUNS} runs of {PACKETS} packets");
    println!("  {:<42} {:>8} {:>8} {:>8}  bar", "", "floor", "itself", "above");
    let (syn4, syn6) = (frame(false, 40_000)?, frame(true, 40_000)?);
    let (ack4, ack6) = (established(&syn4, 34)?, established(&syn6, 54)?);
    for program in [name::POD_EGRESS, name::POD_INGRESS] {
        for (what, packet, settings, records, bar) in [
            ("established, IPv4", &ack4, RECORD_ALL, 0, "10"),
            ("established, IPv6", &ack6, RECORD_ALL, 0, "10"),
            ("folded SYN, IPv4", &syn4, FOLD_ALL, 0, "-"),
            ("folded SYN, IPv6", &syn6, FOLD_ALL, 0, "-"),
            ("recorded SYN, IPv4", &syn4, RECORD_ALL, PACKETS, "100"),
            ("recorded SYN, IPv6", &syn6, RECORD_ALL, PACKETS, "100"),
            (
                "recorded SYN, IPv4, fold and budget",
                &syn4,
                PASSIVE_RECORD,
                PACKETS,
                "-",
            ),
        ] {
            bench.object.set(settings)?;
            // The fold entry exists before the runs that are counted.
            bench.repeated(program, packet, 10)?;
            let mut floor = Vec::new();
            let mut itself = Vec::new();
            for _ in 0..RUNS {
                floor.push(bench.repeated(name::NOTHING, packet, PACKETS)?.0);
                let (nanos, recorded) = bench.repeated(program, packet, PACKETS)?;
                // A run that did something else than it says is no measurement.
                ensure!(
                    recorded == u64::from(records),
                    "{what}: {recorded} records of {records}"
                );
                itself.push(nanos);
            }
            print(
                &format!("{program}, {what}"),
                &Spread::of(floor),
                &Spread::of(itself),
                bar,
            );
        }
    }
    bench.creation()?;
    Ok(())
}

fn print(what: &str, floor: &Spread, itself: &Spread, bar: &str) {
    let (low, high) = (floor.median(), itself.median());
    println!("  {what:<42} {low:>8.1} {high:>8.1} {:>8.1}  {bar}", high - low);
}

impl Bench {
    /// Nanoseconds a packet, and how many records came of all.
    fn repeated(&mut self, program: &'static str, packet: &[u8], repeat: u32) -> Result<(f64, u64)> {
        let before = self.recorded()?;
        let result = self
            .object
            .classifier_for_test_run(program)?
            .test_run(TestRunOptions {
                data_in: Some(packet),
                repeat,
                ..TestRunOptions::default()
            })?;
        let recorded = self.recorded()? - before;
        let mut drained = 0;
        while let Some(record) = self.ring.next() {
            drop(record);
            drained += 1;
        }
        ensure!(
            drained == recorded,
            "{drained} records in the ring, {recorded} counted"
        );
        // The kernel divides the time by the repeats itself (bpf_test_timer_continue, net/bpf/test_run.c).
        Ok((f64::from(u32::try_from(result.duration.as_nanos())?), recorded))
    }

    fn recorded(&self) -> Result<u64> {
        Ok(self.counters.get(&counter::RECORDED, 0)?.iter().sum())
    }

    /// Each packet new to the fold map: one packet a run, so the floor is one packet a run as well.
    fn creation(&mut self) -> Result<()> {
        println!("\nclassifiers: the first packet of its kind, ns, median of {SINGLE} runs of one packet");
        self.object.set(Settings {
            fold_window_ns: u64::MAX,
            bucket_interval_ns: 1,
            bucket_burst_ns: u64::MAX >> 1,
            ..RECORD_ALL
        })?;
        let template = frame(false, 40_000)?;
        let (mut floor, mut itself) = (Vec::new(), Vec::new());
        for number in 0..SINGLE {
            let mut packet = template.clone();
            // The source address is part of the fold key.
            packet
                .get_mut(26..30)
                .context("an IPv4 header")?
                .copy_from_slice(&(0x0b00_0000 + number).to_be_bytes());
            floor.push(self.repeated(name::NOTHING, &packet, 1)?.0);
            let (nanos, recorded) = self.repeated(name::POD_EGRESS, &packet, 1)?;
            ensure!(recorded == 1, "packet {number} was not new");
            itself.push(nanos);
        }
        print(
            "pod_egress, new SYN, IPv4",
            &Spread::of(floor),
            &Spread::of(itself),
            "-",
        );
        Ok(())
    }
}

/// A SYN with its Ethernet header.
fn frame(v6: bool, port: u16) -> Result<Vec<u8>> {
    let (source, destination) = if v6 {
        (format!("[fd00::1]:{port}"), "[fd00::2]:80")
    } else {
        (format!("10.0.0.1:{port}"), "10.0.0.2:80")
    };
    let probe = Probe {
        protocol: Protocol::Tcp,
        source: source.parse()?,
        destination: destination.parse()?,
        nonce: 7,
    };
    let mut frame = vec![0; 12];
    frame.extend(if v6 { [0x86, 0xdd] } else { [0x08, 0x00] });
    frame.extend(probe.packet()?);
    Ok(frame)
}

/// The same segment with ACK for its only flag.
fn established(syn: &[u8], tcp: usize) -> Result<Vec<u8>> {
    let mut ack = syn.to_vec();
    *ack.get_mut(tcp + 13).context("a TCP header")? = 0x10;
    Ok(ack)
}
