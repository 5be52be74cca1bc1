//! What the matrix of faults asks beside pods' own addresses: through Services, by ports of nodes, from outside and to it.

use anyhow::{Context as _, Result};
use netpol_verify::{
    cluster::ObjectName,
    lab::fault::{Question, Through},
    net::{Family, Protocol},
    suite::{Attempt, Door, ProbePattern},
};

/// The one outside the cluster, where a pod's name would stand.
const OUTSIDE: &str = "Outside";

/// Who asks, through what or whom, and the ports that are dialled. By TCP, but for port 53.
///
/// Nobody asks a Service that stands for itself: the API leaves that open. Ports of nodes are asked from outside, by pods that may
/// send nothing and by pods that may send everything: what a selector in an egress policy makes of another node's address is open too.
const PATHS: &[(&[&str], &str, &[u16])] = &[
    (
        &[
            "shop/cart",
            "shop/free",
            "shop/store-1",
            "billing/*",
            "a/*",
            "plain/*",
        ],
        "Service shop/front",
        &[80, 81, 8080],
    ),
    (
        &["shop/*", "billing/agent", "billing/forger", "ab/*"],
        "Service billing/books",
        &[80, 7001],
    ),
    (&["shop/cart", "shop/free"], "Service billing/books", &[53]),
    (
        &["shop/free", "shop/cart", "billing/*", "ab/*", "plain/*"],
        "Service a/twin",
        &[80, 6006],
    ),
    (&["billing/*", "shop/cart", "a/*"], "Service plain/only", &[80]),
    (&[OUTSIDE], "Node node1", &[30061, 30066, 30080, 30082, 30090]),
    (&[OUTSIDE], "Node node2", &[30080, 30082, 30090]),
    (
        &["shop/free", "shop/store-1", "plain/one"],
        "Node node1",
        &[30080, 30090],
    ),
    (
        &["shop/free", "shop/store-1", "plain/one"],
        "Node node2",
        &[30080, 30082, 30090],
    ),
    (
        &["billing/ledger", "billing/forger"],
        "Node node1",
        &[30061, 30082],
    ),
    (
        &["billing/ledger", "billing/forger"],
        "Node node2",
        &[30061, 30082],
    ),
    (&[OUTSIDE], "shop/web", &[7300, 7500, 8080]),
    (&[OUTSIDE], "shop/cart", &[9090]),
    (&[OUTSIDE], "shop/free", &[6000]),
    (&[OUTSIDE], "shop/store-1", &[6000]),
    (&[OUTSIDE], "billing/ledger", &[7005]),
    (&[OUTSIDE], "a/bc", &[6001, 6003, 6006]),
    (&[OUTSIDE], "plain/one", &[6000]),
    (&["shop/*", "billing/*", "plain/*"], OUTSIDE, &[6000]),
    (&["billing/agent"], OUTSIDE, &[7300]),
    (&["shop/cart"], OUTSIDE, &[7005]),
];

/// The patterns of the paths.
pub(crate) fn patterns() -> Result<Vec<ProbePattern>> {
    let mut patterns = Vec::new();
    for (clients, to, ports) in PATHS {
        for from in *clients {
            for port in *ports {
                patterns.push(pattern(from, to, *port)?);
            }
        }
    }
    Ok(patterns)
}

fn pattern(from: &str, to: &str, port: u16) -> Result<ProbePattern> {
    let end = |text: &str| match text {
        // No pod's: a namespace is never empty.
        OUTSIDE => Ok(ObjectName::new("", OUTSIDE)),
        text => text.parse().with_context(|| text.to_owned()),
    };
    let door: Option<Door> = to.parse().ok();
    Ok(ProbePattern {
        from: end(from)?,
        to: if door.is_some() {
            ObjectName::new("*", "*")
        } else {
            end(to)?
        },
        port,
        protocol: if port == 53 { Protocol::Udp } else { Protocol::Tcp },
        door,
    })
}

/// The question to a prediction.
pub(crate) fn question(one: &Attempt) -> Question<'_> {
    let end = |name| Some(name).filter(|name: &&ObjectName| !name.namespace.is_empty());
    Question {
        from: end(&one.from),
        to: end(&one.to),
        family: Family::of(one.to_address),
        protocol: one.protocol,
        port: one.port,
        through: one.dialled.as_ref().map(|dialled| Through {
            address: dialled.address,
            port: dialled.port,
            node: match &dialled.door {
                Door::Service(_) => None,
                Door::Node(name) => Some(name),
            },
            hides_client: !dialled.rewritten.is_empty(),
        }),
    }
}
