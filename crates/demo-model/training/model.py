"""The demo model's batched forward over transformers' own modules, and the training-only dense heads."""
import math, torch, torch.nn as nn, torch.nn.functional as F
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration


def make_model(folder):
    cfg = Qwen3VLConfig.from_pretrained(folder)
    cfg.dtype = "float32"
    torch.manual_seed(0)
    m = Qwen3VLForConditionalGeneration(cfg).float()
    for n, p in m.named_parameters():   # a better start for so small a model than normal(0.02)
        if p.ndim >= 2 and "embed" not in n:
            nn.init.normal_(p, std=(p[0].numel()) ** -0.5 * (0.5 if any(k in n for k in ("o_proj", "down_proj", "attn.proj", "mlp.linear_fc2")) else 1.0))
    nn.init.normal_(m.model.visual.pos_embed.weight, std=0.05)
    dct_init(m.model.visual.patch_embed.proj)
    local_init(m.model.visual)
    for x in m.model.visual.deepstack_merger_list:     # silent until they have learned something
        nn.init.zeros_(x.linear_fc2.weight)
    nn.init.normal_(m.model.language_model.embed_tokens.weight, std=0.05)
    m.tie_weights()
    return m


def dct_init(conv):
    """Patch embedding: low cosine waves of brightness and of two colour differences, quiet ones turned up."""
    D, P = conv.weight.shape[0], conv.weight.shape[-1]
    k = torch.arange(P).float()
    basis = torch.cos(math.pi * (k[None] + 0.5) * k[:, None] / P); basis /= basis.norm(dim=1, keepdim=True)
    col = torch.tensor([[1, 1, 1], [1, 0, -1], [-.5, 1, -.5]]); col = col / col.norm(dim=1, keepdim=True)
    order = sorted(((u, v) for u in range(P) for v in range(P)), key=lambda t: t[0] ** 2 + t[1] ** 2)
    bright = min(P * P, D - 2 * (D // 5)); rest = (D - bright) // 2
    rows = [(0, u, v) for u, v in order[:bright]] + [(c, u, v) for c in (1, 2) for u, v in order[:rest]]
    w = torch.stack([torch.einsum("c,h,w->chw", col[c], basis[u], basis[v]) * 0.8 / P * (1 + math.hypot(u, v)) ** 0.8 * (1.0 if c == 0 else 1.4) for c, u, v in rows])
    conv.weight.data.copy_((w / 2)[:, :, None].expand_as(conv.weight)); conv.bias.data.zero_()


def local_init(visual):
    """Attention that starts as a convolution: biases of q and k make four heads look at neighbours, through the rotary positions."""
    cross, diagonal = [(-1, 0), (1, 0), (0, -1), (0, 1)], [(-1, -1), (-1, 1), (1, -1), (1, 1)]
    for n, blk in enumerate(visual.blocks[:4]):
        a = blk.attn
        d = a.qkv.in_features; hd = d // a.num_heads; half, quarter = hd // 2, hd // 4
        theta = 10000.0 ** (-torch.arange(quarter) / quarter)
        for h, off in enumerate((cross, diagonal)[n % 2]):
            off = [x * (1 + n // 2) for x in off]
            q, k = a.qkv.bias.data[h * hd:(h + 1) * hd], a.qkv.bias.data[d + h * hd:d + (h + 1) * hd]
            for r in (h * hd, d + h * hd):
                a.qkv.weight.data[r:r + hd] *= 0.3
            for f, strength in ((0, 6.0), (1, 4.0)):
                for axis in (0, 1):
                    i, size, turn = axis * quarter + f, math.sqrt(strength * math.sqrt(hd)), float(theta[f]) * off[axis]
                    k[i], q[i], q[i + half] = size, size * math.cos(turn), size * math.sin(turn)


def rms(x, norm):
    return F.rms_norm(x.float(), (x.shape[-1],), norm.weight, norm.variance_epsilon)


def rot(x):
    a, b = x.chunk(2, -1)
    return torch.cat((-b, a), -1)


def attend(q, k, v, mask=None, look=None):
    """Plain attention: on this CPU its backward is several times faster than the fused one. `look` sees the weights."""
    B, H, N, D = q.shape
    a = torch.bmm(q.reshape(B * H, N, D) * D ** -0.5, k.reshape(B * H, N, D).transpose(1, 2))
    if mask is not None:
        a = (a.view(B, H, N, N) + mask).view(B * H, N, N)
    a = torch.softmax(a, -1, dtype=a.dtype)
    if look is not None:
        look(a.view(B, H, N, N))
    return torch.bmm(a, v.reshape(B * H, N, D)).view(B, H, N, D)


def places(grid):
    """Where each token lies, as soft bins of its row and column: [M, 18]."""
    h, w = grid[0] // 2, grid[1] // 2
    y, x = ((torch.arange(n) + 0.5) / n for n in (h, w))
    bins = lambda t: torch.cat((torch.exp(-((t[:, None] - torch.linspace(0.06, 0.94, 8)) * 6) ** 2), t[:, None]), 1)
    return torch.cat((bins(y)[:, None].expand(h, w, 9), bins(x)[None].expand(h, w, 9)), -1).reshape(h * w, 18)


def facts(b, grid):
    """What a picture token should know, as one vector: [B, M, 146]."""
    hot = lambda t, n: F.one_hot(t, n)[..., 1:].float()
    B, M = b["slot"].shape[:2]
    cell, color, cover = (b[k].view(B, M, 4) for k in ("cell", "color", "cover"))
    counts = (F.one_hot(b["counts"].clamp(min=0), 9) * (b["counts"] >= 0)[..., None]).float().flatten(1)
    return torch.cat((hot(cell, 16).amax(2), hot(color + 1, 12).amax(2), hot(cover, 16).mean(2), hot(b["slot"], 12).flatten(2),
                      counts[:, None].expand(B, M, 54), places(grid)[None].expand(B, M, 18)), -1)


class Heads(nn.Module):
    """Dense supervision of patches and of merged tokens. Thrown away after training."""
    def __init__(self, d, out):
        super().__init__()
        self.n = 16 + 11 + 16
        self.norm, self.patch = nn.LayerNorm(d), nn.Linear(d, self.n)
        self.token = nn.Linear(out, 4 * self.n + 36 + 54 + 18)
        self.word = nn.Linear(out, 11 + 18)

    def dense(self, o, b):
        cell, color, cover = o.float().reshape(-1, self.n).split([16, 11, 16], -1)
        w = torch.full((16,), 6.0); w[0] = 1.0
        l = 2 * F.cross_entropy(cell, b["cell"].flatten(), weight=w) + F.cross_entropy(cover, b["cover"].flatten())
        return l + F.cross_entropy(color, b["color"].flatten(), ignore_index=-1)

    def loss(self, hidden, merged, b, grid):
        quads, slot, count, place = self.token(merged).float().split([4 * self.n, 36, 54, 18], -1)
        w = torch.full((12,), 4.0); w[0] = 1.0
        counts = b["counts"][:, None].expand(-1, merged.shape[1], -1)
        parts = dict(patch=self.dense(self.patch(self.norm(hidden)), b), token=self.dense(quads, b),
                     slot=F.cross_entropy(slot.reshape(-1, 12), b["slot"].flatten(), weight=w),
                     count=F.cross_entropy(count.reshape(-1, 9), counts.flatten(), ignore_index=-1) if (counts >= 0).any() else 0 * count.sum())
        return 0.5 * parts["patch"] + 0.5 * parts["token"] + parts["slot"] + parts["count"] + 2 * F.mse_loss(place, places(grid).expand_as(place)), parts


class Clock(nn.Module):
    """Which digits a token means (tens, ones, tenths of a second), told from the output of a layer. Thrown away after training."""
    def __init__(self, out):
        super().__init__()
        self.digits = nn.ModuleList(nn.Linear(out, 30) for _ in range(2))

    def loss(self, layer, x, time):
        x = F.rms_norm(x.float(), (x.shape[-1],))
        return F.cross_entropy(self.digits[layer](x).float().view(-1, 10), time.flatten(), reduction="sum") / max(1, time.numel())


class Fast:
    def __init__(self, m):
        self.m, self.v, self.t = m, m.model.visual, m.model.language_model
        self.cache = {}

    def geometry(self, grid):
        if grid not in self.cache:
            from transformers.models.qwen3_vl.modeling_qwen3_vl import get_vision_interpolation_indices_and_weights as gi, get_vision_position_ids as gp
            g = torch.tensor([[1, *grid]])
            i, w = gi(g, num_grid_per_side=self.v.num_grid_per_side, mode=self.v.interpolation_mode, align_corners=True, spatial_merge_size=2, kwargs={})
            cos, sin = self.v.rotary_pos_emb(torch.zeros(1), gp(g, 2, kwargs={}))
            self.cache[grid] = (i, w, cos, sin)
        return self.cache[grid]

    def vision(self, px, grid, deepstack=True):
        """px: [B, N, 192] in -1..1. Patch features, merged tokens, DeepStack features."""
        v = self.v
        i, w, cos, sin = self.geometry(grid)
        k = v.patch_embed.proj
        x = F.linear(px, k.weight.sum(2).flatten(1), k.bias)
        x = x.float() + (v.pos_embed(i) * w[:, :, None]).sum(1)
        B, N, D = x.shape
        deep = []
        for n, blk in enumerate(v.blocks):
            a = blk.attn
            q, key, val = a.qkv(blk.norm1(x)).view(B, N, 3, a.num_heads, -1).permute(2, 0, 3, 1, 4)
            c, s = cos.to(q.dtype), sin.to(q.dtype)
            q, key = q * c + rot(q) * s, key * c + rot(key) * s
            o = attend(q, key, val)
            x = x + a.proj(o.transpose(1, 2).reshape(B, N, D))
            x = x + blk.mlp(blk.norm2(x))
            if deepstack and n in v.deepstack_visual_indexes:
                deep.append(v.deepstack_merger_list[v.deepstack_visual_indexes.index(n)](x.reshape(B * N, D)).view(B, N // 4, -1))
        return x, v.merger(x.reshape(B * N, D)).view(B, N // 4, -1), deep

    def pads(self, ids):
        return (ids == self.m.config.image_token_id) | (ids == self.m.config.video_token_id)

    def text(self, ids, pos, br, merged, deep, pic, keep=None, look=None, taps=()):
        """ids [R, L], pos [R, L, 3], br [R, L] branch (-1 pad), pic [R, S] the pictures of each row's spans, or [R]. Logits where keep.
        `look`: for each layer None or what sees its attention. `taps[n]` sees layer n's output, and where each token lies in it."""
        t, R, L = self.t, *ids.shape
        x = t.embed_tokens(ids)
        img, pic = self.pads(ids), pic.view(R, -1)
        if merged is not None:
            r, c = img.nonzero(as_tuple=True)
            n = merged.shape[1]
            order = (img.cumsum(1) - 1)[r, c]
            p = pic[r, order // n % pic.shape[1]]
            order = order % n
            x = x.index_put((r, c), merged.float()[p, order])
            deep = [d.float()[p, order] for d in deep]
        flat = (br >= 0).flatten().nonzero()[:, 0]          # all but padding: what the matrices see
        x = x.reshape(R * L, -1)[flat]
        lies = torch.full((R * L,), -1).index_copy(0, flat, torch.arange(len(flat)))
        if merged is not None:
            at = lies[r * L + c]
        cos, sin = t.rotary_emb(x, pos.permute(2, 0, 1))
        cos, sin = (w.reshape(R * L, 1, -1)[flat] for w in (cos, sin))
        ok = torch.ones(L, L, dtype=torch.bool).tril()[None] & ((br[:, None, :] == 0) | (br[:, None, :] == br[:, :, None]))
        ok = ok | torch.eye(L, dtype=torch.bool)[None]
        mask = torch.zeros(ok.shape, dtype=torch.bfloat16 if torch.is_autocast_enabled("cpu") else torch.float32).masked_fill(~ok, -1e4)[:, None]

        def rows(w, g=1):
            w = w.flatten(1).to(mask.dtype)
            w = w.new_zeros(R * L, w.shape[1]).index_copy(0, flat, w).view(R, L, -1, self.head).transpose(1, 2)
            return w.repeat_interleave(g, 1) if g > 1 else w

        for n, l in enumerate(t.layers):
            a = l.self_attn
            self.head = a.head_dim
            h = rms(x, l.input_layernorm)
            q = rms(a.q_proj(h).view(len(flat), -1, a.head_dim), a.q_norm)
            k = rms(a.k_proj(h).view(len(flat), -1, a.head_dim), a.k_norm)
            q, k = q * cos + rot(q) * sin, k * cos + rot(k) * sin
            g = a.num_key_value_groups
            o = attend(rows(q), rows(k, g), rows(a.v_proj(h), g), mask, look and look[n])
            x = x + a.o_proj(o.transpose(1, 2).reshape(R * L, -1)[flat])
            x = x + l.mlp(rms(x, l.post_attention_layernorm))
            if merged is not None and n < len(deep):
                x = x.index_add(0, at, deep[n].to(x.dtype))
            if n < len(taps) and taps[n]:
                taps[n](x, lies.view(R, L))
        if keep is not None:
            keep = keep.flatten()[flat]
        if keep is not None:
            x = x[keep]
        return self.m.lm_head(rms(x, t.norm))


def check(folder_or_model, folder, n=3):
    """Largest difference between this forward and transformers' own, on a few pictures and clips."""
    import numpy as np, draw as D
    from tokenizers import Tokenizer
    from transformers import AutoProcessor
    from data import Maker, PATCH
    m = folder_or_model if not isinstance(folder_or_model, str) else Qwen3VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    m.eval(); m.set_attn_implementation("eager") if hasattr(m, "set_attn_implementation") else None
    P = AutoProcessor.from_pretrained(folder)
    own = Maker(Tokenizer.from_file(folder + "/tokenizer.json"), {"image_token_id": m.config.image_token_id, "video_token_id": m.config.video_token_id})
    worst = 0
    for i in range(n):
        rng = D.stream(9, i)
        for inp, key in ((prompt(P, D.paint(D.make_pair(rng), rng), "What is this?"), "image"), (prompt(P, D.make_clip(rng), "When?"), "video")):
            t, *g = inp[key + "_grid_thw"][0].tolist()
            with torch.no_grad():
                m.model.rope_deltas = None
                ref = m(**inp).logits
                pos, _ = m.model.get_rope_index(inp["input_ids"], **{key + "_grid_thw": inp[key + "_grid_thw"]}, attention_mask=inp["attention_mask"], mm_token_type_ids=inp["mm_token_type_ids"])
                px = inp["pixel_values" + "_videos" * (key == "video")].view(t, -1, 3, 2, PATCH * PATCH).mean(3).flatten(2)      # equal time slices
                f = Fast(m); _, me, de = f.vision(px, tuple(g))
                out = f.text(inp["input_ids"], pos.permute(1, 2, 0), torch.zeros_like(inp["input_ids"]), me, de, torch.arange(t)[None])[None]
                ids = inp["input_ids"][0].tolist(); pad = own.IM if key == "image" else own.VI
                pieces = []
                for x in P.tokenizer.decode(ids).replace(P.tokenizer.decode([pad]) * (g[0] * g[1] // 4), "\0").split("\0"):
                    pieces += [(x, 0, 0), (None, 0, 0)]
                mine = own.row(pieces[:-1], g, pad)
                assert (mine[0] == np.array(ids)).all() and (mine[1] == pos[:, 0].T.numpy()).all(), "tokens or positions differ"
            worst = max(worst, (ref - out).abs().max().item())
    return worst


def prompt(P, shown, question):
    """What transformers' processor makes of a picture, or of a draw.Clip, and a question."""
    import draw as D, numpy as np
    clip = isinstance(shown, D.Clip)
    part = {"type": "video", "video": "clip"} if clip else {"type": "image"}
    text = P.apply_chat_template([{"role": "user", "content": [part, {"type": "text", "text": question}]}], tokenize=False, add_generation_prompt=True)
    if not clip:
        return P(text=[text], images=[shown], return_tensors="pt")
    from transformers.video_utils import VideoMetadata
    about = lambda: VideoMetadata(total_num_frames=shown.total, fps=shown.rate, duration=shown.total / shown.rate, width=shown.w, height=shown.h)
    V, md = P.video_processor, about()
    md.frames_indices = [int(i) for i in V.sample_frames(about(), fps=V.fps)]
    frames = torch.stack([torch.from_numpy(np.array(shown.frame(i))).permute(2, 0, 1) for i in md.frames_indices])
    inp = P(text=[text], videos=[frames], video_metadata=[md], do_sample_frames=False, return_tensors="pt", return_metadata=True)
    inp.pop("video_metadata")
    return inp


if __name__ == "__main__":
    import sys, os
    d = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "../model")
    m = make_model(d)
    for p in ("visual", "language_model"):
        print(p, sum(x.numel() for x in getattr(m.model, p).parameters()) / 1e6)
    w = m.model.visual.patch_embed.proj.weight
    w.data = w.data.mean(2, keepdim=True).expand_as(w).clone()
    print("difference", check(m, d))
