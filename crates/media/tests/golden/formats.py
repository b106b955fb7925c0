"""Adds to decode/: python formats.py (Pillow 13 alone). What each format may hold, and what Pillow makes of it: the first frame
or page, upright, in sRGB, alpha on white."""
import io, struct
from pathlib import Path

from PIL import Image, ImageCms, ImageOps

here = Path(__file__).parent / "decode"
crop = Image.open(here / "lossless.webp").convert("RGB")  # 48 x 32
other = ImageOps.mirror(crop)


def on_white(picture):
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


def keep(name, expected=None):
    expected = expected or on_white(ImageOps.exif_transpose(Image.open(here / name)))
    expected.save(here / f"{name.split('.')[0]}.out.png", optimize=True)


def save(name, picture, **options):
    picture.save(here / name, **options)
    keep(name)


save("apng.png", crop, save_all=True, append_images=[other], default_image=False)
save("apng_hidden.png", crop, save_all=True, append_images=[other], default_image=True)
save("two_pages.tiff", crop, save_all=True, append_images=[other])
save("deflate.tiff", crop, compression="tiff_adobe_deflate")
save("packbits.tiff", crop, compression="packbits")
save("grey.tiff", crop.convert("L"))
save("icon.ico", crop.resize((32, 32)), sizes=[(32, 32)])
save("icon_bitmap.ico", crop.resize((32, 32)).convert("RGBA"), sizes=[(32, 32)], bitmap_format="bmp")
save("palette.bmp", crop.quantize(16))
save("grey.bmp", crop.convert("L"))
save("bits.bmp", crop.convert("1"))
faded = crop.convert("RGBA")
faded.putalpha(Image.linear_gradient("L").resize(crop.size))
save("alpha.webp", faded, lossless=True, exact=True)
save("grey_alpha.png", faded.convert("LA"))
save("alpha.tiff", faded)
holes = crop.quantize(16)
save("holes.png", holes, transparency=3)
save("holes.gif", holes, transparency=3)
save("interlaced.gif", holes, interlace=True)
save("chroma.jpg", crop, quality=90, subsampling="4:2:0")
save("progressive_chroma.jpg", crop, quality=90, subsampling="4:2:0", progressive=True)
save("progressive_grey.jpg", crop.convert("L"), quality=90, progressive=True)
save("restarts.jpg", crop, quality=95, restart_marker_blocks=2)
save("cmyk_progressive.jpg", crop.convert("CMYK"), quality=95, progressive=True)
exif = Image.Exif()
exif[0x0112] = 6
save("exif.png", crop, exif=exif)
save("exif.webp", crop, lossless=True, exif=exif)

# The tail is missing: tail/cut.jpg, and the same whole.
tail = here.parent / "tail"
tail.mkdir(exist_ok=True)
crop.resize((160, 240), Image.BICUBIC).save(tail / "whole.jpg", quality=85)
whole = (tail / "whole.jpg").read_bytes()
(tail / "cut.jpg").write_bytes(whole[:len(whole) * 3 // 5])


def wide_gamut():
    """A matrix profile with Adobe RGB's primaries (D50) and gamma 2.2, ICC v2."""
    def xyz(*v): return b"XYZ \0\0\0\0" + b"".join(struct.pack(">i", round(n * 65536)) for n in v)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    text = b"Wide for the tests"
    desc = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + b"\0" + bytes(78)
    desc += bytes(-len(desc) % 4)
    copyright = b"text\0\0\0\0none\0\0\0\0"
    tags = {b"desc": desc, b"cprt": copyright, b"wtpt": xyz(.9642, 1, .8249), b"rXYZ": xyz(.60974, .31111, .01947),
            b"gXYZ": xyz(.20528, .62567, .06087), b"bXYZ": xyz(.14919, .06322, .74457), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head += b"acsp" + bytes(28) + struct.pack(">3i", round(.9642 * 65536), 65536, round(.8249 * 65536))
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


profile = wide_gamut()
to_srgb = ImageCms.buildTransform(io.BytesIO(profile), ImageCms.createProfile("sRGB"), "RGB", "RGB")
for name, options in (("icc.png", {}), ("icc.webp", {"lossless": True}), ("icc.tiff", {"compression": "tiff_lzw"})):
    crop.save(here / f"{name.replace('.', '_')}.{name.split('.')[1]}", icc_profile=profile, **options)
    keep(f"{name.replace('.', '_')}.{name.split('.')[1]}", ImageCms.applyTransform(crop, to_srgb))
crop.save(here / "icc_jpeg.jpg", icc_profile=profile, quality=95)
keep("icc_jpeg.jpg", ImageCms.applyTransform(Image.open(here / "icc_jpeg.jpg").convert("RGB"), to_srgb))
srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
crop.save(here / "icc_srgb.png", icc_profile=srgb)
keep("icc_srgb.png", crop)

# 16 bits a channel, by hand: Pillow reads them and does not write them.
import zlib
def chunk(kind, data): return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
width, height = crop.size
rows = b"".join(b"\0" + b"".join(bytes([v, v]) for v in crop.crop((0, y, width, y + 1)).tobytes()) for y in range(height))
(here / "deep_rgb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0))
                                    + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
keep("deep_rgb.png", crop)
