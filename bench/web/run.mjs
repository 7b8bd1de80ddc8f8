// Runs a model under onnxruntime-web (wasm): `node run.mjs MODEL.onnx < FEEDS.json > RESULTS.json`.
// FEEDS is a list of runs, each a list of tensors {name, type, dims, data}, data in base64; RESULTS
// is the same for the outputs, with the runtime's version.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const ARRAYS = { float32: Float32Array, int64: BigInt64Array };

function toTensor({ type, dims, data }) {
  const bytes = new Uint8Array(Buffer.from(data, "base64")); // its own buffer, so aligned
  return new ort.Tensor(type, new ARRAYS[type](bytes.buffer), dims);
}

function fromTensor(name, { type, dims, data }) {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { name, type, dims, data: bytes.toString("base64") };
}

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "fatal";
try {
  const model = readFileSync(process.argv[2]);
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  const runs = [];
  for (const feeds of JSON.parse(readFileSync(0, "utf8"))) {
    const tensors = feeds.map((feed) => [feed.name, toTensor(feed)]);
    const outputs = await session.run(Object.fromEntries(tensors));
    runs.push(Object.entries(outputs).map(([name, tensor]) => fromTensor(name, tensor)));
  }
  console.log(JSON.stringify({ runs }));
} catch (error) {
  console.log(JSON.stringify({ error: error.message }));
}
