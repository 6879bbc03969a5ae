//! `make run`: migrates the database of `DATABASE_URL`, adds demo users, and serves all routes on
//! <http://localhost:9000>, with a page to chat on at `/`, and WebSocket on `ws://localhost:9001`.
//!
//! `DATABASE_URL` names a user who may create the database and users. The script `server` sets it, unless it is set
//! already. With `WATCH=1`, functions are built and started anew when their source changes.

mod watch;

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use local::{Gateway, Settings, Template, WebSocketSettings};
use serde_json::json;
use url::Url;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const ADDRESS: &str = "127.0.0.1:9000";
const WEB_SOCKET_ADDRESS: &str = "127.0.0.1:9001";
/// How many environments each function may have. They are started when they are needed. Each takes a connection: a
/// server of one's own may have to allow more than the default of 151.
const ENVIRONMENTS: usize = 16;

fn main() {
    let [listener, web_socket_listener] = [ADDRESS, WEB_SOCKET_ADDRESS].map(|address| {
        TcpListener::bind(address).unwrap_or_else(|error| {
            fail(&format!("{address} is taken ({error}): stop what listens there, and try again."))
        })
    });
    let url = env::var("DATABASE_URL").unwrap_or_else(|_| fail("DATABASE_URL is not set: use `make run`."));
    let url = Url::parse(&url).unwrap_or_else(|error| fail(&format!("DATABASE_URL is not a URL: {error}.")));
    let functions_url = functions_url(url);
    let binaries =
        env::current_exe().expect("the path of this program").parent().expect("its directory").to_owned();

    println!("[3/4] Migrating the database, and adding the demo users");
    run(&binaries.join("migrate"), &functions_url);
    let tokens = run(&binaries.join("examples/demo"), &functions_url);
    write_settings(&functions_url);

    println!("[4/4] Starting the functions");
    let gateway = Gateway::start(
        listener,
        Settings {
            template: Template::read(&Path::new(ROOT).join("template.yaml")),
            binaries,
            environments: ENVIRONMENTS,
            variables: &[("DATABASE_URL", functions_url.as_str())],
            log: Some(File::from(io::stdout().as_fd().try_clone_to_owned().expect("standard output"))),
            web_socket: WebSocketSettings::new(web_socket_listener),
        },
    );
    print!("{}", ready(tokens.trim_end()));
    if env::var("WATCH").is_ok_and(|watch| watch == "1") {
        watch::watch(Path::new(ROOT), &gateway);
    }
    loop {
        thread::park();
    }
}

fn fail(message: &str) -> ! {
    eprintln!("{message}");
    exit(1);
}

fn ready(tokens: &str) -> String {
    format!(
        r#"
Ready on http://localhost:9000 and ws://localhost:9001. Open the first in a browser for a page to chat on.
In another terminal, as Alice and Bob:

{tokens}
  JSON='Content-Type: application/json'
  curl localhost:9000/messages -H "$ALICE" -H "$JSON" -d '{{"sender": "alice", "receiver": "bob", "message": "Hi!"}}'
  curl localhost:9000/messages/query -H "$BOB" -H "$JSON" -d '{{"sender": "alice", "receiver": "bob"}}'

`make invoke FN=send_message` sends an event of events/. Ctrl-C stops everything; the messages stay.
"#
    )
}

/// The URL of a user for the functions, with a new password each time.
fn functions_url(mut url: Url) -> Url {
    let user = format!("{}_functions", url.path().trim_matches('/'));
    let mut password = [0; 18];
    getrandom::fill(&mut password).expect("the operating system has randomness");
    let password = BASE64_URL_SAFE_NO_PAD.encode(password);
    // In MySQL the name of a user has at most 32 characters.
    let set = url.set_username(&user[..user.len().min(32)]).and_then(|()| url.set_password(Some(&password)));
    if set.is_err() {
        fail("DATABASE_URL names no server.");
    }
    url
}

/// Runs a program that prepares the database, and returns what it prints.
fn run(program: &Path, functions_url: &Url) -> String {
    let output = Command::new(program)
        .env("FUNCTIONS_DATABASE_URL", functions_url.as_str())
        .stderr(Stdio::inherit())
        .output()
        .unwrap_or_else(|error| fail(&format!("{}: {error}.", program.display())));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        print!("{text}");
        fail("The database can't be prepared; the lines above say why.");
    }
    text
}

/// Leaves the functions' settings for `sam local invoke --env-vars`.
fn write_settings(functions_url: &Url) {
    let path = Path::new(ROOT).join(".local/env.json");
    let url = functions_url.as_str().replace("@127.0.0.1:", "@host.docker.internal:");
    let settings = json!({"Parameters": {"DATABASE_AUTH": "password", "DATABASE_URL": url}});
    let write = || {
        fs::create_dir_all(path.parent().expect("a directory"))?;
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(settings.to_string().as_bytes())
    };
    if let Err(error) = write() {
        fail(&format!("{}: {error}.", path.display()));
    }
}
