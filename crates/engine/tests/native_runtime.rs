//! The native runtime as a whole: what batching, chunking, caching, preemption and failures must not change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod native_common;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use native_common::*;
use vlgate_engine::{
    EngineError, Runtime, Sampler, Sampling, Step,
    native::{KvKind, NativeOptions, NativeRuntime},
};
use vlgate_media::{Clip, Picture};

fn tiny(change: impl FnOnce(&mut NativeOptions)) -> NativeRuntime {
    let mut o = options("random-tiny");
    change(&mut o);
    runtime(o)
}

/// Text, one and several pictures, odd sizes, two turns, clips: the same tokens, and nearly the same log-probabilities.
#[tokio::test]
async fn greedy_tokens_are_transformers() {
    let runtime = tiny(|_| ());
    let all = cases("random-tiny");
    let answers = run_all(&runtime, all.iter().map(|c| c.job(24)).collect()).await;
    for (case, answer) in all.iter().zip(answers) {
        assert_eq!(answer.ids(), case.greedy(), "{}", case.name);
        for (got, wanted) in answer.tokens.iter().zip(case.list("logprobs_greedy", 24)) {
            assert!((got.logprob - wanted).abs() < 1e-3, "{}: {} {wanted}", case.name, got.logprob);
        }
        let top: Vec<u64> = answer.tokens[0].top[..5].iter().map(|t| u64::from(t.0)).collect();
        let wanted: Vec<u64> = case.json["top5"].as_array().unwrap().iter().map(|t| t[0].as_u64().unwrap()).collect();
        assert_eq!(top, wanted, "{}", case.name);
    }
}

#[tokio::test]
async fn a_long_prompt_in_chunks_is_the_prompt_whole() {
    let tokens = noise(1, 4000);
    let whole = run(&tiny(|o| o.step_tokens = 4096), greedy(tokens.clone(), 8)).await;
    assert_eq!(whole.tokens.len(), 8);
    for step_tokens in [500, 77] {
        let chunks = run(&tiny(|o| o.step_tokens = step_tokens), greedy(tokens.clone(), 8)).await;
        assert_eq!(chunks.bits(), whole.bits());
    }
}

/// 16 jobs of mixed lengths, pictures among them, against each alone on a fresh cache: bit for bit.
#[tokio::test]
async fn a_sequence_in_a_batch_is_the_sequence_alone() {
    let jobs = || {
        let mut jobs: Vec<_> = cases("random-tiny").iter().map(|c| c.job(12)).collect();
        jobs.extend((0..8).map(|i| greedy(noise(100 + i, 1 + (i as usize * 67) % 300), 12 + i)));
        jobs
    };
    let model = Arc::clone(tiny(|_| ()).model());
    let fresh = || NativeRuntime::with_model(Arc::clone(&model), options("random-tiny")).unwrap();
    let together = run_all(&fresh(), jobs()).await;
    assert_eq!(together.len(), 16);
    for (together, job) in together.iter().zip(jobs()) {
        let alone = run(&fresh(), job).await;
        assert_eq!(together.bits(), alone.bits());
    }
}

/// A cache of 320 tokens for eight jobs of up to 200: they are sent back and computed again, and nobody can tell.
#[tokio::test]
async fn preempted_and_recomputed_is_undisturbed() {
    let jobs = || {
        let mut jobs: Vec<_> = (0..7).map(|i| greedy(noise(i, 40 + 7 * i as usize), 100)).collect();
        jobs.push(case("random-tiny", "three_images").job(100));
        jobs
    };
    let wide = tiny(|_| ());
    let undisturbed = run_all(&wide, jobs()).await;
    assert_eq!(wide.preemptions(), 0);
    // 81,920 bytes a block: 32 tokens, 5 layers, 2 heads of 32, keys and values in f32.
    let tight = tiny(|o| o.kv_bytes = Some(10 * 81_920));
    let total = tight.load().total_kv_blocks.unwrap();
    assert_eq!(total, 10);
    let disturbed = run_all(&tight, jobs()).await;
    assert!(tight.preemptions() > 0, "{}", tight.preemptions());
    for (a, b) in undisturbed.iter().zip(&disturbed) {
        assert_eq!(a.tokens.len(), 100);
        assert_eq!(a.bits(), b.bits());
    }
    settled(&tight).await;
}

