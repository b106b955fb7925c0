#!/usr/bin/env python3
"""Trains the demo model. `python train.py --seed 1 --minutes 40`; run again with --resume to go on. See README.md."""
import argparse, copy, json, math, multiprocessing as mp, os, sys, time
import numpy as np, torch, torch.nn.functional as F
HERE = os.path.dirname(os.path.abspath(__file__))
from data import producer, MIX
from model import make_model, Fast, Heads


def tensors(b):
    t = {k: torch.from_numpy(v).long() for k, v in b.items() if k not in ("px", "grid")}
    t["px"] = torch.from_numpy(b["px"]).float() / 127.5 - 1
    return t, b["grid"]


class Muon:
    """Momentum, orthogonalised by Newton-Schulz, for the matrices inside blocks; step sizes like Adam's (Moonlight)."""
    def __init__(self, params, wd=0.02):
        self.groups = {}
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buf = {k: torch.zeros(len(v), *k) for k, v in self.groups.items()}
        self.wd = wd

    @torch.no_grad()
    def step(self, lr):
        for k, ps in self.groups.items():
            g = torch.stack([p.grad if p.grad is not None else torch.zeros_like(p) for p in ps])
            b = self.buf[k]; b.lerp_(g, 0.05)
            u = g.lerp(b, 0.95).bfloat16()
            tall = k[0] > k[1]
            if tall:
                u = u.transpose(1, 2)
            u = u / (u.float().flatten(1).norm(dim=1)[:, None, None] + 1e-12).bfloat16()
            for _ in range(5):
                a = torch.bmm(u, u.transpose(1, 2)); c = -4.775 * a + 2.0315 * torch.bmm(a, a)
                u = 3.4445 * u + torch.bmm(c, u)
            if tall:
                u = u.transpose(1, 2)
            u = u.float() * (0.2 * max(k) ** 0.5)
            for p, x in zip(ps, u):
                p.mul_(1 - lr * self.wd).add_(x, alpha=-lr)


def named(merged, b, table, words, hues):
    """Draws each picture token towards the embeddings of the words for what lies in it."""
    B, M = merged.shape[:2]
    cell, cover, color = (b[k].reshape(B * M, -1) for k in ("cell", "cover", "color"))
    x = F.rms_norm(merged.float().reshape(B * M, -1), (merged.shape[-1],))
    want = F.one_hot(cell, 16).amax(1)[:, 1:].float() + 0.3 * F.one_hot(cover, 16).amax(1)[:, 1:].float()
    hue = F.one_hot(color + 1, 12).amax(1)[:, 1:].float()
    loss = 0
    for ids, w in ((words, want), (hues, hue)):
        lp = torch.log_softmax(F.linear(x, table[ids]).float(), -1)
        n = w.sum(1)
        loss = loss - ((lp * w).sum(1) / n.clamp(min=1e-3)).sum() / (n > 0).sum().clamp(min=1)
    return loss


