/** Finds the innermost loops of a function in an assembly listing of rustc (x86-64, AT&T syntax). */

/**
 * @typedef {object} InnerLoop
 * @property {boolean} multiplies whether it holds fused multiply-adds
 * @property {string[]} stack its instructions that read or write the stack
 */

/**
 * The innermost loops of every function whose mangled name holds all parts of `path`, in order.
 *
 * @param {string} listing
 * @param {string} path such as `avx2::tile`
 * @returns {InnerLoop[]}
 */
export function loopsOf(listing, path) {
  // Mangled, each part of a path follows its length.
  const mangled = path
    .split('::')
    .map((part) => part.length + part)
    .join('');
  const bodies = listing.matchAll(/^(_ZN\S+|_R\S+):\n([\s\S]*?)^\s*\.cfi_endproc/gm);
  return [...bodies].filter(([, name]) => name.includes(mangled)).flatMap(([, , body]) => loopsOfBody(body));
}

/** @param {string} body @returns {InnerLoop[]} */
function loopsOfBody(body) {
  const lines = body.split('\n').map((line) => line.trim());
  const places = new Map(lines.map((line, index) => [line.match(/^(\.L\w+):/)?.[1], index]));
  /** @type {Array<[number, number]>} */
  const loops = [];
  lines.forEach((line, end) => {
    const start = places.get(line.match(/^j\w+\s+(\.L\w+)/)?.[1]);
    if (start !== undefined && start < end) loops.push([start, end]);
  });
  const inner = loops.filter(
    ([start, end]) => !loops.some(([from, to]) => from >= start && to <= end && to - from < end - start),
  );
  return inner.map(([start, end]) => {
    const instructions = lines.slice(start, end).filter((line) => line !== '' && !/^[.#]/.test(line));
    return {
      multiplies: instructions.some((line) => line.startsWith('vfmadd')),
      stack: instructions.filter((line) => /\(%r[sb]p/.test(line)),
    };
  });
}
