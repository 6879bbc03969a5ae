//! What to connect to, and how.
//!
//! Environment: a URL like `mysql://user:password@host:3306/chat`, and `DATABASE_AUTH`, `password` (the
//! default) or `iam`; for `iam`, what Lambda sets: `AWS_REGION`, `AWS_ACCESS_KEY_ID`,
//! `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.

use std::env;
use std::time::SystemTime;

use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};

use crate::iam::Iam;
use crate::setting::{SettingError, setting};

/// A database and a user, as an environment variable names them.
pub(crate) struct DataSource {
    pub(crate) options: MySqlConnectOptions,
    /// What signs the user's password for each connection, if it is a token.
    pub(crate) iam: Option<Iam>,
}

impl DataSource {
    /// The one whose URL the environment variable `name` holds.
    ///
    /// None of sqlx's SET statements is sent at connect: nothing in the procedures depends on a session's
    /// settings, and they would cost a round trip.
    pub(crate) fn from_env(name: &'static str) -> Result<Self, SettingError> {
        let url = setting(name)?;
        let parsed = if url.starts_with("mysql://") { url.parse().ok() } else { None };
        let options: MySqlConnectOptions = parsed.ok_or(SettingError {
            name,
            problem: "is not a URL like mysql://user:password@host:3306/chat",
        })?;
        if options.get_database().is_none_or(str::is_empty) {
            return Err(SettingError {
                name,
                problem: "names no database, as in mysql://user@host:3306/chat",
            });
        }
        let options = options
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .disable_statement_logging();
        match env::var("DATABASE_AUTH").as_deref() {
            Err(_) | Ok("password") => Ok(Self { options, iam: None }),
            Ok("iam") => {
                let iam = Iam::from_env()?;
                // The token is sent in clear inside TLS, so the server must be the one that was asked for.
                let options = options.ssl_mode(MySqlSslMode::VerifyIdentity).enable_cleartext_plugin(true);
                let own_ca = url.contains("ssl-ca=");
                let options = if own_ca { options } else { options.ssl_ca_from_pem(iam.root_certificate()?) };
                Ok(Self { options, iam: Some(iam) })
            }
            Ok(_) => Err(SettingError { name: "DATABASE_AUTH", problem: "is neither `password` nor `iam`" }),
        }
    }

    /// The name of the database.
    pub(crate) fn schema(&self) -> &str {
        self.options.get_database().unwrap_or_default()
    }

    /// The same server and user, for what may be done before the database is there.
    pub(crate) fn without_database(&self) -> Self {
        Self { options: self.options.clone().database("information_schema"), iam: self.iam.clone() }
    }

    /// The same server and database, for a user with a password.
    pub(crate) fn by_password(&self, username: &str, password: &str) -> Self {
        Self { options: self.options.clone().username(username).password(password), iam: None }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<MySqlConnection, sqlx::Error> {
        match &self.iam {
            None => self.options.connect().await,
            Some(iam) => {
                let token = iam.token(&self.options, SystemTime::now()).await;
                self.options.clone().password(&token).connect().await
            }
        }
    }
}
