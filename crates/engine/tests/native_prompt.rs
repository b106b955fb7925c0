//! Prompts with pictures and clips against transformers' processor: the text, the tokens, the counts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod native_common;

use std::sync::Arc;

use futures::StreamExt;
use native_common::*;
use vlgate_engine::{
    Conversation, Engine, Event, Job, LocalEngine, Message, ModelCard, ModelDir, Part, Prompt, Role, Sampling,
};
use vlgate_media::Clip;

/// A case's messages as a conversation, with its pictures and clips.
fn conversation(case: &Case) -> Conversation {
    let mut frames = case.frames().into_iter();
    let message = |m: &serde_json::Value| {
        let role = match m["role"].as_str().unwrap() {
            "system" => Role::System,
            "assistant" => Role::Assistant,
            _ => Role::User,
        };
        if let Some(text) = m["content"].as_str() {
            return Message::text(role, text);
        }
        let parts = m["content"].as_array().unwrap().iter().map(|c| match c["type"].as_str().unwrap() {
            "text" => Part::Text(c["text"].as_str().unwrap().into()),
            "image" => Part::Image(Arc::new(frames.next().unwrap()[0].clone())),
            _ => {
                let frames = frames.by_ref().flatten().collect();
                Part::Video(Arc::new(Clip { frames, stamps: case.stamps(), hash: [0; 32] }))
            }
        });
        Message::new(role, parts.collect())
    };
    let messages = case.json["messages"].as_array().unwrap().iter().map(message).collect();
    Conversation { messages, ..Conversation::default() }
}

fn parts(conversation: &Conversation) -> (Vec<Arc<vlgate_media::Picture>>, Vec<Arc<Clip>>) {
    let (mut images, mut clips) = (Vec::new(), Vec::new());
    for part in conversation.messages.iter().flat_map(|m| &m.parts) {
        match part {
            Part::Image(p) => images.push(Arc::clone(p)),
            Part::Video(c) => clips.push(Arc::clone(c)),
            Part::Text(_) => {}
        }
    }
    (images, clips)
}

#[test]
fn tokens_are_the_processors() {
    let dir = ModelDir::open(&folders("random-tiny").0).unwrap();
    for case in cases("random-tiny") {
        let conversation = conversation(&case);
        let (images, clips) = parts(&conversation);
        let prompt = Prompt::new(&dir, &conversation, images, clips).unwrap();
        assert_eq!(prompt.tokens, case.tokens(), "{}", case.name);
        let pads: u32 = case.pairs().iter().map(|g| (g.0 * g.1 / 4) as u32).sum();
        let of = if case.is_video() { prompt.count.video } else { prompt.count.image };
        assert_eq!((prompt.count.prompt, of), (case.tokens().len() as u32, pads));
        if !case.is_video() {
            assert_eq!(prompt.text, case.json["prompt"].as_str().unwrap());
        }
    }
}

/// For a runtime of pictures: the same stamps, one frame of each pair, and as many tokens; they count as a clip's.
#[test]
fn a_clip_becomes_the_first_frame_of_each_pair() {
    let dir = ModelDir::open(&folders("random-tiny").0).unwrap();
    let case = case("random-tiny", "video");
    let conversation = conversation(&case);
    let (images, clips) = parts(&conversation);
    let pairs = Prompt::new(&dir, &conversation, images, clips.clone()).unwrap();
    let stills = Prompt::of_stills(&dir, &conversation).unwrap();
    let firsts: Vec<_> = clips[0].frames.iter().step_by(2).map(|f| f.hash).collect();
    assert_eq!(stills.images.iter().map(|p| p.hash).collect::<Vec<_>>(), firsts);
    assert!(stills.clips.is_empty());
    assert_eq!((stills.count, stills.tokens.len()), (pairs.count, pairs.tokens.len()));
    let video = dir.video_token.unwrap();
    let as_images = pairs.tokens.iter().map(|t| if *t == video { dir.image_token } else { *t });
    assert_eq!(stills.tokens, as_images.collect::<Vec<_>>());
}

/// Through the engine's front: a clip's answer, its usage, and the same again from the cache.
#[tokio::test]
async fn a_clip_is_answered_with_its_usage() {
    let dir = Arc::new(ModelDir::open(&folders("random-tiny").0).unwrap());
    let card = ModelCard {
        id: "tiny".into(),
        created: 0,
        context_length: 4096,
        vision: Some(dir.vision),
        video: true,
        thinking: false,
        quantization: "none".into(),
        runtime: "native".into(),
        defaults: Sampling::default(),
    };
    let engine = LocalEngine::new(card, Arc::clone(&dir), runtime(options("random-tiny")));
    let case = case("random-tiny", "video");
    for cached in [0, case.tokens().len() as u32 - 1] {
        let mut job = Job::new("tiny", conversation(&case));
        job.sampling.temperature = Some(0.0);
        (job.max_tokens, job.ignore_eos) = (Some(24), true);
        let mut text = String::new();
        let mut events = engine.generate(job).await.unwrap();
        let usage = loop {
            match events.next().await.unwrap().unwrap() {
                Event::Text { delta, .. } => text.push_str(&delta),
                Event::Finished { usage, .. } => break usage,
                _ => {}
            }
        };
        assert_eq!((usage.prompt, usage.video, usage.image), (case.tokens().len() as u32, 12, 0));
        assert_eq!((usage.completion, usage.cached), (24, cached));
        assert_eq!(text, case.json["greedy_text"].as_str().unwrap());
    }
}
