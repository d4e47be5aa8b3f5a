/** What people call models, which files that means, and which names become paths. */
import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { chooseFiles, globMatcher, shardsOf } from "../../src/hub/choose-files.ts";
import { isRepo, isRevision, parseHubId } from "../../src/hub/hub-id.ts";
import { isRepoPath } from "../../src/hub/repo-path.ts";
import { refused } from "../formats/refused.ts";

const test = suite("names on the hub");

test("ids", () => {
  const repo = "Qwen/Qwen3-0.6B";
  const cases: readonly (readonly [string, object | undefined])[] = [
    [repo, { repo }],
    [`hf.co/${repo}`, { repo }],
    [`huggingface.co/${repo}:Q4_K_M`, { repo, quantization: "Q4_K_M" }],
    [`${repo}:q8_0`, { repo, quantization: "q8_0" }],
    [`${repo}:sub/file.gguf`, { repo, file: "sub/file.gguf" }],
    [`https://huggingface.co/${repo}`, { repo }],
    [`https://huggingface.co/${repo}/`, { repo }],
    [`https://hf.co/${repo}:Q4_0`, { repo, quantization: "Q4_0" }],
    [`https://huggingface.co/${repo}/tree/main`, { repo, revision: "main" }],
    [`https://huggingface.co/${repo}/tree/refs%2Fpr%2F3`, { repo, revision: "refs/pr/3" }],
    [`https://huggingface.co/${repo}/resolve/main/a%20b.gguf?download=true`, { repo, revision: "main", file: "a b.gguf" }],
    [`https://huggingface.co/${repo}/blob/v1/sub/x.gguf#L1`, { repo, revision: "v1", file: "sub/x.gguf" }],
    [`http://hub.local:8080/${repo}`, { repo }],
    [`hub.local:8080/${repo}`, { repo }],
    ["https://example.com/Qwen/Qwen3", undefined],
    [`https://user:pass@huggingface.co/${repo}`, undefined],
    [`https://huggingface.co/${repo}/commits/main`, undefined],
    [`https://huggingface.co/${repo}/tree`, undefined],
    [`https://huggingface.co/${repo}/tree/main/sub`, undefined],
    [`https://huggingface.co/${repo}/resolve/main/..%2F..%2Fx.gguf`, undefined],
    [`https://huggingface.co/${repo}/resolve/..%2Fx/x.gguf`, undefined],
    [`https://huggingface.co/${repo}/resolve/%ff/x.gguf`, undefined],
    ["https://huggingface.co/Qwen", undefined],
    ["https://[broken", undefined],
    ["./a/b", undefined],
    ["../a", undefined],
    ["/a/b", undefined],
    ["a/b/c", undefined],
    ["a", undefined],
    ["a\\b", undefined],
    ["C:/models", undefined],
    ["~/models", undefined],
    ["a/..", undefined],
    ["a--b/c", undefined],
    ["a/b..c", undefined],
    ["-a/b", undefined],
    ["a/b.", undefined],
    [`a/${"b".repeat(97)}`, undefined],
    [`${repo}:../x.gguf`, undefined],
    [`${repo}:a b`, undefined],
    [`${repo}:`, undefined],
    ["", undefined],
  ];
  for (const [text, id] of cases) assert.equal(parseHubId(text, "http://hub.local:8080"), id, text);
  assert.is(parseHubId("http://hub.local:8080/a/b"), undefined);
  assert.is(parseHubId("a/b", "no URL")?.repo, "a/b");
});

