/** What a binary of macOS says of itself, read from its bytes: 64-bit Mach-O, little-endian, one architecture. */

const MAGIC = 0xfeedfacf;
const CPUS = { 16777223: 'x64', 16777228: 'arm64' };
const TYPES = { 6: 'dynamic library', 8: 'bundle' };
const [SYMTAB, LOAD_DYLIB, CODE_SIGNATURE] = [0x2, 0xc, 0x1d];
/** Bytes of a symbol in the table, and the library number of one that any loaded image may bring. */
const [SYMBOL_BYTES, ANY_IMAGE] = [16, 0xfe];

function textAt(bytes, offset) {
  return bytes.toString('latin1', offset, bytes.indexOf(0, offset));
}

/** The undefined symbols: name, and the library that it is to come from, undefined where any image may bring it. */
function undefinedSymbols(bytes, command, libraries) {
  const [table, count, names] = [8, 12, 16].map((offset) => bytes.readUInt32LE(command + offset));
  const found = [];
  for (let symbol = table; symbol < table + count * SYMBOL_BYTES; symbol += SYMBOL_BYTES) {
    const type = bytes[symbol + 4];
    // A debugger's note, or defined here.
    if ((type & 0xe0) !== 0 || (type & 0x0e) !== 0) continue;
    const number = bytes[symbol + 7];
    const library = number === ANY_IMAGE ? undefined : libraries[number - 1];
    found.push({ name: textAt(bytes, names + bytes.readUInt32LE(symbol)), library });
  }
  return found;
}

/**
 * Architecture, kind, whether it is signed, the libraries it loads, the symbols it leaves open.
 * Throws where the bytes are no such binary.
 */
export function readMachO(bytes) {
  if (bytes.readUInt32LE(0) !== MAGIC) {
    throw new Error(
      `expected a 64-bit Mach-O binary, received one that begins with ${bytes.toString('hex', 0, 4)}`,
    );
  }
  const facts = {
    cpu: CPUS[bytes.readUInt32LE(4)],
    type: TYPES[bytes.readUInt32LE(12)],
    signed: false,
    libraries: [],
  };
  let symbols;
  let command = 32;
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const kind = bytes.readUInt32LE(command) & 0x7fffffff;
    if (kind === LOAD_DYLIB) facts.libraries.push(textAt(bytes, command + bytes.readUInt32LE(command + 8)));
    if (kind === CODE_SIGNATURE) facts.signed = true;
    if (kind === SYMTAB) symbols = command;
    command += bytes.readUInt32LE(command + 4);
  }
  facts.undefined = symbols === undefined ? [] : undefinedSymbols(bytes, symbols, facts.libraries);
  return facts;
}
