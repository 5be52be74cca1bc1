//! What a killed run left behind, found by name and note, and removed.
//!
//! A cluster's namespaces carry its owner's process number, and its note the owner's start time. A cluster is residue when that
//! process is over and no lab's state claims it. Nothing of a living process is touched, and a process is ended only when a dead
//! run's note names it and its start time still fits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::{Pid, getpgid},
};

use super::{
    ClusterId, Netns, NetnsError, PREFIX, ProcessId, RunRecord, RuntimeDir, RuntimeDirError,
    state::{LabState, StateError},
    wiring::plugin,
};

/// One thing that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// A network namespace, with all its links.
    Netns(String),
    /// A process that a dead run had started inside its namespaces.
    Process(u32),
    /// A file or directory of notes.
    File(String),
    /// A standing lab's state.
    Lab(String),
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Netns(name) => write!(f, "network namespace {name}"),
            Self::Process(pid) => write!(f, "process {pid}"),
            Self::File(name) => write!(f, "file {name}"),
            Self::Lab(name) => write!(f, "lab {name}"),
        }
    }
}

/// Residue could not be found or removed.
#[derive(Debug, thiserror::Error)]
pub enum ResidueError {
    /// The list of namespaces.
    #[error("cannot list the network namespaces: {0}")]
    List(#[source] io::Error),
    /// A namespace.
    #[error(transparent)]
    Netns(#[from] NetnsError),
    /// A note.
    #[error(transparent)]
    RuntimeDir(#[from] RuntimeDirError),
    /// A lab's state.
    #[error(transparent)]
    State(#[from] StateError),
}

/// What the standing labs say of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// No lab names it.
    None,
    /// It is a lab that stays.
    Standing,
    /// It is a lab that goes.
    Condemned,
}

/// What is known of one cluster when its fate is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    /// The owner by the note, when there is one.
    owner: Option<ProcessId>,
    /// The process that has the owner's number now.
    running: Option<ProcessId>,
    /// What the labs say.
    claim: Claim,
}

/// What becomes of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Somebody works on it.
    Keep,
    /// The lab stays; what a dead command started in it goes.
    EndProcesses,
    /// All of it goes.
    Remove,
}

impl Facts {
    const fn of(record: Option<&RunRecord>, running: Option<ProcessId>, claim: Claim) -> Self {
        let owner = match record {
            Some(record) => Some(record.owner),
            None => None,
        };
        Self {
            owner,
            running,
            claim,
        }
    }

    /// Without a note the owner's number must do, and a reused one protects the cluster: rather a leftover than somebody's
    /// cluster gone.
    fn fate(self) -> Fate {
        match (self.owner, self.running, self.claim) {
            (Some(owner), Some(running), _) if owner == running => Fate::Keep,
            (_, _, Claim::Standing) => Fate::EndProcesses,
            (_, _, Claim::Condemned) | (Some(_), _, Claim::None) | (None, None, Claim::None) => Fate::Remove,
            (None, Some(_), Claim::None) => Fate::Keep,
        }
    }
}

/// Removes what dead runs left; with `all` also the standing labs. Gives what was removed.
///
/// Call it before a run builds, and with `all` only while holding the [`LabLock`](super::state::LabLock).
///
/// # Errors
/// With the first thing that refuses to go, after everything was tried.
pub fn clean(dir: &RuntimeDir, all: bool) -> Result<Vec<Removed>, ResidueError> {
    clean_where(dir, all, |_| true)
}

/// The same for the clusters that `chosen` takes.
fn clean_where(
    dir: &RuntimeDir,
    all: bool,
    chosen: impl Fn(ClusterId) -> bool,
) -> Result<Vec<Removed>, ResidueError> {
    let mut sweep = Sweep {
        dir,
        removed: Vec::new(),
        failures: Vec::new(),
    };
    let claims = sweep.labs(all)?;
    let spaces = Netns::list(PREFIX).map_err(ResidueError::List)?;
    let notes = dir.names()?;
    let of_spaces = spaces.iter().filter_map(|name| ClusterId::of_namespace(name));
    let of_notes = notes
        .iter()
        .filter_map(|name| RunRecord::cluster_of(name).or_else(|| plugin::cluster_of(name)));
    let clusters: BTreeSet<ClusterId> = of_spaces.chain(of_notes).filter(|id| chosen(*id)).collect();
    for id in clusters {
        let record = RunRecord::load(dir, id);
        let running = ProcessId::of(record.as_ref().map_or(id.pid, |record| record.owner.pid));
        let claim = claims.get(&id).copied().unwrap_or(Claim::None);
        let fate = Facts::of(record.as_ref(), running, claim).fate();
        if fate == Fate::Keep {
            continue;
        }
        sweep.processes(record.as_ref());
        if fate == Fate::Remove {
            sweep.namespaces(id, &spaces);
            sweep.file(plugin::data_name(id), &notes);
        }
        // The note goes last: a cleaner that is killed too is followed by another one.
        sweep.file(RunRecord::file_name(id), &notes);
    }
    sweep.failures.into_iter().next().map_or(Ok(sweep.removed), Err)
}

/// One cleaning under way.
struct Sweep<'a> {
    dir: &'a RuntimeDir,
    removed: Vec<Removed>,
    failures: Vec<ResidueError>,
}

