//! What the API leaves open, asked of the lab's enforcers on each wiring: each answer as it can be explained, and none where it
//! would mean nothing.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use netpol_verify::report::{CaseVerdict, Certification, RunVerdict};
use netpol_verify_tests::{Npv, as_root, write_program};

const OPEN_INGRESS: &str = "a connection that is open when ingress to its server is denied (R27)";
const AFTER_INGRESS: &str = "a connection after ingress to its server was denied for a while (R27)";
const OPEN_EGRESS: &str = "a connection that is open when egress of its client is denied (R27)";
const AFTER_EGRESS: &str = "a connection after egress of its client was denied for a while (R27)";
const ECHO: &str = "ICMP echo between pods that a policy parts (R25)";
const OWN_NODE: &str = "a pod's own node to the pod whose ingress is denied (R21: it must pass)";
const OTHER_NODE: &str = "another node to a pod whose ingress is denied";
const TO_OWN_NODE: &str = "a pod whose egress is denied to its own node (R22)";
const ITSELF: &str = "a pod that is cut off to its own address (R23)";
const OWN_SERVICE: &str = "a pod that is cut off to itself through its Service (R23)";
const BLOCK: &str =
    "an ipBlock that holds a pod's address, as the one rule that allows (R12: it means the pod)";

const GOES_ON: &str = "goes on: data crosses both ways";
const PASSES: &str = "passes: TCP handshake";
const DROPPED: &str = "dropped: no answer";
const NOT_ENFORCED: &str = "not told: new connections pass as well, so that nothing is denied";

/// One answer to a question, and how often.
type Expected<'a> = (&'a str, &'a str, u64);

fn certified(words: &str, exit: i32) -> Result<Certification> {
    let ran = Npv::new(&format!("certify --lab -o json {words}"))?
        .run()?
        .expect(exit)
        .context(words.to_owned())?;
    ran.nothing_left()?;
    ran.document()
}

/// One case, and what is asked beside.
fn one_case(words: &str, exit: i32) -> Result<Certification> {
    certified(&format!("--suite own --filter OWN-001 {words}"), exit)
}

/// Every question has just this one answer.
fn answers(run: &Certification, expected: &[Expected<'_>]) -> Result<()> {
    for (question, answer, count) in expected {
        let mut all = run.fingerprint.iter();
        let found = all
            .find(|one| one.question == *question)
            .with_context(|| (*question).to_owned())?;
        let told: Vec<(&str, u64)> = found
            .answers
            .iter()
            .chain(&found.untold)
            .map(|(text, count)| (text.as_str(), *count))
            .collect();
        ensure!(told == [(*answer, *count)], "{question}: {told:?}");
    }
    Ok(())
}

/// A program that enforces like the lab's example, but for some of its lines.
fn like_the_example(changes: &[(&str, &str)]) -> Result<(tempfile::TempDir, PathBuf)> {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/examples/enforcer.py");
    let mut text = fs::read_to_string(example)?;
    for (line, instead) in changes {
        ensure!(text.contains(line), "the example has no line {line}");
        text = text.replace(line, instead);
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("enforcer.py");
    write_program(&path, &text)?;
    Ok((folder, path))
}

/// Connections go on because all three accept what connection tracking, or their own table, knows. The node sends by a hook that
/// none of them has, and to itself a pod sends over its loopback device. NetworkPolicies do not hold towards the own node.
#[test]
fn the_labs_enforcers_answer_every_question_alike_on_bridges_and_routed() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for enforcer in ["nftables", "ipset", "tc"] {
        for wiring in ["bridge", "routed"] {
            let run = one_case(&format!("--enforcer {enforcer} --wiring {wiring}"), 0)?;
            let expected = [
                (OPEN_INGRESS, GOES_ON, 4),
                (AFTER_INGRESS, GOES_ON, 4),
                (OPEN_EGRESS, GOES_ON, 4),
                (AFTER_EGRESS, GOES_ON, 4),
                (ECHO, DROPPED, 4),
                (OWN_NODE, PASSES, 2),
                (OTHER_NODE, DROPPED, 2),
                (TO_OWN_NODE, PASSES, 2),
                (ITSELF, PASSES, 2),
                (OWN_SERVICE, DROPPED, 2),
                (BLOCK, "lets the pod through: delivered", 4),
            ];
            answers(&run, &expected).with_context(|| format!("{enforcer} {wiring}"))?;
            ensure!(run.verdict == RunVerdict::Enforced, "{enforcer} {wiring}");
        }
    }
    Ok(())
}

#[test]
fn where_nobody_enforces_nothing_that_passes_is_called_a_trait() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    for wiring in ["bridge", "routed"] {
        let run = one_case(&format!("--cni flannel --wiring {wiring}"), 1)?;
        let of_four = [
            OPEN_INGRESS,
            AFTER_INGRESS,
            OPEN_EGRESS,
            AFTER_EGRESS,
            ECHO,
            BLOCK,
        ];
        let of_two = [OWN_NODE, OTHER_NODE, TO_OWN_NODE, ITSELF, OWN_SERVICE];
        let all = of_four.map(|question| (question, 4));
        for (question, count) in all.into_iter().chain(of_two.map(|question| (question, 2))) {
            answers(&run, &[(question, NOT_ENFORCED, count)]).context(wiring)?;
        }
    }
    Ok(())
}

