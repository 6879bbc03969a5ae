//! The Lambda runtime API on this machine: starts the processes of a function and hands them events.
//!
//! `cargo lambda watch` could do it too, but cannot carry what API Gateway can (it answers 500 to a body that
//! is not UTF-8 and drops repeated headers and source addresses), hangs where a function is absent, and would
//! have to be installed before the tests can run. And what is measured through this one is the function: one
//! that does nothing takes some 0.1 ms here.

#![expect(clippy::missing_panics_doc, reason = "what panics here ends the test that uses it")]

mod http;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A function, with one process or more: its execution environments.
pub struct Function {
    binary: PathBuf,
    variables: Vec<(String, String)>,
    address: SocketAddr,
    queue: Arc<Queue>,
    environments: Mutex<Vec<Child>>,
    log: File,
}

/// What waits, and for what.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    /// An event has arrived, or environments have been killed.
    arrived: Condvar,
    /// An environment has asked for its first event.
    polled: Condvar,
}

#[derive(Default)]
struct State {
    /// The events that no environment has taken yet.
    events: VecDeque<Invocation>,
    /// Who waits for the results of those handed out, by the invocation's id.
    waiting: HashMap<String, Caller>,
    /// The environments that have asked for an event.
    polled: HashSet<usize>,
    /// Environments up to this number have been killed.
    killed: usize,
    /// Nobody will connect any more.
    closed: bool,
}

/// An event for an environment.
struct Invocation {
    id: String,
    event: String,
    deadline: SystemTime,
    sender: Sender<Outcome>,
}

/// Who waits for what an environment makes of an event.
struct Caller {
    environment: usize,
    handed_out: Instant,
    sender: Sender<Outcome>,
}

/// The response of an invocation, or the error that the runtime reports.
type Outcome = Result<Response, String>;

/// What a function has made of an event.
#[derive(Debug)]
pub struct Response {
    /// JSON, mostly.
    pub body: String,
    /// How long the function took, from being handed the event: what Lambda reports as the duration.
    pub duration: Duration,
}

