//! A program of the user's as the enforcer: one JSON line for each change on its standard input, one answer back.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    task::JoinHandle,
    time,
};

use super::{Enforcer, EnforcerError, ProgramTrouble, escape::escape, view::View};
use crate::lab::World;

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 4096;
/// How many lines of standard error an error shows, and how much of each.
const LAST_LINES: usize = 8;
const LINE_LENGTH: usize = 200;

/// Enforces policies by a program that anyone brings.
#[derive(Debug)]
pub struct External {
    program: PathBuf,
    limit: Duration,
    state: State,
}

#[derive(Debug)]
enum State {
    NotStarted,
    Running(Box<Running>),
    Failed { generation: u64 },
}

#[derive(Debug)]
struct Running {
    child: Group,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    said: Arc<Mutex<VecDeque<String>>>,
    listener: JoinHandle<()>,
}

/// What the program answers when a change is applied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    generation: u64,
}

impl External {
    /// How long a program may take for one change, when nothing else is said.
    pub const LIMIT: Duration = Duration::from_secs(10);

    /// An enforcer that starts `program` at the first change and gives it `limit` for each answer, and to end.
    #[must_use]
    pub const fn new(program: PathBuf, limit: Duration) -> Self {
        Self {
            program,
            limit,
            state: State::NotStarted,
        }
    }

    /// The program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts the program, if it has not been; its number, if it was started now.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&mut self) -> Result<Option<u32>, EnforcerError> {
        if !matches!(self.state, State::NotStarted) {
            return Ok(None);
        }
        let running = Running::start(&self.program)
            .map_err(|source| self.error(ProgramTrouble::Start(source), Vec::new()))?;
        let number = running.child.0.id();
        self.state = State::Running(Box::new(running));
        Ok(number)
    }

    /// Kills the program and all that it started, as a crash would; it is started again when it is next told anything.
    pub(super) async fn kill(&mut self) {
        if let State::Running(running) = std::mem::replace(&mut self.state, State::NotStarted) {
            running.end().await;
        }
    }

    fn error(&self, trouble: ProgramTrouble, said: Vec<String>) -> EnforcerError {
        EnforcerError::Program {
            program: self.program.clone(),
            trouble,
            said,
        }
    }
}

impl Enforcer for External {
    async fn apply(&mut self, world: &World) -> Result<(), EnforcerError> {
        let generation = world.generation();
        let mut line = serde_json::to_vec(&View::new(world))
            .map_err(|source| self.error(ProgramTrouble::Encode { generation, source }, Vec::new()))?;
        line.push(b'\n');

        self.start()?;
        // Taken out for the time of the exchange: whoever is cut short half-way must not go on with this program.
        let mut running = match std::mem::replace(&mut self.state, State::Failed { generation }) {
            State::Running(running) => running,
            // One that is not started was started above.
            State::NotStarted => return Err(self.error(ProgramTrouble::Gone { generation }, Vec::new())),
            State::Failed { generation } => {
                self.state = State::Failed { generation };
                return Err(self.error(ProgramTrouble::Gone { generation }, Vec::new()));
            }
        };
        let exchange = time::timeout(self.limit, running.exchange(generation, &line));
        let trouble = match exchange.await {
            Ok(Ok(())) => {
                self.state = State::Running(running);
                return Ok(());
            }
            Ok(Err(trouble)) => trouble,
            Err(_) => ProgramTrouble::Late {
                generation,
                limit: self.limit,
            },
        };
        let said = running.end().await;
        Err(self.error(trouble, said))
    }

    async fn stop(&mut self) -> Result<(), EnforcerError> {
        let State::Running(running) = std::mem::replace(&mut self.state, State::NotStarted) else {
            return Ok(());
        };
        let Running {
            mut child,
            input,
            output,
            said,
            listener,
        } = *running;
        // The end of its input is the program's sign to end. Its output is read on, lest it waits for us.
        drop(input);
        let drain = async {
            let mut output = output;
            let _ = tokio::io::copy(&mut output, &mut tokio::io::sink()).await;
        };
        let ended = async {
            tokio::select! {
                ended = child.0.wait() => ended,
                // Its output may end long before it does.
                ended = async { drain.await; std::future::pending().await } => ended,
            }
        };
        match time::timeout(self.limit, ended).await {
            Ok(Ok(status)) => {
                tracing::debug!(program = %self.program.display(), %status, "The enforcer ended.");
                listener.abort();
                Ok(())
            }
            Ok(Err(_)) | Err(_) => {
                kill(&mut child).await;
                let said = last_words(&said, listener).await;
                Err(self.error(ProgramTrouble::Lingered { limit: self.limit }, said))
            }
        }
    }
}

