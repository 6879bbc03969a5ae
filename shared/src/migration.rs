//! Brings a database to the schema of this release.
//!
//! Environment: `DATABASE_URL`, of the user who owns the schema and so defines every procedure;
//! `FUNCTIONS_DATABASE_URL` (optional), whose user is created and may EXECUTE and nothing else;
//! `MASTER_USERNAME` and `MASTER_PASSWORD` (optional), of the user of the same server who creates the other two
//! if the first can't log in yet. The password may be old by then: it is used for nothing else.

use std::time::{Duration, Instant};
use std::{env, fmt};

use percent_encoding::percent_decode_str;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::mysql::{MySqlConnection, MySqlDatabaseError};
use sqlx::{ConnectOptions, Executor, Row};
use tokio::time::{sleep, timeout};

use crate::data_source::DataSource;
use crate::setting::{SettingError, setting};

/// How long one attempt to connect may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(10);

/// The migrations of `sql/`. Newer ones in the database, as after a rolled-back deploy, are left alone.
static MIGRATOR: Migrator = {
    let mut migrator = sqlx::migrate!("../sql");
    migrator.ignore_missing = true;
    migrator.locking = false;
    migrator
};

/// What [`migrate`] has done: how many migrations it has applied, of how many.
pub struct Report {
    applied: usize,
    total: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} migrations had to be applied", self.applied, self.total)
    }
}

/// Why a migration failed. `Display` is for whoever runs it.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// An environment variable is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Another migration of the same database is running.
    #[error("another migration of this database is running; try again when it has ended")]
    Locked,
    /// An applied migration differs from this code's. It comes from before the first release, after which migrations
    /// are immutable.
    #[error(
        "this database was made by an unreleased version, which can't be brought up to date: drop it and try again; \
         the private one of `make run` is in .local/, which can be removed"
    )]
    Unreleased,
    /// A migration failed; the next run begins with it.
    #[error(transparent)]
    Migration(MigrateError),
    /// The database could not be reached, created or asked.
    #[error("DATABASE_URL: {0}")]
    Database(#[from] sqlx::Error),
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMismatch(_) => Self::Unreleased,
            error => Self::Migration(error),
        }
    }
}

/// Creates the database and the users if they are missing, and applies the migrations that it lacks. Safe to
/// repeat, even after a run that failed half-way, and to run twice at once.
///
/// Waits up to `patience` for a database that is not there yet, such as one waking from a pause.
pub async fn migrate(patience: Duration) -> Result<Report, MigrationError> {
    let until = Instant::now() + patience;
    let owner = DataSource::from_env("DATABASE_URL")?;
    let functions =
        env::var_os("FUNCTIONS_DATABASE_URL").map(|_| DataSource::from_env("FUNCTIONS_DATABASE_URL"));
    let functions = functions.transpose()?;
    let master = match env::var("MASTER_USERNAME") {
        Ok(username) => Some(owner.by_password(&username, &setting("MASTER_PASSWORD")?)),
        Err(_) => None,
    };
    if functions.as_ref().is_some_and(|functions| functions.schema() != owner.schema()) {
        let problem = "names another database than DATABASE_URL";
        return Err(SettingError { name: "FUNCTIONS_DATABASE_URL", problem }.into());
    }

    let mut connection = match (open(&owner, until).await, &master) {
        (Err(error), Some(master)) if is_denied(&error) => {
            // If the master is denied too, its password is old, so the owner exists: AWS may refuse the owner's IAM
            // role for some seconds after it has been created.
            if let Ok(mut connection) = connect(&master.without_database(), until).await {
                // The owner last: once it can log in, none of this is done again.
                if let Some(functions) = &functions {
                    create_account(&mut connection, functions, "EXECUTE").await?;
                }
                create_account(&mut connection, &owner, "ALL PRIVILEGES").await?;
            }
            open_when_allowed(&owner, until).await?
        }
        (result, _) => result?,
    };
    // Procedures keep the settings of the session that creates them.
    let settings = "SET SESSION sql_mode = 'TRADITIONAL', NAMES utf8mb4 COLLATE utf8mb4_general_ci";
    connection.execute(settings).await?;

    // Held until the connection closes. sqlx's own lock is released before the grants, and waits for ever.
    let lock = "SELECT COALESCE(GET_LOCK(SHA2(CONCAT('migrate ', DATABASE()), 256), 60), 0)";
    if connection.fetch_one(lock).await?.try_get::<i64, _>(0)? != 1 {
        return Err(MigrationError::Locked);
    }
    connection.ensure_migrations_table().await?;
    // DDL commits by itself, so a failed run leaves its mark; every migration can be run again.
    connection.execute("DELETE FROM _sqlx_migrations WHERE success = FALSE").await?;
    let before = connection.list_applied_migrations().await?.len();
    MIGRATOR.run_direct(&mut connection).await?;
    let after = connection.list_applied_migrations().await?.len();

    if let (Some(functions), None) = (&functions, &master) {
        create_account(&mut connection, functions, "EXECUTE").await?;
    }
    Ok(Report { applied: after - before, total: MIGRATOR.iter().count() })
}

