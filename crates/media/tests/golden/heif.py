"""Makes heif/: python heif.py (Pillow 13, pillow-heif 1.8, ffmpeg). NAME.avif or NAME.heic -> NAME.out.png: what Pillow decodes,
turned as the file says, alpha on white, in sRGB."""
import io, subprocess, sys
from pathlib import Path

import pillow_heif
from PIL import Image, ImageCms, ImageOps

sys.path.insert(0, str(Path(__file__).resolve().parents[4] / "tests/hostile"))
import heif as boxes

pillow_heif.register_heif_opener()
here = Path(__file__).parent / "heif"
here.mkdir(exist_ok=True)
crop = Image.open(here.parent / "decode" / "lossless.webp").convert("RGB")  # 48 x 32
smooth = Image.linear_gradient("L").resize((96, 64))
smooth = Image.merge("RGB", (smooth, ImageOps.mirror(smooth.transpose(Image.ROTATE_90).resize((96, 64))), ImageOps.invert(smooth)))
AVIF, HEIC = {"quality": 100, "subsampling": "4:4:4", "speed": 8}, {"quality": 100, "chroma": 444}


def keep(name, expected=None):
    expected = expected or Image.open(here / name)
    if expected.mode == "RGBA":
        white = Image.new("RGBA", expected.size, "white")
        white.alpha_composite(expected)
        expected = white
    expected.convert("RGB").save(here / f"{name}.out.png", optimize=True)


def save(name, picture, **options):
    picture.save(here / name, **options)
    keep(name)


faded = crop.convert("RGBA")
faded.putalpha(Image.linear_gradient("L").resize(crop.size))
sideways = Image.Exif()
sideways[0x0112] = 6
mirrored = Image.Exif()
mirrored[0x0112] = 5
for end, best in (("avif", AVIF), ("heic", HEIC)):
    save(f"plain.{end}", crop, **best)
    save(f"grey.{end}", crop.convert("L"), **best)
    save(f"alpha.{end}", faded, **best)
    for name, exif in (("sideways", sideways), ("mirrored", mirrored)):
        crop.save(here / f"{name}.{end}", exif=exif, **best)
        picture = Image.open(here / f"{name}.{end}")
        # Pillow says it in EXIF, as if it were still to be done, where it has not done it.
        keep(f"{name}.{end}", ImageOps.exif_transpose(picture))
    odd = crop.crop((0, 0, 47, 31))
    save(f"odd.{end}", odd, **best)
save("chroma.avif", smooth, quality=90, subsampling="4:2:0")
save("chroma.heic", smooth, quality=90, chroma=420)
# Of several, the primary one; of a sequence, the first.
crop.save(here / "several.heic", save_all=True, append_images=[ImageOps.mirror(crop)], primary_index=1, **HEIC)
keep("several.heic", Image.open(here / "several.heic"))
save("moving.avif", crop, save_all=True, append_images=[ImageOps.mirror(crop)], duration=100, **AVIF)

# HEIC that its boxes turn, a quarter to the left. (Of EXIF pillow-heif writes no such boxes, and without them nothing is turned.)
data, config = boxes.coded(smooth, b"hvcC", "HEIF", **HEIC)
flat, left = [boxes.ispe(96, 64), config], boxes.box(b"irot", b"\1")
(here / "turned.heic").write_bytes(boxes.file([boxes.Item(b"hvc1", data, [*flat, left])], brands=(b"heic", b"mif1")))
unturned = Image.open(io.BytesIO(boxes.file([boxes.Item(b"hvc1", data, flat)], brands=(b"heic", b"mif1"))))
keep("turned.heic", unturned.convert("RGB").transpose(Image.ROTATE_90))

profile = Image.open(here.parent / "decode" / "icc_png.png").info["icc_profile"]
to_srgb = ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), "RGB", "RGB")
for name, best in (("icc.avif", AVIF), ("icc.heic", HEIC)):
    crop.save(here / name, icc_profile=profile, **best)
    keep(name, ImageCms.applyTransform(Image.open(here / name).convert("RGB"), to_srgb))

# 10 bits a channel.
raw = b"".join((v * 257).to_bytes(2, "little") for v in crop.tobytes())
pillow_heif.encode("RGB;16", crop.size, raw, here / "deep.heic", **HEIC)
keep("deep.heic")
subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", here.parent / "decode" / "lossless.webp", "-pix_fmt", "yuv444p10le", "-color_range", "pc", "-colorspace", "smpte170m",
                "-c:v", "libaom-av1", "-still-picture", "1", "-crf", "4", here / "deep.avif"], check=True)
keep("deep.avif")

# Tiles of 64 x 64 in a grid that cuts the last ones.
whole = smooth.resize((160, 100), Image.BICUBIC)
tiles = [whole.crop((x, y, x + 64, y + 64)) for y in (0, 64) for x in (0, 64, 128)]
for name, kind, config, code, options in (("grid.avif", "AVIF", b"av1C", b"av01", AVIF), ("grid.heic", "HEIF", b"hvcC", b"hvc1", HEIC)):
    coded = [boxes.coded(tile, config, kind, **options) for tile in tiles]
    items = [boxes.Item(b"grid", boxes.grid(3, 2, 160, 100), [boxes.ispe(160, 100)], [(b"dimg", range(2, 8))])]
    items += [boxes.Item(code, data, [boxes.ispe(64, 64), c], hidden=1) for data, c in coded]
    (here / name).write_bytes(boxes.file(items, brands=(b"avif" if code == b"av01" else b"heic", b"mif1")))
    # Each tile as Pillow decodes it.
    joined = Image.new("RGB", (160, 100))
    for tile, (x, y) in zip(coded, ((x, y) for y in (0, 64) for x in (0, 64, 128))):
        alone = boxes.file([boxes.Item(code, tile[0], [boxes.ispe(64, 64), tile[1]])], brands=(b"avif" if code == b"av01" else b"heic", b"mif1"))
        joined.paste(Image.open(io.BytesIO(alone)).convert("RGB"), (x, y))
    keep(name, joined)
