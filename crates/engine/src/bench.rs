//! Tables of an engine's speed, the same for every runtime: prefill, decode, many clients, pictures.
//!
//! Prompts are words drawn anew for each run, so that no prefix cache helps where it is not asked for.

use std::time::Instant;

use futures::StreamExt;
use serde::Serialize;
use vlgate_media::{Picture, VisionSpec};

use crate::contract::{Conversation, Engine, EngineError, Event, Job, Message, Part, Role, Sampling, Usage};

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Prompt lengths in tokens.
    pub prefill: Vec<u32>,
    /// Tokens of the answer that one stream's decode is measured on; 0 leaves it out.
    pub decode: u32,
    /// Clients at once.
    pub clients: Vec<usize>,
    /// Prompt tokens of each client.
    pub client_prompt: u32,
    /// Answer tokens of each client.
    pub client_tokens: u32,
    /// Pictures (width, height), rounded to the model's own sizes.
    pub images: Vec<(u32, u32)>,
    /// Prompts (tokens) that come while another stream decodes.
    pub stalls: Vec<u32>,
    /// Context lengths (tokens), rising, behind which one token's cost is measured.
    pub contexts: Vec<u32>,
    /// Runs of each row; the median is reported.
    pub repeat: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            prefill: vec![110, 512],
            decode: 64,
            clients: vec![1, 4, 8],
            client_prompt: 55,
            client_tokens: 32,
            images: vec![(256, 256), (512, 384)],
            stalls: vec![2000],
            contexts: Vec::new(),
            repeat: 3,
        }
    }
}

/// All rows.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The model's id.
    pub model: String,
    /// The runtime.
    pub runtime: String,
    /// How weights are held.
    pub quantization: String,
    /// One row a prompt length.
    pub prefill: Vec<Prefill>,
    /// One stream.
    pub decode: Option<Decode>,
    /// One row a number of clients.
    pub batch: Vec<Batch>,
    /// One row a picture size.
    pub images: Vec<Image>,
    /// One row a long prompt.
    pub stalls: Vec<Stall>,
    /// One row a context length.
    pub contexts: Vec<Context>,
    /// The most memory that the process had at a time, in MiB, mapped files included; `None` where the system does not say.
    pub peak_mib: Option<u64>,
}

/// A prompt alone.
#[derive(Debug, Clone, Serialize)]
pub struct Prefill {
    /// Prompt tokens.
    pub tokens: u32,
    /// To the first token.
    pub seconds: f64,
    /// Prompt tokens per second.
    pub tokens_per_second: f64,
}

/// An answer alone.
#[derive(Debug, Clone, Serialize)]
pub struct Decode {
    /// Answer tokens.
    pub tokens: u32,
    /// Answer tokens per second, from the first on.
    pub tokens_per_second: f64,
}

/// Clients at once.
#[derive(Debug, Clone, Serialize)]
pub struct Batch {
    /// How many.
    pub clients: usize,
    /// Prompt tokens of each.
    pub prompt: u32,
    /// Answer tokens of each.
    pub tokens: u32,
    /// Answer tokens of all per second, end to end.
    pub tokens_per_second: f64,
    /// To the first token, mean.
    pub first_token: f64,
    /// To the first token, the last client's.
    pub first_token_worst: f64,
    /// Between two tokens of one answer, the longest of all.
    pub gap_worst: f64,
}

/// A stream that decodes while another client's long prompt is computed.
#[derive(Debug, Clone, Serialize)]
pub struct Stall {
    /// Tokens of the long prompt.
    pub prompt: u32,
    /// To its first token.
    pub first_token: f64,
    /// Between two tokens of the stream, with nobody beside it.
    pub gap_alone: f64,
    /// The same with the long prompt beside it.
    pub gap_worst: f64,
}

/// One more token behind a context.
#[derive(Debug, Clone, Serialize)]
pub struct Context {
    /// Tokens before it.
    pub tokens: u32,
    /// Seconds of one token.
    pub seconds_per_token: f64,
    /// Prompt tokens per second of the part that was not cached.
    pub prefill_tokens_per_second: f64,
}

/// A picture and a question.
#[derive(Debug, Clone, Serialize)]
pub struct Image {
    /// Width as the model sees it.
    pub width: u32,
    /// Height as the model sees it.
    pub height: u32,
    /// The picture's tokens.
    pub tokens: u32,
    /// To the first token.
    pub first_token: f64,
    /// The same picture and another question, to the first token.
    pub new_question: f64,
    /// Prompt tokens of that which were found in the cache.
    pub new_question_cached: u32,
}

/// What one job took.
struct Run {
    usage: Usage,
    first: f64,
    total: f64,
    gap: f64,
}

