"""
The cache that Hugging Face's Python package writes is read here, and the other way round. Against the local hub:

    npm run build:test
    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install huggingface_hub==2.4.0
    /tmp/venv/bin/python test/hub/check-with-python.py
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NANO = ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]


def qwen3(home, *arguments, **environment):
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **environment}
    main = ROOT / "build/src/cli/main.js"
    return subprocess.run(["node", main, *arguments], env=env, check=True, capture_output=True, text=True, cwd=ROOT, stdin=subprocess.DEVNULL).stdout


def python(home, program, **environment):
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1", **environment}
    result = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def python_first(home):
    for repo, patterns in [("local/nano", None), ("local/gguf", "['BF16/*']"), ("local/sharded", None)]:
        python(home, f"from huggingface_hub import snapshot_download as d; d('{repo}', allow_patterns={patterns})")
    for repo in ["local/nano", "local/gguf:BF16", "local/sharded"]:
        pulled = json.loads(qwen3(home, "pull", repo, "--json"))
        assert pulled["downloadedBytes"] == 0, pulled
        print(f"{repo}: what Python downloaded is found, {pulled['bytes']} bytes")
    answer = qwen3(home, "chat", "--model", "local/nano", "--temperature", "0", "Who are you?", HF_HUB_OFFLINE="1")
    assert answer.startswith("I am nano"), answer
    listed = {model["repo"] for model in json.loads(qwen3(home, "list", "--json"))}
    assert listed == {"local/nano", "local/gguf", "local/sharded"}, listed


def python_second(home):
    for repo, files in [("local/nano", NANO), ("local/gguf:BF16", ["BF16/Model-BF16-00001-of-00002.gguf"]), ("local/sharded", ["tokenizer.json"])]:
        folder = Path(json.loads(qwen3(home, "pull", repo, "--json"))["path"])
        name = repo.split(":")[0]
        for file in files:
            find = f"from huggingface_hub import hf_hub_download as d; print(d('{name}', '{file}'))"
            offline = python(home, find, HF_HUB_OFFLINE="1")
            before = Path(offline).resolve().stat().st_mtime_ns
            assert python(home, find) == offline, "asked again, Python keeps what is there"
            assert Path(offline).resolve().stat().st_mtime_ns == before
            assert folder == Path(offline) or folder in Path(offline).parents, offline
        print(f"{name}: Python finds what qwen3 downloaded, {len(files)} files")
    scan = "from huggingface_hub import scan_cache_dir as s; i = s(); print(sorted(r.repo_id for r in i.repos), [str(w) for w in i.warnings])"
    assert python(home, scan) == "['local/gguf', 'local/nano', 'local/sharded'] []", python(home, scan)
    qwen3(home, "rm", "local/nano")
    assert "local/nano" not in python(home, scan)


server = subprocess.Popen(["node", ROOT / "build/test/hub/serve.js"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
try:
    endpoint = server.stdout.readline().strip().split("=")[1]
    for check in [python_first, python_second]:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder))
    print("both ways agree")
finally:
    server.kill()
