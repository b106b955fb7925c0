//! Answers of a model that says what it likes, held to a form: the sampler, the grammars, the parsing and the
//! delivery together, as every runtime has them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod scripted;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver};
use vlgate_engine::{
    Conversation, Engine, EngineError, Event, FinishReason, Format, Job, Load, LocalEngine, Message, ModelDir,
    Prepared, Role, Runtime, Sampling, Step, ToolPolicy, ToolSpec, Usage,
};

use scripted::{card, fixture};

/// A model that wants to say `script`, and otherwise anything.
struct Wilful {
    script: Vec<u32>,
    vocabulary: usize,
}

#[async_trait]
impl Runtime for Wilful {
    async fn start(&self, mut job: Prepared) -> Result<UnboundedReceiver<Step>, EngineError> {
        let (send, steps) = mpsc::unbounded_channel();
        let (script, vocabulary) = (self.script.clone(), self.vocabulary);
        std::thread::spawn(move || {
            let _ = send.send(Step::Prefill { cached: 0 });
            let mut state = job.tokens.iter().fold(7u64, |h, t| h.wrapping_mul(31).wrapping_add(u64::from(*t)));
            let mut at = 0;
            for _ in 0..job.max_tokens {
                let mut logits: Vec<f32> = (0..vocabulary)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        (state >> 40) as f32 / (1u64 << 24) as f32
                    })
                    .collect();
                if let Some(id) = script.get(at) {
                    logits[*id as usize] = 60.0;
                }
                let Some(token) = job.sampler.choose(&mut logits) else { break };
                at += usize::from(script.get(at) == Some(&token.id));
                if send.send(Step::Token(token)).is_err() {
                    return;
                }
            }
            let _ = send.send(Step::End);
        });
        Ok(steps)
    }

    fn load(&self) -> Load {
        Load::default()
    }
}

fn engine_at(folder: &Path, script: &str) -> LocalEngine<Wilful> {
    let model = Arc::new(ModelDir::open(folder).unwrap());
    let script = model.tokenizer.encode(script, false).unwrap().get_ids().to_vec();
    // A few rows more than tokens, as real embeddings have.
    let vocabulary = model.tokenizer.get_vocab_size(true) + 26;
    LocalEngine::new(card(&model), model, Wilful { script, vocabulary })
}

fn engine(script: &str) -> LocalEngine<Wilful> {
    engine_at(&fixture(), script)
}

#[derive(Debug, Default)]
struct Answer {
    text: String,
    reasoning: String,
    calls: Vec<(String, String)>,
    logprobs: Vec<Vec<u8>>,
    reason: Option<FinishReason>,
    usage: Usage,
}

async fn ask(engine: &LocalEngine<Wilful>, change: impl FnOnce(&mut Job)) -> Result<Answer, EngineError> {
    let conversation = Conversation { messages: vec![Message::text(Role::User, "hi")], ..Conversation::default() };
    let mut job = Job::new("m", conversation);
    job.max_tokens = Some(400);
    job.sampling = Sampling { temperature: Some(2.0), seed: Some(1), ..Sampling::default() };
    job.tools.parallel = true;
    change(&mut job);
    let mut answer = Answer::default();
    let mut events = engine.generate(job).await?;
    while let Some(event) = events.next().await {
        match event? {
            Event::Started { .. } => {}
            Event::Text { delta, logprobs } => {
                answer.text.push_str(&delta);
                answer.logprobs.extend(logprobs.into_iter().map(|l| l.bytes));
            }
            Event::Reasoning { delta } => answer.reasoning.push_str(&delta),
            Event::ToolCall { index, id, name } => {
                assert_eq!(index as usize, answer.calls.len());
                assert!(id.starts_with("call_") && id.len() == 29, "{id}");
                answer.calls.push((name, String::new()));
            }
            Event::ToolArguments { index, delta } => answer.calls[index as usize].1.push_str(&delta),
            Event::Finished { reason, usage, .. } => (answer.reason, answer.usage) = (Some(reason), usage),
        }
    }
    Ok(answer)
}

const STOP: Option<FinishReason> = Some(FinishReason::Stop { stop: None });

