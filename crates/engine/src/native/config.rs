//! `config.json` of the Qwen3-VL family, checked, with the rotary frequencies worked out.

use serde_json::Value;

use super::rope::Frequencies;

/// What the native runtime needs to know of a model's shape.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Stands for one merged patch of a picture in the prompt (`image_token_id`).
    pub image_token: u32,
    /// Stands for one merged patch of a clip (`video_token_id`).
    pub video_token: u32,
}

/// `text_config`.
#[derive(Debug, Clone, PartialEq)]
pub struct TextConfig {
    /// Width of the residual stream.
    pub hidden: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; each serves `heads / kv_heads` query heads.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Width of the SwiGLU's inside.
    pub intermediate: usize,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Epsilon of every RMS norm.
    pub eps: f32,
    /// Whether q, k, v and o have biases.
    pub attention_bias: bool,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Prompt and answer together, in tokens.
    pub context: usize,
    /// Rotary frequencies.
    pub rope: Frequencies,
    /// Experts, in the mixture-of-experts variants.
    pub experts: Option<Experts>,
}

/// The mixture-of-experts part of `text_config` (`qwen3_vl_moe`).
#[derive(Debug, Clone, PartialEq)]
pub struct Experts {
    /// Experts per layer.
    pub count: usize,
    /// Experts that a token visits.
    pub per_token: usize,
    /// Width of one expert's inside.
    pub intermediate: usize,
    /// Whether the visited experts' weights are scaled to sum to 1.
    pub normalise: bool,
    /// `decoder_sparse_step`: every n-th layer is sparse.
    pub step: usize,
    /// Layers that are dense in spite of `step`.
    pub dense_layers: Vec<usize>,
}

impl Experts {
    /// Whether a layer has experts (transformers' `Qwen3VLMoeTextDecoderLayer.__init__`).
    #[must_use]
    pub fn at(&self, layer: usize) -> bool {
        self.count > 0 && !self.dense_layers.contains(&layer) && (layer + 1).is_multiple_of(self.step.max(1))
    }
}

/// `vision_config`.
#[derive(Debug, Clone, PartialEq)]
pub struct VisionConfig {
    /// Width of the tower.
    pub hidden: usize,
    /// Blocks.
    pub depth: usize,
    /// Heads; each is `hidden / heads` wide.
    pub heads: usize,
    /// Width of a block's inside.
    pub intermediate: usize,
    /// Colour channels.
    pub channels: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
    /// Frames per patch.
    pub frames: usize,
    /// Patches per side that are merged into one token.
    pub merge: usize,
    /// Width of what goes to the language model.
    pub out: usize,
    /// Side of the square grid of learned positions.
    pub side: usize,
    /// Blocks after which a DeepStack feature is taken, in order.
    pub deepstack: Vec<usize>,
    /// The blocks' activation.
    pub activation: Activation,
    /// Base of the axial rotary embedding.
    pub theta: f32,
}

/// Activation of the vision blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `gelu_pytorch_tanh`.
    GeluTanh,
    /// `gelu`, by the error function.
    Gelu,
    /// `silu`.
    Silu,
}

impl VisionConfig {
    /// Values of one patch: channel, frame, row, column.
    #[must_use]
    pub const fn patch_len(&self) -> usize {
        self.channels * self.frames * self.patch * self.patch
    }

    /// Width of one head.
    #[must_use]
    pub const fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// Patches per token.
    #[must_use]
    pub const fn merged(&self) -> usize {
        self.merge * self.merge
    }
}

impl TextConfig {
    /// Bytes of keys and values of one token with `width` bytes a number.
    #[must_use]
    pub const fn kv_bytes(&self, width: usize) -> usize {
        2 * self.layers * self.kv_heads * self.head_dim * width
    }
}

/// A reader of one object of `config.json` that names what is wrong.
struct Reader<'a> {
    name: &'static str,
    object: &'a Value,
}

impl Reader<'_> {
    fn size(&self, key: &str, default: Option<usize>) -> Result<usize, String> {
        let value = self.object.get(key).filter(|v| !v.is_null());
        let size = match value {
            // `patch_size` may be a list of equal numbers.
            Some(Value::Array(all)) => all.first().and_then(Value::as_u64),
            Some(v) => v.as_u64(),
            None => default.map(|d| d as u64),
        };
        let size = size.and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=1 << 24).contains(n));
        size.ok_or_else(|| format!("config.json: {}.{key} must be a positive number", self.name))
    }

    fn number(&self, key: &str, default: f64) -> f64 {
        self.object.get(key).and_then(Value::as_f64).unwrap_or(default)
    }

    fn flag(&self, key: &str) -> bool {
        self.object.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn sizes(&self, key: &str) -> Vec<usize> {
        let list = self.object.get(key).and_then(Value::as_array);
        list.map(|l| l.iter().filter_map(|v| v.as_u64().and_then(|n| usize::try_from(n).ok())).collect())
            .unwrap_or_default()
    }
}

impl ModelConfig {
    /// Reads `config.json` as transformers' `Qwen3VLConfig` does.
    ///
    /// # Errors
    /// One sentence that names the key.
    pub fn new(config: &Value) -> Result<Self, String> {
        let part = |name: &'static str| {
            let object = config.get(name).filter(|v| v.is_object());
            object.map(|object| Reader { name, object }).ok_or_else(|| format!("config.json has no {name}"))
        };
        let token = |key: &str| {
            let id = config.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
            id.ok_or_else(|| format!("config.json: {key} must be a token id"))
        };
        let (text, vision) = (text(&part("text_config")?, config)?, vision(&part("vision_config")?)?);
        if vision.out != text.hidden {
            return Err(format!(
                "config.json: vision_config.out_hidden_size is {} and text_config.hidden_size {}; they must be equal",
                vision.out, text.hidden
            ));
        }
        if vision.deepstack.len() > text.layers {
            return Err("config.json: there are more DeepStack features than text layers".into());
        }
        Ok(Self { text, vision, image_token: token("image_token_id")?, video_token: token("video_token_id")? })
    }
}

