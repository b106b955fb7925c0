#!/usr/bin/env python3
"""Makes lora/ with PEFT: an adapter over text and vision of random-tiny, and what the merged model then says (greedy, f32). PEFT 0.21.2, transformers 5.23."""
import json, os
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import Qwen3VLForConditionalGeneration
HERE = os.path.dirname(os.path.abspath(__file__))
TINY = os.path.join(HERE, "../../../../tests/fixtures/random-tiny")
torch.manual_seed(3); torch.set_num_threads(1)
m = Qwen3VLForConditionalGeneration.from_pretrained(TINY, dtype=torch.float32, attn_implementation="eager").eval()
c = LoraConfig(r=4, lora_alpha=10, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj", "gate_proj", "qkv", "linear_fc1"], rank_pattern={"v_proj": 2}, alpha_pattern={"v_proj": 3})
p = get_peft_model(m, c)
g = torch.Generator().manual_seed(4)
for n, w in p.named_parameters():
    if "lora_" in n:
        w.data = torch.randn(w.shape, generator=g) * 0.15
p.save_pretrained(HERE + "/lora")
if os.path.exists(HERE + "/lora/README.md"):
    os.remove(HERE + "/lora/README.md")
path = HERE + "/lora/adapter_config.json"
written = json.load(open(path)); written["base_model_name_or_path"] = "random-tiny"; json.dump(written, open(path, "w"), indent=2)
p = p.merge_and_unload().eval()
out = {}
for name in ("text", "one_image"):
    case = json.load(open(f"{TINY}/cases/{name}.json")); t = load_file(f"{TINY}/cases/{name}.safetensors")
    ids = torch.tensor([case["input_ids"]]); kw = {}
    if case["image_grid_thw"]:
        kw = dict(pixel_values=t["pixel_values"], image_grid_thw=torch.tensor(case["image_grid_thw"]), mm_token_type_ids=(ids == 1266).int())
    with torch.no_grad():
        gen = p.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False, eos_token_id=[], output_scores=True, return_dict_in_generate=True, **kw)
    new = gen.sequences[0, ids.shape[1]:].tolist()
    out[name] = dict(greedy_tokens=new, logprobs=[float(torch.log_softmax(s[0], -1)[i]) for s, i in zip(gen.scores, new)])
json.dump(out, open(HERE + "/lora/answers.json", "w"))
