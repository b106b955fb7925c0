"""Training examples: pictures with dense labels, and packed question rows."""
import math, time
import numpy as np
from PIL import Image
import draw as D
from phrases import Asker, SYSTEM

PATCH, MIN_AREA, MAX_AREA = 8, 16384, 20480
FACTOR = 2 * PATCH
CLASSES = D.SHAPES + list("0123456789")     # class i+1; 0 is nothing
QUESTIONS = {"object": 4, "count": 7, "several": 9, "pair": 8, "number": 3}      # behind one picture
MIX = {"soup": 0.10, "object": 0.07, "count": 0.24, "several": 0.14, "pair": 0.28, "number": 0.17}

CLIPS = {"clip": 0.30, "brief": 0.25, "soup": 0.0, "object": 0.04, "count": 0.16, "several": 0.05, "pair": 0.10, "number": 0.10}      # once clips are learned
BRIEF = dict(sizes=[(64, 64), (80, 80), (96, 64), (96, 96)], seconds=(2.0, 5.0))
MAX_CLIP = 10 * MAX_AREA        # pixels of all frames together

FIRST = {"soup": 0.60, "object": 0.07, "count": 0.15, "pair": 0.03, "number": 0.15}      # while only the dense labels teach


def smart_resize(h, w):
    a, b = round(h / FACTOR) * FACTOR, round(w / FACTOR) * FACTOR
    if a * b > MAX_AREA:
        k = math.sqrt(h * w / MAX_AREA)
        a, b = max(FACTOR, math.floor(h / k / FACTOR) * FACTOR), max(FACTOR, math.floor(w / k / FACTOR) * FACTOR)
    elif a * b < MIN_AREA:
        k = math.sqrt(MIN_AREA / (h * w))
        a, b = math.ceil(h * k / FACTOR) * FACTOR, math.ceil(w * k / FACTOR) * FACTOR
    return a, b


def make_soup(rng):
    """Many things at once: for the dense labels only."""
    s = D.Scene(*D.canvas_size(rng), D.background(rng)); side = min(s.w, s.h)
    digits, small = 0.8 if rng.random() < 0.7 else 0.0, rng.random() < 0.7
    for _ in range(int(rng.integers(8, 26))):
        c = D.good_color(rng, s.bg, least=80)
        if c[0] is None:
            continue
        if rng.random() < digits:
            D.add_number(s, rng, D.number_text(rng), int(max(11, side * math.exp(rng.uniform(math.log(0.12), math.log(0.25 if small else 0.5))))), c, D.pick_font(rng),
                         angle=math.radians(rng.uniform(-9, 9)) if rng.random() < 0.2 else 0.0, tries=5)
        else:
            D.add_shape(s, rng, D.pick(rng, D.SHAPES), c, D.radius(rng, side, 0.1, 0.22 if small else 0.5), tries=5)
    return s


def sample(total, rate, wish):
    """Frames of a clip as Qwen3VLVideoProcessor takes them (two a second, or as wished), in pairs, and each pair's stamp."""
    count = wish.get("num_frames") or max(4, int(total / rate * wish.get("fps", 2)))
    idx = np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist()
    idx += idx[-1:] * (len(idx) % 2)
    pairs = list(zip(idx[::2], idx[1::2]))
    return pairs, [f"<{(a / rate + b / rate) / 2:.1f} seconds>" for a, b in pairs]


def clip_size(frames, h, w):
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize
    return smart_resize(frames, h, w, 2, FACTOR, 4096, MAX_CLIP)


def scene(rng, kind):
    return dict(soup=make_soup, object=D.make_object, count=D.make_count, several=D.make_several, pair=D.make_pair, number=D.make_number)[kind](rng)


ASK = {"soup": [], "object": [("object", 3), ("list", 3), ("color", 2), ("count", 1), ("where", 2), ("yesno", 1)],
       "count": [("count", 7), ("list", 1), ("color", 1), ("yesno", .6)],
       "several": [("color", 5), ("position", 3), ("list", 1.5), ("count", 1.5), ("yesno", 1)],
       "pair": [("position", 7), ("where", 1.5), ("list", 1), ("color", 1.5)],
       "number": [("number", 7), ("list", 1), ("ink", 1.2)]}


