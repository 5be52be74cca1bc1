//! All chosen cases, one after the other, with those of an interrupted run taken as they were.

use jiff::Timestamp;

use super::{
    cases::{Case, Suite},
    open::ask_open,
    player::{Played, Player},
    record::{Record, RecordError},
    scene::Scene,
};
use crate::report::{
    CaseResult, CaseVerdict, Certification, CertificationFacts, Environment, Losses, Refused, Trait,
};

/// What came of all.
#[derive(Debug, Default)]
pub struct Results {
    /// Those that were played, in order.
    pub cases: Vec<CaseResult>,
    /// Those that could not be.
    pub refused: Vec<Refused>,
    /// What was asked where the API leaves it open.
    pub open: Vec<Trait>,
    /// For people.
    pub notes: Vec<String>,
}

/// Plays every case on a scene, and asks what the API leaves open.
///
/// # Errors
/// Nothing can be played on the scene any more, or results cannot be kept.
pub async fn play_all<S, E>(
    scene: &mut S,
    chosen: &[(&Suite, &Case)],
    record: &mut Record,
    progress: &dyn Fn(&str),
) -> Result<Results, E>
where
    S: Scene,
    E: From<S::Error> + From<RecordError>,
{
    let mut player = Player::default();
    let mut results = Results::default();
    let mut taken = 0;
    let mut failed = 0;
    for (index, (suite, case)) in chosen.iter().enumerate() {
        if let Some(known) = record.result(suite, case) {
            results.cases.push(known.clone());
            taken += 1;
            continue;
        }
        let so_far = match failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        progress(&format!(
            "case {} of {}{so_far}: {} {}",
            index + 1,
            chosen.len(),
            case.id,
            case.title
        ));
        match player.play(scene, suite, case).await? {
            Played::Case(result) => {
                record.keep(suite, case, &result)?;
                failed += usize::from(result.verdict == CaseVerdict::Failed);
                results.cases.push(*result);
            }
            Played::Refused(refused) => results.refused.push(refused),
        }
    }
    if !chosen.is_empty() {
        progress("asking what the API leaves open");
        let open = ask_open(scene, &mut player.learnt).await?;
        results.open = open.traits;
        results.cases.extend(open.violation);
    }
    if taken > 0 {
        results.notes.push(format!(
            "{taken} cases are from the interrupted run that this one went on with"
        ));
    }
    if player.gave_up_waiting() {
        results.notes.push(
            "changes were waited for less than the settle budget towards the end: three in a row had come to nothing in all of it"
                .to_owned(),
        );
    }
    Ok(results)
}

impl Results {
    /// The certification of a run that began at `started` and ends now.
    #[must_use]
    pub fn certification(
        self,
        suites: &[Suite],
        mut environment: Environment,
        losses: Losses,
        started: Timestamp,
    ) -> Certification {
        environment.notes.extend(self.notes);
        let titled = suites
            .iter()
            .map(|suite| (suite.name.clone(), suite.title.clone()));
        Certification::new(CertificationFacts {
            suites: titled.collect(),
            cases: self.cases,
            refused: self.refused,
            open: self.open,
            losses,
            environment,
            problems: Vec::new(),
            started,
            finished: Timestamp::now(),
        })
    }
}
