"""Loads checkpoints that `qwen3 quantize` wrote with mlx-lm, and compares its logits, in float32, with those of this package.

  pip install mlx mlx-cpu mlx-lm
  npm run build && python check.py FOLDER...          (a folder without a tokenizer will do)
"""
import json, pathlib, subprocess, sys
import mlx.core as mx
import mlx_lm, numpy as np
from mlx_lm.utils import load_model

ROOT = pathlib.Path(__file__).resolve().parents[3]
OURS = """
const { Qwen3 } = await import(process.argv[1]);
const model = await Qwen3.fromPretrained(process.argv[2], { activations: "f32", kvCache: "f32" });
const { logits } = await model.forward(JSON.parse(process.argv[3]), { logits: "all" });
process.stdout.write(new Uint8Array(logits.buffer));
await model.close();
"""
MOST = 1e-4  # of the logits' standard deviation: both sides are float32, with other orders of sums

failed = 0
for folder in sys.argv[1:]:
    config = json.loads((pathlib.Path(folder) / "config.json").read_text())
    ids = [int(i) for i in np.random.default_rng(1).integers(0, config["vocab_size"], 24)]
    model, _ = load_model(pathlib.Path(folder))
    model.set_dtype(mx.float32)
    theirs = np.array(model(mx.array([ids]))[0].astype(mx.float32))
    command = ["node", "--input-type=module", "-e", OURS, (ROOT / "dist/index.js").as_uri(), str(pathlib.Path(folder).resolve()), json.dumps(ids)]
    ours = np.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, np.float32).reshape(theirs.shape)
    error = float(abs(ours - theirs).max() / theirs.std())
    failed += not error < MOST
    print(f"{folder}: mlx-lm {mlx_lm.__version__}, mlx {mx.__version__}: largest difference {error:.1e} of the logits' standard deviation")
sys.exit(failed > 0 or len(sys.argv) < 2)