fn person() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["name", "age", "tags", "home"], "properties": {
        "name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "maxItems": 3, "items": {"enum": ["a", "b c", "é"]}},
        "home": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/place"}]}},
        "$defs": {"place": {"type": "object", "additionalProperties": false, "required": ["x"], "properties": {"x": {"type": "boolean"}}}}})
}

fn is_person(text: &str) -> bool {
    let Ok(v) = serde_json::from_str::<Value>(text) else { return false };
    let home = &v["home"];
    v.as_object().is_some_and(|o| o.len() == 4)
        && v["name"].as_str().is_some_and(|n| n.chars().count() <= 12)
        && v["age"].as_i64().is_some_and(|n| (0..=150).contains(&n))
        && v["tags"].as_array().is_some_and(|t| {
            t.len() <= 3 && t.iter().all(|t| ["a", "b c", "é"].contains(&t.as_str().unwrap_or_default()))
        })
        && (home.is_null() || home.as_object().is_some_and(|o| o.len() == 1 && o["x"].is_boolean()))
}

fn schema(schema: Value) -> Format {
    Format::JsonSchema { schema, strict: true }
}

#[tokio::test]
async fn an_answer_is_always_of_its_schema_at_any_temperature_whatever_the_model_wants() {
    let engine = engine("I would rather chat, and <|im_end|> now");
    for seed in 0..40 {
        let answer = ask(&engine, |job| {
            job.format = schema(person());
            job.sampling.seed = Some(seed);
            job.sampling.temperature = Some(if seed % 3 == 0 { 0.0 } else { 2.0 });
        });
        let answer = answer.await.unwrap();
        assert_eq!(answer.reason, STOP, "{answer:?}");
        assert!(is_person(&answer.text), "{}", answer.text);
    }
    let cut = ask(&engine, |job| {
        job.format = schema(person());
        job.max_tokens = Some(4);
    });
    assert_eq!(cut.await.unwrap().reason, Some(FinishReason::Length));
}

#[tokio::test]
async fn bans_and_biases_do_not_break_a_form() {
    let engine = engine("");
    for ignore_eos in [false, true] {
        let answer = ask(&engine, |job| {
            job.format = schema(person());
            job.ignore_eos = ignore_eos;
            job.sampling.logit_bias = (0..1300).map(|id| (id, if id % 2 == 0 { -100.0 } else { 0.0 })).collect();
            job.sampling.top_k = Some(1);
        });
        let answer = answer.await.unwrap();
        assert!(is_person(&answer.text) && answer.reason == STOP, "{answer:?}");
    }
}

#[tokio::test]
async fn objects_regular_expressions_choices_and_grammars() {
    let engine = engine("chatter");
    let one = async |format: Format, seed: i64| {
        ask(&engine, |job| {
            job.format = format;
            job.sampling.seed = Some(seed);
        })
        .await
        .unwrap()
    };
    for seed in 0..6 {
        let object = one(Format::JsonObject, seed).await;
        assert!(
            object.reason != STOP || serde_json::from_str::<serde_json::Map<_, _>>(&object.text).is_ok(),
            "{}",
            object.text
        );
        let plate = one(Format::Regex("[A-Z]{2}/[0-9]{1,4}\\.x?".into()), seed).await;
        let (letters, digits) = plate.text.split_once('/').unwrap();
        assert!(letters.len() == 2 && letters.chars().all(|c| c.is_ascii_uppercase()), "{}", plate.text);
        assert!(digits.trim_end_matches('x').strip_suffix('.').unwrap().parse::<u32>().is_ok(), "{}", plate.text);
        let texts = ["yes", "no (really)", "say \"a|b\"\n/c\\d", "né"].map(str::to_owned);
        let choice = one(Format::Choice(texts.to_vec()), seed).await;
        assert!(texts.contains(&choice.text), "{:?}", choice.text);
        let sum = one(Format::Lark("start: NUMBER (\"+\" NUMBER)*\nNUMBER: /[0-9]{1,2}/\n".into()), seed).await;
        assert!(sum.text.split('+').all(|n| n.parse::<u32>().is_ok()), "{}", sum.text);
    }
}

