//! The guide's matrix in every format, pinned as files; `cargo xtask generate` rewrites them.

use std::path::{Path, PathBuf};

use super::{
    By, Cluster, Diff, DiffDocument, Document, Effect, Expect, Grids, Port, Selection, View, break_lines,
    breaks, csv, diff_schema_text, dot, grids, html, json, matrix_schema_text, mermaid, ports_of,
};
use crate::{
    cluster::{Loaded, Snapshot},
    pinned::pinned,
    policy::{Intent, PolicySet, compile},
    report::Style,
};

pub(super) struct World {
    pub(super) snapshot: Snapshot,
    pub(super) set: PolicySet,
}

impl World {
    pub(super) fn of(text: &str) -> Self {
        let (snapshot, _) = Loaded::from_text(text, Path::new("t")).into_snapshot();
        Self::compiled(snapshot)
    }

    pub(super) fn compiled(snapshot: Snapshot) -> Self {
        let (set, _) = compile(&snapshot);
        Self { snapshot, set }
    }

    fn scenario(name: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("scenarios")
            .join(name);
        let (snapshot, _) = Loaded::from_paths(&[folder]).into_snapshot();
        Self::compiled(snapshot)
    }

    pub(super) fn cluster(&self) -> Cluster<'_> {
        Cluster {
            snapshot: &self.snapshot,
            set: &self.set,
        }
    }

    pub(super) fn view(&self, by: By) -> View<'_> {
        View::new(vec![self.cluster()], &Selection::default(), by, false)
    }

    pub(super) fn ports(&self) -> Vec<Port> {
        ports_of(&[&self.snapshot]).0
    }
}

