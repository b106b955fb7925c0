//! One answer's constraint while it is sampled: free reasoning, then the grammar, or free text with calls in it.

use std::sync::{Arc, Mutex, PoisonError};

use llguidance::{Matcher, toktrie::TokEnv};

use super::lark::MAX_CALLS;

/// Why a constraint gave up; read by whoever delivers the answer.
pub type Failure = Arc<Mutex<Option<String>>>;

/// Marks in the text that change what holds, and the tokens that are them.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    pub think_open: Option<u32>,
    pub newline: Vec<u32>,
}

/// What holds at this place of the answer.
enum Phase {
    /// The model may open `<think>` itself, or begin the answer.
    Start,
    /// Free until `</think>`.
    Thinking,
    /// Directly behind `</think>`: the model writes line breaks there, then the answer.
    Gap,
    /// Free text until `<tool_call>`.
    Free,
    /// The grammar of the answer.
    Answer,
    /// The grammar of a call, whose opening mark was said.
    Call(Box<Matcher>),
    /// The end is all that is left.
    Over,
}

/// The state of one job's constraint.
pub struct Constraint {
    pub(super) environment: TokEnv,
    pub(super) marks: Marks,
    /// Holds for the whole answer behind the reasoning.
    pub(super) answer: Option<Box<Matcher>>,
    /// A call's body: holds behind each `<tool_call>` of free text.
    pub(super) body: Option<Box<Matcher>>,
    pub(super) parallel: bool,
    phase: Phase,
    calls: usize,
    /// The last bytes of the answer, in which a mark may end.
    tail: Vec<u8>,
    failure: Failure,
}

impl std::fmt::Debug for Constraint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Constraint")
    }
}

const THINK_CLOSE: &[u8] = b"</think>";
const CALL_OPEN: &[u8] = b"<tool_call>";

impl Constraint {
    /// `thinking`: the prompt leaves a `<think>` open. `may_think`: the model may open one.
    pub(super) fn new(
        environment: TokEnv,
        marks: Marks,
        answer: Option<Matcher>,
        body: Option<Matcher>,
        parallel: bool,
        thinking: bool,
        may_think: bool,
    ) -> Self {
        let phase = match () {
            () if thinking => Phase::Thinking,
            () if may_think && marks.think_open.is_some() => Phase::Start,
            () if answer.is_some() => Phase::Answer,
            () => Phase::Free,
        };
        Self {
            environment,
            marks,
            answer: answer.map(Box::new),
            body: body.map(Box::new),
            parallel,
            phase,
            calls: 0,
            tail: Vec::new(),
            failure: Failure::default(),
        }
    }

    /// Where a failure will be written.
    #[must_use]
    pub fn failure(&self) -> Failure {
        Arc::clone(&self.failure)
    }

    /// Takes every token out of `logits` that may not come next. `false` when the constraint cannot go on.
    pub fn mask(&mut self, logits: &mut [f32]) -> bool {
        let also: &[u32] = match &self.phase {
            Phase::Start => self.marks.think_open.as_slice(),
            Phase::Gap => &self.marks.newline,
            _ => &[],
        };
        let matcher = match &mut self.phase {
            Phase::Call(matcher) => Some(matcher),
            Phase::Start | Phase::Gap | Phase::Answer => self.answer.as_mut(),
            Phase::Thinking | Phase::Free | Phase::Over => None,
        };
        let trie = self.environment.tok_trie();
        let Some(matcher) = matcher else {
            match self.phase {
                Phase::Over => only(logits, |id| trie.eos_tokens().contains(&id)),
                // An answer must come: the reasoning may not be the end.
                Phase::Thinking if self.answer.is_some() => ban(logits, trie.eos_tokens()),
                _ => {}
            }
            return true;
        };
        match matcher.compute_mask_or_eos() {
            Ok(mask) => {
                let size = mask.len();
                only(logits, |id| ((id as usize) < size && mask.is_allowed(id)) || also.contains(&id));
                true
            }
            Err(error) => self.fail(&error.to_string()),
        }
    }

