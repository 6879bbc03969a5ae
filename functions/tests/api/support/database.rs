//! A fresh database for each test, and for some a server of their own.

use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;
use std::{env, fs};

use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{ConnectOptions, Connection, Executor, MySqlConnection, Row};
use tokio::runtime::{Builder, Runtime};

use super::binary;

/// A migrated database with a user of its own for the functions; both are dropped in the end.
pub struct Database {
    admin: MySqlConnectOptions,
    name: String,
    /// The URL that the functions get.
    pub functions_url: String,
}

impl Database {
    /// A fresh database on the server of `DATABASE_URL`.
    pub fn fresh() -> Self {
        Self::on(&env::var("DATABASE_URL").expect("DATABASE_URL is not set; run the tests with `make test`"))
    }

    /// A fresh database on the server of `url`.
    pub fn on(url: &str) -> Self {
        let database = Self::unmigrated(url);
        let output = database.migrate();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        database
    }

    /// A fresh database on the server of `url`, whose procedures have the rights of a user like the master of
    /// an Aurora cluster: none to write where `read_only` is set.
    pub fn of_plain_owner(url: &str) -> Self {
        let database = Self::unmigrated(url);
        database.create_database();
        database.execute("CREATE USER owner@'%' IDENTIFIED BY 'owner'");
        database.execute("GRANT CREATE USER ON *.* TO owner@'%'");
        database.execute(&format!("GRANT ALL ON {}.* TO owner@'%' WITH GRANT OPTION", database.name));
        let output = database.migrate_as(&database.url_of("owner", "owner"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        database
    }

    /// The name of a fresh database on the server of `url`, which `migrate` is to create.
    pub fn unmigrated(url: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let age = UNIX_EPOCH.elapsed().unwrap().as_millis();
        let name = format!("chat_{age:x}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admin: MySqlConnectOptions = url.parse().unwrap();
        let admin = admin.database(&name).disable_statement_logging();
        let functions_url = admin.clone().username(&name).password("p@ss'wörd\\").to_url_lossy().to_string();
        Self { admin, name, functions_url }
    }

    /// The URL of the user to whom everything is allowed.
    pub fn admin_url(&self) -> String {
        self.admin.to_url_lossy().to_string()
    }

    /// The name and password of the user to whom everything is allowed.
    pub fn admin(&self) -> (String, String) {
        let url = self.admin.to_url_lossy();
        let password = percent_encoding::percent_decode_str(url.password().unwrap_or_default());
        (url.username().into(), password.decode_utf8().unwrap().into())
    }

    /// The URL of `user`.
    pub fn url_of(&self, user: &str, password: &str) -> String {
        self.admin.clone().username(user).password(password).to_url_lossy().to_string()
    }

    /// Creates the database without migrating it.
    pub fn create_database(&self) {
        self.execute_anywhere(&format!("CREATE DATABASE {}", self.name));
    }

    /// Runs a statement outside the database, which need not exist.
    pub fn execute_anywhere(&self, sql: &str) {
        rows(&self.admin.clone().database("information_schema"), sql).unwrap();
    }

    /// Runs the migrate binary.
    pub fn migrate(&self) -> Output {
        self.migrate_as(&self.admin_url())
    }

    /// Runs the migrate binary with the rights of another user.
    pub fn migrate_as(&self, url: &str) -> Output {
        Command::new(binary("migrate"))
            .env_clear()
            .env("DATABASE_URL", url)
            .env("FUNCTIONS_DATABASE_URL", &self.functions_url)
            .output()
            .unwrap()
    }

    /// The rows of a query, as the user to whom everything is allowed.
    pub fn rows(&self, sql: &str) -> Vec<MySqlRow> {
        rows(&self.admin, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Ends the functions' statements or connections, as [`OpenConnection::kill`] does.
    pub fn kill(&self, kill: &str, idle: bool) -> usize {
        self.connect().kill(&self.name, kill, idle)
    }

    /// How many statements wait for a lock on the whole server.
    pub fn lock_waits(&self) -> i64 {
        self.connect().status("Innodb_row_lock_current_waits")
    }

    /// An open connection of the user to whom everything is allowed.
    pub fn connect(&self) -> OpenConnection {
        OpenConnection::open(&self.admin).unwrap()
    }

    /// Runs `sql` in a transaction that stays open until the result is dropped.
    pub fn lock(&self, sql: &str) -> OpenConnection {
        let mut lock = self.connect();
        lock.rows("BEGIN").unwrap();
        lock.rows(sql).unwrap();
        lock
    }

    /// A connection through `url`, where the server has room for it.
    pub fn connect_through(url: &str) -> Option<OpenConnection> {
        OpenConnection::open(&url.parse().unwrap()).ok()
    }

    /// The name of the database, and of the functions' user.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The integer that a query answers.
    pub fn number(&self, sql: &str) -> i64 {
        self.rows(sql)[0].try_get_unchecked(0).unwrap()
    }

    /// Runs statements.
    pub fn execute(&self, sql: &str) {
        self.rows(sql);
    }

    /// The error number of a query run as the functions' user; 0 where it succeeds.
    pub fn error_as_functions(&self, sql: &str) -> u16 {
        match rows(&self.functions_url.parse().unwrap(), sql) {
            Ok(_) => 0,
            Err(sqlx::Error::Database(error)) => error.downcast::<sqlx::mysql::MySqlDatabaseError>().number(),
            Err(error) => panic!("{sql}: {error}"),
        }
    }

    /// Gives a conversation that has none yet `count` messages from its first user, in the order of the
    /// names, to its second.
    pub fn fill(&self, first: &str, second: &str, count: u32) {
        self.execute(&format!(
            "INSERT INTO conversations (first_user, second_user, last_id, last_time, longest)
             VALUES ('{first}', '{second}', {count}, UTC_TIMESTAMP(6), 20)"
        ));
        let conversation = self.number("SELECT MAX(conversation_id) FROM conversations");
        let message = |id| {
            let key = format!("UNHEX('{conversation:016x}{id:016x}')");
            format!("({conversation}, {id}, '{first}', '{second}', 'message {id}', UTC_TIMESTAMP(6), {key})")
        };
        let messages: Vec<_> = (1..=count).map(message).collect();
        self.execute(&format!("INSERT INTO messages VALUES {}", messages.join(",")));
        self.execute(&format!(
            "INSERT IGNORE INTO memberships (username, peer, conversation_id, unread, last_time, position)
             VALUES ('{second}', '{first}', {conversation}, {count}, UTC_TIMESTAMP(6), NULL),
                    ('{first}', '{second}', {conversation}, 0, UTC_TIMESTAMP(6), NULL)"
        ));
    }

    /// Gives a user `count` conversations, each with an unread message of somebody who has no row in users; all are
    /// marked as changed.
    pub fn fill_inbox(&self, username: &str, count: usize) {
        let first = self.number("SELECT COALESCE(MAX(conversation_id), 0) FROM conversations");
        let insert = |into: &str, row: &dyn Fn(usize) -> String| {
            let rows: Vec<_> = (1..=count).map(row).collect();
            for rows in rows.chunks(1_000) {
                self.execute(&format!("INSERT INTO {into} VALUES {}", rows.join(",")));
            }
        };
        let id = |n| first + i64::try_from(n).unwrap();
        let time = "'2026-01-01'";
        insert("conversations", &|n| format!("({}, '{username}', 'x{n:06}', 1, {time}, 1)", id(n)));
        insert("messages", &|n| {
            format!("({}, 1, 'x{n:06}', '{username}', 'x', {time}, UNHEX('{:032x}'))", id(n), id(n))
        });
        let columns = "memberships (username, peer, conversation_id, unread, last_time, position)";
        insert(columns, &|n| format!("('{username}', 'x{n:06}', {}, 1, {time}, NULL)", id(n)));
        insert(columns, &|n| format!("('x{n:06}', '{username}', {}, 0, {time}, NULL)", id(n)));
    }

    /// Makes `username` a deleted user, whose name alone is kept.
    pub fn delete_user(&self, username: &str) {
        self.execute(&format!(
            "UPDATE users SET password = NULL, logged_in = NULL, deleted = UTC_TIMESTAMP(6)
              WHERE username = '{username}'"
        ));
        self.execute(&format!("DELETE FROM sessions WHERE username = '{username}'"));
    }

    /// Checksums of the tables, for telling whether anything was written.
    pub fn contents(&self) -> Vec<i64> {
        self.connect().contents()
    }

    /// What the server tells of the latest deadlock.
    pub fn latest_deadlock(&self) -> String {
        let status: String = self.rows("SHOW ENGINE INNODB STATUS")[0].try_get_unchecked(2).unwrap();
        let story = status.split("LATEST DETECTED DEADLOCK").nth(1).unwrap_or_default();
        story.split("\nTRANSACTIONS\n").next().unwrap_or_default().into()
    }

    /// How many deadlocks the server has found.
    pub fn deadlocks(&self) -> i64 {
        let mariadb = "SELECT variable_value FROM information_schema.global_status
                       WHERE variable_name = 'Innodb_deadlocks'";
        let mysql =
            "SELECT CAST(count AS CHAR) FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'";
        let rows = rows(&self.admin, mariadb).unwrap_or_else(|_| self.rows(mysql));
        rows[0].try_get_unchecked::<String, _>(0).unwrap().parse().unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {0}; DROP USER IF EXISTS {0}@'%'", self.name);
        // The server may be one that the test has stopped.
        rows(&self.admin.clone().database("information_schema"), &sql).ok();
    }
}

/// The texts of the migrations, in their order.
pub fn migrations() -> Vec<String> {
    let files = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../sql")).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// What `migrate` reports when it has applied `count` of them.
pub fn applied(count: usize) -> String {
    format!("{count} of {} migrations had to be applied", migrations().len())
}

/// A connection that is closed when it is dropped.
pub struct OpenConnection {
    runtime: Runtime,
    connection: Option<MySqlConnection>,
}

impl OpenConnection {
    fn open(options: &MySqlConnectOptions) -> Result<Self, sqlx::Error> {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let connection = Some(runtime.block_on(options.connect())?);
        Ok(Self { runtime, connection })
    }

    /// The rows of a query.
    pub fn rows(&mut self, sql: &str) -> Result<Vec<MySqlRow>, sqlx::Error> {
        self.runtime.block_on(self.connection.as_mut().unwrap().fetch_all(sql))
    }

    /// A counter of the server.
    pub fn status(&mut self, name: &str) -> i64 {
        let rows = self.rows(&format!("SHOW GLOBAL STATUS LIKE '{name}'")).unwrap();
        rows[0].try_get_unchecked::<String, _>(1).unwrap().parse().unwrap()
    }

    /// Ends the statements or connections of `user`, as `kill` says, where they are at work or where `idle`;
    /// returns how many.
    pub fn kill(&mut self, user: &str, kill: &str, idle: bool) -> usize {
        let processes = self.processes(user);
        let chosen = processes.iter().filter(|(_, at_work)| idle || *at_work);
        chosen.filter(|(id, _)| self.rows(&format!("{kill} {id}")).is_ok()).count()
    }

    /// The connections of `user`: their ids, and whether they are at work.
    fn processes(&mut self, user: &str) -> Vec<(i64, bool)> {
        // The views of this list fail on MySQL where a statement holds binary values.
        let all = self.rows("SHOW PROCESSLIST").unwrap();
        let column = |row: &MySqlRow, index| row.try_get_unchecked::<String, _>(index).unwrap_or_default();
        let own = all.iter().filter(|row| column(row, 1) == user);
        own.map(|row| (row.try_get_unchecked(0).unwrap(), column(row, 4) != "Sleep")).collect()
    }

    /// Checksums of the tables, for telling whether anything was written.
    pub fn contents(&mut self) -> Vec<i64> {
        let tables = self.rows("SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'").unwrap();
        let tables: Vec<String> = tables.iter().map(|row| row.try_get_unchecked(0).unwrap()).collect();
        let rows = self.rows(&format!("CHECKSUM TABLE {}", tables.join(", ")));
        rows.unwrap().iter().map(|row| row.try_get_unchecked(1).unwrap()).collect()
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.runtime.block_on(connection.close()).ok();
        }
    }
}

fn rows(options: &MySqlConnectOptions, sql: &str) -> Result<Vec<MySqlRow>, sqlx::Error> {
    OpenConnection::open(options)?.rows(sql)
}
