//! Names that want to be more than names, in every format.

use super::{
    By, Diff, Grids, Port, Selection, View, csv, dot, grids, html, json, mermaid,
    tests::{World, written},
};
use crate::{cluster::Workload, report::Style};

const EVIL: [&str; 6] = [
    "<img src=x onerror=alert(1)>\"' onclick=x</script>",
    "=cmd|'/c calc'!A1,\"x\"\ny",
    "\u{1b}]0;owned\u{7}\u{202e}",
    "\\\"]; n0 -> n1 [label=\"",
    "\"]\nend\nn0-->n1[\"x",
    "`|**x**|[a](javascript:x)",
];

/// Six pods in a namespace without policies, called what nobody may be called.
fn world() -> World {
    let text: Vec<String> = (0..EVIL.len())
        .map(|number| {
            format!("---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, namespace: shop, labels: {{app: a{number}}}}}, spec: {{}}}}\n")
        })
        .collect();
    let policies = (0..EVIL.len()).map(|number| {
        format!(
            "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: n{number}, namespace: shop}}, spec: {{podSelector: \
             {{matchLabels: {{app: a{number}}}}}, ingress: [{{from: [{{podSelector: {{matchLabels: {{app: a0}}}}}}]}}]}}}}\n"
        )
    });
    let text: String = text.into_iter().chain(policies).collect();
    let mut snapshot = World::of(&text).snapshot;
    for (pod, evil) in snapshot.pods.iter_mut().zip(EVIL) {
        pod.name.name = evil.to_owned();
        pod.workload = Some(Workload {
            kind: evil.to_owned(),
            name: evil.to_owned(),
        });
    }
    World::compiled(snapshot)
}

fn in_every_view(check: impl Fn(&View<'_>, &[Port])) {
    let world = world();
    assert_eq!(world.snapshot.pods.len(), EVIL.len());
    let ports = world.ports();
    for by in [By::Pod, By::Workload] {
        check(&world.view(by), &ports);
    }
}

fn drives_no_terminal(text: &str) {
    let bad = |one: &char| (one.is_control() && *one != '\n') || *one == '\u{202e}';
    assert_eq!(text.chars().find(bad), None, "{text}");
}

#[test]
fn a_terminal_is_never_driven() {
    in_every_view(|view, ports| {
        let style = Style::plain();
        drives_no_terminal(&grids(view, ports, Grids { style, who: true }));
        drives_no_terminal(&written(|out| csv(view, ports, out)));
        drives_no_terminal(&written(|out| json(view, ports, None, out)));
        drives_no_terminal(&written(|out| dot(view, ports, out)));
        drives_no_terminal(&written(|out| mermaid(view, ports, out)));
        drives_no_terminal(&written(|out| html(view, ports, &[], out)));
    });
}

#[test]
fn json_gives_every_name_back_as_it_was() {
    let world = world();
    let document = super::tests::rows(&world.view(By::Pod), &world.ports());
    for evil in EVIL {
        assert_eq!(
            document
                .rows
                .iter()
                .filter(|row| row.from == format!("shop/{evil}"))
                .count(),
            5
        );
    }
}

#[test]
fn csv_has_whole_records_and_no_formula() {
    let mut snapshot = world().snapshot;
    for pod in &mut snapshot.pods {
        // A name begins with its namespace, so that only that could begin a formula.
        pod.name.namespace = "=1+1".to_owned();
    }
    let world = World::compiled(snapshot);
    let text = written(|out| csv(&world.view(By::Pod), &world.ports(), out));
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let records: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(records.len(), 30);
    for record in records {
        assert_eq!(record.len(), 9);
        for field in &record {
            assert!(!field.starts_with(['=', '+', '-', '@']), "{field}");
        }
        assert!(record[0].starts_with("'=1+1/"));
    }
}

#[test]
fn html_has_no_element_or_attribute_of_a_name() {
    in_every_view(|view, ports| {
        let page = written(|out| html(view, ports, &[EVIL[0].to_owned()], out));
        assert!(!page.contains("<img") && page.contains("&lt;img"), "{page}");
        assert_eq!(page.matches("<script>").count(), 1);
        assert_eq!(page.matches("</script>").count(), 1);
        for attribute in page.split("class=\"").skip(1) {
            let class = attribute.split('"').next().unwrap();
            assert!(
                ["allow", "deny", "unspecified", "mixed", "none", "scroll"].contains(&class),
                "{class}"
            );
        }
    });
}

#[test]
fn graphviz_reads_every_name_as_one_string() {
    in_every_view(|view, ports| {
        for line in written(|out| dot(view, ports, out))
            .lines()
            .filter(|line| line.contains("label="))
        {
            let (_, rest) = line.split_once("label=\"").unwrap();
            let (mut characters, mut is_escaped, mut after) = (rest.chars(), false, None);
            for one in characters.by_ref() {
                match one {
                    '"' if !is_escaped => {
                        after = Some(());
                        break;
                    }
                    '\\' => is_escaped = !is_escaped,
                    _ => is_escaped = false,
                }
            }
            assert!(after.is_some(), "{line}");
            let end = characters.as_str();
            assert!(["];", ";", ", style=dashed];"].contains(&end), "{line}");
        }
    });
}

#[test]
fn mermaid_sees_no_quote_or_bracket_of_a_name() {
    in_every_view(|view, ports| {
        for line in written(|out| mermaid(view, ports, out)).lines() {
            let quotes = line.matches('"').count();
            assert!(quotes == 0 || quotes == 2, "{line}");
            if let Some(inside) = line.split('"').nth(1) {
                assert!(!inside.contains(['[', ']', '<', '>', '|', '`', '\\']), "{line}");
            }
        }
    });
}

#[test]
fn a_pull_request_gets_one_table_and_no_markup() {
    let (before, mut snapshot) = (world(), world().snapshot);
    snapshot.policies.clear();
    snapshot.pods.pop();
    let after = World::compiled(snapshot);
    let both = vec![before.cluster(), after.cluster()];
    let view = View::new(both, &Selection::default(), By::Pod, false);
    let diff = Diff::new(&view, before.ports());
    assert!(!diff.is_empty() && diff.removed().len() == 1);
    let text = diff.markdown();
    drives_no_terminal(&text);
    drives_no_terminal(&diff.table(Style::plain()));
    for line in text.lines().filter(|line| line.starts_with('|')) {
        assert_eq!(line.replace("\\|", "").matches('|').count(), 7, "{line}");
        assert_eq!(line.matches('`').count() % 2, 0, "{line}");
    }
    let only = text.lines().find(|line| line.contains("Only before")).unwrap();
    assert!(
        only.contains("\\`\\|\\*\\*x") || only.contains("\\<img") || only.contains("\\]"),
        "{only}"
    );
}