fn text(r: &Reader<'_>, config: &Value) -> Result<TextConfig, String> {
    let heads = r.size("num_attention_heads", None)?;
    let kv_heads = r.size("num_key_value_heads", Some(heads))?;
    let hidden = r.size("hidden_size", None)?;
    let head_dim = r.size("head_dim", Some(hidden / heads))?;
    if !heads.is_multiple_of(kv_heads) || !head_dim.is_multiple_of(2) {
        return Err(format!("config.json: {heads} query heads cannot share {kv_heads} key heads of width {head_dim}"));
    }
    let activation = r.object.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
    if activation != "silu" {
        return Err(format!("config.json: text_config.hidden_act is '{activation}'; only silu is known"));
    }
    let context = r.size("max_position_embeddings", None)?;
    let experts = match r.object.get("num_experts").and_then(Value::as_u64) {
        Some(n) if n > 0 => Some(Experts {
            count: r.size("num_experts", None)?,
            per_token: r.size("num_experts_per_tok", None)?,
            intermediate: r.size("moe_intermediate_size", None)?,
            normalise: r.object.get("norm_topk_prob").and_then(Value::as_bool).unwrap_or(true),
            step: r.size("decoder_sparse_step", Some(1))?,
            dense_layers: r.sizes("mlp_only_layers"),
        }),
        _ => None,
    };
    // The outer flag is what transformers ties by; older files have it only inside.
    let tied = config.get("tie_word_embeddings").and_then(Value::as_bool);
    Ok(TextConfig {
        hidden,
        layers: r.size("num_hidden_layers", None)?,
        heads,
        kv_heads,
        head_dim,
        intermediate: r.size("intermediate_size", None)?,
        vocab: r.size("vocab_size", None)?,
        eps: r.number("rms_norm_eps", 1e-6) as f32,
        attention_bias: r.flag("attention_bias"),
        tied: tied.unwrap_or_else(|| r.flag("tie_word_embeddings")),
        context,
        rope: Frequencies::new(r.object, head_dim, context)?,
        experts,
    })
}

fn vision(r: &Reader<'_>) -> Result<VisionConfig, String> {
    let (hidden, heads) = (r.size("hidden_size", None)?, r.size("num_heads", None)?);
    if !hidden.is_multiple_of(heads) || !(hidden / heads).is_multiple_of(4) {
        return Err(format!("config.json: vision_config.hidden_size {hidden} does not make {heads} heads"));
    }
    let positions = r.size("num_position_embeddings", None)?;
    let side = positions.isqrt();
    if side * side != positions {
        return Err(format!("config.json: vision_config.num_position_embeddings {positions} is not a square"));
    }
    let depth = r.size("depth", None)?;
    let deepstack = r.sizes("deepstack_visual_indexes");
    if deepstack.iter().any(|i| *i >= depth) || !deepstack.is_sorted() {
        return Err("config.json: vision_config.deepstack_visual_indexes must be ascending and below depth".into());
    }
    let activation = match r.object.get("hidden_act").and_then(Value::as_str).unwrap_or("gelu_pytorch_tanh") {
        "gelu_pytorch_tanh" => Activation::GeluTanh,
        "gelu" => Activation::Gelu,
        "silu" => Activation::Silu,
        other => return Err(format!("config.json: vision_config.hidden_act '{other}' is not known")),
    };
    let theta = ["/rope_parameters/rope_theta", "/rope_theta"].iter().find_map(|p| r.object.pointer(p)?.as_f64());
    Ok(VisionConfig {
        hidden,
        depth,
        heads,
        intermediate: r.size("intermediate_size", None)?,
        channels: r.size("in_channels", Some(3))?,
        patch: r.size("patch_size", Some(16))?,
        frames: r.size("temporal_patch_size", Some(2))?,
        merge: r.size("spatial_merge_size", Some(2))?,
        out: r.size("out_hidden_size", None)?,
        side,
        deepstack,
        activation,
        theta: theta.unwrap_or(10_000.0) as f32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tiny() -> Value {
        serde_json::from_str(include_str!("../../../../tests/fixtures/random-tiny/config.json")).unwrap()
    }

    #[test]
    fn the_fixture_is_read() {
        let c = ModelConfig::new(&tiny()).unwrap();
        assert_eq!((c.text.hidden, c.text.layers, c.text.heads, c.text.kv_heads, c.text.head_dim), (64, 5, 4, 2, 32));
        assert_eq!((c.vision.hidden, c.vision.side, c.vision.patch_len()), (64, 8, 1536));
        assert_eq!(c.vision.deepstack, [1, 2, 4]);
        assert!(c.text.tied && c.text.experts.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (pointer, value, named) in [
            ("/text_config/hidden_size", json!(null), "text_config.hidden_size"),
            ("/text_config/num_key_value_heads", json!(3), "3 key heads"),
            ("/vision_config/out_hidden_size", json!(65), "must be equal"),
            ("/vision_config/num_position_embeddings", json!(65), "not a square"),
            ("/vision_config/deepstack_visual_indexes", json!([9]), "below depth"),
            ("/text_config/rope_scaling/rope_type", json!("longrope"), "longrope"),
            ("/image_token_id", json!("x"), "image_token_id"),
        ] {
            let mut config = tiny();
            *config.pointer_mut(pointer).unwrap() = value;
            let error = ModelConfig::new(&config).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
