"""Builds the small byte-level BPE tokenizer and the other small files of the model folder."""
import json, os, shutil, sys
from tokenizers import Tokenizer, models, pre_tokenizers, decoders, normalizers, trainers, Regex, AddedToken
import draw as D
from data import Maker, scene, ASK, MIN_AREA, MAX_AREA, MAX_CLIP, PATCH
from phrases import *
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
PLAIN = ["<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"]


def corpus():
    for i in range(6000):
        rng = D.stream(D.TRAIN, 99, i)
        kind = list(ASK)[1 + i % 5]
        s, a = scene(rng, kind), Asker(rng)
        for k, _ in ASK[kind] + [("other", 1)]:
            r = a.one(s, k)
            if r:
                yield r[0] if "other" != k else r[0] * (i < 1500); yield r[1]
    for w in SYSTEM + PREFIX + [HELLO]:
        for _ in range(40):
            yield w
    yield from ["system user assistant\nsystem\nuser\nassistant\n"] * 400
    yield open("/work/shared/qwen3-vl/chat_template.jinja").read() if os.path.exists("/work/shared/qwen3-vl/chat_template.jinja") else ""


def build(vocab=1254):
    t = Tokenizer(models.BPE(byte_fallback=False))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    t.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    t.train_from_iterator(corpus(), trainers.BpeTrainer(vocab_size=vocab, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=[], min_frequency=3, show_progress=False))
    t.add_special_tokens([AddedToken(x, special=True, normalized=False) for x in SPECIAL])
    t.add_tokens([AddedToken(x, special=False, normalized=False) for x in PLAIN])
    return t


def main(out):
    os.makedirs(out, exist_ok=True)
    t = build(); t.save(out + "/tokenizer.json")
    i = t.token_to_id
    n = t.get_vocab_size(with_added_tokens=True); rows = (n + 31) // 32 * 32
    dec = {str(i(x)): dict(content=x, lstrip=False, normalized=False, rstrip=False, single_word=False, special=x in SPECIAL) for x in SPECIAL + PLAIN}
    w = lambda f, d: open(f"{out}/{f}", "w").write(json.dumps(d, indent=2) + "\n")
    tpl = "/work/shared/qwen3-vl/chat_template.jinja"
    if os.path.exists(tpl):
        shutil.copy(tpl, out + "/chat_template.jinja")
    w("tokenizer_config.json", dict(add_bos_token=False, add_prefix_space=False, added_tokens_decoder=dec, additional_special_tokens=SPECIAL[1:], bos_token=None, chat_template=open(out + "/chat_template.jinja").read(), clean_up_tokenization_spaces=False, eos_token="<|im_end|>", errors="replace", model_max_length=8192, pad_token="<|endoftext|>", split_special_tokens=False, tokenizer_class="Qwen2Tokenizer", unk_token=None))
    w("generation_config.json", dict(bos_token_id=i("<|endoftext|>"), pad_token_id=i("<|endoftext|>"), eos_token_id=[i("<|im_end|>"), i("<|endoftext|>")], do_sample=False))
    pre = dict(size=dict(longest_edge=MAX_AREA, shortest_edge=MIN_AREA), patch_size=PATCH, temporal_patch_size=2, merge_size=2, image_mean=[.5] * 3, image_std=[.5] * 3, processor_class="Qwen3VLProcessor", image_processor_type="Qwen2VLImageProcessorFast", do_resize=True, do_rescale=True, do_normalize=True, do_convert_rgb=True, rescale_factor=1 / 255, resample=3)
    w("preprocessor_config.json", pre)
    v = dict(pre); v.pop("image_processor_type"); v.update(size=dict(longest_edge=MAX_CLIP, shortest_edge=4096), video_processor_type="Qwen3VLVideoProcessor", fps=2, min_frames=4, max_frames=768)
    w("video_preprocessor_config.json", v)
    w("config.json", dict(architectures=["Qwen3VLForConditionalGeneration"], model_type="qwen3_vl", image_token_id=i("<|image_pad|>"), video_token_id=i("<|video_pad|>"), vision_start_token_id=i("<|vision_start|>"), vision_end_token_id=i("<|vision_end|>"), tie_word_embeddings=True, dtype="bfloat16", torch_dtype="bfloat16",
        text_config=dict(attention_bias=False, attention_dropout=0.0, bos_token_id=i("<|endoftext|>"), eos_token_id=i("<|im_end|>"), dtype="bfloat16", head_dim=32, hidden_act="silu", hidden_size=192, initializer_range=0.02, intermediate_size=512, max_position_embeddings=8192, model_type="qwen3_vl_text", num_attention_heads=6, num_hidden_layers=4, num_key_value_heads=2, rms_norm_eps=1e-6, rope_scaling=dict(mrope_interleaved=True, mrope_section=[6, 5, 5], rope_type="default"), rope_theta=10000.0, tie_word_embeddings=True, use_cache=True, vocab_size=rows),
        vision_config=dict(deepstack_visual_indexes=[2, 4], depth=6, hidden_act="gelu_pytorch_tanh", hidden_size=160, in_channels=3, initializer_range=0.02, intermediate_size=480, model_type="qwen3_vl", num_heads=5, num_position_embeddings=256, out_hidden_size=192, patch_size=PATCH, spatial_merge_size=2, temporal_patch_size=2)))
    for text in ["Hello, wörld! 漢字 e\u0301 \n\n  12 345", "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>How many?<|im_end|>\n"]:
        ids = t.encode(text, add_special_tokens=False).ids
        back = t.decode(ids, skip_special_tokens=False)
        assert t.encode(back, add_special_tokens=False).ids == ids, text
    print(n, rows, len(t.encode("How many stars are there?").ids), t.encode("The number is 417.<|im_end|>").tokens)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../model"))
