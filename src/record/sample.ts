/** Which requests a sampled log keeps: told by the request's id alone, so that whoever has the id can tell as well. */

/** FNV-1a over the id's 32 digits, finished so that ids that differ in their last digits alone spread. 0 up to 1. */
export function sampleOf(id: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < 32; i++) hash = Math.imul(hash ^ id[i]!, 0x0100_0193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 0x1_0000_0000;
}
