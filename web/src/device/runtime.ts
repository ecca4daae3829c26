// ONNX Runtime Web: one WebAssembly module for all models of a page.

import type * as Ort from "onnxruntime-web";
import { ExportError, EXPORT_AGAIN } from "./errors.js";
import { fetchBytes, gunzip, type Bytes } from "./files.js";

/** Where the runtime lies, and how many threads it may use. */
export interface RuntimeOptions {
  /** Address of ONNX Runtime Web's module; `../ort/` from this one by default. */
  readonly module?: string | URL;
  /** Address of its WebAssembly, plain or packed with gzip; beside the module by default. */
  readonly wasm?: string | URL;
  /** Threads; one where the page is not cross-origin isolated, whatever is asked for. */
  readonly threads?: number;
}

const FOLDER = new URL("../ort/", import.meta.url);
const GZIP = 0x1f8b;

/** A model that runs. */
export class Model {
  private constructor(
    private readonly ort: typeof Ort,
    private readonly name: string,
    private readonly session: Ort.InferenceSession,
  ) {}

  static async open(ort: typeof Ort, name: string, bytes: Bytes): Promise<Model> {
    try {
      return new Model(ort, name, await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }));
    } catch (error) {
      throw new ExportError(`the model '${name}' cannot be run: ${(error as Error).message}`, "", EXPORT_AGAIN);
    }
  }

  /** Computes the outputs of some inputs, in the model's order. */
  async run(feeds: readonly Feed[]): Promise<Float32Array[]> {
    const known = feeds.filter(({ name }) => this.session.inputNames.includes(name)); // what a model does not look at is gone
    const tensors = Object.fromEntries(known.map(({ name, data, dims }) => [name, this.tensor(data, dims)]));
    const outputs = await this.session.run(tensors);
    const found = this.session.outputNames.map((name) => outputs[name].data as Float32Array);
    if (found.some((each) => !each.every(Number.isFinite))) {
      throw new ExportError(`an output of the model '${this.name}' is not finite`, "", EXPORT_AGAIN);
    }
    return found;
  }

  private tensor(data: Float32Array | Int32Array, dims: readonly number[]): Ort.Tensor {
    return data instanceof Int32Array ? new this.ort.Tensor("int32", data, dims) : new this.ort.Tensor("float32", data, dims);
  }
}

/** An input of a model. */
export interface Feed {
  readonly name: string;
  readonly data: Float32Array | Int32Array;
  readonly dims: readonly number[];
}

let started: Promise<typeof Ort> | undefined;

/**
 * Starts ONNX Runtime Web, once a page.
 *
 * @param options - of the first call; later ones are answered by what it started.
 */
export function startRuntime(options: RuntimeOptions): Promise<typeof Ort> {
  started ??= start(options).catch((error: unknown) => {
    started = undefined; // so that it can be tried again
    throw error;
  });
  return started;
}

async function start(options: RuntimeOptions): Promise<typeof Ort> {
  const module = new URL(options.module ?? new URL("ort.wasm.bundle.min.js", FOLDER), location.href);
  const wasm = new URL(options.wasm ?? new URL("ort-wasm-simd-threaded.wasm.gzip", module), location.href);
  const [ort, binary] = await Promise.all([
    import(module.href) as Promise<typeof Ort>,
    fetchBytes(wasm, "ONNX Runtime Web"),
  ]);
  ort.env.wasm.wasmBinary = binary[0] * 256 + binary[1] === GZIP ? await gunzip(binary, wasm.href) : binary;
  ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? (options.threads ?? defaultThreads()) : 1;
  ort.env.logLevel = "error";
  return ort;
}

/** Half of the processors, up to 4: the models are small. */
const defaultThreads = (): number => Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2)));
