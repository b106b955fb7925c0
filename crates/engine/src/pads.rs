//! A conversation as tokens, with each picture's pad repeated for its tokens and each clip spelled out as transformers'
//! `Qwen3VLProcessor.replace_video_token` does: per temporal patch a time stamp and pads between vision markers.

use std::sync::Arc;

use vlgate_media::{Clip, Picture};

use crate::{
    contract::{Conversation, EngineError, TokenCount},
    model_dir::ModelDir,
};

/// A conversation, ready to be computed.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// See [`crate::Prepared::text`].
    pub text: String,
    /// See [`crate::Prepared::tokens`].
    pub tokens: Vec<u32>,
    /// The pictures in order.
    pub images: Vec<Arc<Picture>>,
    /// The clips in order.
    pub clips: Vec<Arc<Clip>>,
    /// How many tokens of what.
    pub count: TokenCount,
}

impl Prompt {
    /// Renders and tokenises a conversation that has these pictures and clips.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] when the template refuses the conversation.
    pub fn new(
        model: &ModelDir,
        conversation: &Conversation,
        images: Vec<Arc<Picture>>,
        clips: Vec<Arc<Clip>>,
    ) -> Result<Self, EngineError> {
        let mut text = model.template.render(conversation)?;
        if let Some(pad) = model.video_token.and_then(|id| model.tokenizer.id_to_token(id)) {
            text = spell_clips(&text, &pad, &model.vision_markers, &clips);
        }
        let encoding = model
            .tokenizer
            .encode_fast(text.as_str(), false)
            .map_err(|e| EngineError::Failed(format!("the prompt cannot be tokenised: {e}")))?;
        let mut image_tokens = images.iter().map(|p| p.tokens(&model.vision));
        let mut clip_tokens = clips.iter().flat_map(|clip| {
            let one = clip.frames.first().map_or(0, |f| f.tokens(&model.vision));
            std::iter::repeat_n(one, clip.frames.len().div_ceil(2))
        });
        let mut count = TokenCount::default();
        let mut tokens = Vec::with_capacity(encoding.get_ids().len());
        for id in encoding.get_ids() {
            let repeat = if *id == model.image_token {
                let n = image_tokens.next().unwrap_or(0);
                count.image += n;
                n
            } else if Some(*id) == model.video_token {
                let n = clip_tokens.next().unwrap_or(0);
                count.video += n;
                n
            } else {
                1
            };
            tokens.extend(std::iter::repeat_n(*id, repeat as usize));
        }
        count.prompt = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        Ok(Self { text, tokens, images, clips, count })
    }
}

/// Puts for each clip's pad the stamps and pads of its temporal patches.
fn spell_clips(text: &str, pad: &str, markers: &[String; 2], clips: &[Arc<Clip>]) -> String {
    let [start, end] = markers;
    let mut parts = text.split(pad);
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut clips = clips.iter();
    for part in parts {
        match clips.next() {
            Some(clip) => {
                for stamp in &clip.stamps_ms {
                    out.push_str(&format!("<{} seconds>{start}{pad}{end}", tenths(*stamp)));
                }
            }
            None => out.push_str(pad),
        }
        out.push_str(part);
    }
    out
}

/// Seconds with one decimal as Python's `.1f` writes them: of two equally near ones the even one, by the float's exact value.
fn tenths(ms: u64) -> String {
    format!("{:.1}", ms as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `f"{ms / 1000:.1f}"`.
    #[test]
    fn tenths_are_pythons() {
        for (ms, wanted) in [
            (0, "0.0"),
            (50, "0.1"),
            (150, "0.1"),
            (250, "0.2"),
            (313, "0.3"),
            (350, "0.3"),
            (450, "0.5"),
            (650, "0.7"),
            (750, "0.8"),
            (1250, "1.2"),
            (1500, "1.5"),
            (2375, "2.4"),
            (61_050, "61.0"),
        ] {
            assert_eq!(tenths(ms), wanted, "{ms}");
        }
    }

    #[test]
    fn a_clip_is_spelled_out_per_temporal_patch() {
        let frame = Picture::new(2, 2, vec![0; 12]);
        let clip = Arc::new(Clip { frames: vec![frame; 4], stamps_ms: vec![250, 1250], hash: [0; 32] });
        let markers = ["(".to_owned(), ")".to_owned()];
        assert_eq!(spell_clips("a(V)b(V)", "V", &markers, &[clip]), "a(<0.2 seconds>(V)<1.2 seconds>(V))b(V)");
    }
}