def export(model, shadow, out):
    """The averaged weights as bf16, in hub layout."""
    from safetensors.torch import save_file
    sd = {}
    for n, p in model.named_parameters():
        if n.startswith("lm_head"):
            continue
        w = shadow[n].detach().clone()
        if n.endswith("patch_embed.proj.weight"):
            w = w.sum(2, keepdim=True).expand_as(w) / 2     # a picture is two equal frames
        sd[n] = w.to(torch.bfloat16).contiguous()
    save_file(sd, out + "/model.safetensors.new", metadata={"format": "pt"})
    os.replace(out + "/model.safetensors.new", out + "/model.safetensors")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--minutes", type=float, default=40, help="wall-clock length; the learning rate ends at zero with it")
    p.add_argument("--end", default=None, help="HH:MM (clock) at which training ends, instead of --minutes")
    p.add_argument("--lr", type=float, default=1.6e-3)
    p.add_argument("--batch", type=int, default=16, help="pictures a step and process")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--vision-first", type=float, default=0.12, help="part of the time with the dense labels alone")
    p.add_argument("--model", default=os.path.join(HERE, "../model"))
    p.add_argument("--work", default="/tmp/vlgate-train")
    p.add_argument("--journal", default=None)
    p.add_argument("--mix", default=None, help='JSON, e.g. {"number": 0.4}')
    p.add_argument("--resume", action="store_true")
    p.add_argument("--steps", type=int, default=0, help="stop early (trial)")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    ranks, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))   # set by torch.distributed.run
    if ranks > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        torch.distributed.init_process_group("gloo")
    os.makedirs(a.work, exist_ok=True)
    log = open(os.devnull, "w") if rank else open(a.journal, "a") if a.journal else sys.stdout
    def say(*x):
        print(time.strftime("%H:%M:%S"), *x, file=log, flush=True)
    cfg = json.load(open(a.model + "/config.json"))
    model = make_model(a.model); fast = Fast(model); heads = Heads(cfg["vision_config"]["hidden_size"], cfg["text_config"]["hidden_size"])
    params = [p for p in model.parameters()] + list(heads.parameters())
    inner = [p for n, p in model.named_parameters() if p.ndim == 2 and "embed" not in n and "lm_head" not in n and "merger" not in n]
    ids_ = {id(p) for p in inner}
    decay = [p for p in params if p.ndim >= 2 and id(p) not in ids_]; flat = [p for p in params if p.ndim < 2]
    muon = Muon(inner)
    opt = torch.optim.AdamW([dict(params=decay, weight_decay=0.03), dict(params=flat, weight_decay=0.0)], lr=a.lr, betas=(0.9, 0.98), eps=1e-8, fused=True)
    shadow = {n: p.detach().clone() for n, p in model.named_parameters()}
    done, step, seen, starts = 0.0, 0, 0, [0] * a.workers
    ck = a.work + "/checkpoint.pt"
    if a.resume and os.path.exists(ck):
        c = torch.load(ck, weights_only=False)
        model.load_state_dict(c["model"]); heads.load_state_dict(c["heads"]); opt.load_state_dict(c["opt"]); muon.buf = c["muon"]; shadow = c["shadow"]
        done, step, seen, starts = c["done"], c["step"], c["seen"], (c["starts"] + [0] * a.workers)[:a.workers]
        say("resumed", step, "steps", seen, "pictures", round(done / 60, 1), "minutes")
    mix = dict(MIX, **(json.loads(a.mix) if a.mix else {}))
    if a.end:
        t = time.localtime(); h, mi = map(int, a.end.split(":"))
        a.minutes = (done + ((h * 60 + mi) * 60 - (t.tm_hour * 3600 + t.tm_min * 60 + t.tm_sec)) % 86400) / 60
    until = time.time() + a.vision_first * a.minutes * 60 - done
    queues = [mp.Queue(12) for _ in range(a.workers)]
    procs = [mp.Process(target=producer, args=(queues[w], a.model + "/tokenizer.json", cfg, a.seed, rank * a.workers + w, starts[w], a.batch, mix, until), daemon=True) for w in range(a.workers)]
    [q.start() for q in procs]
    total = a.minutes * 60
    from tokenizers import Tokenizer
    import draw as D
    tok = Tokenizer.from_file(a.model + "/tokenizer.json")
    first = lambda s: tok.encode(s, add_special_tokens=False).ids[0]
    words = torch.tensor([first(" " + s) for s in D.SHAPES] + [first(c) for c in "0123456789"]); hues = torch.tensor([first(" " + c) for c in D.COLOR_NAMES])
    assert len(set(words.tolist() + hues.tolist())) == 26
    say(f"training: {sum(p.numel() for p in model.parameters())/1e6:.2f} M parameters, seed {a.seed}, {a.minutes} minutes, {a.threads} threads, mix {mix}")
    last = saved = time.time(); exported = time.time()
    stat = {}
    def add(k, v):
        s, n = stat.get(k, (0.0, 0)); stat[k] = (s + v, n + 1)
    wait = 0.0
    base, begin = done, time.time()
    while done < total and (not a.steps or step < a.steps):
        t0 = time.time()
        w = step % a.workers
        b, starts[w] = queues[w].get(); wait += time.time() - t0
        b, grid = tensors(b)
        f = done / total
        lr = a.lr * min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * min(1, f))) + 1e-6
        for g in opt.param_groups:
            g["lr"] = lr
        alone = f < a.vision_first
        with torch.autocast("cpu", dtype=torch.bfloat16):
            h, merged, deep = fast.vision(b["px"], grid)
            dense, count = heads.loss(h, merged, b)
            aux = 1.0 if alone else max(0.15, 0.6 * (1 - f))
            loss = aux * (dense + 0.5 * count) + 0.7 * named(merged, b, model.model.language_model.embed_tokens.weight, words, hues)
            if not alone and b["ids"].shape[1]:
                ids, br = b["ids"], b["br"]
                nxt = torch.zeros_like(ids); nxt[:, :-1] = ids[:, 1:]
                keep = torch.zeros_like(ids, dtype=torch.bool); keep[:, :-1] = (b["learn"][:, 1:] == 1) & (br[:, 1:] == br[:, :-1])
                logits = fast.text(ids, b["pos"], br, merged, deep, b["pic"].clamp(min=0), keep).float()
                tgt = nxt[keep]
                ce = F.cross_entropy(logits, tgt, reduction="none")
                add("answer", ce.mean().item()); add("token_ok", (logits.argmax(-1) == tgt).float().mean().item())
                loss = loss + ce.mean() * 4
        opt.zero_grad(set_to_none=True)
        loss.backward()
        if ranks > 1:   # mean gradients, and one clock for all
            flat_g = torch.cat([(p.grad if p.grad is not None else torch.zeros_like(p)).flatten() for p in params] + [torch.tensor([base + time.time() - begin])])
            torch.distributed.all_reduce(flat_g); flat_g /= ranks
            at = 0
            for p in params:
                p.grad = flat_g[at:at + p.numel()].view_as(p); at += p.numel()
            clock = float(flat_g[-1])
        gn = torch.nn.utils.clip_grad_norm_(params, 1.0)
        if torch.isfinite(gn):
            opt.step(); muon.step(lr * 2.5)
        add("dense", dense.item()); add("count", count.item()); add("grad", gn.item())
        step += 1; seen += b["px"].shape[0] * ranks
        d = min(0.98, (1 + step) / (20 + step))
        if step % 4 == 0:
            with torch.no_grad():
                names = [n for n, _ in model.named_parameters()]
                torch._foreach_lerp_([shadow[n] for n in names], [p.data for _, p in model.named_parameters()], 1 - d ** 4)
        now = time.time(); done = clock if ranks > 1 else base + now - begin
        if now - last > 30:
            say(f"step {step} pictures {seen} min {done/60:.1f} lr {lr:.2e} wait {wait/(now-last):.2f} " + " ".join(f"{k} {s/n:.4f}" for k, (s, n) in stat.items()) + f" ms/step {1000*(now-last)/max(1, stat['dense'][1]):.0f}")
            stat, last, wait = {}, now, 0.0
        if rank == 0 and (now - saved > 120 or done >= total):
            torch.save(dict(model=model.state_dict(), heads=heads.state_dict(), opt=opt.state_dict(), muon=muon.buf, shadow=shadow, done=done, step=step, seen=seen, starts=starts), ck + ".new")
            os.replace(ck + ".new", ck); saved = now
            if True:
                export(model, shadow, a.model)
    say("finished", step, "steps", seen, "pictures", round(done / 60, 1), "minutes")
    export(model, shadow, a.model) if not a.steps and rank == 0 else None
    [q.terminate() for q in procs]


if __name__ == "__main__":
    main()
