//! Writes a Qwen3-VL model of random weights in hub layout, for measuring speed: `random_model FOLDER TOKENIZER_FOLDER [2b]`.
//!
//! The weights are bf16 from a fixed seed, small enough that activations stay finite through all layers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde_json::{Map, Value, json};

fn config(shape: &str) -> Value {
    // (hidden, layers, heads, mlp, tied, vision depth, vision hidden, vision mlp, DeepStack)
    let (h, l, n, m, tied, vd, vh, vm, deep) = match shape {
        "2b" => (2048, 28, 16, 6144, true, 24, 1024, 4096, [5, 11, 17]),
        "4b" => (2560, 36, 32, 9728, true, 24, 1024, 4096, [5, 11, 17]),
        "8b" => (4096, 36, 32, 12288, false, 27, 1152, 4304, [8, 16, 24]),
        "tiny" => (256, 4, 4, 512, true, 4, 128, 256, [0, 1, 2]),
        other => panic!("no shape '{other}': 2b, 4b, 8b, tiny"),
    };
    json!({
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "dtype": "bfloat16",
        "image_token_id": 0, "video_token_id": 0, "vision_start_token_id": 0, "vision_end_token_id": 0,
        "tie_word_embeddings": tied,
        "text_config": {
            "attention_bias": false, "head_dim": 128, "hidden_act": "silu", "hidden_size": h, "intermediate_size": m,
            "max_position_embeddings": 262144, "model_type": "qwen3_vl_text", "num_attention_heads": n,
            "num_hidden_layers": l, "num_key_value_heads": if n == 4 { 2 } else { 8 }, "rms_norm_eps": 1e-6, "rope_theta": 5e6,
            "rope_scaling": {"mrope_interleaved": true, "mrope_section": [24, 20, 20], "rope_type": "default"},
            "tie_word_embeddings": tied, "vocab_size": 151936
        },
        "vision_config": {
            "deepstack_visual_indexes": deep, "depth": vd, "hidden_act": "gelu_pytorch_tanh", "hidden_size": vh,
            "in_channels": 3, "intermediate_size": vm, "model_type": "qwen3_vl", "num_heads": if vh == 128 { 4 } else { 16 },
            "num_position_embeddings": 2304, "out_hidden_size": h, "patch_size": 16, "spatial_merge_size": 2,
            "temporal_patch_size": 2
        }
    })
}

