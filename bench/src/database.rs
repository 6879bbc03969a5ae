//! The benchmark's own databases: made by the release's `migrate`, each with a user for the functions, and dropped in the
//! end.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use local::Function;
use sqlx::mysql::{MySql, MySqlArguments, MySqlConnectOptions, MySqlRow};
use sqlx::{ConnectOptions, Executor, MySqlConnection, Row};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::report::timed;

/// A statement with its values.
pub type Query = sqlx::query::Query<'static, MySql, MySqlArguments>;

/// The URLs of a database: of the user who may do everything, and of the functions' user. It is dropped in the end.
pub struct Database {
    pub admin: Url,
    pub functions: Url,
    name: &'static str,
}

impl Database {
    /// A fresh database on the server of this URL. The functions' user has its name.
    pub fn fresh(server: &Url, name: &'static str) -> Self {
        let mut admin = server.clone();
        admin.set_path(name);
        let mut functions = admin.clone();
        let random = || getrandom::u64().expect("the operating system has randomness");
        functions.set_username(name).expect("a URL with a server");
        functions.set_password(Some(&format!("{:x}{:x}", random(), random()))).expect("a URL with a server");
        remove(server, name);
        let mut migrate = Command::new(binary("migrate"));
        let migrate = migrate.env_clear().env("DATABASE_URL", admin.as_str());
        let status = migrate.env("FUNCTIONS_DATABASE_URL", functions.as_str()).status();
        assert!(status.expect("migrate can be run").success(), "migrate failed");
        Self { admin, functions, name }
    }

    /// A connection of the user who may do everything.
    pub fn connect(&self) -> Connection {
        Connection::open(&self.admin)
    }

    /// Starts so many environments of a function, each with a connection to the database.
    pub fn function(&self, name: &str, environments: usize) -> Function {
        start(name, environments, if name == "usual" { &self.admin } else { &self.functions })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        remove(&self.admin, self.name);
    }
}

fn remove(server: &Url, name: &str) {
    let mut url = server.clone();
    url.set_path("information_schema");
    let mut connection = Connection::open(&url);
    connection.execute(&format!("DROP DATABASE IF EXISTS {name}")).expect("it is ours");
    connection.execute(&format!("DROP USER IF EXISTS {name}@'%'")).expect("it is ours");
}

/// The server of `DATABASE_URL`.
pub fn server() -> Url {
    let url = env::var("DATABASE_URL").expect("DATABASE_URL is not set; run this by `make bench`");
    url.parse().expect("DATABASE_URL is a URL")
}

/// One more private server, which writes a binary log and has it on disk with each commit. It ends with its owner.
pub struct ServerWithBinaryLog {
    script: Child,
    pub url: Url,
}

impl ServerWithBinaryLog {
    pub fn start() -> Self {
        const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
        let mut script = Command::new(format!("{ROOT}/functions/local/server"))
            .arg(format!("{ROOT}/.local/bench/binary-log"))
            .args(["sh", "-c", "echo $DATABASE_URL; cat"])
            .env_remove("DATABASE_URL")
            .env("SERVER_OPTIONS", "--log-bin --sync-binlog=1 --server-id=1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut url = String::new();
        let output = script.stdout.as_mut().expect("a pipe");
        BufReader::new(output).read_line(&mut url).expect("a server");
        Self { script, url: url.trim().parse().expect("its URL") }
    }
}

impl Drop for ServerWithBinaryLog {
    fn drop(&mut self) {
        // The end of its input ends `cat`, and with it the server.
        drop(self.script.stdin.take());
        self.script.wait().ok();
    }
}

/// Starts a function of this workspace that reaches the database through `url`, and waits until it is ready.
pub fn start(name: &str, environments: usize, url: &Url) -> Function {
    let function = Function::start(binary(name), environments, &[("DATABASE_URL", url.as_str())]);
    function.warm();
    function
}

/// The path of a binary of this workspace, built with the same profile as this one.
pub fn binary(name: &str) -> PathBuf {
    env::current_exe().expect("the path of this program").with_file_name(name)
}

/// An open connection.
pub struct Connection(Runtime, MySqlConnection);

impl Connection {
    /// Connects as the functions do: without sqlx's SET statements.
    pub fn open(url: &Url) -> Self {
        let options = MySqlConnectOptions::from_url(url).expect("a URL of MySQL");
        let options = options.pipes_as_concat(false).no_engine_substitution(false);
        let options = options.timezone(None).set_names(false).disable_statement_logging();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(options.connect()).expect("a connection to the database");
        Self(runtime, connection)
    }

    /// The rows of a statement, which is prepared when it is first used.
    pub fn fetch(&mut self, query: Query) -> Vec<MySqlRow> {
        self.0.block_on(query.fetch_all(&mut self.1)).expect("an answer")
    }

    /// How long that takes, in ms.
    pub fn timed(&mut self, query: Query) -> f64 {
        timed(|| self.fetch(query))
    }

    /// Prepares a statement, as the functions do at their start.
    pub fn prepare(&mut self, sql: &str) {
        self.0.block_on(self.1.prepare(sql)).expect("a statement");
    }

    /// Runs a statement that is not prepared.
    pub fn execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.0.block_on(self.1.execute(sql)).map(drop)
    }

    /// The sum of what such a statement has in its last column.
    pub fn number(&mut self, sql: &str) -> f64 {
        let rows = self.0.block_on(self.1.fetch_all(sql)).expect("an answer");
        let text = |row: &MySqlRow| row.try_get_unchecked::<String, _>(row.len() - 1).unwrap_or_default();
        rows.iter().map(|row| text(row).parse().unwrap_or(0.0)).sum()
    }
}
