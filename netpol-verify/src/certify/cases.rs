//! Cases played on a cluster, and the certification of it.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{account::of_sensors, error::CertifyError, run::Cases, scene::ClusterScene};
use crate::{
    report::{Certification, Environment},
    suite::{Record, play_all},
};

/// What was known before the first case.
pub(super) struct CasesSetting {
    pub(super) cni: Option<String>,
    /// The nodes that took part.
    pub(super) nodes: BTreeSet<String>,
    pub(super) started: Timestamp,
}

/// Plays the chosen cases. What was kept of them is for whoever has said what came of it to remove.
pub(super) async fn cases_of(
    mut scene: ClusterScene<'_>,
    cases: &Cases,
    setting: CasesSetting,
    progress: &dyn Fn(&str),
) -> Result<(Certification, Record), CertifyError> {
    let cni = setting.cni.unwrap_or_else(|| "of unknown make".to_owned());
    let chosen = cases.chosen()?;
    let not_asked = cases.selection.of(&cases.suites)?.len() - chosen.len();
    let nodes: Vec<String> = setting.nodes.iter().cloned().collect();
    let place = format!(
        "cluster {} {cni} nodes {}",
        scene.probing.live.server(),
        nodes.join(" ")
    );
    let mut record = Record::open(&cases.run, &place)?;
    let mut results = play_all::<_, CertifyError>(&mut scene, &chosen, &mut record, progress).await?;
    if not_asked > 0 {
        results.notes.push(format!(
            "{not_asked} cases restart the CNI's DaemonSet, and are played only with --disruptive"
        ));
    }
    let sensors = of_sensors(scene.probing.prober, &setting.nodes);
    let environment = Environment {
        kernel: sensors.kernels,
        cni,
        wiring: "the cluster's own".to_owned(),
        enforcer: "the CNI's own".to_owned(),
        fault: None,
        scenario: None,
        nodes,
        notes: sensors.notes,
    };
    let certification = results.certification(&cases.suites, environment, sensors.losses, setting.started);
    Ok((certification, record))
}
