/** Methods every Buffer of Node has and its types leave out: text to and from bytes, one byte a character, with no encoding to look up. */
declare global {
  interface Buffer {
    latin1Write(text: string, offset: number, length?: number): number;
    latin1Slice(start?: number, end?: number): string;
  }
}

export {};