test("no text becomes a path that leads elsewhere", () => {
  for (const name of [
    "..",
    ".",
    "",
    "/",
    "/etc/passwd",
    "a/../b",
    "a/./b",
    "a//b",
    "a/",
    "C:",
    "C:/x",
    "c:x",
    "a\\b",
    "a\0b",
    "a\nb",
    "nul",
    "NUL.txt",
    "com1",
    "a/lpt9.json",
    "a.",
    "a ",
    " a",
    "a?",
    "a*",
    "a|b",
    'a"',
    "<a>",
    "\u202etxt",
    "a".repeat(256),
    `${"a/".repeat(600)}a`,
  ])
    assert.not.ok(isRepoPath(name), JSON.stringify(name));
  for (const name of ["config.json", "BF16/x-00001-of-00002.gguf", "a b/ü.json", "nullable.json", ".gitattributes", "con-fig"])
    assert.ok(isRepoPath(name), name);
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."./\\:aC\0 ~-") }), (name) => {
      if (!isRepoPath(name)) return;
      const parts = name.split(/[/\\]/);
      assert.not.ok(parts.includes("..") || parts.includes("") || /[:\\\0]/.test(name), name);
    }),
  );
  assert.not.ok(isRepo("../x") || isRepo("a/..") || isRepo("a/b/c") || isRepo("a\0/b"));
  assert.not.ok(isRevision("../main") || isRevision("") || isRevision("a".repeat(201)));
});

test("which files a model takes", async () => {
  const repo = "owner/name";
  const choose = (paths: string[], more: object = {}) => chooseFiles(paths, { repo, ...more });
  const side = ["config.json", "tokenizer.json"];
  assert.equal(choose(["model.safetensors", "x.bin", ...side, "model-Q4_K_M.gguf"]), {
    files: [...side, "model.safetensors"],
    main: "",
    hasIndex: false,
  });
  assert.ok(choose(["model.safetensors", "model.safetensors.index.json", ...side]).hasIndex);
  assert.equal(choose(["only.gguf"]).files, ["only.gguf"]);
  assert.equal(choose(["a-Q8_0.gguf", "a.Q4_K_M.gguf"]).files, ["a.Q4_K_M.gguf"]);
  assert.equal(choose(["a-IQ4_K_M.gguf", "Q4_K_M.gguf"], { quantization: "q4_k_m" }).main, "Q4_K_M.gguf");
  assert.equal(choose(["a.txt", ...side], { file: "a.txt" }).files, ["a.txt"]);
  await refused("HUB_NOT_FOUND", ["no weights; no safetensors and no GGUF file"], () => choose(side));
  await refused("HUB_NOT_FOUND", ['no file "b.txt"'], () => choose(side, { file: "b.txt" }));
  await refused("HUB_NOT_FOUND", ["no file of Q4_K_M; its GGUF files are", '"b-Q6_K.gguf"'], () =>
    choose(["a-Q8_0.gguf", "b-Q6_K.gguf"]),
  );
  await refused("ARGUMENT", ["several files that may be meant", '"a-Q8_0.gguf", "b-Q8_0.gguf"'], () =>
    choose(["a-Q8_0.gguf", "b-Q8_0.gguf"], { quantization: "Q8_0" }),
  );
  await refused("HUB_NOT_FOUND", ["is split in 3, of which 2 are there"], () =>
    choose(["a-00001-of-00003.gguf", "a-00003-of-00003.gguf"]),
  );
  assert.equal(
    shardsOf(new TextEncoder().encode('{"weight_map":{"b":"2.safetensors","a":"1.safetensors","c":"1.safetensors"}}'), repo),
    ["1.safetensors", "2.safetensors"],
  );
});

test("patterns", async () => {
  const cases: readonly (readonly [pattern: string, path: string, matches: boolean])[] = [
    ["*.json", "config.json", true],
    ["*.json", "sub/config.json", true],
    ["*.json", "config.jsonl", false],
    ["sub/", "sub/a/b", true],
    ["sub/", "subs", false],
    ["model-?.bin", "model-1.bin", true],
    ["model-?.bin", "model-12.bin", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["a.b", "axb", false],
    ["a+(b)$^{2}|\\", "a+(b)$^{2}|\\", true],
    ["[", "[", true],
    ["[]]", "[]]", true],
  ];
  for (const [pattern, path, matches] of cases) assert.is(globMatcher(pattern)(path), matches, `${pattern} ${path}`);
  await refused("ARGUMENT", ['"[z-a]" is not a pattern'], () => globMatcher("[z-a]"));
});

test.run();
