/** ELF shared objects for tests: a symbol table, and no code. No part of the program. */

/** Binding GLOBAL, type FUNC: what `dlsym` finds. */
export const FUNC_GLOBAL = 0x12;

export interface ElfSymbol {
  readonly name: string;
  readonly info: number;
  readonly section: number;
  readonly visibility?: number;
}

/** A shared object of four sections: none, .dynsym, its names, and the section table behind them. */
export function sharedObject(symbols: readonly ElfSymbol[], machine = 62): Buffer {
  const names = Buffer.from(`\0${symbols.map((symbol) => `${symbol.name}\0`).join('')}`, 'latin1');
  const table = Buffer.alloc(24 * symbols.length);
  let nameAt = 1;
  symbols.forEach((symbol, i) => {
    table.writeUInt32LE(nameAt, 24 * i);
    table[24 * i + 4] = symbol.info;
    table[24 * i + 5] = symbol.visibility ?? 0;
    table.writeUInt16LE(symbol.section, 24 * i + 6);
    nameAt += symbol.name.length + 1;
  });
  const header = Buffer.alloc(64);
  header.writeUInt32BE(0x7f454c46, 0);
  header.set([2, 1, 1], 4);
  header.writeUInt16LE(3, 16);
  header.writeUInt16LE(machine, 18);
  header.writeBigUInt64LE(BigInt(64 + table.length + names.length), 40);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(3, 60);
  return Buffer.concat([
    header,
    table,
    names,
    Buffer.alloc(64),
    section(11, 64, table.length, 2),
    section(3, 64 + table.length, names.length, 0),
  ]);
}

function section(type: number, offset: number, bytes: number, link: number): Buffer {
  const header = Buffer.alloc(64);
  header.writeUInt32LE(type, 4);
  header.writeBigUInt64LE(BigInt(offset), 24);
  header.writeBigUInt64LE(BigInt(bytes), 32);
  header.writeUInt32LE(link, 40);
  return header;
}