/// Name, shape, and what the numbers are: a constant, or noise of this deviation.
fn tensors(c: &Value) -> Vec<(String, Vec<usize>, f32)> {
    let n = |p: &str| c.pointer(p).unwrap().as_u64().unwrap() as usize;
    let (h, l, m) =
        (n("/text_config/hidden_size"), n("/text_config/num_hidden_layers"), n("/text_config/intermediate_size"));
    let (heads, kv) = (n("/text_config/num_attention_heads"), n("/text_config/num_key_value_heads"));
    let (vh, vm, vd) =
        (n("/vision_config/hidden_size"), n("/vision_config/intermediate_size"), n("/vision_config/depth"));
    let (d, vocab) = (128, 151_936);
    let mut out = Vec::new();
    let mut add = |name: String, shape: Vec<usize>| {
        let width: usize = shape.iter().skip(1).product();
        let scale = if shape.len() == 1 { 0.0 } else { (width as f32).powf(-0.5) };
        out.push((name, shape, scale));
    };
    let t = "model.language_model";
    add(format!("{t}.embed_tokens.weight"), vec![vocab, h]);
    if c["tie_word_embeddings"] == json!(false) {
        add("lm_head.weight".into(), vec![vocab, h]);
    }
    add(format!("{t}.norm.weight"), vec![h]);
    for i in 0..l {
        let at = format!("{t}.layers.{i}");
        for (name, rows, columns) in [
            ("self_attn.q_proj", heads * d, h),
            ("self_attn.k_proj", kv * d, h),
            ("self_attn.v_proj", kv * d, h),
            ("self_attn.o_proj", h, heads * d),
            ("mlp.gate_proj", m, h),
            ("mlp.up_proj", m, h),
            ("mlp.down_proj", h, m),
        ] {
            add(format!("{at}.{name}.weight"), vec![rows, columns]);
        }
        for (name, len) in
            [("input_layernorm", h), ("post_attention_layernorm", h), ("self_attn.q_norm", d), ("self_attn.k_norm", d)]
        {
            add(format!("{at}.{name}.weight"), vec![len]);
        }
    }
    let v = "model.visual";
    add(format!("{v}.patch_embed.proj.weight"), vec![vh, 3, 2, 16, 16]);
    add(format!("{v}.patch_embed.proj.bias"), vec![vh]);
    add(format!("{v}.pos_embed.weight"), vec![2304, vh]);
    let mut both = |name: String, shape: Vec<usize>| {
        add(format!("{name}.bias"), vec![shape[0]]);
        add(format!("{name}.weight"), shape);
    };
    for i in 0..vd {
        let at = format!("{v}.blocks.{i}");
        both(format!("{at}.attn.qkv"), vec![3 * vh, vh]);
        both(format!("{at}.attn.proj"), vec![vh, vh]);
        both(format!("{at}.mlp.linear_fc1"), vec![vm, vh]);
        both(format!("{at}.mlp.linear_fc2"), vec![vh, vm]);
        both(format!("{at}.norm1"), vec![vh]);
        both(format!("{at}.norm2"), vec![vh]);
    }
    let mergers = (0..3).map(|i| (format!("{v}.deepstack_merger_list.{i}"), 4 * vh));
    for (at, norm) in mergers.chain([(format!("{v}.merger"), vh)]) {
        both(format!("{at}.norm"), vec![norm]);
        both(format!("{at}.linear_fc1"), vec![4 * vh, 4 * vh]);
        both(format!("{at}.linear_fc2"), vec![h, 4 * vh]);
    }
    out
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, tokenizer, shape @ ..] = arguments.as_slice() else {
        panic!("random_model FOLDER TOKENIZER_FOLDER [2b|4b|8b|tiny]")
    };
    let (folder, tokenizer) = (Path::new(folder), Path::new(tokenizer));
    std::fs::create_dir_all(folder).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"] {
        std::fs::copy(tokenizer.join(name), folder.join(name)).unwrap();
    }
    let own: Value = serde_json::from_slice(&std::fs::read(tokenizer.join("config.json")).unwrap()).unwrap();
    let mut c = config(shape.first().map_or("2b", String::as_str));
    for key in ["image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"] {
        c[key] = own[key].clone();
    }
    std::fs::write(folder.join("config.json"), serde_json::to_vec_pretty(&c).unwrap()).unwrap();
    let pixels = json!({"size": {"longest_edge": 16777216, "shortest_edge": 65536}, "patch_size": 16, "temporal_patch_size": 2,
        "merge_size": 2, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]});
    std::fs::write(folder.join("preprocessor_config.json"), pixels.to_string()).unwrap();

    let tensors = tensors(&c);
    let (mut header, mut at) = (Map::new(), 0usize);
    for (name, shape, _) in &tensors {
        let bytes = 2 * shape.iter().product::<usize>();
        header.insert(name.clone(), json!({"dtype": "BF16", "shape": shape, "data_offsets": [at, at + bytes]}));
        at += bytes;
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(64), b' ');
    let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join("model.safetensors")).unwrap());
    out.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    out.write_all(&header).unwrap();
    // A block of noise, read from another place for every tensor: made in seconds, and no two rows are alike.
    let mut x = 88_172_645_463_325_252u64;
    let noise: Vec<f32> = (0..1_000_003)
        .map(|_| {
            let mut sum = 0.0;
            for _ in 0..3 {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                sum += (x >> 40) as f32 / f32::from(1u16 << 12) / f32::from(1u16 << 12) - 0.5;
            }
            sum * 2.0
        })
        .collect();
    let mut place = 0usize;
    for (name, shape, scale) in &tensors {
        let n: usize = shape.iter().product();
        let constant = if name.ends_with("bias") { 0.0 } else { 1.0 };
        let mut bytes = Vec::with_capacity(1 << 16);
        for _ in 0..n {
            let v = if *scale == 0.0 { constant } else { noise[place] * scale };
            place = (place + 1) % noise.len();
            bytes.extend_from_slice(&half::bf16::from_f32(v).to_le_bytes());
            if bytes.len() >= 1 << 16 {
                out.write_all(&bytes).unwrap();
                bytes.clear();
            }
        }
        out.write_all(&bytes).unwrap();
        place = (place + 7919) % noise.len();
    }
    out.flush().unwrap();
    println!("{} tensors, {:.2} GB in {}", tensors.len(), at as f64 / 1e9, folder.display());
}
