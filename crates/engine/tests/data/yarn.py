#!/usr/bin/env python3
"""Makes yarn.json with transformers 5.23: the frequencies of `_compute_yarn_parameters` for three settings."""
import json, os
from transformers import Qwen3VLTextConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
SECTION = [24, 20, 20]
SETTINGS = [
    (dict(rope_type="yarn", factor=3.0, original_max_position_embeddings=262144, mrope_section=SECTION), 1_000_000),
    (dict(rope_type="yarn", factor=2.0, original_max_position_embeddings=4096, beta_fast=16.0, beta_slow=2.0, truncate=False, mrope_section=SECTION), 8192),
    (dict(rope_type="yarn", factor=4.0, mscale=0.7, mscale_all_dim=1.3, mrope_section=SECTION), 32768),
]
out = []
for rope, context in SETTINGS:
    c = Qwen3VLTextConfig(head_dim=128, rope_parameters=dict(rope_theta=5e6, **rope), max_position_embeddings=context)
    inverse, scale = ROPE_INIT_FUNCTIONS["yarn"](c)
    out.append(dict(rope=rope, context=context, scale=float(scale), inverse=[float(x) for x in inverse]))
json.dump(out, open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "yarn.json"), "w"))
