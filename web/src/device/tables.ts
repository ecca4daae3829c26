// Matrices with one row an item, in the encodings of an export.

import { EXPORT_AGAIN, ExportError } from "./errors.js";
import type { Bytes } from "./files.js";
import type { Encoding, TableEntry } from "./manifest.js";

const SCALE_BYTES = 2;

/** A matrix in single precision. */
export interface Table {
  readonly rows: number;
  readonly dim: number;
  /** `[rows * dim]`, row after row. */
  readonly values: Float32Array<ArrayBuffer>;
}

/**
 * Decodes a file.
 *
 * @param name - of the table, for messages.
 * @param entry - what the manifest says of it.
 * @param bytes - the file, little-endian.
 * @throws ExportError - the file is not as long as the table needs.
 */
export function decodeTable(name: string, entry: TableEntry, bytes: Bytes): Table {
  const { rows, dim, encoding } = entry, expected = encodedBytes(rows, dim, encoding);
  if (bytes.length !== expected) {
    throw new ExportError(`the table '${name}' has ${bytes.length} bytes and needs ${expected}`, `the file '${entry.file}'`, EXPORT_AGAIN);
  }
  return { rows, dim, values: DECODERS[encoding](bytes, rows, dim) };
}

function encodedBytes(rows: number, dim: number, encoding: Encoding): number {
  switch (encoding) {
    case "float32": return 4 * rows * dim;
    case "float16": return 2 * rows * dim;
    case "int8": return rows * (SCALE_BYTES + dim);
    case "int4": return rows * (SCALE_BYTES + Math.ceil(dim / 2));
  }
}

// Browsers run on little-endian machines alone, so the bytes are numbers as they lie.
type Decode = (bytes: Bytes, rows: number, dim: number) => Float32Array<ArrayBuffer>;

const DECODERS: Record<Encoding, Decode> = {
  float32: (bytes) => new Float32Array(bytes.slice().buffer),
  float16: (bytes) => {
    const known = Float32Array.from({ length: 1 << 16 }, (_, bits) => half(bits));
    const halves = new Uint16Array(bytes.slice().buffer), values = new Float32Array(halves.length);
    for (let place = 0; place < values.length; place++) values[place] = known[halves[place]];
    return values;
  },
  int8: (bytes, rows, dim) => {
    const scales = scalesOf(bytes, rows), values = new Float32Array(rows * dim);
    const codes = new Int8Array(bytes.buffer, bytes.byteOffset + SCALE_BYTES * rows);
    for (let row = 0, place = 0; row < rows; row++) {
      for (const end = place + dim; place < end; place++) values[place] = scales[row] * codes[place];
    }
    return values;
  },
  int4: (bytes, rows, dim) => {
    const scales = scalesOf(bytes, rows), values = new Float32Array(rows * dim), width = Math.ceil(dim / 2);
    for (let row = 0, place = 0; row < rows; row++) {
      for (let column = 0; column < dim; column++, place++) {
        const pair = bytes[SCALE_BYTES * rows + row * width + (column >> 1)];
        const nibble = column % 2 ? pair >> 4 : pair & 15;
        values[place] = scales[row] * (nibble < 8 ? nibble : nibble - 16);
      }
    }
    return values;
  },
};

/** The scales, of which a table holds the upper halves: bfloat16. */
function scalesOf(bytes: Bytes, rows: number): Float32Array {
  const halves = new Uint16Array(bytes.slice(0, SCALE_BYTES * rows).buffer);
  return new Float32Array(Uint32Array.from(halves, (half) => half << 16).buffer);
}

/** The number that 16 bits stand for. */
function half(bits: number): number {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/**
 * The product of a table and a vector.
 *
 * @param table - `[rows, dim]`.
 * @param query - `[dim]`.
 * @returns `[rows]`, added up in double precision and rounded once.
 */
export function products(table: Table, query: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const { rows, dim, values } = table, result = new Float32Array(rows), even = dim - (dim % 4);
  const wanted = Float64Array.from(query);
  for (let row = 0, first = 0; row < rows; row++, first += dim) {
    // Four sums, so that an addition need not wait for the one before it.
    let a = 0, b = 0, c = 0, d = 0, i = 0;
    for (; i < even; i += 4) {
      a += values[first + i] * wanted[i];
      b += values[first + i + 1] * wanted[i + 1];
      c += values[first + i + 2] * wanted[i + 2];
      d += values[first + i + 3] * wanted[i + 3];
    }
    for (; i < dim; i++) a += values[first + i] * wanted[i];
    result[row] = a + b + (c + d);
  }
  return result;
}

/** A table's rows brought to length 1; a row of zeros stays. */
export function unitRows(table: Table): Table {
  const { rows, dim } = table, values = table.values.slice();
  for (let row = 0, first = 0; row < rows; row++, first += dim) {
    let square = 0;
    for (let i = first; i < first + dim; i++) square += values[i] * values[i];
    const length = Math.max(Math.sqrt(square), 1e-12);
    for (let i = first; i < first + dim; i++) values[i] /= length;
  }
  return { rows, dim, values };
}
