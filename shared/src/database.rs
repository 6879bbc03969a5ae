//! The connection to MySQL: one per execution environment, held between requests, and never trusted.
//!
//! There is no pool: an environment serves one request at a time, and a pool's pings and background tasks
//! would cost round trips and stop half-way when Lambda freezes the environment.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};
use std::{fmt, io};

use sqlx::mysql::{MySql, MySqlArguments, MySqlConnection, MySqlDatabaseError, MySqlRow};
use sqlx::query::Query;
use sqlx::{Executor, Row};
use tokio::time::{sleep, timeout};

use crate::data_source::DataSource;
use crate::setting::SettingError;
use crate::{Error, random_bytes};

/// How long connecting may take: TCP, TLS, authentication and preparing the statements.
const CONNECT_DEADLINE: Duration = Duration::from_secs(2);
/// How long one attempt of a call may take; above the procedures' `innodb_lock_wait_timeout` of 1 s, and short
/// enough for a second attempt if the reply to the first is lost.
const ATTEMPT_DEADLINE: Duration = Duration::from_millis(1_900);
/// After this long no further attempt is begun: it could hardly end in time.
const LAST_ATTEMPT: Duration = Duration::from_millis(2_500);
/// How many times a call is made before its error is the answer.
const ATTEMPTS: u32 = 5;

/// What to connect to, and the connection while there is one.
pub struct Database {
    data_source: DataSource,
    statements: &'static [&'static str],
    held: Cell<Option<Held>>,
}

/// An open connection between two calls.
struct Held {
    connection: MySqlConnection,
    /// The server closes a connection that idles for longer.
    wait_timeout: Duration,
    /// By the system clock: a monotonic one may stand still while the environment is frozen.
    last_used: SystemTime,
}

impl Database {
    /// The database of `DATABASE_URL`. Connects at once and prepares `statements`, so that the first request
    /// need not. If that fails, the first request tries again.
    pub async fn open(statements: &'static [&'static str]) -> Result<Self, SettingError> {
        let database =
            Self { data_source: DataSource::from_env("DATABASE_URL")?, statements, held: Cell::default() };
        match database.connect().await {
            Ok(held) => database.held.set(Some(held)),
            Err(error) => tracing::warn!(%error, "no connection to the database yet"),
        }
        Ok(database)
    }

    /// Calls a procedure that answers one row, and returns it, if its first column is one of `outcomes`.
    ///
    /// The call may be made several times, so it has to be safe to repeat: `query` makes it anew each time.
    ///
    /// Fails with the refusal that the procedure answers, with [`Error::Unexpected`] for every other answer, or with
    /// [`Error::Unavailable`].
    pub(crate) async fn call<'q>(
        &self,
        outcomes: &[&str],
        query: impl Fn() -> Query<'q, MySql, MySqlArguments>,
    ) -> Result<MySqlRow, Error> {
        let (row, more) = self.call_for_more(outcomes, "", query).await?;
        if more.is_empty() { Ok(row) } else { Err(DatabaseError::Answer.into()) }
    }

    /// The same for a procedure that answers more rows behind the first, each with `word` in its first column.
    pub(crate) async fn call_for_more<'q>(
        &self,
        outcomes: &[&str],
        word: &str,
        query: impl Fn() -> Query<'q, MySql, MySqlArguments>,
    ) -> Result<(MySqlRow, Vec<MySqlRow>), Error> {
        let mut rows = self.rows(query).await?.into_iter();
        let row = rows.next().ok_or(DatabaseError::Answer)?;
        if !outcomes.contains(&row.try_get(0)?) {
            return Err(Error::refusal(&row));
        }
        for row in rows.as_slice() {
            if row.try_get::<&str, _>(0)? != word {
                return Err(DatabaseError::Answer.into());
            }
        }
        Ok((row, rows.collect()))
    }

    /// The same for a procedure that answers the rows of a page as `ok`, or `empty` if there are none.
    pub(crate) async fn call_for_page<'q>(
        &self,
        query: impl Fn() -> Query<'q, MySql, MySqlArguments>,
    ) -> Result<Vec<MySqlRow>, Error> {
        let rows = self.call_for_rows(query).await?;
        Ok(if is_empty(&rows[0])? { Vec::new() } else { rows })
    }

    /// The same, with the row that says `empty`: there is a first row in any case.
    pub(crate) async fn call_for_rows<'q>(
        &self,
        query: impl Fn() -> Query<'q, MySql, MySqlArguments>,
    ) -> Result<Vec<MySqlRow>, Error> {
        let rows = self.rows(query).await?;
        let outcomes = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
        match outcomes[..] {
            ["empty"] => Ok(rows),
            ["ok", ..] if outcomes.iter().all(|outcome| *outcome == "ok") => Ok(rows),
            [_] => Err(Error::refusal(&rows[0])),
            _ => Err(DatabaseError::Answer.into()),
        }
    }

    async fn rows<'q>(
        &self,
        query: impl Fn() -> Query<'q, MySql, MySqlArguments>,
    ) -> Result<Vec<MySqlRow>, DatabaseError> {
        let started = Instant::now();
        let mut attempts = 1;
        loop {
            match self.attempt(query()).await {
                Err(error)
                    if error.is_passing() && attempts < ATTEMPTS && started.elapsed() < LAST_ATTEMPT =>
                {
                    tracing::warn!(%error, attempts, "the database is asked again");
                    sleep(jitter(attempts)).await;
                    attempts += 1;
                }
                result => return result,
            }
        }
    }

    async fn attempt(&self, query: Query<'_, MySql, MySqlArguments>) -> Result<Vec<MySqlRow>, DatabaseError> {
        // Taken out for as long as it is in use: if this future is dropped half-way, so is the connection.
        let held = self.held.take().filter(Held::is_usable);
        let mut held = match held {
            Some(held) => held,
            None => self.connect().await?,
        };
        let result = timeout(ATTEMPT_DEADLINE, query.fetch_all(&mut held.connection)).await;
        let result =
            result.map_err(|_| DatabaseError::NoReply).and_then(|reply| reply.map_err(DatabaseError::from));
        if result.as_ref().err().is_none_or(DatabaseError::leaves_connection_usable) {
            held.last_used = SystemTime::now();
            self.held.set(Some(held));
        }
        result
    }

    async fn connect(&self) -> Result<Held, DatabaseError> {
        let connect = async {
            let mut connection = self.data_source.connect().await?;
            let row = connection.fetch_one("SELECT CAST(@@wait_timeout AS UNSIGNED)").await?;
            let wait_timeout = Duration::from_secs(row.try_get(0)?);
            for statement in self.statements {
                connection.prepare(statement).await?;
            }
            Ok(Held { connection, wait_timeout, last_used: SystemTime::now() })
        };
        timeout(CONNECT_DEADLINE, connect).await.unwrap_or(Err(DatabaseError::NoConnection))
    }
}