/// Fills the tables row by row; `told` hears each row as a line.
///
/// # Errors
/// What the engine says.
pub async fn run(
    engine: &dyn Engine,
    model: &str,
    plan: &Plan,
    told: &(dyn Fn(String) + Sync),
) -> Result<Report, EngineError> {
    let card = engine.models().into_iter().find(|c| c.id == model);
    let card = card.ok_or_else(|| EngineError::NoSuchModel(model.to_owned()))?;
    let mut bench = Bench { engine, model, seed: 1 };
    let mut report = Report {
        model: card.id.clone(),
        runtime: card.runtime.clone(),
        quantization: card.quantization.clone(),
        prefill: Vec::new(),
        decode: None,
        batch: Vec::new(),
        images: Vec::new(),
        stalls: Vec::new(),
        contexts: Vec::new(),
        peak_mib: None,
    };
    // The first pages of weights and caches are touched before anything is timed.
    bench.text(16, 2).await?;
    for tokens in &plan.prefill {
        let run = bench.median(plan.repeat, *tokens, 1, |r| r.first).await?;
        let rate = f64::from(run.usage.prompt) / run.first;
        told(format!("prefill {:>5} tokens  {:>8.3} s  {rate:>8.1} tokens/s", run.usage.prompt, run.first));
        report.prefill.push(Prefill { tokens: run.usage.prompt, seconds: run.first, tokens_per_second: rate });
    }
    if plan.decode > 1 {
        let run = bench.median(plan.repeat, 16, plan.decode, |r| r.total - r.first).await?;
        let rate = f64::from(run.usage.completion.saturating_sub(1)) / (run.total - run.first);
        told(format!("decode  {:>5} tokens  {rate:>8.2} tokens/s", run.usage.completion));
        report.decode = Some(Decode { tokens: run.usage.completion, tokens_per_second: rate });
    }
    for clients in &plan.clients {
        let row = bench.batch(*clients, plan).await?;
        told(format!(
            "clients {clients:>5}  {:>8.2} tokens/s in all, first token {:.2} s (worst {:.2}), worst gap {:.2} s",
            row.tokens_per_second, row.first_token, row.first_token_worst, row.gap_worst
        ));
        report.batch.push(row);
    }
    if let Some(spec) = card.vision {
        for (width, height) in &plan.images {
            let row = bench.image(&spec, *width, *height).await?;
            told(format!(
                "image {}x{} ({} tokens): first token {:.2} s, a new question {:.2} s ({} tokens cached)",
                row.width, row.height, row.tokens, row.first_token, row.new_question, row.new_question_cached
            ));
            report.images.push(row);
        }
    }
    for prompt in &plan.stalls {
        let row = bench.stall(*prompt).await?;
        told(format!(
            "a prompt of {:>5} tokens beside a stream: longest wait for its next token {:.3} s ({:.3} s alone)",
            row.prompt, row.gap_worst, row.gap_alone
        ));
        report.stalls.push(row);
    }
    for tokens in &plan.contexts {
        let row = bench.context(*tokens).await?;
        told(format!(
            "behind {:>6} tokens: {:>7.1} ms a token, prefill {:>6.1} tokens/s",
            row.tokens,
            row.seconds_per_token * 1e3,
            row.prefill_tokens_per_second
        ));
        report.contexts.push(row);
    }
    report.peak_mib = peak_mib();
    Ok(report)
}

struct Bench<'a> {
    engine: &'a dyn Engine,
    model: &'a str,
    seed: u64,
}

