/** Names of Qwen3's tensors in GGUF files, and as the checkpoint has them. Queries and keys are stored alike, row by row. */

const OUTSIDE: Readonly<Record<string, string>> = {
  "token_embd.weight": "model.embed_tokens.weight",
  "output_norm.weight": "model.norm.weight",
  "output.weight": "lm_head.weight",
};

const IN_LAYER: Readonly<Record<string, string>> = {
  attn_norm: "input_layernorm",
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_q_norm: "self_attn.q_norm",
  attn_k_norm: "self_attn.k_norm",
  attn_output: "self_attn.o_proj",
  ffn_norm: "post_attention_layernorm",
  ffn_gate: "mlp.gate_proj",
  ffn_up: "mlp.up_proj",
  ffn_down: "mlp.down_proj",
};

/** `model.layers.3.self_attn.q_proj.weight` for `blk.3.attn_q.weight`; a name that is no tensor of Qwen3 stays as it is. */
export function canonicalName(name: string): string {
  const [, layer, part] = /^blk\.(0|[1-9]\d{0,4})\.(\w+)\.weight$/.exec(name) ?? [];
  const inLayer = part !== undefined && Object.hasOwn(IN_LAYER, part) ? IN_LAYER[part] : undefined;
  if (inLayer !== undefined) return `model.layers.${layer}.${inLayer}.weight`;
  return (Object.hasOwn(OUTSIDE, name) && OUTSIDE[name]) || name;
}
