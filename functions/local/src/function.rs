//! Lambda: the execution environments of a function, and the events that they take.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime};

use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::{RUNTIME, runtime_api};

/// A function. Its processes, the execution environments, are started when there are more events than free processes,
/// up to a limit. Beyond the limit, events wait. A process that ends is replaced when it is needed.
pub struct Function {
    environments: Arc<Environments>,
    runtime_api: AbortHandle,
}

/// What a function has made of an event.
#[derive(Debug)]
pub struct Response {
    /// JSON, mostly.
    pub body: String,
    /// How long the function took, from being handed the event: what Lambda reports as the duration.
    pub duration: Duration,
}

/// The response, or what Lambda answers to the caller in its place: a JSON document with an `errorType`.
pub(crate) type Outcome = Result<Response, String>;

/// The environments of a function.
pub(crate) struct Environments {
    binary: PathBuf,
    limit: usize,
    variables: Vec<(String, String)>,
    /// Of the runtime API.
    address: SocketAddr,
    log: File,
    state: Mutex<State>,
    /// An environment has asked for its first event, or has ended.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// The events that no environment has taken yet.
    waiting: VecDeque<Invocation>,
    /// The environments that wait for an event, the one used last at the end: as on Lambda, it is used again first.
    free: Vec<(usize, oneshot::Sender<Event>)>,
    environments: BTreeMap<usize, Environment>,
    /// How many have been started so far.
    started: usize,
    invocations: usize,
    /// No more are to be started.
    closed: bool,
}

struct Environment {
    process: u32,
    /// Dropped, it kills the process.
    kill: Option<oneshot::Sender<()>>,
    /// It has asked for an event.
    polled: bool,
    work: Option<Work>,
}

/// The event that an environment is working on.
struct Work {
    id: String,
    handed_out: Instant,
    caller: oneshot::Sender<Outcome>,
}

struct Invocation {
    event: Event,
    caller: oneshot::Sender<Outcome>,
}

/// An event, as an environment takes it.
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) deadline: SystemTime,
    pub(crate) body: String,
}

impl Function {
    /// A function with up to `limit` processes of `binary`, which see no environment variables but Lambda's and
    /// `variables`, and write to `log`.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, limit: usize, variables: &[(&str, &str)], log: File) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let environments = Arc::new(Environments {
            binary: binary.into(),
            limit,
            variables: variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            address: listener.local_addr().expect("its address"),
            log,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let runtime_api = runtime_api::serve(listener, &environments).expect("a server");
        Self { environments, runtime_api }
    }

    /// A function with a log of its own, all of whose processes are started at once.
    #[must_use]
    pub fn start(binary: impl Into<PathBuf>, environments: usize, variables: &[(&str, &str)]) -> Self {
        let log = tempfile::tempfile().expect("a temporary file");
        let function = Self::new(binary, environments, variables, log);
        function.environments.start_up_to(environments);
        function
    }

    /// Starts as many processes as there may be, and waits until each has asked for an event.
    ///
    /// Panics if one of them ends, or needs more than half a minute.
    pub fn warm(&self) {
        let Environments { limit, changed, .. } = &*self.environments;
        self.environments.start_up_to(*limit);
        let is_cold = |state: &mut State| {
            state.environments.len() == *limit && !state.environments.values().all(|one| one.polled)
        };
        let patience = Duration::from_secs(30);
        let (state, waited) =
            changed.wait_timeout_while(self.environments.lock(), patience, is_cold).expect("no panic");
        let is_warm = !waited.timed_out() && state.environments.len() == *limit;
        drop(state);
        assert!(is_warm, "{} does not poll; {}", self.environments.binary.display(), self.log());
    }

    /// Hands `event` to an environment, and returns its response.
    ///
    /// Fails with what Lambda would report: an error of the runtime, a process that has ended, or no response within
    /// `time`.
    pub fn invoke(&self, event: impl Into<String>, time: Duration) -> Result<Response, String> {
        RUNTIME.block_on(self.respond(event.into(), time))
    }

    /// What [`Function::invoke`] does, for the gateway's thread.
    pub(crate) async fn respond(&self, event: String, time: Duration) -> Outcome {
        let (id, outcome) = self.environments.invoke(event, time);
        if let Ok(outcome) = timeout(time, outcome).await {
            return outcome.unwrap_or_else(|_| Err(error("Runtime.ExitError")));
        }
        self.environments.give_up(&id);
        Err(error("Sandbox.Timedout"))
    }

    /// Ends every process, whatever it is doing.
    pub fn kill(&self) {
        let mut state = self.environments.lock();
        state.environments.values_mut().for_each(|environment| environment.kill = None);
        let started = state.started;
        let is_there = |state: &mut State| state.environments.keys().any(|number| *number < started);
        drop(self.environments.changed.wait_while(state, is_there).expect("no panic"));
    }

    /// Ends every process, and starts no more. Must be called before the function is dropped on the gateway's thread,
    /// which can't wait for the processes.
    pub(crate) fn close(&self) {
        self.runtime_api.abort();
        let mut state = self.environments.lock();
        if !state.closed {
            state.closed = true;
            state.waiting.clear();
            drop(state);
            self.kill();
        }
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &std::path::Path {
        &self.environments.binary
    }

    /// The ids of the processes.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        self.environments.lock().environments.values().map(|environment| environment.process).collect()
    }

    /// What the processes have written.
    #[must_use]
    pub fn log(&self) -> String {
        // Not by seeking: the processes share the position.
        let log = &self.environments.log;
        let length = log.metadata().expect("the log").len();
        let mut text = vec![0; usize::try_from(length).expect("a log that fits in memory")];
        log.read_exact_at(&mut text, 0).expect("the log");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.close();
    }
}

