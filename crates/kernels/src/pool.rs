//! A fixed pool of threads for forks of some ten microseconds.
//!
//! A forward pass forks some two hundred times per token. A worker that has just finished spins for a short while before
//! it sleeps, so that the next fork finds it awake; and a caller never waits for a worker that has not woken up, so that a
//! core taken by another process costs its share of the work and not a whole time slice per fork.

use crate::Level;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle worker spins before it sleeps.
const SPIN: Duration = Duration::from_micros(100);

/// In `Shared::state`: workers may join the job. The bits below count those inside; the bits above number the job.
const OPEN: u64 = 1 << 31;
const JOB: u64 = 1 << 32;

thread_local! {
    /// Set inside a task: a fork from there runs inline.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

type Task = *const (dyn Fn(usize) + Sync);

/// The job at hand. Written by the caller of `run` while no worker is inside, read by workers that have joined.
struct Job {
    task: Option<Task>,
    tasks: usize,
}

struct Shared {
    state: AtomicU64,
    job: std::cell::UnsafeCell<Job>,
    next: AtomicUsize,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
}

// SAFETY: `job` is the one field that is not `Sync` by itself. It is written only while `OPEN` is unset and nobody is
// inside, and read only between joining (an acquire of the release that set `OPEN`) and leaving.
unsafe impl Sync for Shared {}
// SAFETY: the task pointer is followed only while the caller of `run`, which owns what it points to, waits in `run`.
unsafe impl Send for Shared {}

/// A fixed number of threads that share the tasks of one fork at a time. The caller is one of them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    turn: Mutex<()>,
    level: Level,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("threads", &self.threads()).field("level", &self.level).finish()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(physical_cores())
    }
}

impl Pool {
    /// `threads` threads, the caller's included, with the kernels of [`Level::detect`].
    pub fn new(threads: usize) -> Self {
        Self::with_level(threads, Level::detect())
    }

    /// The same with the kernels of `level`.
    ///
    /// # Panics
    /// When this processor lacks `level`.
    pub fn with_level(threads: usize, level: Level) -> Self {
        assert!(level.supported(), "this processor has no {}", level.name());
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            job: std::cell::UnsafeCell::new(Job { task: None, tasks: 0 }),
            next: AtomicUsize::new(0),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
        });
        let workers = (1..threads)
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                // A system that gives fewer threads gives a smaller pool.
                std::thread::Builder::new().name(format!("kernels-{i}")).spawn(move || work(&shared)).ok()
            })
            .collect();
        Self { shared, workers, turn: Mutex::new(()), level }
    }

    /// How many threads share a fork.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// The kernels used.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Calls `task(0)` to `task(tasks - 1)`, each once, on any thread of the pool, and returns when all are done. Tasks
    /// start in order. A fork from inside a task runs inline, and so does one with a single task or thread.
    ///
    /// # Panics
    /// With the panic of a task that panics; tasks not yet started are left out then.
    pub fn run<F: Fn(usize) + Sync>(&self, tasks: usize, task: F) {
        if tasks <= 1 || self.workers.is_empty() || INSIDE.get() {
            (0..tasks).for_each(task);
            return;
        }
        let turn = lock(&self.turn);
        let shared = &*self.shared;
        let task: &(dyn Fn(usize) + Sync) = &task;
        // SAFETY: only the lifetime is changed. The pointer is followed by workers that joined while `OPEN` was set, and
        // this function does not return before it has unset `OPEN` and seen the last of them leave.
        let erased: Task = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), Task>(task) };
        // SAFETY: `turn` makes this the only caller, and `OPEN` is unset with nobody inside (see the end of this function).
        unsafe { *shared.job.get() = Job { task: Some(erased), tasks } };
        shared.next.store(0, Ordering::Relaxed);
        let before = shared.state.load(Ordering::Relaxed);
        // `SeqCst`, as with `sleepers` below and in `work`: either the sleeper sees the job or we see the sleeper.
        shared.state.store((before & !(JOB - 1)).wrapping_add(JOB) | OPEN, Ordering::SeqCst);
        if shared.sleepers.load(Ordering::SeqCst) > 0 {
            drop(lock(&shared.sleep));
            shared.wake.notify_all();
        }
        claim(shared, task, tasks);
        shared.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut spins = 0u32;
        while shared.state.load(Ordering::Acquire) & (OPEN - 1) != 0 {
            spins += 1;
            if spins < 2000 {
                std::hint::spin_loop();
            } else {
                // The worker's core is taken by another process: leave it ours.
                std::thread::yield_now();
            }
        }
        let panic = lock(&shared.panic).take();
        drop(turn);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

/// Takes tasks until none is left. A panic is kept for the caller of `run`.
fn claim(shared: &Shared, task: &(dyn Fn(usize) + Sync), tasks: usize) {
    INSIDE.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        loop {
            let i = shared.next.fetch_add(1, Ordering::Relaxed);
            if i >= tasks {
                break;
            }
            task(i);
        }
    }));
    INSIDE.set(false);
    if let Err(panic) = outcome {
        shared.next.store(tasks, Ordering::Relaxed);
        lock(&shared.panic).get_or_insert(panic);
    }
}

fn work(shared: &Shared) {
    let mut seen = 0;
    while !shared.stop.load(Ordering::SeqCst) {
        let state = shared.state.load(Ordering::SeqCst);
        if state / JOB == seen || state & OPEN == 0 {
            idle(shared, seen);
            continue;
        }
        // Joining: fails when the caller has closed the job in between.
        if shared.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            continue;
        }
        seen = state / JOB;
        // SAFETY: joined, so the job stands until we leave, and so does what its task borrows.
        let job = unsafe { &*shared.job.get() };
        if let Some(task) = job.task {
            // SAFETY: as above.
            claim(shared, unsafe { &*task }, job.tasks);
        }
        shared.state.fetch_sub(1, Ordering::Release);
    }
}

/// Waits for a job other than `seen` that may be joined: spinning first, then asleep.
fn idle(shared: &Shared, seen: u64) {
    let waiting = || {
        let state = shared.state.load(Ordering::SeqCst);
        (state / JOB == seen || state & OPEN == 0) && !shared.stop.load(Ordering::SeqCst)
    };
    let start = Instant::now();
    while start.elapsed() < SPIN {
        for _ in 0..64 {
            if !waiting() {
                return;
            }
            std::hint::spin_loop();
        }
    }
    let mut guard = lock(&shared.sleep);
    shared.sleepers.fetch_add(1, Ordering::SeqCst);
    while waiting() {
        guard = shared.wake.wait(guard).unwrap_or_else(|poisoned| poisoned.into_inner());
    }
    shared.sleepers.fetch_sub(1, Ordering::SeqCst);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Physical cores this process may use: hyper-threads share the units that the kernels saturate.
pub fn physical_cores() -> usize {
    let logical = std::thread::available_parallelism().map_or(1, |n| n.get());
    let mut cores = std::collections::BTreeSet::new();
    for cpu in 0..4096 {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        match std::fs::read_to_string(path) {
            Ok(siblings) => cores.insert(siblings),
            Err(_) => break,
        };
    }
    if cores.is_empty() { logical } else { cores.len().min(logical) }
}

/// A pointer that tasks share to write disjoint parts of one slice.
pub(crate) struct SendPtr<T>(pub *mut T);
impl<T> Clone for SendPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for SendPtr<T> {}
// SAFETY: whoever dereferences it states why no two tasks touch the same element.
unsafe impl<T: Send> Send for SendPtr<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SendPtr<T> {}

impl<T> SendPtr<T> {
    pub(crate) fn get(self) -> *mut T {
        self.0
    }
}