impl Sweep<'_> {
    /// What the labs claim; with `all` their states go, but not those of a command at work.
    fn labs(&mut self, all: bool) -> Result<BTreeMap<ClusterId, Claim>, ResidueError> {
        let mut claims = BTreeMap::new();
        for name in LabState::names(self.dir)? {
            let id = LabState::claimed(self.dir, &name);
            let owner = id
                .and_then(|id| RunRecord::load(self.dir, id))
                .map(|record| record.owner);
            let goes = all && !owner.is_some_and(ProcessId::is_alive);
            if let Some(id) = id {
                claims.insert(id, if goes { Claim::Condemned } else { Claim::Standing });
            }
            if goes {
                let gone = LabState::remove(self.dir, &name);
                self.note(gone, Removed::Lab(name));
            }
        }
        Ok(claims)
    }

    fn processes(&mut self, record: Option<&RunRecord>) {
        for process in record.into_iter().flat_map(|record| &record.processes) {
            if end(*process) {
                self.removed.push(Removed::Process(process.pid));
            }
        }
    }

    fn namespaces(&mut self, id: ClusterId, spaces: &[String]) {
        for name in spaces
            .iter()
            .filter(|name| ClusterId::of_namespace(name) == Some(id))
        {
            self.note(Netns::remove(name), Removed::Netns(name.clone()));
        }
    }

    fn file(&mut self, name: String, notes: &[String]) {
        if notes.contains(&name) {
            self.note(self.dir.remove(&name), Removed::File(name));
        }
    }

    fn note<E: Into<ResidueError>>(&mut self, result: Result<(), E>, what: Removed) {
        match result {
            Ok(()) => self.removed.push(what),
            Err(error) => self.failures.push(error.into()),
        }
    }
}

