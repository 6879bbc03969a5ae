//! Brings a database to the schema of this release.
//!
//! Environment: `DATABASE_URL`, of a user who may create the database with its tables and procedures; where
//! `FUNCTIONS_DATABASE_URL` is set, its user is created too, who may EXECUTE the procedures and nothing else.

use std::env;

use percent_encoding::percent_decode_str;
use sqlx::migrate::{Migrate, MigrateError, Migrator};
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{ConnectOptions, Executor, Row};

use crate::database::{SettingError, options_from_env};

/// The migrations of `sql/`. Newer ones in the database, as after a rolled-back deploy, are left alone.
static MIGRATOR: Migrator = {
    let mut migrator = sqlx::migrate!("../sql");
    migrator.ignore_missing = true;
    migrator.locking = false;
    migrator
};

/// What `migrate` has done.
pub struct Report {
    /// How many migrations were applied.
    pub applied: usize,
    /// How many there are.
    pub total: usize,
}

/// Why a migration failed. `Display` is for who runs it.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// An environment variable is missing or wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Another migration of the same database is running.
    #[error("another migration of this database is running; try again when it has ended")]
    Locked,
    /// A migration failed; the next run begins with it.
    #[error(transparent)]
    Migration(#[from] MigrateError),
    /// The database could not be reached, created or asked.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Creates the database where it is missing, applies the migrations that it lacks, and grants the functions'
/// user what it needs. Safe to repeat, also after a run that failed half-way, and to run twice at a time.
pub async fn migrate() -> Result<Report, MigrationError> {
    let options = options_from_env("DATABASE_URL")?;
    let schema = options.get_database().unwrap_or_default().replace('`', "``");
    let create = format!("CREATE DATABASE IF NOT EXISTS `{schema}`");
    options.clone().database("information_schema").connect().await?.execute(create.as_str()).await?;

    let mut connection = options.connect().await?;
    // Procedures keep the settings of the session that creates them.
    connection
        .execute("SET SESSION sql_mode = 'TRADITIONAL', NAMES utf8mb4 COLLATE utf8mb4_general_ci")
        .await?;

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

    if env::var_os("FUNCTIONS_DATABASE_URL").is_some() {
        let functions = options_from_env("FUNCTIONS_DATABASE_URL")?;
        if functions.get_database() != options.get_database() {
            return Err(SettingError::new(
                "FUNCTIONS_DATABASE_URL",
                "names another database than DATABASE_URL",
            )
            .into());
        }
        grant(&mut connection, &schema, &functions).await?;
    }
    Ok(Report { applied: after - before, total: MIGRATOR.iter().count() })
}

/// Lets the functions' user execute the procedures. The grant is on the schema: one on a routine would be
/// lost whenever the routine is replaced.
async fn grant(
    connection: &mut MySqlConnection,
    schema: &str,
    functions: &MySqlConnectOptions,
) -> Result<(), sqlx::Error> {
    let url = functions.to_url_lossy();
    let password = percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
    let user = format!("{}@'%'", quoted(functions.get_username()));
    // `_` and `%` are wildcards in the name of a schema, unless the server's partial_revokes is on.
    let literal = "SHOW VARIABLES WHERE Variable_name = 'partial_revokes' AND Value = 'ON'";
    let schema = match connection.fetch_optional(literal).await? {
        Some(_) => schema.to_owned(),
        None => schema.replace('_', "\\_").replace('%', "\\%"),
    };
    for statement in [
        format!("CREATE USER IF NOT EXISTS {user}"),
        format!("ALTER USER {user} IDENTIFIED BY {}", quoted(&password)),
        format!("GRANT EXECUTE ON `{schema}`.* TO {user}"),
    ] {
        connection.execute(statement.as_str()).await?;
    }
    Ok(())
}

/// A string literal; account names and passwords can't be bound as parameters.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
