//! Durations, taken from several ways of doing one thing by turns, so that what disturbs the machine disturbs all
//! alike.

use std::time::{Duration, Instant};

/// One way's turn: so many runs, or fewer where the slowest way would take longer than that.
const BLOCK: usize = 20;
const TURN: Duration = Duration::from_millis(100);
/// A way that is slower than this in all gets no further runs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A way of doing something; a run returns how long it took, without what it took to prepare it.
pub struct Way<'a> {
    /// What it is called in the report.
    pub name: &'static str,
    run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Way<'a> {
    /// A way whose runs `run` does.
    pub fn new(name: &'static str, run: impl FnMut() -> Duration + 'a) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// How long `work` takes.
pub fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// Durations from short to long.
pub struct Samples(Vec<Duration>);

impl Samples {
    /// The durations, in any order.
    pub fn new(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        Self(durations)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The duration that half of all stay below.
    pub fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// The duration that 99 of 100 stay below.
    pub fn p99(&self) -> Duration {
        self.0[self.0.len() * 99 / 100]
    }
}

/// The durations of `runs` runs of each way, after a tenth as many to warm up.
pub fn by_turns(ways: &mut [Way], runs: usize) -> Vec<Samples> {
    let warm_up = rounds(ways, runs.div_ceil(10), 1, PATIENCE / 10);
    let slowest = warm_up.iter().map(Samples::median).max().unwrap_or_default();
    let block = TURN.as_micros() / slowest.as_micros().max(1);
    rounds(ways, runs, usize::try_from(block).unwrap_or(usize::MAX).clamp(1, BLOCK), PATIENCE)
}

fn rounds(ways: &mut [Way], runs: usize, block: usize, patience: Duration) -> Vec<Samples> {
    let mut durations = vec![Vec::new(); ways.len()];
    let mut spent = vec![Duration::ZERO; ways.len()];
    for done in (0..runs).step_by(block) {
        for (n, way) in ways.iter_mut().enumerate() {
            for _ in done..runs.min(done + block) {
                if spent[n] < patience {
                    let took = (way.run)();
                    durations[n].push(took);
                    spent[n] += took;
                }
            }
        }
    }
    durations.into_iter().map(Samples::new).collect()
}
