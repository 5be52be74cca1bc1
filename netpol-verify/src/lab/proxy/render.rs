//! The doors of a node as text for `nft -f -`, in the way of kube-proxy's own tables.

use std::{fmt::Write as _, net::IpAddr};

use super::plan::{Door, Side};
use crate::{
    lab::enforcer::{keyword, plain, removal},
    net::{Family, Protocol},
};

/// Our tables; the lab's enforcers have others.
const TABLE: &str = "npv_service";
/// The mark of packets that leave under the node's own address, the bit that kube-proxy has for it.
const MASQUERADE: &str = "0x4000";
/// Where the pods are: what they send to a door for the outside is the cluster's own traffic.
const PODS: [(Family, &str); 2] = [(Family::Ipv4, "10.244.0.0/16"), (Family::Ipv6, "fd00:244::/32")];

/// Text that replaces both tables in one transaction; that removes them where there is no door.
pub(super) fn render(doors: &[Door]) -> String {
    let mut text = String::new();
    for (family, pods) in PODS {
        let table = format!("{} {TABLE}", keyword(family));
        text.push_str(&removal(&table));
        let of_family: Vec<&Door> = doors
            .iter()
            .filter(|door| Family::of(door.address) == family)
            .collect();
        if !of_family.is_empty() {
            table_of(&mut text, &table, family, pods, &of_family);
        }
    }
    text
}

fn table_of(text: &mut String, table: &str, family: Family, pods: &str, doors: &[&Door]) {
    let mut chains = String::new();
    let mut dialled = String::new();
    for (number, door) in doors.iter().enumerate() {
        let name = format!("door{number}");
        let comment =
            plain(door.service.clone()).map_or_else(String::new, |text| format!(" comment \"{text}\""));
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(
            dialled,
            "\t\t{} daddr {} {} dport {} goto {name}{comment}",
            keyword(family),
            door.address,
            protocol(door.protocol),
            door.port
        );
        door_of(&mut chains, &name, family, pods, door);
    }
    let _ = write!(
        text,
        "table {table} {{\n{chains}\tchain dialled {{\n{dialled}\t}}\n\
         \tchain prerouting {{\n\t\ttype nat hook prerouting priority dstnat; policy accept;\n\t\tjump dialled\n\t}}\n\
         \tchain output {{\n\t\ttype nat hook output priority -100; policy accept;\n\t\tjump dialled\n\t}}\n\
         \tchain postrouting {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tmeta mark & {MASQUERADE} == {MASQUERADE} masquerade\n\t}}\n}}\n"
    );
}

fn door_of(chains: &mut String, name: &str, family: Family, pods: &str, door: &Door) {
    let whole = format!("{name}_all");
    pick(chains, &whole, family, &door.behind);
    let _ = writeln!(chains, "\tchain {name} {{");
    match door.side {
        Side::Within => {
            let _ = writeln!(chains, "\t\tgoto {whole}");
        }
        Side::Rewriting => {
            let _ = writeln!(
                chains,
                "\t\tmeta mark set meta mark | {MASQUERADE}\n\t\tgoto {whole}"
            );
        }
        Side::Keeping => {
            let local = format!("{name}_here");
            // Pods and the node itself reach every pod behind it.
            let _ = writeln!(chains, "\t\t{} saddr {pods} goto {whole}", keyword(family));
            let _ = writeln!(
                chains,
                "\t\tfib saddr type local meta mark set meta mark | {MASQUERADE}\n\t\tfib saddr type local goto {whole}"
            );
            let _ = writeln!(chains, "\t\tgoto {local}\n\t}}");
            let mut picked = String::new();
            pick(&mut picked, &local, family, &door.here);
            // A chain must be there before another one names it.
            chains.insert_str(0, &picked);
            return;
        }
    }
    chains.push_str("\t}\n");
}

/// A chain that gives the packet to one of several pods. Without any the packet is stopped, as kube-proxy refuses it.
fn pick(chains: &mut String, name: &str, family: Family, behind: &[(IpAddr, u16)]) {
    for (number, (address, port)) in behind.iter().enumerate() {
        let _ = write!(
            chains,
            "\tchain {name}_{number} {{\n\
             \t\t{} saddr {address} meta mark set meta mark | {MASQUERADE}\n\
             \t\tmeta l4proto {{ tcp, udp, sctp }} dnat to {}\n\t}}\n",
            keyword(family),
            target(*address, *port)
        );
    }
    let _ = writeln!(chains, "\tchain {name} {{");
    if behind.is_empty() {
        chains.push_str("\t\tdrop\n");
    } else {
        let numbered: Vec<String> = (0..behind.len())
            .map(|number| format!("{number} : goto {name}_{number}"))
            .collect();
        let _ = writeln!(
            chains,
            "\t\tnumgen random mod {} vmap {{ {} }}",
            behind.len(),
            numbered.join(", ")
        );
    }
    chains.push_str("\t}\n");
}

fn target(address: IpAddr, port: u16) -> String {
    match address {
        IpAddr::V4(address) => format!("{address}:{port}"),
        IpAddr::V6(address) => format!("[{address}]:{port}"),
    }
}

const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}
