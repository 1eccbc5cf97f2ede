/**
 * Reads which functions an ELF shared object exports, without loading it: the manifest test reads binaries of other machines, and a
 * library that a configuration names is looked at before `dlopen` runs its constructors.
 *
 * Owns the layout of ELF64 (System V gABI, "Object Files"), little-endian, as Linux on x64 and arm64 has it. Knows no library and no
 * symbol by name. Every offset in the file is untrusted: bad input ends in one ElfError, never in a read outside the bytes.
 */
/** Dynamic symbols looked at. aws-crt has 15 thousand; OpenSSL's two libraries 7 thousand. */
export const ELF_SYMBOLS_MAX = 262_144;
/** Longest function name reported, in bytes. Longer ones (mangled C++) are left out: no C function asked for here has one. */
export const ELF_NAME_BYTES_MAX = 1_024;

/** The file is no ELF shared object that can be read here. The message says why, and carries no bytes of it. */
export class ElfError extends Error {
  override name = 'ElfError';
}

export interface ElfExports {
  /** As `process.arch` spells it; `null` for a machine that is neither. */
  readonly machine: 'x64' | 'arm64' | null;
  /** Functions defined in the file and visible to `dlsym`: binding GLOBAL, type FUNC. */
  readonly functions: ReadonlySet<string>;
}

const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;
const MAGIC = 0x7f454c46;
const CLASS_64 = 2;
const DATA_LITTLE = 1;
const TYPE_EXEC = 2;
const TYPE_DYN = 3;
const MACHINE_X64 = 62;
const MACHINE_ARM64 = 183;
const SECTION_STRTAB = 3;
const SECTION_DYNSYM = 11;
const BIND_GLOBAL = 1;
const TYPE_FUNC = 2;
const SECTION_UNDEFINED = 0;
const VISIBILITY_DEFAULT = 0;
const VISIBILITY_PROTECTED = 3;

interface Section {
  readonly type: number;
  readonly link: number;
  /** Its bytes in the file; empty for sections of other types, whose place is not looked at. */
  readonly bytes: Buffer;
}

/**
 * Reads the dynamic symbol table of the shared object in `file`, or with `program` of a program that exports functions, as node does. Throws
 * ElfError; keeps nothing of `file`.
 */
export function readElfExports(file: Buffer, program = false): ElfExports {
  if (file.length < 4 || file.readUInt32BE(0) !== MAGIC) throw new ElfError('not an ELF file');
  if (file.length < HEADER_BYTES) throw new ElfError('the ELF header is cut short');
  if (file[4] !== CLASS_64 || file[5] !== DATA_LITTLE) throw new ElfError('not a 64-bit little-endian ELF file');
  const type = file.readUInt16LE(16);
  if (type !== TYPE_DYN && !(program && type === TYPE_EXEC)) throw new ElfError('not a shared object');
  const machine = file.readUInt16LE(18);
  const sections = readSections(file);
  const symbols = sections.find((section) => section.type === SECTION_DYNSYM);
  if (symbols === undefined) throw new ElfError('no dynamic symbol table');
  const names = sections[symbols.link];
  if (names === undefined || names.type !== SECTION_STRTAB) throw new ElfError('the dynamic symbol table has no names');
  return {
    machine: machine === MACHINE_X64 ? 'x64' : machine === MACHINE_ARM64 ? 'arm64' : null,
    functions: readFunctions(symbols.bytes, names.bytes),
  };
}

function readSections(file: Buffer): Section[] {
  const count = file.readUInt16LE(60);
  // A count of 0 with a table present means more than 65,279 sections (the gABI's escape). No shared library has them.
  if (count === 0) throw new ElfError('no section table');
  if (file.readUInt16LE(58) !== SECTION_BYTES) throw new ElfError('section headers of an unknown size');
  const table = slice(file, file.readBigUInt64LE(40), BigInt(count * SECTION_BYTES), 'the section table');
  const sections: Section[] = [];
  for (let at = 0; at < table.length; at += SECTION_BYTES) {
    const type = table.readUInt32LE(at + 4);
    const wanted = type === SECTION_DYNSYM || type === SECTION_STRTAB;
    const bytes = wanted ? slice(file, table.readBigUInt64LE(at + 24), table.readBigUInt64LE(at + 32), 'a section') : file.subarray(0, 0);
    sections.push({ type, link: table.readUInt32LE(at + 40), bytes });
  }
  return sections;
}

/** `length` bytes at `offset`, both as the file states them: up to 2^64, so they stay bigint until they are known to lie inside. */
function slice(file: Buffer, offset: bigint, length: bigint, what: string): Buffer {
  const end = BigInt(file.length);
  if (offset > end || length > end - offset) throw new ElfError(`${what} lies outside the file`);
  return file.subarray(Number(offset), Number(offset + length));
}

function readFunctions(symbols: Buffer, names: Buffer): Set<string> {
  if (symbols.length % SYMBOL_BYTES !== 0) throw new ElfError('the dynamic symbol table is cut short');
  if (symbols.length > ELF_SYMBOLS_MAX * SYMBOL_BYTES) throw new ElfError(`more than ${ELF_SYMBOLS_MAX} dynamic symbols`);
  const functions = new Set<string>();
  for (let at = 0; at < symbols.length; at += SYMBOL_BYTES) {
    const info = symbols[at + 4]!;
    const visibility = symbols[at + 5]! & 3;
    if (info >>> 4 !== BIND_GLOBAL || (info & 15) !== TYPE_FUNC) continue;
    if (symbols.readUInt16LE(at + 6) === SECTION_UNDEFINED) continue;
    if (visibility !== VISIBILITY_DEFAULT && visibility !== VISIBILITY_PROTECTED) continue;
    const name = readName(names, symbols.readUInt32LE(at));
    if (name !== null) functions.add(name);
  }
  return functions;
}

/** The NUL-terminated name at `start`, or null when it is longer than any we could ask for. */
function readName(names: Buffer, start: number): string | null {
  // The look ahead is bounded, or overlapping names would make a small file cost quadratic work.
  const ahead = names.subarray(start, start + ELF_NAME_BYTES_MAX + 1);
  const length = ahead.indexOf(0);
  if (length >= 0) return ahead.toString('latin1', 0, length);
  if (ahead.length <= ELF_NAME_BYTES_MAX) throw new ElfError('a symbol name lies outside its table');
  return null;
}
