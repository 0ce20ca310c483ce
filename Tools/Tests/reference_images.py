"""Writes Tests/TesseraImageTests/ReferenceImages.swift; needs Pillow, and is run by hand."""
import io, os, random, struct, zlib
from PIL import Image

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
random.seed(7)
W,H=7,5
def rnd(n): return bytes(random.randrange(256) for _ in range(n))
rgb=Image.frombytes("RGB",(W,H),rnd(W*H*3))
smooth=Image.frombytes("RGB",(W,H),bytes(v for y in range(H) for x in range(W) for v in (30*x,40*y,100+10*x)))
files={};pixels={}
def add(name,im,fmt="PNG",want=None,**k):
    b=io.BytesIO(); im.save(b,fmt,**k); files[name]=b.getvalue()
    pixels[name]=(want or Image.open(io.BytesIO(b.getvalue())).convert("RGB")).tobytes()
add("rgb",rgb)
add("grey",rgb.convert("L"))
add("palette",rgb.convert("P",palette=Image.ADAPTIVE,colors=8))
rgba=rgb.copy(); mask=Image.frombytes("L",(W,H),bytes(255 if (i%3) else 0 for i in range(W*H))); rgba.putalpha(mask)
black=Image.new("RGB",(W,H)); black.paste(rgb,mask=mask)
add("transparent",rgba,want=black)
add("jpeg",smooth,"JPEG",quality=92)
def chunk(t,d): return struct.pack(">I",len(d))+t+d+struct.pack(">I",zlib.crc32(t+d))
bomb=b"\x89PNG\r\n\x1a\n"+chunk(b"IHDR",struct.pack(">IIBBBBB",30000,30000,8,2,0,0,0))+chunk(b"IDAT",zlib.compress(b"\0"*1000))+chunk(b"IEND",b"")
def lit(b,ind=8):
    out=[];line=" "*ind
    for v in b:
        s=f"{v}, "
        if len(line)+len(s)>98: out.append(line.rstrip()); line=" "*ind
        line+=s
    out.append(line.rstrip()); return "\n".join(out)
L=["// Written with Pillow %s: what it decodes and resizes. Not to be changed by hand."%__import__("PIL").__version__,"","/// Images, and what Pillow makes of them.","enum ReferenceImages {","    /// A width, a height, a part of the image in pixels, and the pixels that Pillow gives.","    struct Resized {","        var width: Int","        var height: Int","        var box: [Double]?","        var pixels: [UInt8]","    }",""]
names=list(files)
L.append("    /// Files by name.")
L.append("    static let files: [(String, [UInt8])] = [")
for n in names: L.append(f'        ("{n}", {n}File),')
L.append("    ]"); L.append("    /// What is in them.")
L.append("    static let pixels: [String: [UInt8]] = [")
for n in names: L.append(f'        "{n}": {n}Pixels,')
L.append("    ]"); L.append("")
for n in names:
    L.append(f"    private static let {n}File: [UInt8] = ["); L.append(lit(files[n])); L.append("    ]")
    L.append(f"    private static let {n}Pixels: [UInt8] = ["); L.append(lit(pixels[n])); L.append("    ]")
L.append("    /// 30000 by 30000 pixels in 100 bytes."); L.append("    static let bomb: [UInt8] = ["); L.append(lit(bomb)); L.append("    ]")
L.append("    /// The first one in grey."); L.append("    static let grey: [UInt8] = ["); L.append(lit(rgb.convert("L").tobytes())); L.append("    ]")
L.append("    /// The first one at other sizes."); L.append("    static let resized: [Resized] = [")
for (w,h,box) in [(3,2,None),(7,5,None),(14,10,None),(1,1,None),(9,2,None),(2,9,None),(4,4,(1,0,6,5)),(3,3,(0.5,0.25,5.5,4.75)),(5,5,(2.2,1.1,3.3,2.2))]:
    r=rgb.resize((w,h),Image.BILINEAR,box=box)
    L.append(f"        Resized(\n            width: {w}, height: {h}, box: {'nil' if box is None else list(map(float,box))},\n            pixels: [\n{lit(r.tobytes(),16)}\n            ]),")
L.append("    ]"); L.append("}")
open(ROOT + '/Tests/TesseraImageTests/ReferenceImages.swift','w').write("\n".join(L)+"\n")
