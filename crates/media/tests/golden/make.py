"""Makes this folder: python make.py LOUNGE.JPG (transformers 5.23, torchvision 0.29, torch 2.15, Pillow).

resize/NAME.png -> resize/NAME.out.png: what Qwen2VLImageProcessor (torchvision backend, Qwen3-VL's patch 16 and merge 2)
shows the model, before rescaling and normalising; resize/index.json holds the area bounds of each case.
decode/NAME.EXT -> decode/NAME.out.png: what Pillow decodes (EXIF applied, alpha on white).
"""
import json, sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from transformers import Qwen2VLImageProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

here = Path(__file__).parent
(here / "resize").mkdir(exist_ok=True)
(here / "decode").mkdir(exist_ok=True)
lounge = Image.open(sys.argv[1]).convert("RGB")
rng = np.random.default_rng(7)


def unpatch(values, grid):
    """The processor's patches, laid back into height x width x 3."""
    t, h, w = grid
    x = values.reshape(t, h // 2, w // 2, 2, 2, 3, 2, 16, 16)
    x = x.permute(0, 6, 5, 1, 3, 7, 2, 4, 8).reshape(t * 2, 3, h * 16, w * 16)
    return x[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


def wide():
    picture = Image.new("RGB", (1500, 200), "white")
    draw = ImageDraw.Draw(picture)
    for i in range(60):
        x, y = int(rng.integers(0, 1480)), int(rng.integers(0, 180))
        draw.rectangle((x, y, x + int(rng.integers(3, 90)), y + 17), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
        draw.text((x, y), f"line {i}", fill="black")
    return picture


def noise(w, h):
    return Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))


real, low, tiny = (65536, 16777216), (65536, 262144), (1024, 65536)
cases = {
    "photo_97x131": (lounge.crop((24, 104, 121, 235)), real),
    "lounge_640x480": (ImageOps.posterize(lounge.resize((640, 480)), 2), tiny),
    "wide_1500x200": (wide(), real),
    "wide_1500x200_low": (None, low),
    "small_20x20": (lounge.crop((48, 64, 68, 84)), real),
    "noise_37x53": (noise(37, 53), real),
    "noise_151x113_shrunk": (noise(151, 113), (1024, 8192)),
    "line_1x190": (noise(1, 190), tiny),
}
index = {}
for name, (picture, (least, most)) in cases.items():
    picture = picture or Image.open(here / "resize" / (name.removesuffix("_low") + ".png"))
    picture.save(here / "resize" / f"{name}.png", optimize=True)
    processor = Qwen2VLImageProcessor(
        patch_size=16, merge_size=2, size={"shortest_edge": least, "longest_edge": most}, do_rescale=False, do_normalize=False
    )
    out = processor(images=[picture], return_tensors="pt")
    shown = unpatch(out["pixel_values"], out["image_grid_thw"][0].tolist())
    assert shown.shape[:2] == smart_resize(picture.height, picture.width, 32, least, most)
    Image.fromarray(shown).save(here / "resize" / f"{name}.out.png", optimize=True)
    index[name] = {"min_pixels": least, "max_pixels": most}
(here / "resize" / "index.json").write_text(json.dumps(index, indent=1) + "\n")

crop = lounge.crop((664, 192, 712, 224))  # 48 x 32


def keep(name, expected):
    expected.save(here / "decode" / f"{name.split('.')[0]}.out.png", optimize=True)


def reread(name):
    keep(name, ImageOps.exif_transpose(Image.open(here / "decode" / name)).convert("RGB"))


for n in range(2, 9):
    exif = Image.Exif()
    exif[0x0112] = n
    crop.save(here / "decode" / f"exif{n}.jpg", quality=95, exif=exif)
    reread(f"exif{n}.jpg")
crop.convert("CMYK").save(here / "decode" / "cmyk.jpg", quality=95)
reread("cmyk.jpg")
crop.convert("L").save(here / "decode" / "grey.jpg", quality=95)
reread("grey.jpg")
crop.save(here / "decode" / "progressive.jpg", quality=95, progressive=True)
reread("progressive.jpg")
crop.quantize(16).save(here / "decode" / "palette.png")
reread("palette.png")
crop.quantize(64).save(here / "decode" / "one.gif")
reread("one.gif")
crop.quantize(64).save(here / "decode" / "moving_gif.gif", save_all=True, append_images=[noise(48, 32).quantize(8)])
reread("moving_gif.gif")
crop.save(here / "decode" / "lossless.webp", lossless=True)
reread("lossless.webp")
crop.save(here / "decode" / "moving_webp.webp", lossless=True, save_all=True, append_images=[noise(48, 32)])
reread("moving_webp.webp")
crop.save(here / "decode" / "plain.bmp")
reread("plain.bmp")
crop.save(here / "decode" / "lzw.tiff", compression="tiff_lzw")
reread("lzw.tiff")
crop.convert("CMYK").save(here / "decode" / "cmyk_tiff.tiff")
keep("cmyk_tiff.tiff", Image.open(here / "decode" / "cmyk_tiff.tiff").convert("RGB"))
crop.convert("1").save(here / "decode" / "bits.png")
reread("bits.png")
deep = (np.asarray(crop.convert("L")).astype(np.uint16)) * 257
Image.fromarray(deep).save(here / "decode" / "deep.png")
keep("deep.png", crop.convert("L").convert("RGB"))
seen = crop.convert("RGBA")
seen.putalpha(Image.linear_gradient("L").resize(crop.size))
seen.save(here / "decode" / "alpha.png")
white = Image.new("RGBA", crop.size, "white")
white.alpha_composite(seen)
keep("alpha.png", white.convert("RGB"))
