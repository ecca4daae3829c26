// ONNX Runtime Web: one WebAssembly module for all models of a page.
import { ExportError, EXPORT_AGAIN } from "./errors.js";
import { fetchBytes, gunzip } from "./files.js";
const FOLDER = new URL("../ort/", import.meta.url);
const GZIP = 0x1f8b;
/** A model that runs. */
export class Model {
    ort;
    name;
    session;
    constructor(ort, name, session) {
        this.ort = ort;
        this.name = name;
        this.session = session;
    }
    static async open(ort, name, bytes) {
        try {
            return new Model(ort, name, await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }));
        }
        catch (error) {
            throw new ExportError(`the model '${name}' cannot be run: ${error.message}`, "", EXPORT_AGAIN);
        }
    }
    /** Computes the outputs of some inputs, in the model's order. */
    async run(feeds) {
        const known = feeds.filter(({ name }) => this.session.inputNames.includes(name)); // what a model does not look at is gone
        const tensors = Object.fromEntries(known.map(({ name, data, dims }) => [name, this.tensor(data, dims)]));
        const outputs = await this.session.run(tensors);
        const found = this.session.outputNames.map((name) => outputs[name].data);
        if (found.some((each) => !each.every(Number.isFinite))) {
            throw new ExportError(`an output of the model '${this.name}' is not finite`, "", EXPORT_AGAIN);
        }
        return found;
    }
    tensor(data, dims) {
        return data instanceof Int32Array ? new this.ort.Tensor("int32", data, dims) : new this.ort.Tensor("float32", data, dims);
    }
}
let started;
/**
 * Starts ONNX Runtime Web, once a page.
 *
 * @param options - of the first call; later ones are answered by what it started.
 */
export function startRuntime(options) {
    started ??= start(options).catch((error) => {
        started = undefined; // so that it can be tried again
        throw error;
    });
    return started;
}
async function start(options) {
    const module = new URL(options.module ?? new URL("ort.wasm.bundle.min.js", FOLDER), location.href);
    const wasm = new URL(options.wasm ?? new URL("ort-wasm-simd-threaded.wasm.gzip", module), location.href);
    const [ort, binary] = await Promise.all([
        import(module.href),
        fetchBytes(wasm, "ONNX Runtime Web"),
    ]);
    ort.env.wasm.wasmBinary = binary[0] * 256 + binary[1] === GZIP ? await gunzip(binary, wasm.href) : binary;
    ort.env.wasm.numThreads = globalThis.crossOriginIsolated ? (options.threads ?? defaultThreads()) : 1;
    ort.env.logLevel = "error";
    return ort;
}
/** Half of the processors, up to 4: the models are small. */
const defaultThreads = () => Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2)));
