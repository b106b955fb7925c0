#!/usr/bin/env python3
"""Trains the demo model in four phases: `vision` (dense labels), `text` (questions about facts instead of pictures), `joint`, which
starts from both, and `clips`, which goes on from exported weights with the vision tower as it is. `python train.py PHASE --seed 1 --minutes 40`; again with --resume to go on. See README.md."""
import argparse, json, multiprocessing as mp, os, sys, time
import torch, torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
import draw as D
from data import producer, MIX, FIRST, CLIPS
from model import make_model, facts, places, Fast, Heads, Clock
HERE = os.path.dirname(os.path.abspath(__file__))


PHASES = ["vision", "text", "joint", "clips"]


def tensors(b):
    t = {k: torch.from_numpy(v).long() for k, v in b.items() if k not in ("px", "grid")}
    if "px" in b:
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
            g = torch.stack([p.grad for p in ps])
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


class Words:
    """What tokens mean: `weight` (those that carry an answer weigh more), `shape` and `color` (0 none), and the
    sides and verbs of relations."""
    def __init__(self, tok, rows):
        keys = set(D.SHAPES + [s + "s" for s in D.SHAPES] + D.COLOR_NAMES + "grey left right above below top bottom center centre yes no".split() + list("0123456789"))
        self.weight, self.shape, self.color = torch.full((rows,), 0.3), torch.zeros(rows, dtype=torch.long), torch.zeros(rows, dtype=torch.long)
        self.side, self.verb = torch.zeros(rows, dtype=torch.bool), torch.zeros(rows, dtype=torch.bool)
        self.digits = torch.tensor([tok.token_to_id(x) for x in "0123456789"])
        for t, i in tok.get_vocab().items():
            w = t.lstrip("Ġ").lower()
            if w in keys or "<|im_end|>" == t:
                self.weight[i] = 2.0
            if w.rstrip("s") in D.SHAPES:
                self.shape[i] = D.SHAPES.index(w.rstrip("s")) + 1
            self.side[i], self.verb[i] = w in ("left", "right", "above", "below"), t in ("Ġis", "Ġare", "Ċ")
            if w.replace("grey", "gray") in D.COLOR_NAMES:
                self.color[i] = D.COLOR_NAMES.index(w.replace("grey", "gray")) + 1


