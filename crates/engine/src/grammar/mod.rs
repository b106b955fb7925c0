//! Answers held to a form while they are sampled, with llguidance: `response_format`, `guided_*`, and tool calls.
//!
//! Grammars are compiled on a thread of their own with a stack that deep ones fit, under llguidance's limits, and kept
//! (the last 32, by their text). A compiled grammar's copy for a job has caches of its own, so jobs do not share locks.

mod constraint;
mod lark;
mod trie;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use llguidance::{
    Matcher, ParserFactory, TokenParser,
    api::TopLevelGrammar,
    toktrie::{InferenceCapabilities, TokEnv},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

pub use self::constraint::{Constraint, Failure};
use self::lark::MAX_CALLS;
use crate::{
    contract::{EngineError, Format, Job, ToolSpec},
    model_dir::ModelDir,
};

/// Compiled grammars that are kept.
const KEPT: usize = 32;
/// A grammar's text beyond this is not compiled.
const MAX_TEXT: usize = 1 << 20;
/// A caller's own Lark grammar beyond this is not compiled: its compiler recurses over it.
const MAX_LARK: usize = 64 << 10;
/// Grammars that are compiled at once.
const AT_ONCE: usize = 2;
const COMPILE_TIME: Duration = Duration::from_secs(10);
/// Address space, not memory: only the pages that a deep grammar touches are taken.
const STACK: usize = 256 << 20;

/// One model's grammars.
pub struct Grammars {
    model: Arc<ModelDir>,
    factory: OnceLock<Option<ParserFactory>>,
    kept: Mutex<VecDeque<(String, TokenParser)>>,
    permits: Arc<Semaphore>,
}

impl Grammars {
    /// Nothing is built before a job needs it.
    #[must_use]
    pub fn new(model: Arc<ModelDir>) -> Arc<Self> {
        Arc::new(Self {
            model,
            factory: OnceLock::new(),
            kept: Mutex::default(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// What a job is held to; `None` for free text without tools. `thinking`: its prompt leaves a `<think>` open.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] with the path of the schema that cannot be compiled.
    pub async fn constraint(self: &Arc<Self>, job: &Job, thinking: bool) -> Result<Option<Constraint>, EngineError> {
        let wanted = Wanted::of(job);
        if wanted.format == Format::Text && wanted.tools.is_empty() {
            return Ok(None);
        }
        let busy = || EngineError::NotReady("too many grammars are being compiled".into());
        let permit = tokio::time::timeout(COMPILE_TIME, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = permit else { return Err(busy()) };
        let grammars = Arc::clone(self);
        let (send, receive) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("grammar".into()).stack_size(STACK).spawn(move || {
            let _ = send.send(grammars.build(&wanted, thinking));
            // Held to the end of the work, not of the waiting.
            drop(permit);
        });
        thread.map_err(|e| EngineError::Failed(format!("no thread to compile a grammar: {e}")))?;
        match tokio::time::timeout(COMPILE_TIME, receive).await {
            Ok(Ok(done)) => done.map(Some),
            Ok(Err(_)) => Err(invalid("The grammar could not be compiled.", "response_format")),
            Err(_) => Err(invalid("The grammar takes too long to compile.", "response_format")),
        }
    }

    fn build(&self, wanted: &Wanted, thinking: bool) -> Result<Constraint, EngineError> {
        let environment = self.environment()?;
        let (mut answer, mut body) = (None, None);
        let path = wanted.path();
        if let Format::Lark(text) = &wanted.format {
            if !wanted.tools.is_empty() {
                return Err(invalid("A grammar cannot be combined with tools.", path));
            }
            bounded(text).map_err(|e| invalid(&e, path))?;
            answer = Some(self.compile(text.clone()).map_err(|e| invalid(&format!("Invalid grammar: {e}"), path))?);
        } else if wanted.tools.is_empty() {
            let rule = lark::answer(&wanted.format).unwrap_or_default();
            answer = Some(self.compile(format!("start: answer\n{rule}")).map_err(|e| wanted.refuse(&e))?);
        } else {
            let many = if wanted.parallel { format!(" (\"\\n\" call){{0,{}}}", MAX_CALLS - 1) } else { String::new() };
            let form = lark::answer(&wanted.format).filter(|_| !wanted.required);
            let whole = |rules: &str| match &form {
                _ if wanted.required => format!("start: call{many}\n{rules}"),
                Some(form) => format!("start: answer | call{many}\n{form}{rules}"),
                None => format!("start: body\n{rules}"),
            };
            let all: Vec<_> = wanted.tools.iter().map(|(_, tool)| (tool, arguments(tool))).collect();
            let parser = match self.compile(whole(&lark::calls(&all, &self.call_marks()))) {
                Ok(parser) => parser,
                // Which part was it?
                Err(_) => {
                    if let Some(form) = &form {
                        self.compile(format!("start: answer\n{form}")).map_err(|e| wanted.refuse(&e))?;
                    }
                    let failed =
                        |e: String| invalid(&format!("The tools cannot be compiled to a grammar: {e}"), "tools");
                    self.compile(whole(&self.calls(wanted)?)).map_err(failed)?
                }
            };
            if wanted.required || form.is_some() {
                answer = Some(parser);
            } else {
                body = Some(parser);
            }
        }
        let matcher = |parser: TokenParser| Matcher::new(Ok(parser));
        let may_think = self.model.thinks && wanted.may_think;
        Ok(Constraint::new(
            environment,
            self.marks(),
            answer.map(matcher),
            body.map(matcher),
            wanted.parallel,
            thinking,
            may_think,
        ))
    }

    /// The rules of the calls that may be made, where one of the tools' schemas cannot be enforced: a strict tool is
    /// refused with its place, another's arguments are any object.
    fn calls(&self, wanted: &Wanted) -> Result<String, EngineError> {
        let mut tools = Vec::with_capacity(wanted.tools.len());
        for (index, tool) in &wanted.tools {
            let rule = arguments(tool);
            match self.compile(format!("start: %json {rule}")) {
                Ok(_) => tools.push((tool, rule)),
                Err(_) if !tool.strict => tools.push((tool, lark::json_rule(&json!({"type": "object"}), true, true))),
                Err(error) => {
                    let message = format!("Invalid schema for function '{}': {error}", tool.name);
                    return Err(invalid(&message, &format!("tools[{index}].function.parameters")));
                }
            }
        }
        Ok(lark::calls(&tools, &self.call_marks()))
    }

    fn call_marks(&self) -> lark::Marks {
        let mark = |text: &str| match self.model.tokenizer.token_to_id(text) {
            Some(_) => text.to_owned(),
            None => Value::from(text).to_string(),
        };
        lark::Marks { open: mark("<tool_call>"), close: mark("</tool_call>") }
    }

    fn marks(&self) -> constraint::Marks {
        let id = |text: &str| self.model.tokenizer.token_to_id(text);
        // "Ċ" is byte-level BPE's line break.
        constraint::Marks { think_open: id("<think>"), newline: ["ĊĊ", "Ċ"].iter().filter_map(|t| id(t)).collect() }
    }

    fn environment(&self) -> Result<TokEnv, EngineError> {
        let factory = self.factory()?;
        Ok(factory.tok_env().clone())
    }

    fn factory(&self) -> Result<&ParserFactory, EngineError> {
        let made = self.factory.get_or_init(|| {
            let environment = trie::environment(&self.model.tokenizer, &self.model.eos)?;
            let slices = llguidance::earley::SlicedBiasComputer::json_slices();
            let mut factory = ParserFactory::new(&environment, InferenceCapabilities::default(), &slices).ok()?;
            factory.quiet();
            let limits = factory.limits_mut();
            limits.max_grammar_size = 100_000;
            // About 1.5 kB each, a job.
            limits.max_lexer_states = 25_000;
            limits.verbose_errors = false;
            Some(factory)
        });
        made.as_ref().ok_or_else(|| EngineError::Failed("no grammar can be used with this tokenizer".into()))
    }

    /// A parser of its own for a grammar's text.
    fn compile(&self, text: String) -> Result<TokenParser, String> {
        if text.len() > MAX_TEXT {
            return Err("it is too large".into());
        }
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut kept = kept();
            if let Some(at) = kept.iter().position(|(known, _)| *known == text)
                && let Some(entry) = kept.remove(at)
            {
                let parser = entry.1.deep_clone();
                kept.push_back(entry);
                return Ok(parser);
            }
        }
        let factory = self.factory().map_err(|e| e.to_string())?;
        let grammar = TopLevelGrammar::from_lark(text.clone());
        let mut parser = factory.create_parser(grammar).map_err(|e| plain(&format!("{e:#}")))?;
        // A grammar that nothing satisfies is found now, not in the middle of the answer.
        parser.start_without_prompt();
        let copy = parser.deep_clone();
        parser.compute_mask().map_err(|_| "nothing satisfies it".to_owned())?;
        let mut kept = kept();
        if text.len() <= MAX_LARK {
            if kept.len() >= KEPT {
                kept.pop_front();
            }
            kept.push_back((text, copy.deep_clone()));
        }
        Ok(copy)
    }
}

/// What a tool's arguments are held to: its schema, strictly or with what llguidance can enforce of it, and no
/// arguments where it has none.
fn arguments(tool: &ToolSpec) -> Value {
    let Some(schema) = &tool.parameters else {
        return lark::json_rule(&json!({"type": "object", "additionalProperties": false}), true, true);
    };
    let mut rule = lark::json_rule(schema, true, !tool.strict);
    if let Value::Object(map) = &mut rule {
        map.entry("type").or_insert_with(|| "object".into());
    }
    rule
}

/// llguidance's message without our grammar's text and the places in it.
fn plain(error: &str) -> String {
    let text = error.lines().next().unwrap_or_default();
    let text = text.strip_prefix("at ").and_then(|t| t.split_once("): ")).map_or(text, |(_, rest)| rest);
    let text = text.strip_prefix("failed to compile JSON schema: ").unwrap_or(text);
    text.chars().take(300).collect()
}

/// A caller's grammar is compiled by recursion over it.
fn bounded(text: &str) -> Result<(), String> {
    if text.len() > MAX_LARK {
        return Err(format!("Invalid grammar: at most {MAX_LARK} bytes are accepted."));
    }
    let (mut depth, mut nots) = (0i32, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '~' => nots += 1,
            _ => {}
        }
        if depth > 200 || nots > 200 {
            return Err("Invalid grammar: it is nested too deeply.".into());
        }
    }
    Ok(())
}

fn invalid(message: &str, param: &str) -> EngineError {
    EngineError::Invalid { message: message.to_owned(), param: Some(param.to_owned()) }
}

/// What of a job its grammar depends on.
struct Wanted {
    format: Format,
    /// With their places in the request.
    tools: Vec<(usize, ToolSpec)>,
    required: bool,
    parallel: bool,
    may_think: bool,
}

impl Wanted {
    fn of(job: &Job) -> Self {
        let allowed = |tool: &ToolSpec| job.tools.allowed.as_ref().is_none_or(|names| names.contains(&tool.name));
        Self {
            format: job.format.clone(),
            tools: job.conversation.tools.iter().cloned().enumerate().filter(|(_, tool)| allowed(tool)).collect(),
            required: job.tools.required,
            parallel: job.tools.parallel,
            may_think: job.conversation.template.enable_thinking != Some(false),
        }
    }

    const fn path(&self) -> &'static str {
        match self.format {
            Format::Regex(_) => "guided_regex",
            Format::Choice(_) => "guided_choice",
            Format::Lark(_) => "guided_grammar",
            _ => "response_format.json_schema.schema",
        }
    }

    fn refuse(&self, error: &str) -> EngineError {
        let what = match self.format {
            Format::Regex(_) => "regular expression",
            Format::Choice(_) => "choice",
            _ => "schema",
        };
        invalid(&format!("Invalid {what}: {error}"), self.path())
    }
}
