//! Brings the database to the schema of this release: run from a shell, it migrates and exits; on AWS it does so as
//! a CloudFormation custom resource, before any new code serves.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use functions::custom_resource;
use shared::migration::migrate;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        return custom_resource::serve("migrate", migrate).await;
    }
    match migrate(Duration::ZERO).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("migrate: {error}");
            ExitCode::FAILURE
        }
    }
}
