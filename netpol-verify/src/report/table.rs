//! The run for people: what was done, stage by stage what the policies say and what the packets did, and the answer.

use super::{
    Environment, Run, Stage, Style, Summary,
    closing::{self, wrapped},
    escape, matrix, pairs,
    path_result::{Names, fold},
};

/// Renders a run for a reader who has read nothing else. Every string from outside is escaped.
#[must_use]
pub fn table(run: &Run, style: Style) -> String {
    let names = Names::of(&run.attempts);
    let mut text = header(run, &names, style);
    for (index, stage) in run.stages.iter().enumerate() {
        text.push('\n');
        text.push_str(&one_stage(run, stage, index + 1, &names, style));
    }
    let parts = [
        closing::findings(run, &names, style),
        closing::intent(run, &names, style),
        closing::limits(run, &names, style),
        closing::answer(run, style),
    ];
    for part in parts.into_iter().filter(|part| !part.is_empty()) {
        text.push('\n');
        text.push_str(&part);
    }
    text
}

fn header(run: &Run, names: &Names, style: Style) -> String {
    let environment = &run.environment;
    let mut text = format!(
        "{}\n",
        style.bold("Are the NetworkPolicies enforced? The answer, from packets.")
    );
    let did = "For every path between the pods a connection is tried. eBPF programs on both pods' interfaces see \
               whether its first packet leaves and whether it arrives. The policies say what must happen, the packets \
               what did; a client's timeout is never taken for an answer.";
    text.push_str(&wrapped(did, "", style.width));
    text.push_str(&wrapped(&place(environment), "", style.width));
    let mut legend = "Cells read: what the policies require → what the packets did, then the verdict. LEAK: denied, yet \
                      delivered. OVERBLOCK: allowed, yet stopped. enforced: denied and stopped. permitted: allowed and \
                      delivered. INCONCLUSIVE: cannot be told. any: the API leaves it open."
        .to_owned();
    if let Some(home) = &names.home {
        legend.push_str(&format!(" Names without a namespace are in {}.", escape(home)));
    }
    text.push_str(&wrapped(&legend, "", style.width));
    text
}

fn place(environment: &Environment) -> String {
    let nodes = environment.nodes.len();
    let mut text = format!(
        "Cluster: {} node{}, CNI {}, wiring {}, enforcer {}, kernel {}.",
        nodes,
        if nodes == 1 { "" } else { "s" },
        escape(&environment.cni),
        escape(&environment.wiring),
        escape(&environment.enforcer),
        escape(&environment.kernel)
    );
    if let Some(scenario) = &environment.scenario {
        text.push_str(&format!(" Scenario: {}.", escape(scenario)));
    }
    if let Some(fault) = &environment.fault {
        text.push_str(&format!(" Fault put in on purpose: {}.", escape(fault)));
    }
    text
}

fn one_stage(run: &Run, stage: &Stage, number: usize, names: &Names, style: Style) -> String {
    let mut head = format!("Stage {number} of {}: {}", run.stages.len(), escape(&stage.name));
    if let Some(title) = &stage.title {
        head.push_str(&format!(" — {}", escape(title)));
    }
    let mut text = format!("{}\n", style.bold(&head));
    let results = fold(run.attempts.iter().filter(|attempt| attempt.stage == stage.name));
    if results.is_empty() {
        text.push_str("  Nothing was probed at this stage.\n");
        return text;
    }
    text.push_str(&matrix::draw(&results, names, style));
    text.push_str(&pairs::draw(&results, names, style));
    let line = format!("{} — {}", stage.verdict, counts(&stage.summary));
    text.push_str(&format!(
        "\nStage {number}: {}\n",
        style.shout(&line, stage.verdict)
    ));
    text
}

/// `24 attempts: 2 permitted, 22 leaks`; a count of zero is not worth a word.
fn counts(summary: &Summary) -> String {
    let counts: Vec<String> = [
        (summary.leak, "leaked"),
        (summary.overblock, "overblocked"),
        (summary.inconclusive, "inconclusive"),
        (summary.enforced, "enforced"),
        (summary.permitted, "permitted"),
        (summary.unspecified, "unspecified"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    format!("{} attempts: {}", summary.attempts, counts.join(", "))
}