impl Bench<'_> {
    /// Words of a text that no other run has.
    fn words(&mut self, n: usize) -> String {
        const WORDS: [&str; 24] = [
            "red", "the", "circle", "left", "of", "a", "blue", "square", "and", "green", "house", "river", "seven",
            "light", "over", "water", "small", "stone", "open", "north", "paper", "large", "under", "road",
        ];
        self.seed += 1;
        let mut x = self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let draw = (0..n).map(|_| {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            WORDS.get((x >> 33) as usize % WORDS.len()).copied().unwrap_or_default()
        });
        draw.collect::<Vec<_>>().join(" ")
    }

    /// A prompt of about `tokens` tokens: as many words as fit.
    async fn prompt(&mut self, tokens: u32) -> Result<Conversation, EngineError> {
        let mut words = tokens.max(1) as usize;
        loop {
            let text = self.words(words);
            let conversation =
                Conversation { messages: vec![Message::text(Role::User, text)], ..Conversation::default() };
            let count = self.engine.count(self.model, &conversation).await?.prompt;
            if count <= tokens.max(12) || words == 1 {
                return Ok(conversation);
            }
            let over = (count - tokens) as usize;
            words = words.saturating_sub((over * words / count as usize).max(1)).max(1);
        }
    }

    fn job(&self, conversation: Conversation, tokens: u32) -> Job {
        Job {
            sampling: Sampling { temperature: Some(0.0), ..Sampling::default() },
            max_tokens: Some(tokens),
            ignore_eos: true,
            ..Job::new(self.model, conversation)
        }
    }

    async fn text(&mut self, prompt: u32, tokens: u32) -> Result<Run, EngineError> {
        let job = self.prompt(prompt).await?;
        time(self.engine, self.job(job, tokens)).await
    }

    async fn median(
        &mut self,
        repeat: usize,
        prompt: u32,
        tokens: u32,
        by: impl Fn(&Run) -> f64,
    ) -> Result<Run, EngineError> {
        let mut runs = Vec::new();
        for _ in 0..repeat.max(1) {
            runs.push(self.text(prompt, tokens).await?);
        }
        runs.sort_by(|a, b| by(a).total_cmp(&by(b)));
        Ok(runs.swap_remove(runs.len() / 2))
    }

    async fn batch(&mut self, clients: usize, plan: &Plan) -> Result<Batch, EngineError> {
        let mut jobs = Vec::new();
        for _ in 0..clients {
            let prompt = self.prompt(plan.client_prompt).await?;
            jobs.push(self.job(prompt, plan.client_tokens));
        }
        let began = Instant::now();
        let runs = futures::future::join_all(jobs.into_iter().map(|job| time(self.engine, job))).await;
        let total = began.elapsed().as_secs_f64();
        let runs = runs.into_iter().collect::<Result<Vec<_>, _>>()?;
        let most = |f: fn(&Run) -> f64| runs.iter().map(f).fold(0.0, f64::max);
        Ok(Batch {
            clients,
            prompt: runs.first().map_or(0, |r| r.usage.prompt),
            tokens: runs.first().map_or(0, |r| r.usage.completion),
            tokens_per_second: runs.iter().map(|r| f64::from(r.usage.completion)).sum::<f64>() / total,
            first_token: runs.iter().map(|r| r.first).sum::<f64>() / runs.len().max(1) as f64,
            first_token_worst: most(|r| r.first),
            gap_worst: most(|r| r.gap),
        })
    }

    /// A stream alone, and again while a long prompt is computed beside it.
    async fn stall(&mut self, tokens: u32) -> Result<Stall, EngineError> {
        let alone = self.text(16, 32).await?;
        let (stream, long) = (self.prompt(16).await?, self.prompt(tokens).await?);
        // The stream's answer is long enough to outlast the prompt: it gets a token about every `gap`.
        let (stream, long) = (self.job(stream, 256), self.job(long, 1));
        let later = async {
            tokio::time::sleep(std::time::Duration::from_secs_f64(alone.first * 2.0)).await;
            time(self.engine, long).await
        };
        let (stream, long) = futures::join!(time(self.engine, stream), later);
        let (stream, long) = (stream?, long?);
        Ok(Stall { prompt: long.usage.prompt, first_token: long.first, gap_alone: alone.gap, gap_worst: stream.gap })
    }

    /// Every context begins like the one before it, so that only what is new is computed.
    async fn context(&mut self, tokens: u32) -> Result<Context, EngineError> {
        const ANSWER: u32 = 17;
        let seed = std::mem::replace(&mut self.seed, u64::MAX / 2);
        let text = self.words(tokens as usize);
        self.seed = seed;
        let conversation = Conversation { messages: vec![Message::text(Role::User, text)], ..Conversation::default() };
        let run = time(self.engine, self.job(conversation, ANSWER)).await?;
        Ok(Context {
            tokens: run.usage.prompt,
            seconds_per_token: (run.total - run.first) / f64::from(ANSWER - 1),
            prefill_tokens_per_second: f64::from(run.usage.prompt - run.usage.cached) / run.first,
        })
    }

    async fn image(&mut self, spec: &VisionSpec, width: u32, height: u32) -> Result<Image, EngineError> {
        let factor = spec.factor().max(1);
        let side = |n: u32| (n / factor).max(1) * factor;
        let (width, height) = (side(width), side(height));
        let picture = std::sync::Arc::new(picture(width, height, self.seed as u32));
        let mut ask = |question: &str| {
            let parts = vec![Part::Image(picture.clone()), Part::Text(question.into())];
            let conversation =
                Conversation { messages: vec![Message::new(Role::User, parts)], ..Conversation::default() };
            self.seed += 1;
            self.job(conversation, 1)
        };
        let (first, second) = (ask("What is in this picture?"), ask("Which colour is the largest shape?"));
        let first = time(self.engine, first).await?;
        let second = time(self.engine, second).await?;
        Ok(Image {
            width,
            height,
            tokens: first.usage.image,
            first_token: first.first,
            new_question: second.first,
            new_question_cached: second.usage.cached,
        })
    }
}

/// The most memory that was resident at a time (`VmHWM`, mapped files included).
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? >> 10)
}

/// Smooth colours that differ with the seed.
fn picture(width: u32, height: u32, seed: u32) -> Picture {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            for c in 0..3 {
                let wave = (x as f32 * 0.05 * (c + 1) as f32 + y as f32 * 0.03 + seed as f32).sin();
                rgb.push((127.0 + 120.0 * wave) as u8);
            }
        }
    }
    Picture::new(width, height, rgb)
}

async fn time(engine: &dyn Engine, job: Job) -> Result<Run, EngineError> {
    let began = Instant::now();
    let mut events = engine.generate(job).await?;
    while let Some(event) = events.next().await {
        if let Event::Finished { usage, timings, .. } = event? {
            return Ok(Run {
                usage,
                first: timings.first_token.as_secs_f64(),
                total: began.elapsed().as_secs_f64(),
                gap: timings.worst_gap.as_secs_f64(),
            });
        }
    }
    Err(EngineError::Failed("the job ended without its end".into()))
}
