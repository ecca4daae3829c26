// The text format of Prometheus, and what follows from two readings of it.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** A reading: for each name, its samples with labels and value. */
export function reading(text, at) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : LINE.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(LABEL)].map(([, name, value]) => [name, value]));
    if (!samples.has(found[1])) samples.set(found[1], []);
    samples.get(found[1]).push({ labels, value: Number(found[3]) });
  }
  return { at, samples };
}

/** The sum of the samples of a name that a condition on their labels allows. */
export function total(reading, name, allows = () => true) {
  return (reading.samples.get(name) ?? []).reduce((sum, each) => sum + (allows(each.labels) ? each.value : 0), 0);
}

/** The values of a label. */
export function valuesOf(reading, name, label) {
  return [...new Set((reading.samples.get(name) ?? []).map((each) => each.labels[label]))];
}

/** How much a sum grew between two readings; a server that was started anew counts from nothing. */
export function growth(before, after, name, allows) {
  const [then, now] = [total(before, name, allows), total(after, name, allows)];
  return now >= then ? now - then : now;
}

/** Growth a second. */
export const rate = (before, after, ...what) => growth(before, after, ...what) / Math.max(after.at - before.at, 1e-3);

/** The quantile of a histogram over what was observed between two readings; NaN where there was nothing. */
export function quantile(before, after, name, share, allows) {
  const bounds = new Map();
  for (const { labels, value } of after.samples.get(`${name}_bucket`) ?? []) {
    if (allows(labels)) bounds.set(labels.le, (bounds.get(labels.le) ?? 0) + value);
  }
  const anew = total(after, `${name}_count`, allows) < total(before, `${name}_count`, allows);
  if (!anew) {
    for (const { labels, value } of before.samples.get(`${name}_bucket`) ?? []) {
      if (allows(labels)) bounds.set(labels.le, (bounds.get(labels.le) ?? 0) - value);
    }
  }
  const steps = [...bounds].map(([bound, count]) => [Number(bound.replace("+Inf", "Infinity")), count]).sort(([a], [b]) => a - b);
  const all = steps.at(-1)?.[1] ?? 0;
  if (all <= 0) return NaN;
  let [low, below] = [0, 0];
  for (const [bound, count] of steps) {
    // Within a bucket, observations are taken to be spread evenly.
    if (count >= share * all) return bound === Infinity ? low : low + ((bound - low) * (share * all - below)) / (count - below || 1);
    [low, below] = [bound, count];
  }
  return low;
}