impl Running {
    fn start(program: &Path) -> std::io::Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for us; the program is told by the end of its input.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || std::io::Error::other("a standard stream is missing");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let stderr = child.stderr.take().ok_or_else(missing)?;
        let said = Arc::new(Mutex::new(VecDeque::new()));
        let shown = program.display().to_string();
        let listener = tokio::spawn(listen(BufReader::new(stderr), Arc::clone(&said), shown));
        Ok(Self {
            child: Group(child),
            input,
            output,
            said,
            listener,
        })
    }

    /// Tells one change and waits for its answer.
    async fn exchange(&mut self, generation: u64, line: &[u8]) -> Result<(), ProgramTrouble> {
        let told = async {
            self.input.write_all(line).await?;
            self.input.flush().await
        };
        if let Err(source) = told.await {
            // A program that is over is the likelier cause, and the better message.
            return Err(match self.how_it_ended().await {
                Some(ended) => ProgramTrouble::Ended { generation, ended },
                None => ProgramTrouble::Input { generation, source },
            });
        }
        let mut answer = Vec::new();
        let most = u64::try_from(LONGEST_ANSWER).unwrap_or(u64::MAX);
        // An unreadable pipe reads as its end.
        let _ = (&mut self.output).take(most).read_until(b'\n', &mut answer).await;
        match answer.pop() {
            Some(b'\n') => {}
            Some(_) if answer.len() + 1 == LONGEST_ANSWER => {
                return Err(ProgramTrouble::Oversized {
                    generation,
                    limit: LONGEST_ANSWER,
                });
            }
            _ => {
                let ended = self
                    .how_it_ended()
                    .await
                    .unwrap_or_else(|| "it closed its output".to_owned());
                return Err(ProgramTrouble::Ended { generation, ended });
            }
        }
        match serde_json::from_slice::<Answer>(&answer) {
            Ok(answer) if answer.generation == generation => Ok(()),
            Ok(answer) => Err(ProgramTrouble::Wrong {
                generation,
                answered: answer.generation,
            }),
            Err(_) => {
                let answer = escape(&String::from_utf8_lossy(&answer), LINE_LENGTH);
                Err(ProgramTrouble::Malformed { generation, answer })
            }
        }
    }

    /// How the program ended, when it did; closing its output and ending are not quite the same moment.
    async fn how_it_ended(&mut self) -> Option<String> {
        let ended = time::timeout(Duration::from_secs(1), self.child.0.wait()).await;
        ended.ok().and_then(Result::ok).map(|status| status.to_string())
    }

    /// Ends the program and returns its last words.
    async fn end(mut self) -> Vec<String> {
        drop(self.input);
        kill(&mut self.child).await;
        last_words(&self.said, self.listener).await
    }
}

/// Ends the program and what it started, by the number of the group it was started in, never by name. The number
/// is its own as long as nobody waited for it.
async fn kill(child: &mut Group) {
    child.signal();
    let _ = child.0.wait().await;
}

/// A program and what it started; ended when dropped, as by a Ctrl-C in the middle.
#[derive(Debug)]
struct Group(Child);

impl Group {
    fn signal(&self) {
        if let Some(group) = self.0.id().and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal();
    }
}

/// The last lines on standard error, once it is closed. A grandchild may hold it open: then what there is.
async fn last_words(said: &Mutex<VecDeque<String>>, mut listener: JoinHandle<()>) -> Vec<String> {
    if time::timeout(Duration::from_secs(1), &mut listener)
        .await
        .is_err()
    {
        listener.abort();
    }
    said.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .cloned()
        .collect()
}

/// Passes standard error on to the log, and keeps its last lines.
async fn listen(
    mut stderr: BufReader<impl AsyncRead + Unpin>,
    said: Arc<Mutex<VecDeque<String>>>,
    program: String,
) {
    loop {
        let mut line = Vec::new();
        // A line without an end is taken in pieces.
        match (&mut stderr).take(4096).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let line = escape(String::from_utf8_lossy(&line).trim_end(), LINE_LENGTH);
        tracing::debug!(program, line, "The enforcer says.");
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() == LAST_LINES {
            said.pop_front();
        }
        said.push_back(line);
    }
}