/// Connects as the owner of the schema, and creates the database if it is missing.
async fn open(owner: &DataSource, until: Instant) -> Result<MySqlConnection, sqlx::Error> {
    let mut connection = connect(&owner.without_database(), until).await?;
    let schema = owner.schema().replace('`', "``");
    connection.execute(format!("CREATE DATABASE IF NOT EXISTS `{schema}`").as_str()).await?;
    connection.execute(format!("USE `{schema}`").as_str()).await?;
    Ok(connection)
}

/// The same, but tries again until `until` while the owner is denied.
async fn open_when_allowed(owner: &DataSource, until: Instant) -> Result<MySqlConnection, sqlx::Error> {
    loop {
        match open(owner, until).await {
            Err(error) if is_denied(&error) && Instant::now() < until => sleep(Duration::from_secs(1)).await,
            result => return result,
        }
    }
}

/// Connects, and tries again until `until` while the server is away or not ready.
async fn connect(data_source: &DataSource, until: Instant) -> Result<MySqlConnection, sqlx::Error> {
    loop {
        let late = |_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        match timeout(CONNECT_DEADLINE, data_source.connect()).await.unwrap_or_else(late) {
            Err(error) if !is_denied(&error) && Instant::now() < until => sleep(Duration::from_secs(1)).await,
            result => return result,
        }
    }
}

/// Whether the server does not know the user, or lets it do nothing here.
fn is_denied(error: &sqlx::Error) -> bool {
    let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<MySqlDatabaseError>());
    error.is_some_and(|error| matches!(error.number(), 1044 | 1045 | 1698))
}

/// Creates the user of `account`, and grants privileges on its schema. Those on single routines would be lost
/// whenever a routine is replaced.
async fn create_account(
    connection: &mut MySqlConnection,
    account: &DataSource,
    privileges: &str,
) -> Result<(), sqlx::Error> {
    let user = format!("{}@'%'", quoted(account.options.get_username()));
    let identified = if account.iam.is_some() {
        "WITH AWSAuthenticationPlugin AS 'RDS'".to_owned()
    } else {
        let url = account.options.to_url_lossy();
        let password = percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
        format!("BY {}", quoted(&password))
    };
    // `_` and `%` are wildcards in the name of a schema, unless the server's partial_revokes is on.
    let literal = "SHOW VARIABLES WHERE Variable_name = 'partial_revokes' AND Value = 'ON'";
    let schema = account.schema().replace('`', "``");
    let schema = match connection.fetch_optional(literal).await? {
        Some(_) => schema,
        None => schema.replace('_', "\\_").replace('%', "\\%"),
    };
    for statement in [
        format!("CREATE USER IF NOT EXISTS {user} IDENTIFIED {identified}"),
        format!("ALTER USER {user} IDENTIFIED {identified}"),
        format!("GRANT {privileges} ON `{schema}`.* TO {user}"),
    ] {
        connection.execute(statement.as_str()).await?;
    }
    Ok(())
}

/// A string literal; account names and passwords can't be bound as parameters.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