#[tokio::test]
async fn what_cannot_be_enforced_is_refused_with_its_place() {
    let engine = engine("");
    for (format, param) in [
        (
            schema(
                json!({"type": "object", "properties": {"a": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}}),
            ),
            "response_format.json_schema.schema",
        ),
        (schema(json!({"$ref": "#/$defs/none"})), "response_format.json_schema.schema"),
        (schema(json!({"type": "string", "pattern": "(?=a)b"})), "response_format.json_schema.schema"),
        (schema(json!({"type": "integer", "minimum": 5, "maximum": 1})), "response_format.json_schema.schema"),
        (Format::Regex("(".into()), "guided_regex"),
        (Format::Regex("a/b)(".into()), "guided_regex"),
        (Format::Lark("start: nothing".into()), "guided_grammar"),
        (Format::Lark("no".into()), "guided_grammar"),
    ] {
        let refused = ask(&engine, |job| job.format = format.clone()).await;
        match refused {
            Err(EngineError::Invalid { param: Some(p), message }) => {
                assert_eq!(p, param);
                assert!(
                    message.len() > 20 && !message.contains("x-guidance") && !message.contains("panick"),
                    "{message}"
                );
            }
            other => panic!("{format:?}: {other:?}"),
        }
    }
    // Without `strict` what cannot be enforced is left out, and the rest holds.
    let lenient = json!({"type": "object", "properties": {"a": {"oneOf": [{"type": "integer"}, {"type": "null"}]}}, "required": ["a"], "additionalProperties": false});
    let answer = ask(&engine, |job| job.format = Format::JsonSchema { schema: lenient, strict: false }).await.unwrap();
    let value: Value = serde_json::from_str(&answer.text).unwrap();
    assert!(value["a"].is_i64() || value["a"].is_null() || value["a"].is_u64(), "{value}");
}

/// Each made to take for ever, or all memory, or the stack.
#[tokio::test]
async fn hostile_grammars_end_soon() {
    let engine = engine("");
    let chain: String = (0..3000).map(|i| format!("r{i}: r{}\n", i + 1)).collect();
    let mut deep = json!({"type": "string"});
    for _ in 0..110 {
        deep = json!({"type": "array", "items": deep});
    }
    let huge: Vec<String> = (0..15_000).map(|i| format!("value number {i}")).collect();
    let many: serde_json::Map<_, _> =
        (0..3000).map(|i| (format!("p{i}"), json!({"anyOf": [{"type": "string"}, {"type": "integer"}]}))).collect();
    let all_of: Vec<Value> = (0..24).map(|i| json!({"anyOf": [{"properties": {(format!("a{i}")): {"type": "string"}}}, {"properties": {(format!("b{i}")): {"type": "string"}}}]})).collect();
    for (name, format) in [
        ("repeats", Format::Regex("((a{1,1000}){1,1000}){1,1000}b".into())),
        ("nesting", Format::Regex("(".repeat(5000) + "a" + &")".repeat(5000))),
        ("backtracking", Format::Regex("(a|a|aa)*(a|a|aa)*(a|a|aa)*$".into())),
        ("lark nesting", Format::Lark(format!("start: {}\"a\"{}", "(".repeat(5000), ")".repeat(5000)))),
        ("lark nots", Format::Lark(format!("start: A\nA: {}\"a\"", "~".repeat(5000)))),
        ("lark chain", Format::Lark(format!("start: r0\n{chain}r3000: \"a\""))),
        ("lark loop", Format::Lark("start: a\na: a a | \"x\"".into())),
        ("lark size", Format::Lark(format!("start: \"{}\"", "a".repeat(100_000)))),
        ("deep", schema(deep)),
        ("huge", schema(json!({"enum": huge}))),
        ("many", schema(json!({"type": "object", "properties": many}))),
        ("product", schema(json!({"type": "object", "allOf": all_of}))),
        (
            "items",
            schema(
                json!({"type": "array", "minItems": 1_000_000, "items": {"type": "array", "minItems": 1_000_000, "items": {}}}),
            ),
        ),
        ("length", schema(json!({"type": "string", "minLength": 1_000_000_000}))),
        ("recursion", schema(json!({"$ref": "#"}))),
        ("multiple", schema(json!({"type": "number", "multipleOf": 1e-300}))),
    ] {
        let began = Instant::now();
        let answer = ask(&engine, |job| {
            job.format = format;
            job.max_tokens = Some(8);
        });
        let answer = tokio::time::timeout(Duration::from_secs(60), answer).await;
        println!(
            "{name}: {:?} {:?}",
            began.elapsed(),
            answer.as_ref().map(|a| a.as_ref().err().map(|e| e.to_string().chars().take(120).collect::<String>()))
        );
        assert!(answer.is_ok(), "{name}");
    }
    // And the engine is well.
    assert!(is_person(&ask(&engine, |job| job.format = schema(person())).await.unwrap().text));
}

