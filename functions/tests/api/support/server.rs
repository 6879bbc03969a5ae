//! A server of the test's own, for what would disturb others: counters, settings, faults.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;

use super::wait_until;

/// A server that ends with its owner.
pub struct OwnServer {
    script: Child,
    /// The process of the server that the script has started.
    first: u32,
    /// The server, where it has been started again.
    restarted: Mutex<Option<Child>>,
    directory: PathBuf,
    /// The URL of the user to whom everything is allowed.
    pub url: String,
}

impl OwnServer {
    /// Starts a server of the kind that the other tests use, with more `options`.
    pub fn start(options: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("server-{}-{count}", std::process::id()));
        let mut script = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/local/server"))
            .arg(&directory)
            .args(["sh", "-c", "echo $SERVER_PID $DATABASE_URL; cat"])
            .env_remove("DATABASE_URL")
            .env("SERVER_OPTIONS", format!("--innodb-flush-log-at-trx-commit=0 {options}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(script.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let (first, url) = line.trim().split_once(' ').unwrap();
        let first = first.parse().unwrap();
        Self { script, first, restarted: Mutex::default(), directory, url: url.into() }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.url.parse::<MySqlConnectOptions>().unwrap().get_port()
    }

    /// Sends `signal` to the server.
    pub fn signal(&self, signal: &str) {
        send_signal(signal, self.process());
    }

    /// Ends the server with `signal`, and starts it again with the same options after `pause`.
    pub fn restart(&self, signal: &str, pause: Duration) {
        let process = PathBuf::from(format!("/proc/{}", self.process()));
        let command_line = fs::read_to_string(process.join("cmdline")).unwrap();
        let command_line: Vec<_> = command_line.split_terminator('\0').collect();
        self.signal(signal);
        wait_until("the server ends", || !is_running(&process));
        thread::sleep(pause);
        if let Some(mut ended) = self.restarted.lock().unwrap().take() {
            ended.wait().unwrap();
        } else {
            // The script has not asked for the status yet, so the process is still there to a MySQL that finds
            // its number.
            let socket = command_line.iter().find_map(|option| option.strip_prefix("--socket="));
            fs::remove_file(format!("{}.lock", socket.unwrap())).ok();
        }

        let log = || fs::File::options().append(true).open(self.directory.join("server.log")).unwrap();
        // No server outlives the tests.
        let mut server = Command::new("setpriv");
        server.args(["--pdeathsig", "KILL"]).args(command_line).stdout(log()).stderr(log());
        *self.restarted.lock().unwrap() = Some(server.spawn().unwrap());
        wait_until("the server listens", || TcpStream::connect(("127.0.0.1", self.port())).is_ok());
    }

    fn process(&self) -> u32 {
        self.restarted.lock().unwrap().as_ref().map_or(self.first, Child::id)
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        if let Some(mut server) = self.restarted.get_mut().unwrap().take() {
            server.kill().ok();
            server.wait().ok();
        }
        // The end of its input ends `cat`, and with it the server.
        drop(self.script.stdin.take());
        self.script.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// Sends `signal` to a process.
pub fn send_signal(signal: &str, process: u32) {
    let status = Command::new("sh").arg("-c").arg(format!("kill -{signal} {process}")).status();
    assert!(status.unwrap().success());
}

/// Whether the process is there, and more than a zombie that nobody has asked for its status.
///
/// Killed, its first thread may be a zombie while others still end, and until the last has ended, the process
/// keeps its port and its files.
fn is_running(process: &Path) -> bool {
    let ended = |status: &str| status.contains("State:\tZ") && status.contains("Threads:\t1\n");
    fs::read_to_string(process.join("status")).is_ok_and(|status| !ended(&status))
}