/// Ends a process if it is still the one that was started, and its group if it leads one; says whether it was.
fn end(process: ProcessId) -> bool {
    let Ok(pid) = i32::try_from(process.pid).map(Pid::from_raw) else {
        return false;
    };
    if !process.is_alive() {
        return false;
    }
    // Brought programs are started as leaders of their own group: what they started goes with them.
    if getpgid(Some(pid)) == Ok(pid) {
        killpg(pid, Signal::SIGKILL).is_ok()
    } else {
        kill(pid, Signal::SIGKILL).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader},
        process::{Child, Command, Stdio},
    };

    use super::*;
    use crate::lab::topology::{Overlay, Plan, VirtualCluster, Wiring, tests::pod};

    const SOMEBODY: ProcessId = ProcessId {
        pid: 7,
        start_time: 100,
    };
    const ANOTHER: ProcessId = ProcessId {
        pid: 7,
        start_time: 200,
    };

    #[test]
    fn a_living_owner_keeps_its_cluster_and_a_reused_number_does_not_make_one() {
        let fate = |owner, running, claim| {
            Facts {
                owner,
                running,
                claim,
            }
            .fate()
        };
        for claim in [Claim::None, Claim::Standing, Claim::Condemned] {
            assert_eq!(fate(Some(SOMEBODY), Some(SOMEBODY), claim), Fate::Keep);
        }
        for running in [None, Some(ANOTHER)] {
            assert_eq!(fate(Some(SOMEBODY), running, Claim::None), Fate::Remove);
            assert_eq!(fate(Some(SOMEBODY), running, Claim::Standing), Fate::EndProcesses);
            assert_eq!(fate(Some(SOMEBODY), running, Claim::Condemned), Fate::Remove);
            assert_eq!(fate(None, running, Claim::Standing), Fate::EndProcesses);
            assert_eq!(fate(None, running, Claim::Condemned), Fate::Remove);
        }
        assert_eq!(fate(None, None, Claim::None), Fate::Remove);
        assert_eq!(fate(None, Some(ANOTHER), Claim::None), Fate::Keep);
    }

    /// Not a claim of its own: the process that the tests below kill.
    #[tokio::test]
    #[ignore = "started and killed by the tests below"]
    async fn victim() {
        let Ok(path) = std::env::var("NPV_VICTIM_DIR") else {
            return;
        };
        let dir = RuntimeDir::at(path);
        let plan = Plan::new(
            Wiring::Bridge {
                overlay: Overlay::Vxlan,
            },
            vec![pod("a", "b"), pod("a", "c")],
        );
        let mut cluster = VirtualCluster::build(&plan, &dir).await.unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("600");
        let mut child = cluster.pods[0].netns.spawn(sleep).unwrap();
        cluster.record_process(child.id()).unwrap();
        if std::env::var("NPV_VICTIM_STANDS").is_ok() {
            LabState::new("default", cluster.record(), "none")
                .unwrap()
                .save(&dir)
                .unwrap();
        }
        println!("\nVICTIM {} {}", cluster.id().serial, child.id());
        // Killed while it waits here.
        child.wait().unwrap();
    }

    /// Starts the victim, waits until its cluster stands, kills it. Gives the cluster and the process it had started.
    fn kill_a_run(dir: &RuntimeDir, stands: bool) -> (ClusterId, u32) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "lab::residue::tests::victim",
            "--ignored",
            "--nocapture",
        ]);
        command.env("NPV_VICTIM_DIR", dir.path()).stdout(Stdio::piped());
        if stands {
            command.env("NPV_VICTIM_STANDS", "1");
        }
        let mut run: Child = command.spawn().unwrap();
        let mut lines = BufReader::new(run.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let line = lines
            .find(|line| line.starts_with("VICTIM "))
            .expect("the victim built its cluster");
        let numbers: Vec<u32> = line
            .split(' ')
            .skip(1)
            .map(|number| number.parse().unwrap())
            .collect();
        let id = ClusterId {
            pid: run.id(),
            serial: numbers[0],
        };
        let living = clean_where(dir, false, |other| other == id).unwrap();
        assert_eq!(living, [], "a living run loses nothing");
        run.kill().unwrap();
        run.wait().unwrap();
        (id, numbers[1])
    }

    #[test]
    fn a_killed_runs_namespaces_processes_and_notes_are_removed() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: not root");
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::at(temporary.path());
        let (id, child) = kill_a_run(&dir, false);
        assert_eq!(Netns::list(&id.prefix()).unwrap().len(), 5);
        let removed = clean_where(&dir, false, |other| other == id).unwrap();
        assert!(removed.contains(&Removed::Process(child)), "{removed:?}");
        assert_eq!(
            removed
                .iter()
                .filter(|what| matches!(what, Removed::Netns(_)))
                .count(),
            5
        );
        assert_eq!(Netns::list(&id.prefix()).unwrap(), Vec::<String>::new());
        assert_eq!(dir.names().unwrap(), Vec::<String>::new());
        assert_eq!(clean_where(&dir, false, |other| other == id).unwrap(), []);
    }

    #[test]
    fn a_standing_lab_outlives_its_maker_until_all_is_cleaned() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: not root");
            return;
        }
        let temporary = tempfile::tempdir().unwrap();
        let dir = RuntimeDir::at(temporary.path());
        let (id, child) = kill_a_run(&dir, true);
        let removed = clean_where(&dir, false, |other| other == id).unwrap();
        assert_eq!(
            removed,
            [Removed::Process(child), Removed::File(RunRecord::file_name(id))]
        );
        let state = LabState::load(&dir, "default").unwrap();
        assert_eq!(
            VirtualCluster::reopen(&state.cluster, &dir).unwrap().pods.len(),
            2
        );
        let removed = clean_where(&dir, true, |other| other == id).unwrap();
        assert_eq!(removed[0], Removed::Lab("default".to_owned()));
        assert_eq!(Netns::list(&id.prefix()).unwrap(), Vec::<String>::new());
        assert_eq!(dir.names().unwrap(), Vec::<String>::new());
    }
}
