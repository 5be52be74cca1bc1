//! The answers for programs: one JSON document with a schema.

use schemars::{JsonSchema, Schema, schema_for};
use serde::Serialize;

use super::answer::{Answer, Explained};
use crate::{
    net::{Family, Protocol},
    policy::{ClosedSide, Direction, Expectation, Side, Suggestion, Wanted},
    report::document_text,
};

/// The document.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct Document {
    /// `netpol-verify.io/v1alpha1`.
    api_version: &'static str,
    /// `Explanation`.
    kind: &'static str,
    /// Who opens the connection, as it was asked.
    from: String,
    /// To whom, as it was asked.
    to: String,
    /// What is required where all answers say the same; absent where they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Expect>,
    /// One entry for connections that are alike.
    answers: Vec<AnswerDocument>,
    /// How many connections were not looked at because there are too many.
    left_out: usize,
    /// What the owner wants of the same paths.
    intent: Vec<IntentDocument>,
}

/// What is required.
#[derive(Serialize, JsonSchema)]
enum Expect {
    /// It must be let through.
    Allow,
    /// It must be stopped.
    Deny,
    /// Either.
    Unspecified,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct AnswerDocument {
    /// The source.
    from: String,
    /// The destination: of a Service one of its pods.
    to: String,
    /// The families it holds for; none where no address is known.
    families: Vec<Family>,
    protocol: Protocol,
    /// The port at the destination.
    port: u16,
    /// What is required.
    expect: Expect,
    /// Why it is left open.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'static str>,
    /// Who decides.
    by: Vec<String>,
    /// The source's egress.
    egress: SideDocument,
    /// The destination's ingress.
    ingress: SideDocument,
    /// What would open it.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<SuggestionDocument>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SideDocument {
    /// What this side says by itself; absent where it is no pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Expect>,
    /// The NetworkPolicies that isolate the pod.
    isolating: Vec<String>,
    /// The rules that let it through.
    allowing: Vec<String>,
    /// The administrators' rules that match.
    admin: Vec<String>,
    /// The rule that came nearest, where the side is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    nearest: Option<NearestDocument>,
}

#[derive(Serialize, JsonSchema)]
struct NearestDocument {
    /// The rule.
    rule: String,
    /// What of it is not met.
    unmet: Vec<UnmetDocument>,
}

#[derive(Serialize, JsonSchema)]
struct UnmetDocument {
    /// Where it stands in the rule.
    clause: String,
    /// What it wants.
    wanted: String,
    /// What it meets.
    found: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SuggestionDocument {
    /// One line.
    summary: String,
    /// Manifests to apply.
    manifest: String,
    /// Whether they were tried out and open it.
    verified: bool,
    /// How many other pairs of pods they open on this port.
    also_opens: usize,
    /// How many pods they isolate that nothing isolated.
    also_isolates: usize,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct IntentDocument {
    /// The source.
    from: String,
    /// The destination.
    to: String,
    protocol: Protocol,
    port: u16,
    /// What the owner wants.
    wanted: Wanted,
    /// Whether the policies contradict it.
    broken: bool,
}

/// The document as JSON, ended by a line feed; what could deceive a terminal is spelled out.
///
/// # Errors
///
/// When a value cannot be written as JSON; none can cause that today.
pub fn json(explained: &Explained) -> serde_json::Result<String> {
    let document = Document {
        api_version: "netpol-verify.io/v1alpha1",
        kind: "Explanation",
        from: explained.question.from.to_string(),
        to: match &explained.question.port {
            Some(port) => format!("{}:{port}", explained.question.to),
            None => explained.question.to.to_string(),
        },
        expect: explained.expectation().map(expect),
        answers: explained.answers.iter().map(answer).collect(),
        left_out: explained.left_out,
        intent: explained
            .intent
            .iter()
            .map(|check| IntentDocument {
                from: check.from.to_string(),
                to: check.to.to_string(),
                protocol: check.protocol,
                port: check.port,
                wanted: check.wanted,
                broken: check.is_break(),
            })
            .collect(),
    };
    document_text(&document)
}

/// The schema of the document, draft 2020-12.
#[must_use]
pub fn schema() -> Schema {
    schema_for!(Document)
}

fn answer(answer: &Answer) -> AnswerDocument {
    let decision = &answer.explanation.decision;
    let closed = |direction| {
        let closed = &answer.explanation.closed;
        closed.iter().find(|side| side.direction == direction)
    };
    AnswerDocument {
        from: answer.from.clone(),
        to: answer.to.clone(),
        families: answer.families.clone(),
        protocol: answer.protocol,
        port: answer.port,
        expect: expect(decision.expectation),
        why: match decision.expectation {
            Expectation::Unspecified(why) => Some(why.why()),
            Expectation::Allow | Expectation::Deny => None,
        },
        by: decision.by(),
        egress: side(&decision.egress, closed(Direction::Egress)),
        ingress: side(&decision.ingress, closed(Direction::Ingress)),
        suggestion: answer.explanation.suggestion.as_ref().map(suggestion),
    }
}

const fn expect(expectation: Expectation) -> Expect {
    match expectation {
        Expectation::Allow => Expect::Allow,
        Expectation::Deny => Expect::Deny,
        Expectation::Unspecified(_) => Expect::Unspecified,
    }
}

fn side(side: &Side, closed: Option<&ClosedSide>) -> SideDocument {
    SideDocument {
        expect: side.answer.map(expect),
        isolating: side.isolating.iter().map(ToString::to_string).collect(),
        allowing: side.allowing.iter().map(ToString::to_string).collect(),
        admin: side.admin.iter().map(ToString::to_string).collect(),
        nearest: closed
            .and_then(|closed| closed.nearest.as_ref())
            .map(|near| NearestDocument {
                rule: near.rule.to_string(),
                unmet: near
                    .unmet
                    .iter()
                    .map(|unmet| UnmetDocument {
                        clause: unmet.clause.clone(),
                        wanted: unmet.wanted.clone(),
                        found: unmet.found.clone(),
                    })
                    .collect(),
            }),
    }
}

fn suggestion(suggestion: &Suggestion) -> SuggestionDocument {
    SuggestionDocument {
        summary: suggestion.summary.clone(),
        manifest: suggestion.manifest.clone(),
        verified: suggestion.verified,
        also_opens: suggestion.also_opens,
        also_isolates: suggestion.also_isolates,
    }
}