def labels(s, H, W):
    """Per patch: class of the object whose centre is there, colour, and which object covers it. Per token: the number
    that covers it, digit by digit (0 none, 11 its end). Per picture: the counts (-1 unknown)."""
    gh, gw = H // PATCH, W // PATCH
    cell = np.zeros((gh, gw), np.int64); color = np.full((gh, gw), -1, np.int64); cover = np.zeros((gh, gw), np.int64)
    slot = np.zeros((gh // 2, gw // 2, 3), np.int64)
    fx, fy = W / s.w, H / s.h
    ys, xs = (np.mgrid[0:gh, 0:gw] * PATCH + PATCH / 2)
    for o, cls, rx, ry in [(o, D.SHAPES.index(o["name"]) + 1, o["r"] * .8, o["r"] * .8) for o in s.objects] + [(d, int(d["name"]) + 6, d["w"] / 2, d["h"] / 2) for d in s.digits]:
        x, y = min(o["x"] * fx, W - 1), min(o["y"] * fy, H - 1)
        ci = D.COLOR_NAMES.index(o["color"])
        for m in ((abs(xs - x) <= rx * fx) & (abs(ys - y) <= ry * fy), (int(y // PATCH), int(x // PATCH))):
            cover[m], color[m] = cls, ci
        cell[int(y // PATCH), int(x // PATCH)] = cls
    ys, xs = (np.mgrid[0:gh // 2, 0:gw // 2] * FACTOR + PATCH)
    for n in s.numbers:
        slot[(abs(xs - n["x"] * fx) <= n["w"] * fx / 2 + 3) & (abs(ys - n["y"] * fy) <= n["h"] * fy / 2 + 3)] = ([int(c) + 1 for c in n["text"]] + [11, 11])[:3]
    few = len(s.objects) <= 8
    counts = np.array([len(s.objects)] + [sum(o["name"] == n for o in s.objects) for n in D.SHAPES], np.int64) if few else np.full(6, -1)
    return cell, color, cover, slot.reshape(-1, 3), counts


def merge_order(a):
    """(h, w, ...) patches to the order of the vision tower: 2x2 blocks together."""
    h, w = a.shape[:2]
    return a.reshape(h // 2, 2, w // 2, 2, *a.shape[2:]).transpose(0, 2, 1, 3, *range(4, a.ndim + 2)).reshape(h * w, *a.shape[2:])


def patches(arr):
    h, w = arr.shape[0] // PATCH, arr.shape[1] // PATCH
    p = arr.reshape(h, PATCH, w, PATCH, 3).transpose(0, 2, 4, 1, 3).reshape(h, w, 3 * PATCH * PATCH)   # channel, row, column
    return merge_order(p)


class Maker:
    def __init__(self, tok, cfg):
        self.tok, self.cfg, self.cache = tok, cfg, {}
        self.IM, self.VI = cfg["image_token_id"], cfg["video_token_id"]
        if tok:
            words = {t.lstrip("Ġ").lower(): set() for t in tok.get_vocab()}
            for t, i in tok.get_vocab().items():
                words[t.lstrip("Ġ").lower()].add(i)
            self.shapes = set().union(*(words[x] for x in D.SHAPES))
            self.digit = {tok.token_to_id(x): int(x) for x in "0123456789"}

    def enc(self, t):
        if t not in self.cache:
            if len(self.cache) > 200000:
                self.cache.clear()
            self.cache[t] = self.tok.encode(t, add_special_tokens=False).ids
        return self.cache[t]

    def picture(self, rng, kind, paint=True):
        s = scene(rng, kind)
        H, W = smart_resize(s.h, s.w)
        cell, color, cover, slot, counts = (a.astype(np.int8) for a in labels(s, H, W))
        p = dict(grid=(H // PATCH, W // PATCH), cell=merge_order(cell), color=merge_order(color), cover=merge_order(cover), slot=slot, counts=counts)
        if paint:
            p["px"] = patches(np.asarray(D.paint(s, rng).resize((W, H), Image.BICUBIC)))
        return s, p

    def row(self, pieces, grid, pad=None):
        """pieces: list of (text or None for the picture, branch, learn). Tokens, positions, branch and loss flags."""
        ids, pos, br, learn = [], [], [], []
        end = {}
        for text, b, l in pieces:
            p = end.get(b, end.get(0, 0))
            if text is None:
                n, h, w = grid[0] * grid[1] // 4, grid[0] // 2, grid[1] // 2
                ids += [pad or self.IM] * n
                pos += [(p, p + i // w, p + i % w) for i in range(n)]
                br += [b] * n; learn += [0] * n
                p += max(h, w)
            else:
                t = self.enc(text)
                ids += t; pos += [(p + i,) * 3 for i in range(len(t))]; br += [b] * len(t); learn += [l] * len(t)
                p += len(t)
            end[b] = p
        return np.array(ids, np.int16), np.array(pos, np.int16), np.array(br, np.int8), np.array(learn, np.int8)

    def rows(self, rng, s, kind, grid):
        """Question rows on a picture: [(tokens...)]."""
        out, asker = [], Asker(rng)
        kinds, ws = zip(*ASK[kind]); ws = np.array(ws, float); ws /= ws.sum()
        qa = []
        for _ in range(QUESTIONS[kind]):
            k = "other" if rng.random() < 0.05 else kinds[int(rng.choice(len(kinds), p=ws))]
            r = asker.one(s, k)
            if r:
                qa.append(r)
        if not qa:
            return out
        sys = f"<|im_start|>system\n{D.pick(rng, SYSTEM)}<|im_end|>\n" if rng.random() < 0.4 else ""
        u = rng.random()
        if u < 0.85:      # picture first, questions side by side
            sep = D.pick(rng, ["", "", "", "", "\n", " "])
            pieces = [(sys + "<|im_start|>user\n<|vision_start|>", 0, 0), (None, 0, 0), ("<|vision_end|>", 0, 0)]
            for i, (q, a) in enumerate(qa):
                pieces += [(sep + q + "<|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        elif u < 0.94:    # question first
            sep = D.pick(rng, ["", "", "", "\n", " "])
            pieces = [(sys + "<|im_start|>user\n", 0, 0)]
            for i, (q, a) in enumerate(qa[:2]):
                pieces += [(q + sep + "<|vision_start|>", i + 1, 0), (None, i + 1, 0), ("<|vision_end|><|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        else:             # a conversation
            pieces = [(sys + "<|im_start|>user\n<|vision_start|>", 0, 0), (None, 0, 0), ("<|vision_end|>", 0, 0)]
            for i, (q, a) in enumerate(qa[:3]):
                pieces += [(("" if i == 0 else "\n<|im_start|>user\n") + q + "<|im_end|>\n<|im_start|>assistant\n", 0, 0), (a + "<|im_end|>", 0, 1)]
        out.append(self.row(pieces, grid))
        return out

    def clip(self, rng, kind):
        """A clip's different frame pairs, painted, which of them each span shows, and a row of questions; None when it has none."""
        c = D.make_clip(rng, **BRIEF if kind == "brief" else {})
        u = rng.random()
        wish = {} if u < 0.75 else {"fps": D.pick(rng, [0.2, 0.5, 1, 3, 4])} if u < 0.9 else {"num_frames": int(rng.integers(4, 17))}
        if u > 0.92:        # late stamps: the same frames, slower
            c.slow = rng.uniform(2, 9)
            c.rate /= c.slow
            for o in c.objects:
                o["since"] *= c.slow; o["until"] *= c.slow
            wish = {"num_frames": int(rng.integers(4, 17))}
        pairs, stamps = sample(c.total, c.rate, wish)
        H, W = clip_size(2 * len(pairs), c.h, c.w)
        if len(pairs) * H * W > MAX_CLIP // 2 or c.total / c.rate > 99:
            return None
        frames, known, px, spans = {}, {}, [], []
        def frame(i):
            key = tuple((o["name"], o["color"], round(o["x"], 1), round(o["y"], 1)) for o in c.shown(i))
            if key not in frames:
                frames[key] = np.asarray(c.frame(i).resize((W, H), Image.BICUBIC)).astype(np.int16)
            return key, frames[key]
        for a, b in pairs:
            (ka, fa), (kb, fb) = frame(a), frame(b)
            if (ka, kb) not in known:
                known[ka, kb] = len(px); px.append(patches(((fa + fb) / 2).round().astype(np.uint8)))      # what the two equal time slices see
            spans.append(known[ka, kb])
        things = []
        for o in c.objects:
            for k, (a, b) in enumerate(pairs):
                at = [x for i in (a, b) for x in c.shown(i) if (x["name"], x["color"]) == (o["name"], o["color"])]
                if at:
                    x, y = (min(sum(p[d] for p in at) / len(at) * f, s - 1) for d, f, s in (("x", W / c.w, W), ("y", H / c.h, H)))
                    things.append((o, k, int(y // FACTOR) * (W // FACTOR) + int(x // FACTOR)))
                    break
        row = self.clip_row(rng, things, pairs, stamps, (H // PATCH, W // PATCH))
        return row and dict(px=px, spans=spans, row=row, grid=(H // PATCH, W // PATCH))

    def clip_row(self, rng, things, pairs, stamps, grid):
        """Questions on a clip side by side, and where heads should look: `stamp` from a token of a picture to the tens, ones and tenths
        of its stamp, `first` from a shape's name to its first picture, `named` from before a digit to the name. `time`: those digits."""
        asker, objects = Asker(rng), [o for o, _, _ in things]
        still = all(abs(o["dx"]) + abs(o["dy"]) < 1 for o in objects)
        whole = type("Whole", (), dict(objects=[dict(o) for o in objects], numbers=[]))
        qa = []
        for _ in range(5):
            u = rng.random()
            if u < 0.88 and objects:
                r = asker.when(objects, [stamps[k] for _, k, _ in things])
            else:
                r = (asker.one(whole, "list" if still and rng.random() < 0.4 and len(objects) <= 3 else "color") if objects and u < 0.97 else asker.other())
                r = r and (*r, None)
            if r:
                qa.append(r)
        if not qa:
            return None
        sys = f"<|im_start|>system\n{D.pick(rng, SYSTEM)}<|im_end|>\n" if rng.random() < 0.3 else ""
        video = [x for k, s in enumerate(stamps) for x in (("<|vision_end|>" * (k > 0) + s + "<|vision_start|>"), None)]
        if rng.random() < 0.93:
            sep = D.pick(rng, ["", "", "", "", "\n", " "])
            pieces = [(sys + "<|im_start|>user\n" + video[0], 0, 0)] + [(x, 0, 0) for x in video[1:]] + [("<|vision_end|>", 0, 0)]
            for i, (q, a, _) in enumerate(qa):
                pieces += [(sep + q + "<|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        else:
            qa = qa[:1]
            pieces = [(sys + "<|im_start|>user\n" + qa[0][0] + D.pick(rng, ["", "\n", " "]) + video[0], 0, 0)] + [(x, 0, 0) for x in video[1:]]
            pieces += [("<|vision_end|><|im_end|>\n<|im_start|>assistant\n", 0, 0), (qa[0][1] + "<|im_end|>", 0, 1)]
        ids, pos, br, learn = self.row(pieces, grid, self.VI)
        n, L = grid[0] * grid[1] // 4, len(ids)
        starts = np.flatnonzero(ids == self.VI)[::n]
        stamp, time, first, named = np.full((L, 3), -1, np.int16), np.full((L, 3), -1, np.int16), np.full(L, -1, np.int16), np.full(L, -1, np.int16)
        values = []
        for c in starts:
            t = c - 1
            while int(ids[t]) not in self.digit:
                t -= 1
            values.append([self.digit.get(int(ids[t - 3]), 0), self.digit[int(ids[t - 2])], self.digit[int(ids[t])]])
            stamp[c:c + n], time[c:c + n] = (t - 3, t - 2, t), values[-1]
        for i, (_, _, o) in enumerate(qa):
            if o is None:
                continue
            k, token = next((k, x) for p, k, x in things if p is o)
            mine = np.flatnonzero((br == i + 1) if len(starts) and (br > 0).any() else br == 0)
            name = -1
            for c in mine:
                if int(ids[c]) in self.shapes:
                    name = c
                    if c > starts[k]:
                        first[c], time[c] = starts[k] + token, values[k]
                if c + 1 < L and learn[c + 1] and int(ids[c + 1]) in self.digit and name > starts[-1]:
                    named[c] = name
        return ids, pos, br, learn, stamp, time, first, named

    def text_row(self, rng):
        asker = Asker(rng)
        sys = f"<|im_start|>system\n{D.pick(rng, SYSTEM)}<|im_end|>\n" if rng.random() < 0.4 else ""
        pieces = [(sys + "<|im_start|>user\n", 0, 0)]
        for i in range(4):
            q, a = asker.other()
            if rng.random() < 0.25:   # a picture question without a picture
                s = scene(rng, "several"); r = asker.one(s, D.pick(rng, ["color", "count", "list", "yesno"]))
                if r:
                    q, a = r[0], "There is no picture."
            pieces += [(q + "<|im_end|>\n<|im_start|>assistant\n", i + 1, 0), (a + "<|im_end|>", i + 1, 1)]
        return self.row(pieces, (0, 0))


def producer(queue, tok_path, cfg, seed, worker, start, batch, mix, paint, ask):
    """Endless batches of equal-sized pictures into the queue."""
    from tokenizers import Tokenizer
    m = Maker(Tokenizer.from_file(tok_path), cfg)
    kinds, ps = list(mix), np.array([mix[k] for k in mix], float); ps /= ps.sum()
    pools, i = {}, start
    while True:
        rng = D.stream(D.TRAIN, seed, worker * 100_000_000 + i); i += 1
        kind = kinds[int(rng.choice(len(kinds), p=ps))]
        if kind in ("clip", "brief"):
            c = m.clip(rng, kind)
            pool = pools.setdefault(("clip", c["grid"]), []) if c else []
            pool += [c] if c else []
            if len(pool) == max(1, batch // 2):
                queue.put((collate_clips(pool), i)); pool.clear()
            continue
        try:
            s, p = m.picture(rng, kind, paint)
        except RuntimeError:
            continue
        rows = m.rows(rng, s, kind, p["grid"]) if ask and ASK[kind] else []
        pool = pools.setdefault(p["grid"], [])
        pool.append((p, rows))
        if len(pool) == batch:
            queue.put((collate(pool, [m.text_row(rng)] if ask and rng.random() < 0.5 else []), i))
            pools[p["grid"]] = []


def stack(rows, L):
    """Rows of unequal length, padded."""
    out = [np.full((len(rows), L, *a.shape[1:]), fill, a.dtype) for a, fill in zip(rows[0], (0, 0, -1, 0, -1, -1, -1, -1))]
    for k, r in enumerate(rows):
        for o, a in zip(out, r):
            o[k, :len(a)] = a
    return out


def collate(pool, extra):
    b = {k: np.stack([p[k] for p, _ in pool]) for k in pool[0][0] if k != "grid"}
    b["grid"] = pool[0][0]["grid"]
    rows = [(i, r) for i, (_, rs) in enumerate(pool) for r in rs] + [(-1, r) for r in extra]
    L = max((len(r[0]) for _, r in rows), default=0)
    named = ("ids", "pos", "br", "learn")
    none = (np.zeros((0, L), np.int16), np.zeros((0, L, 3), np.int16), np.zeros((0, L), np.int8), np.zeros((0, L), np.int8))
    b.update(zip(named, stack([r for _, r in rows], L) if rows else none), pic=np.array([i for i, _ in rows], np.int64))
    return b


def collate_clips(pool):
    """`pic`: which picture each span of a row shows."""
    S, at = max(len(c["spans"]) for c in pool), np.cumsum([0] + [len(c["px"]) for c in pool])
    b = dict(zip(("ids", "pos", "br", "learn", "stamp", "time", "first", "named"), stack([c["row"] for c in pool], max(len(c["row"][0]) for c in pool))))
    b.update(px=np.concatenate([np.stack(c["px"]) for c in pool]), grid=pool[0]["grid"], pic=np.stack([np.pad(np.array(c["spans"]) + a, (0, S - len(c["spans"])), "edge") for c, a in zip(pool, at)]))
    return b
