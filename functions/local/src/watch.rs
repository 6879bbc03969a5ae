//! Builds the functions anew when a source changes, and has those that differ started again.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use local::Gateway;

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_millis(500);

/// Never returns. Migrations are not made again: that is what `make run` is for.
pub(crate) fn watch(root: &Path, gateway: &Gateway) -> ! {
    println!("Watching functions/src, functions/web and shared/src.");
    let sources = ["functions/src", "functions/web", "shared/src"];
    let changed = || sources.iter().map(|source| newest(&root.join(source))).max();
    let mut built = changed();
    loop {
        sleep(PERIOD);
        let now = changed();
        if now == built {
            continue;
        }
        built = now;
        let started = SystemTime::now();
        // Its messages say what is wrong if it fails.
        Command::new("cargo").args(["build", "--bins"]).current_dir(root).status().ok();
        for function in gateway.functions() {
            if modified(function.binary()).is_ok_and(|modified| modified > started) {
                function.kill();
                println!("{} is new.", function.binary().display());
            }
        }
    }
}

/// The time of the newest file below a directory.
fn newest(directory: &Path) -> SystemTime {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let newest = entries.map(|entry| {
        let path = entry.path();
        if path.is_dir() { newest(&path) } else { modified(&path).unwrap_or(SystemTime::UNIX_EPOCH) }
    });
    newest.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn modified(path: &Path) -> io::Result<SystemTime> {
    path.metadata()?.modified()
}