pub(super) fn written(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

pub(super) fn rows(view: &View<'_>, ports: &[Port]) -> Document {
    serde_json::from_str(&written(|out| json(view, ports, None, out))).unwrap()
}

fn in_the_demo() -> Selection {
    Selection {
        from: vec!["netpol-demo/*".parse().unwrap()],
        to: vec!["netpol-demo/*".parse().unwrap()],
        ..Selection::default()
    }
}

const WEB: &str = "80/TCP";

#[test]
fn the_guide_allows_one_of_twelve_and_corrected_three() {
    for (scenario, allowed) in [("guide", 1), ("guide-corrected", 3)] {
        let world = World::scenario(scenario);
        let view = View::new(vec![world.cluster()], &in_the_demo(), By::Pod, false);
        let counts = view.counts(WEB.parse().unwrap());
        assert_eq!(
            (counts.pairs, counts.allowed, counts.denied),
            (12, allowed, 12 - allowed)
        );
    }
}

#[test]
fn the_guide_reads_as_pinned_in_every_format() {
    let world = World::scenario("guide");
    let view = world.view(By::Pod);
    let ports = world.ports();
    let style = Style::plain();
    let pin = |name: &str, text: &str| pinned(&format!("src/oracle/pinned/{name}"), text);
    pin("guide.txt", &grids(&view, &ports, Grids { style, who: false }));
    pin(
        "guide-wide.txt",
        &grids(&view, &ports, Grids { style, who: true }),
    );
    pin("guide.json", &written(|out| json(&view, &ports, None, out)));
    pin("guide.csv", &written(|out| csv(&view, &ports, out)));
    pin("guide.dot", &written(|out| dot(&view, &ports, out)));
    pin("guide.mermaid", &written(|out| mermaid(&view, &ports, out)));
    pin("guide.html", &written(|out| html(&view, &ports, &[], out)));
}

#[test]
fn correcting_the_guide_opens_two_paths_and_closes_none() {
    let (before, after) = (World::scenario("guide"), World::scenario("guide-corrected"));
    let both = vec![before.cluster(), after.cluster()];
    let view = View::new(both, &Selection::default(), By::Pod, false);
    let diff = Diff::new(&view, before.ports());
    assert_eq!(
        [Effect::Opened, Effect::Closed, Effect::BecameUnspecified].map(|effect| diff.count(effect)),
        [2, 0, 0]
    );
    assert!(!diff.is_empty() && diff.added().is_empty() && diff.removed().is_empty());
    let pin = |name: &str, text: &str| pinned(&format!("src/oracle/pinned/{name}"), text);
    pin("guide-diff.txt", &diff.table(Style::plain()));
    pin("guide-diff.md", &diff.markdown());
    let text = written(|out| diff.json(out));
    pin("guide-diff.json", &text);
    let document: DiffDocument = serde_json::from_str(&text).unwrap();
    let opened: Vec<String> = document
        .rows
        .iter()
        .map(|row| format!("{} {}", row.from, row.to))
        .collect();
    assert_eq!(
        opened,
        [
            "netpol-demo/backend netpol-demo/database",
            "netpol-demo/external-client netpol-demo/frontend"
        ]
    );
}

#[test]
fn the_same_manifests_have_no_difference() {
    let world = World::scenario("guide");
    let view = View::new(
        vec![world.cluster(), world.cluster()],
        &Selection::default(),
        By::Workload,
        true,
    );
    let diff = Diff::new(&view, world.ports());
    assert!(diff.is_empty() && !diff.has_other_blocks());
    assert_eq!(
        diff.table(Style::plain()),
        "No pair is answered otherwise on TCP/53, TCP/80, UDP/53.\n"
    );
}

#[test]
fn the_committed_schemas_are_the_codes_and_hold() {
    let (matrix, diff) = (matrix_schema_text().unwrap(), diff_schema_text().unwrap());
    pinned("schema/matrix.schema.json", &matrix);
    pinned("schema/matrix-diff.schema.json", &diff);
    let world = World::scenario("guide");
    let view = world.view(By::Workload);
    let (found, _) = breaks(&guides_intent(), world.cluster());
    let text = written(|out| json(&view, &world.ports(), Some(&found), out));
    keeps_to(&matrix, &text);
    let (before, after) = (world, World::scenario("guide-corrected"));
    let both = vec![before.cluster(), after.cluster()];
    let view = View::new(both, &Selection::default(), By::Pod, false);
    keeps_to(&diff, &written(|out| Diff::new(&view, before.ports()).json(out)));
}

fn keeps_to(schema: &str, text: &str) {
    let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    for wrong in ["kind", "apiVersion"] {
        let mut bad = value.clone();
        bad[wrong] = "Walk".into();
        assert!(!validator.is_valid(&bad), "{wrong}");
    }
    let mut bad = value;
    bad["rows"][0]["port"] = "http".into();
    assert!(!validator.is_valid(&bad));
}

fn guides_intent() -> Intent {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/guide/intent.yaml");
    Intent::parse(&std::fs::read_to_string(&file).unwrap(), &file).0
}

#[test]
fn the_guide_breaks_its_own_intent_twice_and_corrected_never() {
    for (scenario, count) in [("guide", 2), ("guide-corrected", 0)] {
        let world = World::scenario(scenario);
        let (found, checked) = breaks(&guides_intent(), world.cluster());
        assert_eq!((found.len(), checked), (count, 14));
        let lines = break_lines(&found, checked).join("\n");
        assert_eq!(
            lines.matches("wanted open, the policies deny it").count(),
            count,
            "{lines}"
        );
        assert_eq!(
            lines.matches("smallest rule that opens it").count(),
            count,
            "{lines}"
        );
    }
}

/// A Deployment of `replicas` pods beside one pod that nobody controls, on a port that only the first replica may reach.
fn replicas(count: usize) -> World {
    let mut text = String::from(
        "{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}, spec: {containers: [{ports: [{containerPort: 5432}]}]}}\n",
    );
    for number in 0..count {
        let first = if number == 0 { "first: 'yes', " } else { "" };
        text.push_str(&format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: web-{number:05}, namespace: shop, labels: {{{first}app: web}}, \
             ownerReferences: [{{apiVersion: apps/v1, kind: StatefulSet, name: web, uid: u, controller: true}}]}}, spec: {{}}}}\n"
        ));
    }
    text.push_str(
        "---\n{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: db, namespace: shop}, spec: {podSelector: \
         {matchLabels: {app: db}}, ingress: [{from: [{podSelector: {matchLabels: {first: 'yes'}}}]}]}}\n",
    );
    World::of(&text)
}

#[test]
fn a_workload_whose_pods_disagree_shows_how_many_may() {
    let world = replicas(4);
    let view = world.view(By::Workload);
    let document = rows(&view, &world.ports());
    let row = |from: &str, to: &str| {
        let of = document
            .rows
            .iter()
            .filter(|row| row.from == from && row.to == to);
        let mut of: Vec<_> = of
            .map(|row| (format!("{:?}", row.answer.expect), row.answer.pairs.unwrap()))
            .collect();
        of.sort();
        of
    };
    let (web, db) = ("shop/StatefulSet/web", "shop/db");
    assert_eq!(row(web, db), [("Allow".to_owned(), 1), ("Deny".to_owned(), 3)]);
    assert_eq!(row(web, web), [("Allow".to_owned(), 12)]);
    assert_eq!(row(db, db), []);
    let style = Style::plain();
    let text = grids(&view, &world.ports(), Grids { style, who: false });
    assert!(
        text.contains("1 of 4") && text.contains("of 9 pairs 3 are allowed"),
        "{text}"
    );
    let drawn = written(|out| mermaid(&view, &world.ports(), out));
    assert!(drawn.contains("-.->|\"TCP/5432 (1 of 4)\"|"), "{drawn}");
}

