/**
 * lm-eval, unmodified, against the server: its log-likelihoods are those of our own forward pass.
 *
 *     pip install "lm-eval[api]" transformers
 *     npm run build:test && LM_EVAL=path/to/lm_eval node test/clients/lm_eval/check.mjs
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Qwen3 } from "../../../build/src/index.js";
import { logprobs } from "../../../build/src/sampler/logprobs.js";
import { createServer, listen } from "../../../build/src/server.js";
import { nanoPath, root } from "../../../build/test/paths.js";

const model = await Qwen3.fromPretrained(nanoPath);
const listener = await listen(createServer(model.chatModel(), { servedModelNames: ["nano"] }), { port: 0 });
const output = mkdtempSync(join(tmpdir(), "lm-eval-"));

/** ln p(continuation | context), both as tokens. */
async function loglikelihood(context, continuation) {
  const ids = model.tokenizer.encode(context + continuation);
  const from = model.tokenizer.encode(context).length;
  const { logits } = await model.forward(ids, { logits: "all" });
  const size = model.config.vocab_size;
  let sum = 0;
  for (let at = from; at < ids.length; at++) sum += logprobs(logits.subarray((at - 1) * size, at * size), ids[at], 0).logprob;
  return sum;
}

async function lmEval(task, name, path, more = "", options = []) {
  const args = [
    "--model",
    name,
    "--tasks",
    task,
    "--include_path",
    join(root, "test/clients/lm_eval"),
    "--log_samples",
    "--output_path",
    join(output, name),
    ...options,
  ];
  const modelArgs = `base_url=${listener.url}${path},model=nano,tokenizer=${nanoPath},num_concurrent=2,max_retries=1${more}`;
  const child = spawn(process.env.LM_EVAL ?? "lm_eval", [...args, "--model_args", modelArgs], { cwd: root, stdio: "inherit" });
  const code = await new Promise((done) => child.on("close", done));
  assert.equal(code, 0);
  const files = readdirSync(join(output, name), { recursive: true }).filter((file) => file.includes(`samples_${task}`));
  return readFileSync(join(output, name, files[0]), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

try {
  let compared = 0;
  for (const tokenized of ["True", "False"]) {
    for (const { doc, resps } of await lmEval(
      "nano_choice",
      "local-completions",
      "/v1/completions",
      `,tokenized_requests=${tokenized}`,
    ))
      for (const [i, choice] of doc.choices.entries()) {
        const theirs = Number(resps[i][0][0]);
        const ours = await loglikelihood(doc.question, choice);
        // Decimal digits tell a double exactly, and Python adds them up in the same order.
        assert.equal(theirs, ours, `${doc.question}${choice}`);
        compared++;
      }
  }
  assert.ok(compared >= 30, `${compared} compared`);
  const chat = await lmEval("nano_answer", "local-chat-completions", "/v1/chat/completions", "", ["--apply_chat_template"]);
  assert.deepEqual(
    chat.map(({ resps }) => resps[0][0]),
    chat.map(({ doc }) => doc.answer),
  );
  console.log(`${compared} log-likelihoods of lm-eval are those of the forward pass`);
} finally {
  await listener.close();
  await model.close();
}
