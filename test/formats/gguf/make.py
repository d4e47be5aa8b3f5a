"""Blocks of every GGUF type and what the package `gguf` of PyPI makes of them, to vectors.json beside this file.

    pip install gguf==0.19.0 numpy
    python make.py

Bytes are random, but for the f16 fields, which are finite: of either sign, zero and denormal ones among them.
"""

import base64
import json
import pathlib
from importlib.metadata import version

import numpy as np
from gguf import GGMLQuantizationType, quants

# type: values of a block, its bytes, where its f16 fields are
BLOCKS = {
    "Q8_0": (32, 34, [0]),
    "Q4_0": (32, 18, [0]),
    "Q4_1": (32, 20, [0, 2]),
    "Q5_0": (32, 22, [0]),
    "Q5_1": (32, 24, [0, 2]),
    "Q2_K": (256, 84, [80, 82]),
    "Q3_K": (256, 110, [108]),
    "Q4_K": (256, 144, [0, 2]),
    "Q5_K": (256, 176, [0, 2]),
    "Q6_K": (256, 210, [208]),
    "IQ4_NL": (32, 18, [0]),
    "IQ4_XS": (256, 136, [0]),
}

random = np.random.default_rng(20261126)
vectors = {}
for name, (values, size, fields) in BLOCKS.items():
    count = 1024 // values
    blocks = random.integers(0, 256, (count, size), dtype=np.uint8)
    for field in fields:
        halves = (random.standard_normal(count) * 10.0 ** random.integers(-5, 2, count)).astype(np.float16)
        halves[0] = np.float16(-(2.0**-24))
        halves[1] = np.float16(0)
        blocks[:, field : field + 2] = halves.view(np.uint8).reshape(count, 2)
    weights = quants.dequantize(blocks.reshape(1, -1), GGMLQuantizationType[name])
    assert weights.dtype == np.float32 and weights.shape == (1, 1024) and np.isfinite(weights).all()
    vectors[name.lower()] = {
        "blocks": base64.b64encode(blocks.tobytes()).decode(),
        "weights": base64.b64encode(weights.astype("<f4").tobytes()).decode(),
    }
made_with = {name: version(name) for name in ["gguf", "numpy"]}
file = pathlib.Path(__file__).parent / "vectors.json"
file.write_text(json.dumps({"made_with": made_with, "types": vectors}, indent=1) + "\n")
