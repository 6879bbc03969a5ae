//! Durations, taken from several ways of doing one thing by turns, one run each, in an order that changes: what disturbs
//! the machine disturbs all alike, and none finds its way prepared by its own last run.

use std::time::{Duration, Instant};

use fastrand::Rng;

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
    rounds(ways, runs.div_ceil(10), PATIENCE / 10);
    rounds(ways, runs, PATIENCE)
}

fn rounds(ways: &mut [Way], runs: usize, patience: Duration) -> Vec<Samples> {
    let mut durations = vec![Vec::new(); ways.len()];
    let mut spent = vec![Duration::ZERO; ways.len()];
    let mut order: Vec<_> = (0..ways.len()).collect();
    let mut random = Rng::with_seed(7);
    for _ in 0..runs {
        random.shuffle(&mut order);
        for &n in &order {
            if spent[n] < patience {
                let took = (ways[n].run)();
                durations[n].push(took);
                spent[n] += took;
            }
        }
    }
    durations.into_iter().map(Samples::new).collect()
}
