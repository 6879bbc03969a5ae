//! The benchmark's own database: made by the release's `migrate`, with a user for the functions, and dropped in
//! the end.

use std::env;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use local::Function;
use sqlx::mysql::{MySql, MySqlArguments, MySqlConnectOptions, MySqlRow};
use sqlx::query::Query;
use sqlx::{ConnectOptions, Executor, MySqlConnection, Row};
use tokio::runtime::{Builder, Runtime};

use crate::requests::random_bytes;
use crate::samples::timed;

/// The name of the database, and of the functions' user.
const NAME: &str = "chat_bench";

/// The database, while the benchmark runs.
pub struct Database {
    admin: MySqlConnectOptions,
    functions: MySqlConnectOptions,
}

impl Database {
    /// A fresh database on the server of `DATABASE_URL`.
    pub fn fresh() -> Self {
        let url = env::var("DATABASE_URL").expect("DATABASE_URL is not set; run this by `make bench`");
        let admin: MySqlConnectOptions = url.parse().expect("DATABASE_URL is a URL");
        // As the functions connect: without sqlx's SET statements.
        let admin = admin
            .database(NAME)
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        let password = format!("{:x}", u128::from_be_bytes(random_bytes()));
        let functions = admin.clone().username(NAME).password(&password);
        let database = Self { admin, functions };
        database.drop();
        let status = Command::new(binary("migrate"))
            .env_clear()
            .env("DATABASE_URL", database.admin_url())
            .env("FUNCTIONS_DATABASE_URL", database.functions_url())
            .status();
        assert!(status.expect("migrate can be run").success(), "migrate failed");
        database
    }

    /// The URL of the user who may do everything.
    pub fn admin_url(&self) -> String {
        self.admin.to_url_lossy().into()
    }

    /// The URL of the functions' user.
    pub fn functions_url(&self) -> String {
        self.functions.to_url_lossy().into()
    }

    /// Host and port of the server.
    pub fn address(&self) -> String {
        format!("{}:{}", self.admin.get_host(), self.admin.get_port())
    }

    /// A connection of the user who may do everything.
    pub fn connect(&self) -> Connection {
        Connection::open(&self.admin)
    }

    /// The same, through a proxy on this machine.
    pub fn connect_through(&self, proxy: &str) -> Connection {
        let url = self.admin_url().replace(&self.address(), proxy);
        Connection::open(&url.parse().expect("a URL"))
    }

    /// A connection of the functions' user.
    pub fn connect_as_functions(&self) -> Connection {
        Connection::open(&self.functions)
    }

    /// Starts so many environments of a function of this workspace, each with a connection to the database.
    pub fn function(&self, name: &str, environments: usize) -> Function {
        start(name, environments, &self.functions_url())
    }

    /// Starts the function that works the usual way.
    pub fn usual(&self) -> Function {
        start("usual", 1, &self.admin_url())
    }

    fn drop(&self) {
        let mut connection = Connection::open(&self.admin.clone().database("information_schema"));
        connection.execute(&format!("DROP DATABASE IF EXISTS {NAME}"));
        connection.execute(&format!("DROP USER IF EXISTS {NAME}@'%'"));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        Self::drop(self);
    }
}

/// Starts a function that reaches the database through `url`, and waits until it is ready.
pub fn start(name: &str, environments: usize, url: &str) -> Function {
    let function = Function::start(binary(name), environments, &[("DATABASE_URL", url)]);
    function.warm();
    function
}

/// The path of a binary of this workspace, built with the same profile as this one.
pub fn binary(name: &str) -> PathBuf {
    env::current_exe().expect("the path of this program").with_file_name(name)
}

/// An open connection.
pub struct Connection {
    runtime: Runtime,
    connection: MySqlConnection,
}

impl Connection {
    fn open(options: &MySqlConnectOptions) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connection = runtime.block_on(options.connect()).expect("a connection to the database");
        Self { runtime, connection }
    }

    /// The rows of a prepared statement.
    pub fn fetch(&mut self, query: Query<'_, MySql, MySqlArguments>) -> Vec<MySqlRow> {
        self.runtime.block_on(query.fetch_all(&mut self.connection)).expect("an answer")
    }

    /// Prepares a statement, as the functions do at their start.
    pub fn prepare(&mut self, sql: &str) {
        self.runtime.block_on(self.connection.prepare(sql)).expect("a statement");
    }

    /// Runs a statement.
    pub fn execute(&mut self, sql: &str) {
        self.try_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// How long a statement takes.
    pub fn timed(&mut self, sql: &str) -> Duration {
        timed(|| self.execute(sql))
    }

    /// Runs a statement that the server may refuse.
    pub fn try_execute(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        self.runtime.block_on(self.connection.execute(sql)).map(drop)
    }

    /// The sum of the numbers in the last column.
    pub fn number(&mut self, sql: &str) -> f64 {
        self.last_column(sql).iter().map(|text| text.parse::<f64>().unwrap_or_default()).sum()
    }

    /// The last column of a statement that is not prepared.
    pub fn last_column(&mut self, sql: &str) -> Vec<String> {
        let rows = self.runtime.block_on(self.connection.fetch_all(sql)).expect("an answer");
        rows.iter().map(|row| row.try_get_unchecked(row.len() - 1).unwrap_or_default()).collect()
    }
}