/// Every packet against the direction in which a connection was opened is accepted, every other is asked: what a policy denies is
/// cut at once, and comes back with it. Echo is dropped always, so that its silence under a policy means nothing.
#[test]
fn connections_that_are_cut_and_echoes_that_never_pass_are_told_apart_from_denials() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let (_keep, path) = like_the_example(&[(
        "\"ct state established,related accept\\n\"",
        "\"icmp type echo-request drop\\nicmpv6 type echo-request drop\\nct state related accept\\n\" \
         \"ct state established ct direction reply accept\\n\"",
    )])?;
    let run = one_case(&format!("--enforcer exec:{}", path.display()), 0)?;
    let cut = "is cut: data crosses to the client alone";
    let untold = "not told: no answer without a policy either";
    let expected = [
        (OPEN_INGRESS, cut, 4),
        (AFTER_INGRESS, GOES_ON, 4),
        (OPEN_EGRESS, cut, 4),
        (AFTER_EGRESS, GOES_ON, 4),
        (ECHO, untold, 4),
        (ITSELF, PASSES, 2),
    ];
    answers(&run, &expected)
}

/// Refused by RST, and a node that is kept from its own pod: the first is a manner, the second a violation of R21.
#[test]
fn a_reset_is_a_trait_and_an_own_node_that_is_kept_out_a_violation() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let (_keep, path) = like_the_example(&[
        (
            "\"ct state established,related accept\\n\"",
            "\"ct state established ct direction reply accept\\n\"",
        ),
        (
            "lines + [\"drop\"]",
            "lines + [\"meta l4proto tcp reject with tcp reset\", \"drop\"]",
        ),
        (
            "\"\\n\".join(jumps) + \"\\n}\\n}\\n\"",
            "\"\\n\".join(jumps) + \"\\n}\\nchain own {\\ntype filter hook output priority filter;\\n\" \
             + \"\\n\".join(jump for jump in jumps if \" daddr \" in jump) + \"\\n}\\n}\\n\"",
        ),
    ])?;
    let run = one_case(&format!("--enforcer exec:{}", path.display()), 1)?;
    let expected = [
        (OPEN_INGRESS, "is cut: reset", 4),
        (AFTER_INGRESS, "stays cut: reset", 4),
        (OPEN_EGRESS, "is cut: reset", 4),
        (AFTER_EGRESS, "stays cut: reset", 4),
        (ECHO, DROPPED, 4),
        (OWN_NODE, "rejected: connection refused", 2),
        (OTHER_NODE, "rejected: connection refused", 2),
    ];
    answers(&run, &expected)?;
    ensure!(run.verdict == RunVerdict::PartiallyEnforced, "{:?}", run.verdict);
    let failed: Vec<&str> = run
        .cases
        .iter()
        .filter(|case| case.verdict == CaseVerdict::Failed)
        .map(|case| case.id.as_str())
        .collect();
    ensure!(failed == ["OPEN-R21"], "{failed:?}");
    ensure!(
        run.summary.overblock == 2 && run.summary.leak == 0,
        "{:?}",
        run.summary
    );
    Ok(())
}

#[test]
fn with_one_node_another_is_not_asked_and_the_reason_is_said() -> Result<()> {
    if !as_root() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let files = [
        (
            "suite.yaml",
            "{apiVersion: netpol-verify.io/v1alpha1, kind: Suite, title: One node, world: world.yaml, ports: [80/TCP], \
             features: {direction: [ingress]}, manifests: {}, cases: [cases.yaml]}\n",
        ),
        (
            "world.yaml",
            "{apiVersion: v1, kind: Pod, metadata: {name: one, namespace: w}, spec: {containers: []}}\n---\n\
             {apiVersion: v1, kind: Pod, metadata: {name: two, namespace: w}, spec: {containers: []}}\n",
        ),
        (
            "cases.yaml",
            "{apiVersion: netpol-verify.io/v1alpha1, kind: Cases, cases: [{id: ONE-1, title: Nothing is denied, \
             features: [ingress], steps: [{apply: [], expect: {ingress: {}, egress: {}}}]}]}\n",
        ),
    ];
    for (name, text) in files {
        fs::write(folder.path().join(name), text)?;
    }
    let run = certified(&format!("--nodes 1 --suite {}", folder.path().display()), 0)?;
    let expected = [
        (OTHER_NODE, "not asked: there is one node only", 1),
        (OPEN_INGRESS, GOES_ON, 4),
        (OWN_NODE, PASSES, 2),
        (BLOCK, "lets the pod through: delivered", 4),
    ];
    answers(&run, &expected)
}