/// Waits until no job is left; every block must be free then.
async fn settled(runtime: &NativeRuntime) {
    let began = Instant::now();
    loop {
        let load = runtime.load();
        if load.running == 0 && load.waiting == 0 && load.free_kv_blocks == load.total_kv_blocks {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{load:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn prefix_hits_change_nothing_and_are_counted() {
    let runtime = tiny(|_| ());
    let case = case("random-tiny", "three_images");
    let prompt = case.tokens().len() as u32;
    let first = run(&runtime, case.job(20)).await;
    assert_eq!((first.cached, runtime.load().embedding_hits), (0, 0));
    let again = run(&runtime, case.job(20)).await;
    assert_eq!(again.cached, prompt - 1);
    assert_eq!(again.bits(), first.bits());
    // A second turn: prompt, answer and a new question. Only the answer's last token was never computed.
    let longer: Vec<u32> = case.tokens().into_iter().chain(first.ids()).chain(noise(5, 30)).collect();
    let turn = || {
        let mut job = case.job(20);
        job.tokens = longer.clone();
        job
    };
    let second = run(&runtime, turn()).await;
    assert_eq!(second.cached, prompt + 19);
    assert_eq!(second.bits(), run(&tiny(|_| ()), turn()).await.bits());
    let load = runtime.load();
    assert_eq!(load.prefix_hit_tokens, u64::from(again.cached + second.cached));
    assert_eq!(load.prompt_tokens, u64::from(2 * prompt) + longer.len() as u64);
    assert_eq!(load.generated_tokens, 60);
}

/// The same picture behind another beginning: no prefix, but no second encoding. Another picture of the same size: neither.
#[tokio::test]
async fn a_repeated_picture_is_not_encoded_again() {
    let runtime = tiny(|_| ());
    let case = case("random-tiny", "one_image");
    let moved = |picture: Option<Picture>| {
        let mut job = case.job(10);
        job.tokens.insert(0, 7);
        if let Some(picture) = picture {
            job.images = vec![Arc::new(picture)];
        }
        job
    };
    let alone = run(&tiny(|_| ()), moved(None)).await;
    run(&runtime, case.job(10)).await;
    let second = run(&runtime, moved(None)).await;
    assert_eq!((second.cached, runtime.load().embedding_hits), (0, 1));
    assert_eq!(second.bits(), alone.bits());
    let [old, _] = case.frames().remove(0);
    let mut rgb = old.rgb.to_vec();
    rgb.iter_mut().for_each(|v| *v = 255 - *v);
    let other = run(&runtime, moved(Some(Picture::new(old.width, old.height, rgb)))).await;
    assert_eq!(runtime.load().embedding_hits, 1);
    assert!(other.cached < 10, "the beginning is shared, the picture is not: {}", other.cached);
    assert_ne!(other.bits(), second.bits());
}

/// The two frames of a pair are not one frame twice, and their order counts.
#[tokio::test]
async fn a_clips_frames_are_true_pairs() {
    let runtime = tiny(|_| ());
    let case = case("random-tiny", "video");
    let with = |change: &dyn Fn(&mut Vec<Picture>)| {
        let mut job = case.job(10);
        let mut frames = job.clips[0].frames.clone();
        change(&mut frames);
        job.clips = vec![Arc::new(Clip { frames, stamps: case.stamps(), hash: [1; 32] })];
        job
    };
    let given = run(&runtime, with(&|_| ())).await;
    assert_eq!(given.ids(), case.greedy()[..10]);
    for change in [(|f: &mut Vec<Picture>| f.swap(0, 1)) as fn(&mut Vec<Picture>), |f| f[1] = f[0].clone()] {
        assert_ne!(run(&runtime, with(&change)).await.bits(), given.bits());
    }
}

#[tokio::test]
async fn a_dropped_job_frees_its_blocks_within_a_step() {
    let runtime = tiny(|o| o.max_running = 2);
    let mut steps = Vec::new();
    for i in 0..4 {
        steps.push(runtime.start(greedy(noise(i, 500), 3000)).await.unwrap());
    }
    // Two run, two wait.
    let began = Instant::now();
    while (runtime.load().running, runtime.load().waiting) != (2, 2) {
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", runtime.load());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(runtime.load().free_kv_blocks < runtime.load().total_kv_blocks);
    steps.clear();
    settled(&runtime).await;
    assert_eq!(run(&runtime, greedy(noise(9, 10), 3)).await.tokens.len(), 3);
}

#[tokio::test]
async fn a_deadline_ends_a_job_with_its_error() {
    let runtime = tiny(|_| ());
    let mut job = greedy(noise(1, 100), 3900);
    job.deadline = Some(Instant::now() + Duration::from_millis(150));
    let answer = run(&runtime, job).await;
    assert_eq!(answer.failed, Some(EngineError::Deadline));
    settled(&runtime).await;
}

/// A panic in a step takes down what was being computed, each with an error, and nothing else.
#[tokio::test]
async fn a_panic_fails_the_running_jobs_and_the_rest_is_served() {
    let runtime = tiny(|o| o.max_running = 2);
    let expected = run(&runtime, case("random-tiny", "one_image").job(12)).await;
    let mut running = Vec::new();
    for i in 0..2 {
        let mut steps = runtime.start(greedy(noise(i, 50), 3500)).await.unwrap();
        while !matches!(steps.recv().await, Some(Step::Token(_))) {}
        running.push(steps);
    }
    let waiting = runtime.start(case("random-tiny", "one_image").job(12)).await.unwrap();
    runtime.inject_panic();
    for steps in running {
        let answer = collect(steps).await;
        assert!(matches!(answer.failed, Some(EngineError::Failed(_))), "{:?}", answer.failed);
    }
    let answer = collect(waiting).await;
    assert_eq!(answer.bits(), expected.bits());
    let load = runtime.load();
    assert_eq!((load.restarts, load.ready), (1, true));
    settled(&runtime).await;
}

/// A long prompt beside an answer that runs: the answer's tokens keep coming. With 16 tokens of the prompt a step the prefill
/// takes 240 steps; an answer of 100 tokens ends before it does, unless it was stalled: then it never could.
#[tokio::test]
async fn a_long_prefill_does_not_stall_the_others() {
    let runtime = tiny(|o| o.gap = Duration::from_micros(1));
    // Only this thread's own delay could make an attempt fail.
    for attempt in 0..5 {
        let mut answer = runtime.start(greedy(noise(10 + attempt, 10), 100)).await.unwrap();
        while !matches!(answer.recv().await, Some(Step::Token(_))) {}
        let mut long = runtime.start(greedy(noise(20 + attempt, 3900), 1)).await.unwrap();
        assert!(matches!(long.recv().await, Some(Step::Prefill { .. })));
        collect(answer).await;
        let first = long.try_recv();
        assert_eq!(collect(long).await.failed, None);
        if first.is_err() {
            return;
        }
    }
    panic!("the answer was stalled");
}

#[tokio::test]
async fn jobs_that_cannot_be_computed_are_refused() {
    let runtime = tiny(|o| {
        o.max_waiting = 2;
        o.max_running = 1;
        o.kv_bytes = Some(10 * 81_920);
    });
    assert_eq!(runtime.context(), 320);
    let refused = runtime.start(greedy(noise(1, 320), 1)).await;
    assert!(matches!(refused, Err(EngineError::ContextLength { context: 320, prompt: 320, .. })));
    assert!(matches!(runtime.start(greedy(vec![1280], 1)).await, Err(EngineError::Invalid { .. })));
    assert!(matches!(runtime.start(greedy(vec![], 1)).await, Err(EngineError::Invalid { .. })));
    // A pad without a picture, a picture without a pad, a pad too few.
    let case = case("random-tiny", "one_image");
    let mut job = case.job(1);
    job.images.clear();
    assert!(matches!(runtime.start(job).await, Err(EngineError::Invalid { .. })));
    let mut job = case.job(1);
    job.tokens = noise(1, 5);
    assert!(matches!(runtime.start(job).await, Err(EngineError::Invalid { .. })));
    let mut job = case.job(1);
    let at = job.tokens.iter().position(|t| *t == case.config.image_token).unwrap();
    job.tokens.remove(at);
    assert!(matches!(runtime.start(job).await, Err(EngineError::Invalid { .. })));
    // Alone in the cache to its end.
    let answer = run(&runtime, greedy(noise(1, 300), 3000)).await;
    assert_eq!((answer.tokens.len(), answer.failed), (20, None));
    let mut steps = Vec::new();
    let overloaded = loop {
        match runtime.start(greedy(noise(1, 10), 300)).await {
            Ok(s) => steps.push(s),
            Err(error) => break error,
        }
    };
    assert!(matches!(overloaded, EngineError::Overloaded { .. }) && steps.len() <= 4, "{overloaded:?}");
}

/// A draw is the job's own: the same with others around it, and the same again.
#[tokio::test]
async fn seeded_draws_do_not_depend_on_the_batch() {
    let runtime = tiny(|_| ());
    let job = |seed| {
        let mut job = greedy(noise(3, 60), 30);
        let settings = Sampling { seed: Some(seed), temperature: Some(1.0), top_p: Some(0.95), ..Sampling::default() };
        job.sampler = Sampler::new(settings, None, &job.tokens, Vec::new());
        job
    };
    let alone = run(&runtime, job(7)).await.ids();
    let many = run_all(&runtime, (0..8).map(job).collect()).await;
    assert_eq!(many[7].ids(), alone);
    assert_ne!(many[6].ids(), alone);
}

/// Keys and values in 16 and 8 bits change little.
#[tokio::test]
async fn smaller_keys_and_values_are_close() {
    let case = case("random-tiny", "three_images");
    for (kind, most) in [(KvKind::F16, 0.01), (KvKind::Bf16, 0.05), (KvKind::Q8, 0.2)] {
        let answer = run(&tiny(|o| o.kv = Some(kind)), case.job(1)).await;
        let wanted = case.list("logprobs_last", 1280);
        for (id, got) in &answer.tokens[0].top {
            let wanted = wanted[*id as usize];
            assert!((got - wanted).abs() < most, "{kind:?} {id}: {got} {wanted}");
        }
    }
}
