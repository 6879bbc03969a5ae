//! Brings the database of `DATABASE_URL` to the schema of this release, and exits.

use std::process::ExitCode;

use shared::migration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match migration::migrate().await {
        Ok(report) => {
            println!("{} of {} migrations applied, the others were there", report.applied, report.total);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("migrate: {error}");
            ExitCode::FAILURE
        }
    }
}
