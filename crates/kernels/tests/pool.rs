//! The pool: each task once, panics come back, forks nest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use vlgate_kernels::Pool;

#[test]
fn each_task_runs_once() {
    for threads in [1, 2, 5] {
        let pool = Pool::new(threads);
        for tasks in [0, 1, 2, 3, 100] {
            for _ in 0..200 {
                let counts: Vec<_> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, |i| {
                    counts[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
            }
        }
    }
}

#[test]
fn a_panic_comes_back_and_the_pool_lives() {
    let pool = Pool::new(3);
    for bad in [0, 7, 49] {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(50, |i| assert!(i != bad, "task {bad}"));
        }));
        assert!(outcome.is_err());
        let count = AtomicUsize::new(0);
        pool.run(50, |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(count.into_inner(), 50);
    }
}

#[test]
fn forks_nest_and_callers_take_turns() {
    let pool = Pool::new(3);
    let count = AtomicUsize::new(0);
    std::thread::scope(|s| {
        for _ in 0..4 {
            s.spawn(|| {
                for _ in 0..50 {
                    pool.run(4, |_| {
                        pool.run(5, |_| {
                            count.fetch_add(1, Ordering::Relaxed);
                        })
                    });
                }
            });
        }
    });
    assert_eq!(count.into_inner(), 4 * 50 * 20);
}

#[test]
fn sleeping_workers_wake_up() {
    let pool = Pool::new(2);
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(1));
        // Two tasks that wait for each other: only two threads can do them.
        let arrived = AtomicUsize::new(0);
        pool.run(2, |_| {
            arrived.fetch_add(1, Ordering::SeqCst);
            while arrived.load(Ordering::SeqCst) < 2 {
                std::thread::yield_now();
            }
        });
    }
}
