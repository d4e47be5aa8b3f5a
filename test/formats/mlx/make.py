"""Writes vectors.json: random rows as mlx quantizes them, and what it dequantizes them to, in every number of bits and every group.

  pip install mlx mlx-cpu          (the version used is in the file)
  python make.py > vectors.json
"""
import base64, json, sys
import mlx.core as mx
import numpy as np

random = np.random.default_rng(1)
TYPES = {"f32": mx.float32, "f16": mx.float16, "bf16": mx.bfloat16}


def encoded(array):
    if array.dtype == mx.bfloat16: array = array.view(mx.uint16)
    return base64.b64encode(np.array(array).tobytes()).decode()


cases = []
for bits in (2, 3, 4, 5, 6, 8):
    for group, scales in ((32, "bf16"), (64, "f16"), (128, "f32")):
        x = mx.array(random.normal(0, 0.05, (2, 128)).astype(np.float32)).astype(TYPES[scales])
        weight, s, b = mx.quantize(x, group_size=group, bits=bits)
        values = mx.dequantize(weight, s.astype(mx.float32), b.astype(mx.float32), group_size=group, bits=bits)
        cases.append({"bits": bits, "group": group, "scales": scales, "shape": list(weight.shape),
                      "parts": [encoded(weight), encoded(s), encoded(b)], "values": encoded(values.astype(mx.float32))})
json.dump({"mlx": mx.__version__, "rows": 2, "cols": 128, "cases": cases}, sys.stdout, indent=1)
print()