impl Function {
    /// Starts `environments` processes of `binary`, which see no environment variables but Lambda's and
    /// `variables`.
    pub fn start(binary: impl Into<PathBuf>, environments: usize, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let queue = Arc::new(Queue::default());
        thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                for connection in listener.incoming().flatten() {
                    if queue.state.lock().unwrap().closed {
                        return;
                    }
                    let queue = Arc::clone(&queue);
                    // An error is a process that has ended in the middle of something.
                    thread::spawn(move || queue.serve(connection).ok());
                }
            }
        });
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let log = tempfile::tempfile().expect("a temporary file");
        let function =
            Self { binary: binary.into(), variables, address, queue, environments: Mutex::default(), log };
        for _ in 0..environments {
            function.add_environment();
        }
        function
    }

    /// Starts one more process.
    pub fn add_environment(&self) {
        let mut environments = self.environments.lock().unwrap();
        let name = self.binary.file_name().unwrap_or_default();
        let output = || self.log.try_clone().expect("the log");
        let process = Command::new(&self.binary)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{}/{}", self.address, environments.len()))
            .env("AWS_LAMBDA_FUNCTION_NAME", name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        environments.push(process.unwrap_or_else(|error| panic!("{}: {error}", self.binary.display())));
    }

    /// Waits until every environment has asked for an event; for 30 seconds at most.
    pub fn wait_until_polled(&self) {
        let count = self.environments.lock().unwrap().len();
        let state = self.queue.state.lock().unwrap();
        let patience = Duration::from_secs(30);
        let (_state, result) = self
            .queue
            .polled
            .wait_timeout_while(state, patience, |state| state.polled.len() < count)
            .unwrap();
        assert!(!result.timed_out(), "{} does not poll; {}", self.binary.display(), self.log());
    }

    /// Hands `event` to an environment that is free, and returns its response.
    ///
    /// Fails with what Lambda would report: an error of the runtime, a process that has been killed, or no
    /// response within `time`.
    pub fn invoke(&self, event: impl Into<String>, time: Duration) -> Result<Response, String> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("invocation-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = channel();
        let invocation = Invocation { id, event: event.into(), deadline: SystemTime::now() + time, sender };
        self.queue.state.lock().unwrap().events.push_back(invocation);
        self.queue.arrived.notify_one();
        receiver.recv_timeout(time).unwrap_or_else(|error| {
            let kind = match error {
                RecvTimeoutError::Timeout => "Sandbox.Timedout",
                RecvTimeoutError::Disconnected => "Runtime.ExitError",
            };
            Err(format!(r#"{{"errorType":"{kind}"}}"#))
        })
    }

    /// Ends every process, whatever it is at.
    pub fn kill(&self) {
        let mut environments = self.environments.lock().unwrap();
        for process in environments.iter_mut() {
            process.kill().ok();
            process.wait().ok();
        }
        let mut state = self.queue.state.lock().unwrap();
        state.killed = environments.len();
        let killed = state.killed;
        state.waiting.retain(|_, caller| caller.environment >= killed);
        self.queue.arrived.notify_all();
    }

    /// The ids of the processes.
    pub fn processes(&self) -> Vec<u32> {
        self.environments.lock().unwrap().iter().map(Child::id).collect()
    }

    /// What the processes have written.
    pub fn log(&self) -> String {
        // Not by seeking: the processes share the position.
        let length = self.log.metadata().expect("the log").len();
        let mut text = vec![0; usize::try_from(length).expect("a log that fits in memory")];
        self.log.read_exact_at(&mut text, 0).expect("the log");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
        self.queue.state.lock().unwrap().closed = true;
        TcpStream::connect(self.address).ok();
    }
}

impl Queue {
    /// Answers the requests of a process.
    fn serve(&self, connection: TcpStream) -> io::Result<()> {
        let mut connection = http::Connection::new(connection)?;
        while let Some(request) = connection.read()? {
            let (environment, call) = call(&request.path).ok_or(io::ErrorKind::Unsupported)?;
            if call == "next" {
                let Some(invocation) = self.next(environment) else { return Ok(()) };
                let deadline = invocation.deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let headers = [
                    ("Lambda-Runtime-Aws-Request-Id", invocation.id.as_str()),
                    ("Lambda-Runtime-Deadline-Ms", &deadline.to_string()),
                    ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:local:0:function:local"),
                ];
                connection.write("200 OK", &headers, &invocation.event)?;
            } else {
                let (id, kind) = call.split_once('/').ok_or(io::ErrorKind::Unsupported)?;
                let caller = self.state.lock().unwrap().waiting.remove(id);
                if let Some(Caller { handed_out, sender, .. }) = caller {
                    let (body, duration) = (request.body, handed_out.elapsed());
                    // Nobody listens any more where the caller's time is over.
                    sender
                        .send(if kind == "response" { Ok(Response { body, duration }) } else { Err(body) })
                        .ok();
                }
                connection.write("202 Accepted", &[], "")?;
            }
        }
        Ok(())
    }

    /// The next event for an environment, as soon as there is one; none once it has been killed.
    fn next(&self, environment: usize) -> Option<Invocation> {
        let mut state = self.state.lock().unwrap();
        if state.polled.insert(environment) {
            self.polled.notify_all();
        }
        loop {
            if environment < state.killed {
                return None;
            }
            // Who waited for longer than an invocation may take has gone.
            state.events.retain(|invocation| invocation.deadline > SystemTime::now());
            if let Some(invocation) = state.events.pop_front() {
                let caller =
                    Caller { environment, handed_out: Instant::now(), sender: invocation.sender.clone() };
                state.waiting.insert(invocation.id.clone(), caller);
                return Some(invocation);
            }
            state = self.arrived.wait(state).unwrap();
        }
    }
}

/// The number of the environment and what it asks of the runtime API.
fn call(path: &str) -> Option<(usize, &str)> {
    let (environment, path) = path.strip_prefix('/')?.split_once('/')?;
    Some((environment.parse().ok()?, path.strip_prefix("2018-06-01/runtime/invocation/")?))
}
