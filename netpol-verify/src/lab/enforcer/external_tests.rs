//! Programs that keep to the protocol of `exec:PATH`, and each way to break it.

use std::{process::Command, time::Duration};

use super::{Enforcer, EnforcerError, External, ProgramTrouble};
use crate::lab::World;

/// What a shell script in the enforcer's place makes of one change.
async fn trouble_with(script: &str, limit: Duration) -> (ProgramTrouble, Vec<String>) {
    let (_dir, mut enforcer) = program(script, limit);
    let error = enforcer.apply(&World::default()).await.unwrap_err();
    let EnforcerError::Program { trouble, said, .. } = error else {
        panic!("{error}")
    };
    (trouble, said)
}

/// A shell script as an enforcer. A file that this process wrote itself may fail to start with ETXTBSY, while the
/// child of another test, between fork and exec, still holds the descriptor.
fn program(script: &str, limit: Duration) -> (tempfile::TempDir, External) {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("enforcer");
    let source = dir.path().join("source");
    std::fs::write(&source, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(
        Command::new("cp")
            .arg("-p")
            .arg(&source)
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    (dir, External::new(path, limit))
}

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_program_that_answers_is_told_every_change_and_ends_with_its_input() {
    let (_dir, mut enforcer) = program(
        r#"while read -r line; do echo "{\"generation\":$(echo "$line" | sed 's/.*"generation":\([0-9]*\).*/\1/')}"; done"#,
        LONG,
    );
    let mut world = World::default();
    for generation in [1, 2, 9] {
        world.snapshot.generation = generation;
        enforcer.apply(&world).await.unwrap();
    }
    enforcer.stop().await.unwrap();
}

#[tokio::test]
async fn each_way_to_break_the_protocol_has_its_error() {
    let (trouble, _) = trouble_with("read -r line; echo '{\"generation\":5}'; cat", LONG).await;
    assert!(
        matches!(
            trouble,
            ProgramTrouble::Wrong {
                generation: 0,
                answered: 5
            }
        ),
        "{trouble}"
    );

    let (trouble, _) = trouble_with("read -r line; printf 'ok\\033[2J\\n'; cat", LONG).await;
    let ProgramTrouble::Malformed { answer, .. } = &trouble else {
        panic!("{trouble}")
    };
    assert_eq!(answer, "ok\\u{1b}[2J");

    let (trouble, _) = trouble_with("head -c 100000 /dev/zero; cat", LONG).await;
    assert!(matches!(trouble, ProgramTrouble::Oversized { .. }), "{trouble}");

    let (trouble, _) = trouble_with("exec cat > /dev/null", Duration::from_millis(100)).await;
    assert!(matches!(trouble, ProgramTrouble::Late { .. }), "{trouble}");

    let (trouble, said) = trouble_with("echo no nft here >&2; exit 3", LONG).await;
    assert!(
        matches!(&trouble, ProgramTrouble::Ended { ended, .. } if ended.contains('3')),
        "{trouble}"
    );
    assert_eq!(said, ["no nft here"]);

    let mut enforcer = External::new("/etc/hostname".into(), LONG);
    let error = enforcer.apply(&World::default()).await.unwrap_err().to_string();
    assert!(
        error.contains("/etc/hostname") && error.contains("executable"),
        "{error}"
    );
}

#[tokio::test]
async fn a_program_that_broke_the_protocol_is_not_asked_again() {
    let (_dir, mut enforcer) = program("read -r line; echo '{\"generation\":5}'; cat", LONG);
    enforcer.apply(&World::default()).await.unwrap_err();
    let error = enforcer.apply(&World::default()).await.unwrap_err();
    assert!(
        matches!(
            error,
            EnforcerError::Program {
                trouble: ProgramTrouble::Gone { .. },
                ..
            }
        ),
        "{error}"
    );
    enforcer.stop().await.unwrap();
}

#[tokio::test]
async fn a_program_that_outlives_its_input_is_killed_and_named() {
    let (_dir, mut enforcer) = program(
        "read -r line; echo '{\"generation\":0}'; exec sleep 1000",
        Duration::from_millis(500),
    );
    enforcer.apply(&World::default()).await.unwrap();
    let error = enforcer.stop().await.unwrap_err();
    assert!(
        matches!(
            error,
            EnforcerError::Program {
                trouble: ProgramTrouble::Lingered { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn what_a_failed_program_started_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let note = dir.path().join("pid");
    let script = format!(
        "sleep 1000 & echo $! > {}; read -r line; echo nonsense; wait",
        note.display()
    );
    trouble_with(&script, LONG).await;
    let child: i32 = std::fs::read_to_string(&note).unwrap().trim().parse().unwrap();
    // Gone, or a zombie that init has not reaped yet. A process that was killed dies when it next gets a processor.
    let mut state = String::new();
    for _ in 0..1000 {
        state = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        if state.is_empty() || state.contains(") Z ") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{state}");
}