fn tool(name: &str, parameters: Value, strict: bool) -> ToolSpec {
    ToolSpec { name: name.into(), description: None, parameters: Some(parameters), strict }
}

fn point() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["x", "y"], "properties": {
        "x": {"type": "integer", "minimum": 0, "maximum": 1000}, "y": {"type": "integer", "minimum": 0, "maximum": 1000}}})
}

fn is_point(text: &str) -> bool {
    let value: Value = serde_json::from_str(text).unwrap_or_default();
    value.as_object().is_some_and(|o| o.len() == 2)
        && ["x", "y"].iter().all(|k| value[k].as_i64().is_some_and(|n| (0..=1000).contains(&n)))
}

#[tokio::test]
async fn a_required_call_is_made_and_is_valid_whatever_the_model_wants() {
    let engine = engine("No, I will not call anything.");
    for seed in 0..20 {
        let answer = ask(&engine, |job| {
            job.conversation.tools = vec![tool("click", point(), true), tool("wait", json!({}), false)];
            job.tools = ToolPolicy { required: true, allowed: Some(vec!["click".into()]), parallel: seed % 2 == 0 };
            job.sampling.seed = Some(seed);
            job.logprobs = Some(1);
        });
        let answer = answer.await.unwrap();
        assert_eq!((answer.text.as_str(), answer.logprobs.len()), ("", 0));
        assert!(!answer.calls.is_empty() && (seed % 2 == 0 || answer.calls.len() == 1), "{answer:?}");
        let (last, whole) = answer.calls.split_last().unwrap();
        assert!(whole.iter().all(|c| c.0 == "click" && is_point(&c.1)), "{answer:?}");
        if answer.reason != Some(FinishReason::Length) {
            assert_eq!(answer.reason, Some(FinishReason::ToolCalls));
            assert!(is_point(&last.1), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn under_auto_text_is_free_and_a_call_is_held_to_its_schema_from_its_mark_on() {
    let said = "Let me see.\n<tool_call>\n{\"name\": \"clack\", \"arguments\": {\"x\": 5000}}\n</tool_call>";
    let engine = engine(said);
    for parallel in [false, true] {
        let answer = ask(&engine, |job| {
            job.conversation.tools = vec![tool("click", point(), true)];
            job.tools.parallel = parallel;
            job.logprobs = Some(0);
            job.max_tokens = Some(60);
        });
        let answer = answer.await.unwrap();
        assert!(answer.text.starts_with("Let me see."), "{answer:?}");
        assert!(answer.calls[0].0 == "click" && is_point(&answer.calls[0].1), "{answer:?}");
        if !parallel {
            assert_eq!((answer.text.as_str(), answer.reason), ("Let me see.", Some(FinishReason::ToolCalls)));
            let spoken = String::from_utf8(answer.logprobs.concat()).unwrap();
            assert!(spoken.starts_with("Let me see.") && !spoken.contains("tool"), "{spoken}");
        }
    }
    // A tool that is not strict is held to what of its schema can be held; an unknown name is impossible.
    let odd = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"], "additionalProperties": false, "not": {"required": ["q"]}});
    let answer = ask(&engine, |job| {
        job.conversation.tools = vec![tool("other", odd, false)];
        job.tools.parallel = false;
    });
    let answer = answer.await.unwrap();
    assert!(
        answer.calls[0].0 == "other" && serde_json::from_str::<serde_json::Map<_, _>>(&answer.calls[0].1).is_ok(),
        "{answer:?}"
    );
    // A strict one whose schema cannot be held is refused.
    let refused = ask(&engine, |job| {
        job.conversation.tools = vec![
            tool("a", point(), true),
            tool(
                "b",
                json!({"type": "object", "properties": {"x": {"oneOf": [{"type": "integer"}, {"type": "number"}]}}}),
                true,
            ),
        ];
    });
    let Err(EngineError::Invalid { param, .. }) = refused.await else { panic!("it was taken") };
    assert_eq!(param.as_deref(), Some("tools[1].function.parameters"));
}

#[tokio::test]
async fn a_form_and_tools_together_give_one_or_the_other() {
    let (mut calls, mut objects) = (0, 0);
    for (seed, script) in (0..12).zip(["<tool_call>", "{"].into_iter().cycle()) {
        let engine = engine(script);
        let answer = ask(&engine, |job| {
            job.format = schema(person());
            job.conversation.tools = vec![tool("click", point(), true)];
            job.tools.parallel = false;
            job.sampling.seed = Some(seed);
        });
        let answer = answer.await.unwrap();
        if answer.calls.is_empty() {
            assert!(is_person(&answer.text), "{answer:?}");
            objects += 1;
        } else {
            assert!(is_point(&answer.calls[0].1) && answer.text.is_empty(), "{answer:?}");
            calls += 1;
        }
    }
    assert_eq!((calls, objects), (6, 6));
}

/// The fixture with a template that opens `<think>`, as the thinking models' does, or one that leaves it to the model.
fn thinking(opens: bool) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("vlgate-thinking-{}-{opens}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["config.json", "tokenizer.json", "preprocessor_config.json", "generation_config.json"] {
        std::fs::copy(fixture().join(name), folder.join(name)).unwrap();
    }
    let template = std::fs::read_to_string(fixture().join("chat_template.jinja")).unwrap();
    let (head, tail) = template.rsplit_once("'<|im_start|>assistant\\n'").unwrap();
    let opening = if opens { "'<|im_start|>assistant\\n<think>\\n'" } else { "'<|im_start|>assistant\\n'" };
    std::fs::write(folder.join("chat_template.jinja"), format!("{head}{opening}{tail}{{# <think> #}}")).unwrap();
    folder
}

#[tokio::test]
async fn reasoning_is_apart_counted_and_free_and_the_form_holds_behind_it() {
    for (opens, said) in
        [(true, "I reason {freely}.\n</think>\n\nNo JSON"), (false, "<think>\nI reason {freely}.\n</think>\n\nNo JSON")]
    {
        let engine = engine_at(&thinking(opens), said);
        let answer = ask(&engine, |job| {
            job.format = schema(person());
            job.sampling.temperature = Some(0.0);
            job.logprobs = Some(0);
        });
        let answer = answer.await.unwrap();
        assert_eq!(answer.reasoning, "I reason {freely}.", "{answer:?}");
        assert!(is_person(&answer.text) && answer.reason == STOP, "{answer:?}");
        assert!(answer.usage.reasoning > 5 && answer.usage.reasoning < answer.usage.completion, "{answer:?}");
        assert_eq!(String::from_utf8(answer.logprobs.concat()).unwrap().trim_start(), answer.text);
        let free = ask(&engine, |job| {
            job.sampling.temperature = Some(0.0);
            job.max_tokens = Some(answer.usage.reasoning + 4);
            job.stop = vec!["reason".into()];
        });
        let free = free.await.unwrap();
        assert!(free.reasoning == "I reason {freely}." && free.text.starts_with("No"), "{free:?}");
    }
    let engine = engine_at(&thinking(true), "The answer.<|im_end|>");
    let answer = ask(&engine, |job| job.conversation.template.enable_thinking = Some(false)).await.unwrap();
    assert_eq!((answer.reasoning.as_str(), answer.text.as_str(), answer.usage.reasoning), ("", "The answer.", 0));
    // Calls in the reasoning are not calls; behind it they are, and the grammar holds.
    let engine = engine_at(&thinking(true), "maybe <tool_call>\n</think>\n\n<tool_call>\n{\"name\": \"x\"");
    let answer = ask(&engine, |job| {
        job.conversation.tools = vec![tool("click", point(), true)];
        job.tools.parallel = false;
    });
    let answer = answer.await.unwrap();
    assert_eq!((answer.reasoning.as_str(), answer.calls.len()), ("maybe <tool_call>", 1));
    assert!(is_point(&answer.calls[0].1) && answer.reason == Some(FinishReason::ToolCalls), "{answer:?}");
}