/// An error of Lambda's own.
fn error(kind: &str) -> String {
    format!(r#"{{"errorType":"{kind}","errorMessage":"The environment has given no response"}}"#)
}

impl Environments {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Queues an event; its outcome comes through the channel.
    fn invoke(self: &Arc<Self>, body: String, time: Duration) -> (String, oneshot::Receiver<Outcome>) {
        let (caller, outcome) = oneshot::channel();
        let mut state = self.lock();
        state.invocations += 1;
        let id = format!("invocation-{}", state.invocations);
        let event = Event { id: id.clone(), deadline: SystemTime::now() + time, body };
        state.waiting.push_back(Invocation { event, caller });
        self.hand_out(&mut state);
        (id, outcome)
    }

    /// Forgets an event whose time is over, and ends the environment that has it: Lambda starts such a one anew, too.
    fn give_up(&self, id: &str) {
        let mut state = self.lock();
        state.waiting.retain(|invocation| invocation.event.id != id);
        for environment in state.environments.values_mut() {
            if environment.work.as_ref().is_some_and(|work| work.id == id) {
                environment.kill = None;
            }
        }
    }

    /// Hands events to the environments that are free, and starts one for each event that is left.
    fn hand_out(self: &Arc<Self>, state: &mut State) {
        while let Some((number, environment)) = state.free.pop() {
            // It has hung up.
            if environment.is_closed() {
                continue;
            }
            let Some(Invocation { event, caller }) = state.waiting.pop_front() else {
                state.free.push((number, environment));
                break;
            };
            let work = Work { id: event.id.clone(), handed_out: Instant::now(), caller };
            state.environments.get_mut(&number).expect("a free environment is there").work = Some(work);
            environment.send(event).ok();
        }
        let starting = state.environments.values().filter(|environment| !environment.polled).count();
        for _ in starting..state.waiting.len() {
            self.start(state);
        }
    }

    fn start_up_to(self: &Arc<Self>, count: usize) {
        let mut state = self.lock();
        for _ in state.environments.len()..count {
            self.start(&mut state);
        }
    }

    /// Starts an environment, if there may be one more.
    fn start(self: &Arc<Self>, state: &mut State) {
        if state.environments.len() >= self.limit || state.closed {
            return;
        }
        let number = state.started;
        state.started += 1;
        let output = || Stdio::from(self.log.try_clone().expect("the log"));
        let _runtime = RUNTIME.enter();
        let process = Command::new(&self.binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{number}", self.address))
            .env("AWS_LAMBDA_FUNCTION_NAME", self.binary.file_name().unwrap_or_default())
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        let process = match process {
            Ok(process) => process,
            Err(cause) => {
                eprintln!("{} can't be started: {cause}", self.binary.display());
                for invocation in state.waiting.drain(..) {
                    invocation.caller.send(Err(error("Runtime.InvalidEntrypoint"))).ok();
                }
                return;
            }
        };
        let (kill, killed) = oneshot::channel();
        let id = process.id().expect("nobody has waited for it");
        let environment = Environment { process: id, kill: Some(kill), polled: false, work: None };
        state.environments.insert(number, environment);
        RUNTIME.spawn(Arc::clone(self).watch(number, process, killed));
    }

    /// Waits until a process ends, by itself or killed.
    async fn watch(self: Arc<Self>, number: usize, mut process: Child, killed: oneshot::Receiver<()>) {
        tokio::select! {
            _ = process.wait() => {}
            _ = killed => drop(process.kill().await),
        }
        let mut state = self.lock();
        let environment = state.environments.remove(&number).expect("nobody else removes it");
        state.free.retain(|(free, _)| *free != number);
        let caller = match environment.work {
            Some(work) => Some(work.caller),
            // One that can't start must not be started again and again for the same event.
            None if !environment.polled && environment.kill.is_some() => {
                state.waiting.pop_front().map(|invocation| invocation.caller)
            }
            None => None,
        };
        if let Some(caller) = caller {
            caller.send(Err(error("Runtime.ExitError"))).ok();
        }
        self.hand_out(&mut state);
        self.changed.notify_all();
    }

    /// The next event for an environment, as soon as there is one; none if it is to end.
    pub(crate) async fn next(self: &Arc<Self>, number: usize) -> Option<Event> {
        let (sender, event) = oneshot::channel();
        {
            let mut state = self.lock();
            let environment = state.environments.get_mut(&number)?;
            environment.polled = true;
            // What it has not responded to, it never will.
            environment.work = None;
            state.free.push((number, sender));
            self.hand_out(&mut state);
            self.changed.notify_all();
        }
        event.await.ok()
    }

    /// Passes on what an environment has made of an event.
    pub(crate) fn respond(&self, number: usize, id: &str, outcome: Result<String, String>) {
        let mut state = self.lock();
        let environment = state.environments.get_mut(&number);
        // Nobody listens any more if its time is over.
        if let Some(work) = environment.and_then(|one| one.work.take_if(|work| work.id == id)) {
            let duration = work.handed_out.elapsed();
            work.caller.send(outcome.map(|body| Response { body, duration })).ok();
        }
    }
}