    /// Takes the chosen token. `Some(true)` when the answer is complete with it, `None` when the constraint cannot go on.
    pub fn commit(&mut self, token: u32) -> Option<bool> {
        let environment = Arc::clone(&self.environment);
        let trie = environment.tok_trie();
        if trie.eos_tokens().contains(&token) || token as usize >= trie.vocab_size() {
            return Some(false);
        }
        let breaks = matches!(self.phase, Phase::Gap) && self.marks.newline.contains(&token) && !self.takes(token);
        match &mut self.phase {
            Phase::Start if self.marks.think_open == Some(token) => {
                self.phase = Phase::Thinking;
                Some(false)
            }
            Phase::Gap if breaks => {
                self.phase = if self.answer.is_some() { Phase::Answer } else { Phase::Free };
                Some(false)
            }
            Phase::Start | Phase::Gap if self.answer.is_some() => {
                self.phase = Phase::Answer;
                self.answered(token)
            }
            Phase::Answer => self.answered(token),
            Phase::Start | Phase::Gap => {
                self.phase = Phase::Free;
                self.free(&trie.decode_ext(&[token], true))
            }
            Phase::Free => self.free(&trie.decode_ext(&[token], true)),
            Phase::Thinking => {
                if self.meets(&trie.decode_ext(&[token], true), THINK_CLOSE).is_some() {
                    self.phase = Phase::Gap;
                }
                Some(false)
            }
            Phase::Call(matcher) => {
                if let Err(error) = matcher.consume_token(token) {
                    let text = error.to_string();
                    self.fail(&text);
                    return None;
                }
                Some(matcher.is_stopped() && self.called())
            }
            Phase::Over => Some(true),
        }
    }

    /// Whether the answer's own grammar takes this token next.
    fn takes(&mut self, token: u32) -> bool {
        self.answer.as_mut().is_some_and(|m| m.validate_tokens(&[token]).is_ok_and(|n| n == 1))
    }

    fn answered(&mut self, token: u32) -> Option<bool> {
        let Some(matcher) = &mut self.answer else { return Some(false) };
        if let Err(error) = matcher.consume_token(token) {
            let text = error.to_string();
            self.fail(&text);
            return None;
        }
        let over = matcher.is_stopped();
        if over {
            self.phase = Phase::Over;
        }
        Some(over)
    }

    /// Free text: a call may begin in it.
    fn free(&mut self, bytes: &[u8]) -> Option<bool> {
        let Some(body) = &self.body else { return Some(false) };
        let mut matcher = body.clone();
        let Some(rest) = self.meets(bytes, CALL_OPEN) else { return Some(false) };
        // What the token held behind the mark belongs to the call.
        let rest = self.environment.tok_trie().greedy_tokenize(&rest);
        let _ = matcher.try_consume_tokens(&rest);
        self.phase = Phase::Call(matcher);
        Some(false)
    }

    /// A call is complete: whether the answer is too.
    fn called(&mut self) -> bool {
        self.calls += 1;
        let over = !self.parallel || self.calls >= MAX_CALLS;
        self.phase = if over { Phase::Over } else { Phase::Free };
        over
    }

    /// Adds bytes to the tail; what comes behind `mark` when it ends in them.
    fn meets(&mut self, bytes: &[u8], mark: &[u8]) -> Option<Vec<u8>> {
        self.tail.extend_from_slice(bytes);
        let found = self.tail.windows(mark.len()).position(|w| w == mark);
        if let Some(at) = found {
            let rest = self.tail.split_off(at + mark.len());
            self.tail.clear();
            return Some(rest);
        }
        let old = self.tail.len().saturating_sub(mark.len() - 1);
        self.tail.drain(..old);
        None
    }

    fn fail(&mut self, error: &str) -> bool {
        let first = error.lines().next().unwrap_or_default().to_owned();
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(first);
        false
    }
}

fn ban(logits: &mut [f32], ids: &[u32]) {
    for id in ids {
        if let Some(logit) = logits.get_mut(*id as usize) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Leaves only these tokens; where bans and biases left none of them, they are equally likely.
fn only(logits: &mut [f32], allowed: impl Fn(u32) -> bool) {
    let mut left = false;
    for (id, logit) in logits.iter_mut().enumerate() {
        if allowed(id as u32) {
            left |= *logit > f32::NEG_INFINITY;
        } else {
            *logit = f32::NEG_INFINITY;
        }
    }
    if !left {
        for (_, logit) in logits.iter_mut().enumerate().filter(|(id, _)| allowed(*id as u32)) {
            *logit = 0.0;
        }
    }
}
