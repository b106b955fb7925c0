//! From a request to jobs, one for each candidate of each prompt.

use futures::{StreamExt, future::try_join_all, stream};
use vlgate_engine::{Event, EventStream, FinishReason, Job, ModelCard, Raw, Sampling, Source, Timings, Usage};
use vlgate_openai::{
    ApiError,
    completions::{CompletionRequest, Prompt},
};

use crate::{State, intake, reply};

/// A job that was started.
pub struct Begun {
    /// Which prompt it goes on from.
    pub prompt: usize,
    /// The prompt's text where it is to be given before the answer, else empty.
    pub echo: String,
    pub events: EventStream,
}

/// Starts all jobs: prompt by prompt, and for each its candidates.
///
/// # Errors
/// What is wrong with a prompt, with its path; the engine's.
pub async fn start(
    state: &State,
    card: &ModelCard,
    request: &CompletionRequest,
    id: &str,
) -> Result<Vec<Begun>, ApiError> {
    let prompts = request.prompts()?;
    fits_queue(state, request, prompts.len())?;
    let each = prompts.into_iter().enumerate().map(|(i, (path, prompt))| async move {
        let raw = match prompt {
            Prompt::Text(text) => Raw::Text(text),
            Prompt::Tokens(ids) => Raw::Tokens(ids),
        };
        let begun = of_prompt(state, card, request, &format!("{id}/{i}"), i, raw).await;
        begun.map_err(|error| in_prompt(error, &path))
    });
    Ok(try_join_all(each).await?.into_iter().flatten().collect())
}

async fn of_prompt(
    state: &State,
    card: &ModelCard,
    request: &CompletionRequest,
    id: &str,
    prompt: usize,
    raw: Raw,
) -> Result<Vec<Begun>, ApiError> {
    let echo = match (&raw, request.echo) {
        (Raw::Text(text), Some(true)) => text.clone(),
        (Raw::Tokens(ids), Some(true)) => state.engine.text(&card.id, ids).await.map_err(|e| reply::engine(&e))?,
        _ => String::new(),
    };
    let jobs = (0..u32::try_from(request.candidates()).unwrap_or(1)).map(|i| one(state, card, request, id, i, &raw));
    let streams = try_join_all(jobs).await?;
    Ok(streams.into_iter().map(|events| Begun { prompt, echo: echo.clone(), events }).collect())
}

async fn one(
    state: &State,
    card: &ModelCard,
    request: &CompletionRequest,
    id: &str,
    candidate: u32,
    raw: &Raw,
) -> Result<EventStream, ApiError> {
    let failed = |e| reply::engine(&e);
    if request.token_limit() == 0 {
        let tokens = state.engine.tokens(&card.id, Source::Raw(raw)).await.map_err(failed)?;
        return Ok(nothing(tokens.count.prompt));
    }
    let job = Job {
        id: format!("{id}/{candidate}"),
        sampling: Sampling {
            logit_bias: intake::biases(request.logit_bias.iter().flatten()),
            ..intake::sampling(request.sampling(), request.seed, candidate)
        },
        max_tokens: Some(request.token_limit()),
        stop: request.stop_texts(),
        ignore_eos: request.ignore_eos.unwrap_or(false),
        logprobs: reported(request),
        ..Job::raw(&card.id, raw.clone())
    };
    state.engine.generate(job).await.map_err(failed)
}

/// The alternatives to report; candidates are compared by their log-probabilities.
fn reported(request: &CompletionRequest) -> Option<u8> {
    let compared = (request.candidates() > request.n.unwrap_or(1)).then_some(0);
    request.logprobs.map(|n| u8::try_from(n).unwrap_or(5)).or(compared)
}

/// An answer of no tokens, which nothing has to be computed for.
fn nothing(prompt: u32) -> EventStream {
    let usage = Usage { prompt, ..Usage::default() };
    let end = Event::Finished { reason: FinishReason::Length, usage, timings: Timings::default() };
    stream::iter([Ok(Event::Started { usage }), Ok(end)]).boxed()
}

/// More answers than the engine can ever hold at once would be refused for ever, and sent again for ever.
fn fits_queue(state: &State, request: &CompletionRequest, prompts: usize) -> Result<(), ApiError> {
    let jobs = request.candidates().saturating_mul(i64::try_from(prompts).unwrap_or(i64::MAX));
    match state.engine.load().capacity {
        Some(most) if jobs > i64::from(most) => {
            let param = if request.candidates() > i64::from(most) { "n" } else { "prompt" };
            let message =
                format!("Invalid '{param}': this server takes at most {most} answers at once, but got {jobs}.");
            Err(ApiError::invalid(param, message))
        }
        _ => Ok(()),
    }
}

/// An engine does not know which of the prompts it got.
fn in_prompt(mut error: ApiError, path: &str) -> ApiError {
    if matches!(error.param.as_deref(), Some("messages" | "prompt")) {
        error.param = Some(path.to_owned());
    }
    error
}
