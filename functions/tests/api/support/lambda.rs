//! The Lambda runtime API, for one function: hands events to the processes that poll it.
//!
//! `cargo lambda watch` could serve it too, but cannot carry what API Gateway can (it answers 500 to a body
//! that is not UTF-8 and drops repeated headers and source addresses), hangs where a function is absent, and would have
//! to be installed before the tests can run.

use std::collections::{HashMap, VecDeque};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use std::{fs, path::PathBuf, thread};

use serde_json::Value;
use tiny_http::{Header, Method, Request, Response, Server};

/// Longer than any answer may take, so that a test fails with a message rather than hang.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Queue {
    /// Polls that wait for an event.
    idle: Mutex<VecDeque<Request>>,
    arrived: Condvar,
    /// Who waits for the answers to the events handed out.
    waiting: Mutex<HashMap<String, Sender<Result<Value, Value>>>>,
}

/// A function, with one process or more: its execution environments.
pub struct Function {
    name: &'static str,
    server: Arc<Server>,
    queue: Arc<Queue>,
    processes: Mutex<Vec<Child>>,
    log: PathBuf,
    environment: Vec<(&'static str, String)>,
}

impl Function {
    /// Starts `environments` processes of the binary `name` with further environment variables.
    pub fn start(name: &'static str, environments: usize, environment: &[(&'static str, &str)]) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let queue = Arc::new(Queue::default());
        thread::spawn({
            let (server, queue) = (Arc::clone(&server), Arc::clone(&queue));
            move || server.incoming_requests().for_each(|request| queue.serve(request))
        });
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let log = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("{name}-{}-{count}.log", std::process::id()));
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let function = Self { name, server, queue, processes: Mutex::default(), log, environment };
        for _ in 0..environments {
            function.add_environment();
        }
        function
    }

    /// Starts one more process.
    pub fn add_environment(&self) {
        let log = fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let process = Command::new(binary(self.name))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", self.server.server_addr().to_ip().unwrap().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.processes.lock().unwrap().push(process);
    }

    /// Hands `event` to an environment that is free, and returns its response.
    pub fn invoke(&self, event: &Value) -> Value {
        let result = self.invoke_within(Duration::from_mins(1), event);
        result.unwrap_or_else(|error| panic!("{}: the invocation failed: {error}; {}", self.name, self.log()))
    }

    /// Hands out `event`, to be answered within `time`, and returns the response or the error.
    pub fn invoke_within(&self, time: Duration, event: &Value) -> Result<Value, Value> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let id = format!("invocation-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let (sender, receiver) = channel();
        self.queue.waiting.lock().unwrap().insert(id.clone(), sender);
        let poll = self.queue.next_poll();
        let poll = poll.unwrap_or_else(|| panic!("{}: no environment polls; {}", self.name, self.log()));
        let header = |name: &str, value: &str| Header::from_bytes(name, value).unwrap();
        let deadline = (UNIX_EPOCH.elapsed().unwrap() + time).as_millis();
        poll.respond(
            Response::from_string(event.to_string())
                .with_header(header("Lambda-Runtime-Aws-Request-Id", &id))
                .with_header(header("Lambda-Runtime-Deadline-Ms", &deadline.to_string()))
                .with_header(header(
                    "Lambda-Runtime-Invoked-Function-Arn",
                    "arn:aws:lambda:local:0:function:test",
                )),
        )
        .unwrap();
        let result = receiver.recv_timeout(PATIENCE);
        result.unwrap_or_else(|error| panic!("{}: no response, {error}; {}", self.name, self.log()))
    }

    /// What the processes have written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        for process in self.processes.get_mut().unwrap() {
            process.kill().ok();
            process.wait().ok();
        }
        self.server.unblock();
        fs::remove_file(&self.log).ok();
    }
}

impl Queue {
    fn serve(&self, mut request: Request) {
        let path = request.url().to_owned();
        let Some(rest) = path.strip_prefix("/2018-06-01/runtime/invocation/") else {
            panic!("unexpected {} {path}", request.method());
        };
        if *request.method() == Method::Get && rest == "next" {
            self.idle.lock().unwrap().push_back(request);
            self.arrived.notify_one();
            return;
        }
        let (id, kind) = rest.split_once('/').unwrap();
        let body: Value = serde_json::from_reader(request.as_reader()).unwrap();
        let sender = self.waiting.lock().unwrap().remove(id);
        request.respond(Response::empty(202)).ok();
        if let Some(sender) = sender {
            sender.send(if kind == "response" { Ok(body) } else { Err(body) }).ok();
        }
    }

    fn next_poll(&self) -> Option<Request> {
        let idle = self.idle.lock().unwrap();
        let (mut idle, _) = self.arrived.wait_timeout_while(idle, PATIENCE, |idle| idle.is_empty()).unwrap();
        idle.pop_front()
    }
}

/// The path of a binary of this crate.
pub fn binary(name: &str) -> &'static str {
    match name {
        "create_user" => env!("CARGO_BIN_EXE_create_user"),
        "login" => env!("CARGO_BIN_EXE_login"),
        "logout" => env!("CARGO_BIN_EXE_logout"),
        "get_users" => env!("CARGO_BIN_EXE_get_users"),
        "send_message" => env!("CARGO_BIN_EXE_send_message"),
        "get_messages" => env!("CARGO_BIN_EXE_get_messages"),
        "migrate" => env!("CARGO_BIN_EXE_migrate"),
        _ => panic!("no binary {name}"),
    }
}
