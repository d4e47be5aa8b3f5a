/** The kernels: pure functions of pointers and counts, whose only import is the memory they work in. */
export { add, swiglu } from "./activation";
export { attention } from "./attention";
export { attentionInt8, attentionInt8Relaxed } from "./attention-int8";
export { narrowBf16, narrowF16, widenBf16, widenF16 } from "./convert";
export { exp } from "./exp";
export { boundF8, widenF8 } from "./f8";
export { packRows8, unpackRow8 } from "./f8-blocks";
export { matmulF8 } from "./f8-products";
export { packRows16, packRows32, unpackRow16, unpackRow32 } from "./float-blocks";
export { matmulBf16, matmulF16, matmulF32, timesPanelF32 } from "./float-products";
export { appendKv } from "./kv";
export { appendInt8 } from "./kv-int8";
export { blockMaxima } from "./maxima";
export { rmsNorm } from "./norm";
export { packInt4, packInt8, packScales, unpackInt4, unpackInt8 } from "./pack";
export { quantizeMasked, quantizeNarrow, quantizeUnsigned, quantizeWide } from "./quantize";
export { largestMagnitude, quantizeInt4, quantizeInt4Range, quantizeInt8 } from "./quantize-weights";
export { RELAXED as relaxed, WIDE_VECTORS as wide } from "./quantized-dots";
export {
  matmulInt4Masked, matmulInt4Narrow, matmulInt4Unsigned, matmulInt8Unsigned, matmulInt8Wide,
} from "./quantized-products";
export { rope } from "./rope";