/// Whether a page has this row because it has none of its own.
pub(crate) fn is_empty(row: &MySqlRow) -> Result<bool, DatabaseError> {
    Ok(row.try_get::<&str, _>(0)? == "empty")
}

/// Text that the database has answered as bytes, which no character set can change.
pub(crate) fn text(bytes: Vec<u8>) -> Result<String, sqlx::Error> {
    String::from_utf8(bytes).map_err(|error| sqlx::Error::Decode(error.into()))
}

impl Held {
    /// Whether the server can still have the connection open. A second of margin covers the time that the
    /// next statement takes to reach it.
    fn is_usable(&self) -> bool {
        let idle = self.last_used.elapsed().unwrap_or(Duration::MAX);
        idle.saturating_add(Duration::from_secs(1)) < self.wait_timeout
    }
}

/// A pause before the next attempt: 5–10 ms after the first, doubling with each, random so that those who
/// collided do not meet again.
fn jitter(attempts: u32) -> Duration {
    let random = u16::from_ne_bytes(random_bytes());
    Duration::from_micros(5_000 + u64::from(random) % 5_000) * 2_u32.pow(attempts - 1)
}

/// Trouble with the database. `Display` is for the log: the server's number for the error, never its text,
/// which may quote what a user has written.
#[derive(Debug)]
pub enum DatabaseError {
    /// No connection within the deadline.
    NoConnection,
    /// No reply within the deadline; whether the call took effect is not known.
    NoReply,
    /// The connection broke; whether the call took effect is not known.
    Broken(io::ErrorKind),
    /// The server refused.
    Refused {
        /// MySQL's or MariaDB's number of the error.
        number: u16,
        /// Whether the statement is at fault, whatever state the server is in.
        bug: bool,
    },
    /// TLS, authentication or a packet that makes no sense.
    Protocol,
    /// Rows other than the procedure should answer.
    Answer,
}

impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            // rustls reports an untrusted certificate this way.
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Protocol,
            sqlx::Error::Io(error) => Self::Broken(error.kind()),
            sqlx::Error::Database(error) => match error.try_downcast::<MySqlDatabaseError>() {
                Ok(error) => Self::Refused { number: error.number(), bug: is_bug(&error) },
                Err(_) => Self::Protocol,
            },
            sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::Configuration(_) => Self::Protocol,
            _ => Self::Answer,
        }
    }
}

/// Whether the statement is at fault. The class of the SQLSTATE says so: cardinality, data, constraint, or syntax and
/// access. Exceptions are a user with too many connections (1203, 1226), a server with too many prepared statements
/// (1461), and procedures or grants that are being replaced (1305, 1370).
fn is_bug(error: &MySqlDatabaseError) -> bool {
    let class = error.code().and_then(|state| state.get(..2));
    matches!(class, Some("21" | "22" | "23" | "42"))
        && !matches!(error.number(), 1203 | 1226 | 1305 | 1370 | 1461)
}

impl DatabaseError {
    /// Whether trying again, at whatever time, would end in the same way.
    pub(crate) fn is_bug(&self) -> bool {
        matches!(self, Self::Refused { bug: true, .. } | Self::Answer)
    }

    /// Whether the same call may well succeed at once, perhaps on a new connection.
    fn is_passing(&self) -> bool {
        match self {
            // Deadlock, lock wait timeout, a procedure or a prepared statement that is being replaced, and
            // the farewells of a server that has closed the connection: idle for too long, or killed.
            Self::Refused { number, .. } => matches!(number, 1213 | 1205 | 1305 | 1615 | 4031 | 1927),
            Self::NoReply => true,
            Self::Broken(kind) => *kind != io::ErrorKind::ConnectionRefused,
            Self::NoConnection | Self::Protocol | Self::Answer => false,
        }
    }

    /// Deadlocks and lock waits are part of normal work. After anything else the connection may be half-way
    /// through a reply, or lead to a server that no longer takes writes.
    fn leaves_connection_usable(&self) -> bool {
        matches!(self, Self::Refused { number: 1213 | 1205, .. })
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection => write!(f, "no connection within {CONNECT_DEADLINE:?}"),
            Self::NoReply => write!(f, "no reply within {ATTEMPT_DEADLINE:?}"),
            Self::Broken(kind) => write!(f, "connection: {kind}"),
            Self::Refused { number, .. } => write!(f, "MySQL error {number}"),
            Self::Protocol => write!(f, "TLS, authentication or protocol error"),
            Self::Answer => write!(f, "an answer that makes no sense"),
        }
    }
}

impl std::error::Error for DatabaseError {}