#[test]
fn ten_thousand_pods_fit_a_screen_and_are_all_counted() {
    let world = replicas(10_000);
    let view = world.view(By::Pod);
    let style = Style::plain();
    let text = grids(&view, &world.ports(), Grids { style, who: true });
    assert!(
        text.starts_with(
            "TCP/5432 in shop — 100,010,000 pairs: 100,000,001 allowed, 9,999 denied, 0 unspecified\n"
        ),
        "{text}"
    );
    assert!(text.lines().count() < 30 && text.contains("9,999 pods"), "{text}");
    let page = written(|out| html(&view, &world.ports(), &[], out));
    assert!(page.len() < 20_000, "{}", page.len());
}

#[test]
fn too_many_kinds_of_pods_are_cut_and_said() {
    let mut text = String::new();
    for number in 0..60 {
        text.push_str(&format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{number:02}, namespace: shop, labels: {{app: a{number}}}}}, spec: {{}}}}\n\
             ---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: n{number}, namespace: shop}}, spec: \
             {{podSelector: {{matchLabels: {{app: a{number}}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: a{}}}}}}}]}}]}}}}\n",
            (number + 1) % 60
        ));
    }
    let world = World::of(&text);
    let style = Style::plain();
    let text = grids(&world.view(By::Pod), &world.ports(), Grids { style, who: false });
    assert!(text.contains("60 allowed, 3,480 denied"), "{text}");
    assert!(text.contains("and 20 more") && text.contains("--by"), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn a_block_of_addresses_is_an_end_when_asked_for() {
    let world = World::of(
        "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}, spec: {}, status: {podIPs: [{ip: 10.0.0.1}]}}\n---\n\
         {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: out, namespace: shop}, spec: {podSelector: {}, \
         policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 198.51.100.0/24}}]}]}}",
    );
    let view = View::new(vec![world.cluster()], &Selection::default(), By::Pod, true);
    let document = rows(&view, &world.ports());
    let found: Vec<(&str, &str, Expect)> = document
        .rows
        .iter()
        .map(|row| (row.from.as_str(), row.to.as_str(), row.answer.expect))
        .collect();
    assert_eq!(
        found,
        [
            ("shop/web", "198.51.100.0/24", Expect::Allow),
            ("shop/web", "outside (IPv4)", Expect::Deny),
            ("198.51.100.0/24", "shop/web", Expect::Allow),
            ("outside (IPv4)", "shop/web", Expect::Allow),
        ]
    );
}

#[test]
fn families_that_differ_have_a_row_each() {
    let world = World::of(
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, spec: {}, status: {podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]}}\n---\n\
         {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}, spec: {}, status: {podIPs: [{ip: 10.0.0.2}, {ip: 'fd00::2'}]}}\n---\n\
         {apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: in, namespace: shop}, spec: {podSelector: {}, \
         ingress: [{from: [{ipBlock: {cidr: 10.0.0.1/32}}]}]}}",
    );
    let view = world.view(By::Pod);
    let counts = view.counts(WEB.parse().unwrap());
    assert_eq!((counts.pairs, counts.denied, counts.differ), (2, 1, 1));
    let text = written(|out| csv(&view, &world.ports(), out));
    assert_eq!(
        text.lines().skip(1).collect::<Vec<_>>(),
        [
            "shop/a,shop/b,TCP,80,Allow,shop/in ingress[0],IPv4,,",
            "shop/a,shop/b,TCP,80,Deny,shop/in (ingress),IPv6,,",
            "shop/b,shop/a,TCP,80,Deny,shop/in (ingress),,,",
        ]
    );
}

#[test]
fn mermaid_says_what_it_leaves_out() {
    let mut text = String::new();
    for number in 0..30 {
        text.push_str(&format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, namespace: n{number}}}, spec: {{}}}}\n"
        ));
    }
    let world = World::of(&text);
    let drawn = written(|out| mermaid(&world.view(By::Pod), &world.ports(), out));
    assert_eq!(drawn.matches("-->").count(), 500);
    assert!(drawn.contains("%% 370 more paths are left out"), "{drawn}");
}
