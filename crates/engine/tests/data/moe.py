#!/usr/bin/env python3
"""Makes moe/ with transformers 5.23: a random mixture-of-experts model in hub layout and what it says (greedy, f32)."""
import json, os
import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration
HERE = os.path.dirname(os.path.abspath(__file__))
TINY = os.path.join(HERE, "../../../../tests/fixtures/random-tiny")
OUT = HERE + "/moe"
torch.manual_seed(3); torch.set_num_threads(1)
c = json.load(open(TINY + "/config.json"))
c.update(model_type="qwen3_vl_moe", architectures=["Qwen3VLMoeForConditionalGeneration"], tie_word_embeddings=False)
t = c["text_config"]
t.update(model_type="qwen3_vl_moe_text", hidden_size=48, num_hidden_layers=4, intermediate_size=64, num_experts=6, num_experts_per_tok=2, moe_intermediate_size=40, decoder_sparse_step=1, mlp_only_layers=[1], norm_topk_prob=True, tie_word_embeddings=False)
c["vision_config"].update(model_type="qwen3_vl_moe", out_hidden_size=48, hidden_size=32, num_heads=2, intermediate_size=40, depth=3, deepstack_visual_indexes=[0, 1, 2])
m = Qwen3VLMoeForConditionalGeneration(Qwen3VLMoeConfig(**c)).float().eval()
g = torch.Generator().manual_seed(11)
for n, p in m.named_parameters():
    if p.ndim == 1:
        p.data = (0.05 if n.endswith("bias") else 0.2) * torch.randn(p.shape, generator=g) + (0 if n.endswith("bias") else 1)
    else:
        p.data = (0.35 if "embed" in n else 1.6 * p.shape[-1] ** -0.5) * torch.randn(p.shape, generator=g)
    p.data = p.data.bfloat16().float()
os.makedirs(OUT, exist_ok=True)
# As on the hub: experts' matrices lie inputs first (transformers transposes them while it loads).
save_file({n: (p.data.transpose(1, 2) if ".experts." in n else p.data).bfloat16().contiguous() for n, p in m.named_parameters()}, OUT + "/model.safetensors", metadata={"format": "pt"})
c["text_config"]["vocab_size"] = m.config.text_config.vocab_size
json.dump(c, open(OUT + "/config.json", "w"), indent=1)
m = Qwen3VLMoeForConditionalGeneration.from_pretrained(OUT, dtype=torch.float32, attn_implementation="eager").eval()
out = {}
for name in ("text", "one_image"):
    case = json.load(open(f"{TINY}/cases/{name}.json")); x = load_file(f"{TINY}/cases/{name}.safetensors")
    ids = torch.tensor([case["input_ids"]]); kw = {}
    if case["image_grid_thw"]:
        kw = dict(pixel_values=x["pixel_values"], image_grid_thw=torch.tensor(case["image_grid_thw"]), mm_token_type_ids=(ids == 1266).int())
    with torch.no_grad():
        gen = m.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=[], pad_token_id=0, output_scores=True, return_dict_in_generate=True, **kw)
    new = gen.sequences[0, ids.shape[1]:].tolist()
    out[name] = dict(greedy_tokens=new, logprobs=[float(torch.log_softmax(s[0], -1)[i]) for s, i in zip(gen.scores, new)])
json.dump(out, open(OUT + "/answers.json", "w"))