def look_at_things(b, img, words, hue, heads, grid):
    """The second layer's first two heads, at words for shapes, should look at the picture tokens of the things they name,
    and its output there should tell the thing's colour and place."""
    ids, br, M = b["ids"], b["br"], b["slot"].shape[1]
    cell, color = (b[k].view(-1, M, 4) for k in ("cell", "color"))
    r, c = (words.shape[ids] * (img.any(1) & (b["pic"] >= 0))[:, None]).nonzero(as_tuple=True)
    p, h = b["pic"][r], hue[r, c][:, None, None]
    fits = (cell[p] == words.shape[ids[r, c]][:, None, None]) & ((h == 0) | (color[p] + 1 == h))
    one = fits.flatten(1).sum(1) == 1
    want = fits.any(-1)
    want = want.gather(1, ((img.cumsum(1) - 1).clamp(min=0) % M)[r]) & img[r] & ((br[r] == 0) | (br[r] == br[r, c][:, None])) & (torch.arange(ids.shape[1]) < c[:, None])
    some = want.any(1)
    r, c, want, one = r[some], c[some], want[some], one[some]
    spot = fits[some].flatten(1).int().argmax(1)[one]       # patch in the tower's order
    r1, c1, true = r[one], c[one], b["color"][p[some][one], spot]
    def told(x, lies):
        hues, place = heads.word(F.rms_norm(x[lies[r1, c1]].float(), (x.shape[-1],))).float().split([11, 18], -1)
        return (F.cross_entropy(hues, true, reduction="sum") + 2 * (place - places(grid)[spot // 4]).square().sum()) / max(1, len(r1))
    if heads is None:
        told = None
    return lambda a: -((a[r, :2, c] * want[:, None]).sum(-1).float() + 1e-3).log().sum() / max(1, 2 * len(r)), told


def look_at_names(b, keep, nxt, words, hue):
    """The third layer's first two heads, where a colour or a side is about to be said, should look at the thing named
    last, and at the one named last before it that is another."""
    ids, br = b["ids"], b["br"]
    r, c = (keep & (words.side[nxt] | (words.verb[ids] & (words.color[nxt] > 0)))).nonzero(as_tuple=True)
    place = torch.arange(ids.shape[1])
    name = words.shape[ids] * 16 + hue
    may = (words.shape[ids[r]] > 0) & (br[r] == br[r, c][:, None]) & (place <= c[:, None])
    some = may.any(1)
    r, c, may = r[some], c[some], may[some]
    last = (may * place).argmax(1)
    other = may & (name[r] != name[r, last][:, None])
    other = torch.where(other.any(1), (other * place).argmax(1), last)
    return lambda a: -((a[r, 0, c, last].float() + 1e-3).log().sum() + (a[r, 1, c, other].float() + 1e-3).log().sum()) / max(1, 2 * len(r))


def look_at_clips(b, clock):
    """The first layer's last three heads, at a picture of a clip, should look at the digits of its stamp; the second layer's first four, at
    a shape's name, at the first picture of what it names; the third layer's first two, before a digit, at the name. Outputs should tell the time."""
    r0, c0 = (b["stamp"][..., 0] >= 0).nonzero(as_tuple=True)
    r1, c1 = (b["first"] >= 0).nonzero(as_tuple=True)
    r2, c2 = (b["named"] >= 0).nonzero(as_tuple=True)
    miss = lambda a: -(a.float() + 1e-3).log().sum() / max(1, a.numel())
    look = [lambda a: miss(torch.stack([a[r0, 3 + k, c0, b["stamp"][r0, c0, k]] for k in range(3)])),
            lambda a: miss(a[r1, :4, c1, b["first"][r1, c1]]), lambda a: miss(a[r2, :2, c2, b["named"][r2, c2]])]
    taps = [lambda x, lies: clock.loss(0, x[lies[r0, c0]], b["time"][r0, c0]), lambda x, lies: clock.loss(1, x[lies[r1, c1]], b["time"][r1, c1])]
    return look, taps


def stay(fast, before, args):
    """What each layer says of pictures should stay what it was before clips: taps that measure how far it has gone, and the answers then."""
    old = []
    with torch.no_grad():
        answers = before.text(*args, taps=[lambda x, lies: old.append(x)] * len(fast.t.layers))
    return [lambda x, lies, o=o: (x - o).square().mean() / o.square().mean() for o in old], answers.float()


def answer_loss(fast, b, merged, deep, words, heads, grid, before=None):
    """Loss of the answers, share of right key tokens, and by name what is missing from where heads should look. `heads`: a Clock for
    clips. `before`: the model as it was, to stay like on pictures."""
    ids, br, seen = b["ids"], b["br"], {}
    nxt = torch.zeros_like(ids); nxt[:, :-1] = ids[:, 1:]
    keep = torch.zeros_like(ids, dtype=torch.bool); keep[:, :-1] = (b["learn"][:, 1:] == 1) & (br[:, 1:] == br[:, :-1])
    if "stamp" in b:
        (look, taps), names = look_at_clips(b, heads), ("stamps", "firsts", "named")
    else:
        hue = torch.zeros_like(ids); hue[:, 1:] = words.color[ids[:, :-1]]
        things, told = look_at_things(b, fast.pads(ids), words, hue, heads, grid)
        look, taps, names = (None, things, look_at_names(b, keep, nxt, words, hue)), (None, told), (None, "things", "names")
    args = ids, b["pos"], br, merged, deep, b["pic"].clamp(min=0), keep
    if before and "stamp" not in b:
        taps, answers = stay(fast, before, args)
    note = lambda name, f: f and (lambda *x: seen.update({name: f(*x)}))
    logits = fast.text(*args, [note(n, f) for n, f in zip((*names, None), (*look, None))],
                       [note(f"{'like' if before and 'stamp' not in b else 'told'}{n}", f) for n, f in enumerate(taps)]).float()
    if before and "stamp" not in b:
        seen["answers"] = F.kl_div(logits.log_softmax(-1), answers.log_softmax(-1), reduction="batchmean", log_target=True)
    tgt = nxt[keep]; w = words.weight[tgt]
    ce = (F.cross_entropy(logits, tgt, reduction="none") * w).sum() / w.sum()
    at = torch.isin(tgt, words.digits) if "stamp" in b else w > 1
    return ce, (logits.argmax(-1) == tgt)[at].float().mean(), seen


@torch.no_grad()
def bridge(fast, heads, oracle, get, batches=40):
    """Turns the merged tokens, by least squares, into the oracle's tokens that the text model has learned on."""
    xx = xy = 0
    for _ in range(batches):
        b, grid = get()
        m = fast.vision(b["px"], grid)[1].flatten(0, 1).float(); f = facts(b, grid).flatten(0, 1)
        m = torch.cat((m, torch.ones(len(m), 1)), 1).double()
        known = (b["counts"] >= 0).all(1)[:, None].expand(-1, m.shape[0] // len(b["counts"])).flatten()
        xx, xy = xx + m[known].T @ m[known], xy + m[known].T @ f.double()[known]
    a = torch.linalg.solve(xx + 1e-5 * xx.diagonal().mean() * torch.eye(len(xx), dtype=xx.dtype), xy).T
    w = oracle.weight.double()
    T, t = w @ a[:, :-1], w @ a[:, -1] + oracle.bias.double()
    fc = fast.v.merger.linear_fc2
    heads.token.weight.zero_(); heads.token.bias.zero_()        # these learn anew
    fc.bias.copy_((T @ fc.bias.double() + t).float()); fc.weight.copy_((T @ fc.weight.double()).float())


def export(model, shadow, out):
    """The averaged weights as bf16, in hub layout."""
    from safetensors.torch import save_file
    sd = {}
    for n, p in model.named_parameters():
        if n.startswith("lm_head"):
            continue
        w = shadow.get(n, p).detach().clone()
        if n.endswith("patch_embed.proj.weight"):
            w = w.sum(2, keepdim=True).expand_as(w) / 2     # a picture is two equal frames
        sd[n] = w.to(torch.bfloat16).contiguous()
    save_file(sd, out + "/model.safetensors.new", metadata={"format": "pt"})
    os.replace(out + "/model.safetensors.new", out + "/model.safetensors")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("phase", choices=PHASES)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--minutes", type=float, default=40, help="wall-clock length; the learning rate follows it")
    p.add_argument("--end", help="HH:MM (clock) at which training ends, instead of --minutes")
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--last", type=float, default=0.0, help="the learning rate at the end, as a part of --lr")
    p.add_argument("--flat", type=float, default=0.0, help="part of the time before the learning rate falls")
    p.add_argument("--batch", type=int, default=16, help="pictures a step and process")
    p.add_argument("--model", default=os.path.join(HERE, "../model"))
    p.add_argument("--out", help="where the weights go, if not to --model")
    p.add_argument("--work", default="/tmp/vlgate-train")
    p.add_argument("--journal")
    p.add_argument("--mix", default="{}", help='JSON, e.g. {"number": 0.4}')
    p.add_argument("--resume", action="store_true")
    a = p.parse_args()
    torch.set_num_threads(1)
    ranks, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))   # set by torch.distributed.run
    if ranks > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        torch.distributed.init_process_group("gloo")
    os.makedirs(a.work, exist_ok=True)
    log = open(os.devnull, "w") if rank else open(a.journal, "a") if a.journal else sys.stdout
    def say(*x):
        print(time.strftime("%H:%M:%S"), *x, file=log, flush=True)
    see, talk, clips = a.phase != "text", a.phase != "vision", a.phase == "clips"
    cfg = json.load(open(a.model + "/config.json"))
    out = cfg["text_config"]["hidden_size"]
    model = make_model(a.model); fast = Fast(model); heads = Clock(out) if clips else Heads(cfg["vision_config"]["hidden_size"], out); oracle = torch.nn.Linear(146, out)
    named = [(n, p) for n, p in model.named_parameters() if (see and not clips if "visual" in n else talk) and ("deepstack" not in n or talk)]
    params = [p for _, p in named] + list(heads.parameters() if see else [*oracle.parameters(), *heads.word.parameters()])
    inner = [p for n, p in named if p.ndim == 2 and "embed" not in n and "lm_head" not in n and "merger" not in n]
    model.requires_grad_(False)
    for _, p in named:
        p.requires_grad_(True)
    before = None
    ids_ = {id(p) for p in inner}
    muon = Muon(inner)
    opt = torch.optim.AdamW([dict(params=[p for p in params if p.ndim >= 2 and id(p) not in ids_], weight_decay=0.03), dict(params=[p for p in params if p.ndim < 2], weight_decay=0.0)],
                            lr=a.lr, betas=(0.9, 0.98), eps=1e-8, fused=True)
    base, step, seen, start = 0.0, 0, 0, 0
    at = lambda phase: f"{a.work}/{phase}.pt"
    c = torch.load(at(a.phase), weights_only=False) if a.resume and os.path.exists(at(a.phase)) else None
    if c:
        model.load_state_dict(c["model"]); heads.load_state_dict(c["heads"]); oracle.load_state_dict(c["oracle"])
        opt.load_state_dict(c["opt"]); muon.buf = c["muon"]; base, step, seen, start = c["done"], c["step"], c["seen"], c["start"]
        say("resumed", step, "steps", seen, "pictures", round(base / 60, 1), "minutes")
    elif clips:
        model.load_state_dict({n: w.float() for n, w in load_file(a.model + "/model.safetensors").items()}, strict=False); model.tie_weights()
    elif a.phase == "joint":
        v, t = (torch.load(at(x), weights_only=False) for x in ("vision", "text"))
        model.load_state_dict({n: (v if "visual" in n else t)["model"][n] for n in model.state_dict()})
        model.load_state_dict(dict(v["shadow"], **t["shadow"]), strict=False)
        heads.load_state_dict(dict(v["heads"], **{n: w for n, w in t["heads"].items() if "word" in n})); oracle.load_state_dict(t["oracle"])
    if a.end:
        t = time.localtime(); h, mi = map(int, a.end.split(":"))
        a.minutes = (base + ((h * 60 + mi) * 60 - (t.tm_hour * 3600 + t.tm_min * 60 + t.tm_sec)) % 86400) / 60
    total = a.minutes * 60
    mix = dict(CLIPS if clips else dict(MIX, soup=0) if not see else MIX if talk else FIRST, **json.loads(a.mix))
    queue = mp.Queue(12)
    worker = mp.Process(target=producer, args=(queue, a.model + "/tokenizer.json", cfg, a.seed + 1000 * PHASES.index(a.phase), rank, start, a.batch, mix, see, talk), daemon=True)
    worker.start()
    def get():
        nonlocal start
        b, start = queue.get()
        return tensors(b)
    if a.phase == "joint" and not c:
        say("bridge"); bridge(fast, heads, oracle, get)
        if ranks > 1:
            for p in params:
                torch.distributed.broadcast(p.data, 0)
    if clips:
        old = make_model(a.model); old.load_state_dict({n: w.float() for n, w in load_file(a.model + "/model.safetensors").items()}, strict=False); old.tie_weights()
        before = Fast(old.requires_grad_(False))
    words = Words(Tokenizer.from_file(a.model + "/tokenizer.json"), cfg["text_config"]["vocab_size"])
    shadow = c["shadow"] if c else {n: p.detach().clone() for n, p in named}
    say(f"{a.phase}: {sum(p.numel() for p in params)/1e6:.2f} M parameters, seed {a.seed}, {a.minutes:.1f} minutes, lr {a.lr}, batch {a.batch} x {ranks}, mix {mix}")
    begin = last = saved = time.time()
    stat, wait, done, since = {}, 0.0, base, 0
    def add(k, v):
        s, n = stat.get(k, (0.0, 0)); stat[k] = (s + float(v.detach()), n + 1)
    while done < total:
        t0 = time.time(); b, grid = get(); wait += time.time() - t0
        f = done / total
        lr = a.lr * min(1, (step + 1) / 60) * (1 - (1 - a.last) * max(0, f - a.flat) / (1 - a.flat)) + 1e-6
        for g in opt.param_groups:
            g["lr"] = lr
        loss = 0
        with torch.autocast("cpu", dtype=torch.bfloat16):
            if clips:
                with torch.no_grad():
                    _, merged, deep = fast.vision(b["px"], grid)
            elif see:
                h, merged, deep = fast.vision(b["px"], grid, talk)
                dense, parts = heads.loss(h, merged, b, grid)
                loss = dense * (1 - 0.8 * f if talk else 1.0)
                for k, v in parts.items():
                    add(k, v)
            else:
                x = facts(b, grid)
                merged, deep = oracle(x + 0.15 * torch.randn_like(x)), []
            if talk and b["ids"].shape[1]:
                clip = "stamp" in b
                ce, good, look = answer_loss(fast, b, merged, deep, words, heads if clip or not clips else None, grid, before)
                add("clip" if clip else "answer", ce); add("digit" if clip else "key", good)
                for k, v in look.items():
                    add(k, v)
                loss = loss + 2 * ce + 0.5 * sum(look.values())
        opt.zero_grad(set_to_none=True)
        loss.backward()
        for p in params:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        clock = base + time.time() - begin
        if ranks > 1:   # mean gradients, and one clock for all
            flat = torch.cat([p.grad.flatten() for p in params] + [torch.tensor([clock])])
            torch.distributed.all_reduce(flat); flat /= ranks
            for p, g in zip(params, flat[:-1].split([p.numel() for p in params])):
                p.grad = g.view_as(p)
            clock = float(flat[-1])
        gn = torch.nn.utils.clip_grad_norm_(params, 1.0)
        if torch.isfinite(gn):
            opt.step(); muon.step(lr * 2.5)
        add("grad", gn)
        step += 1; seen += len(b["pic"] if "stamp" in b else b["counts"]) * ranks; since += 1; done = clock
        if step % 4 == 0:
            torch._foreach_lerp_([shadow[n] for n, _ in named], [p.data for _, p in named], 1 - min(0.98, (1 + step) / (20 + step)) ** 4)
        now = time.time()
        if now - last > 30:
            say(f"step {step} pictures {seen} min {done/60:.1f} lr {lr:.2e} wait {wait/(now-last):.2f} ms/step {1000*(now-last)/since:.0f} " + " ".join(f"{k} {s/n:.3f}" for k, (s, n) in stat.items()))
            stat, last, wait, since = {}, now, 0.0, 0
        if rank == 0 and (now - saved > 120 or done >= total):
            torch.save(dict(model=model.state_dict(), heads=heads.state_dict(), oracle=oracle.state_dict(), opt=opt.state_dict(), muon=muon.buf, shadow=shadow, done=done, step=step, seen=seen, start=start), at(a.phase) + ".new")
            os.replace(at(a.phase) + ".new", at(a.phase)); saved = now
            if talk and see:
                export(model, shadow, a.out or a.model)
    say("finished", step, "steps", seen, "pictures", round(done / 60, 1), "minutes")
    worker.terminate()


if __name__ == "__main__":
    main()
