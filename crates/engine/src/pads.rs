//! A conversation as tokens, with each picture's pad repeated for its tokens and each clip spelled out as transformers'
//! `Qwen3VLProcessor.replace_video_token` does: per temporal patch a time stamp and pads between vision markers.

use std::sync::Arc;

use vlgate_media::{Clip, Picture};

use crate::{
    contract::{Conversation, EngineError, Part, TokenCount},
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
        let text = Self::spelled(model, conversation, &clips, model.video_token)?;
        let image_tokens = images.iter().map(|p| (p.tokens(&model.vision), false)).collect();
        let clip_tokens = clips.iter().flat_map(|clip| {
            let one = clip.frames.first().map_or(0, |f| f.tokens(&model.vision));
            std::iter::repeat_n((one, true), clip.frames.len().div_ceil(2))
        });
        let clip_tokens = clip_tokens.collect();
        Self::tokenised(model, text, image_tokens, clip_tokens).map(|prompt| Self { images, clips, ..prompt })
    }

    /// The same for a runtime that takes pictures only: of each temporal patch its first frame, behind its stamp
    /// (DESIGN section 4, fact 8).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_stills(model: &ModelDir, conversation: &Conversation) -> Result<Self, EngineError> {
        let (mut images, mut tokens, mut clips) = (Vec::new(), Vec::new(), Vec::new());
        for part in conversation.messages.iter().flat_map(|m| &m.parts) {
            match part {
                Part::Text(_) => {}
                Part::Image(picture) => {
                    tokens.push((picture.tokens(&model.vision), false));
                    images.push(Arc::clone(picture));
                }
                Part::Video(clip) => {
                    let firsts = clip.frames.iter().step_by(2);
                    tokens.extend(firsts.clone().map(|frame| (frame.tokens(&model.vision), true)));
                    images.extend(firsts.cloned().map(Arc::new));
                    clips.push(Arc::clone(clip));
                }
            }
        }
        let text = Self::spelled(model, conversation, &clips, Some(model.image_token))?;
        Self::tokenised(model, text, tokens, Vec::new()).map(|prompt| Self { images, ..prompt })
    }

    /// The rendered prompt, each clip's pad spelled out with the pads `of` what is shown.
    fn spelled(
        model: &ModelDir,
        conversation: &Conversation,
        clips: &[Arc<Clip>],
        of: Option<u32>,
    ) -> Result<String, EngineError> {
        let text = model.template.render(conversation)?;
        let named = |id: Option<u32>| id.and_then(|id| model.tokenizer.id_to_token(id));
        Ok(match (named(model.video_token), named(of)) {
            (Some(pad), Some(of)) => spell_clips(&text, &pad, &of, &model.vision_markers, clips),
            _ => text,
        })
    }

    /// Repeats each pad for the tokens that it stands for; of those some are a clip's.
    fn tokenised(
        model: &ModelDir,
        text: String,
        images: Vec<(u32, bool)>,
        clips: Vec<(u32, bool)>,
    ) -> Result<Self, EngineError> {
        let encoding = model
            .tokenizer
            .encode_fast(text.as_str(), false)
            .map_err(|e| EngineError::Failed(format!("the prompt cannot be tokenised: {e}")))?;
        let (mut images, mut clips) = (images.into_iter(), clips.into_iter());
        let mut count = TokenCount::default();
        let mut tokens = Vec::with_capacity(encoding.get_ids().len());
        for id in encoding.get_ids() {
            let pad = match *id {
                id if id == model.image_token => Some(images.next()),
                id if Some(id) == model.video_token => Some(clips.next()),
                _ => None,
            };
            let repeat = match pad.map(Option::unwrap_or_default) {
                None => 1,
                Some((n, false)) => {
                    count.image += n;
                    n
                }
                Some((n, true)) => {
                    count.video += n;
                    n
                }
            };
            tokens.extend(std::iter::repeat_n(*id, repeat as usize));
        }
        count.prompt = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        Ok(Self { text, tokens, images: Vec::new(), clips: Vec::new(), count })
    }
}

/// Puts for each clip's pad the stamps of its temporal patches, each with the pad `of` what is shown.
fn spell_clips(text: &str, pad: &str, of: &str, markers: &[String; 2], clips: &[Arc<Clip>]) -> String {
    let [start, end] = markers;
    let mut parts = text.split(pad);
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut clips = clips.iter();
    for part in parts {
        match clips.next() {
            Some(clip) => {
                for stamp in &clip.stamps {
                    out.push_str(&format!("<{stamp:.1} seconds>{start}{of}{end}"));
                }
            }
            None => out.push_str(pad),
        }
        out.push_str(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Python: `f"{seconds:.1f}"`; of two equally near ones the even one, by the float's exact value.
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
            assert_eq!(format!("{:.1}", f64::from(ms) / 1000.0), wanted, "{ms}");
        }
        // 7.5 frames at 30000/1001 a second are not 0.250 s.
        assert_eq!(format!("{:.1}", 7.5 / (30_000.0 / 1001.0)), "0.3");
    }

    #[test]
    fn a_clip_is_spelled_out_per_temporal_patch() {
        let frame = Picture::new(2, 2, vec![0; 12]);
        let clip = Arc::new(Clip { frames: vec![frame; 4], stamps: vec![0.25, 1.25], hash: [0; 32] });
        let markers = ["(".to_owned(), ")".to_owned()];
        let spelled = spell_clips("a(V)b(V)", "V", "V", &markers, std::slice::from_ref(&clip));
        assert_eq!(spelled, "a(<0.2 seconds>(V)<1.2 seconds>(V))b(V)");
        assert_eq!(spell_clips("a(V)", "V", "I", &markers, &[clip]), "a(<0.2 seconds>(I)<1.2 seconds>(I))");
    }
}
