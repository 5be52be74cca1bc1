//! The allowed paths as a graph: ends in their namespaces, one edge from one end to another, its ports on it.

use std::collections::BTreeMap;

use super::{
    answers::{Asked, grouped},
    fold::Unit,
    port::Port,
    view::View,
};

/// More ports than this are not spelled out on an edge.
const MOST_PORTS: usize = 6;

/// The ends, and what is asked.
pub(super) struct Graph<'a, 'b> {
    view: &'b View<'a>,
    asked: Vec<(Port, Asked<'a>)>,
    pub(super) ends: Vec<Unit>,
}

/// One path, on all ports that it is allowed on.
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) label: String,
    /// Whether only some pairs of the two ends may.
    pub(super) is_partial: bool,
}

impl<'a, 'b> Graph<'a, 'b> {
    pub(super) fn new(view: &'b View<'a>, ports: &[Port]) -> Self {
        let asked = |port: &Port| Some((*port, Asked::new(view, 0, *port)?));
        Self {
            view,
            asked: ports.iter().filter_map(asked).collect(),
            ends: view.ends(),
        }
    }

    /// The ends of each namespace, by number; those outside the cluster first.
    pub(super) fn namespaces(&self) -> BTreeMap<Option<&str>, Vec<usize>> {
        let mut spaces: BTreeMap<Option<&str>, Vec<usize>> = BTreeMap::new();
        for (number, end) in self.ends.iter().enumerate() {
            spaces
                .entry(self.view.namespace_of(end))
                .or_default()
                .push(number);
        }
        spaces
    }

    /// Every edge, source by source; nothing is held.
    pub(super) fn edges(&self) -> impl Iterator<Item = Edge> + '_ {
        let all = 0..self.ends.len();
        all.clone()
            .flat_map(move |from| all.clone().filter_map(move |to| self.edge(from, to)))
    }

    fn edge(&self, from: usize, to: usize) -> Option<Edge> {
        let (source, target) = (self.ends.get(from)?, self.ends.get(to)?);
        let mut is_partial = false;
        let mut ports = Vec::new();
        for (port, asked) in &self.asked {
            let (allowed, all) = self.view.tally(asked, source, target).allowed();
            if allowed == 0 {
                continue;
            }
            if allowed == all {
                ports.push(port.to_string());
            } else {
                is_partial = true;
                ports.push(format!("{port} ({} of {})", grouped(allowed), grouped(all)));
            }
        }
        let more = ports.len().saturating_sub(MOST_PORTS);
        ports.truncate(MOST_PORTS);
        if more > 0 {
            ports.push(format!("and {more} more"));
        }
        (!ports.is_empty()).then(|| Edge {
            from,
            to,
            label: ports.join(", "),
            is_partial,
        })
    }
}
