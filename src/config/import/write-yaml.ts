/** A draft as YAML, with the notes about each part as a comment before it, and the others at the top. */
import { Document, isMap, isScalar, type Node, Scalar, YAMLMap, YAMLSeq } from 'yaml';
import type { Draft } from './draft.ts';
import type { Notes } from './notes.ts';

/** Mappings of this many settings, all of one value, are written on one line. */
const INLINE_MAX = 4;
const INLINE_CHARACTERS_MAX = 90;

/** The text; `heading` is its first comment. */
export function writeYaml(draft: Draft, notes: Notes, heading: readonly string[]): string {
  const contents = nodeOf(
    {
      ...draft,
      listeners: draft.listeners,
      upstreams: draft.upstreams.length === 0 ? undefined : draft.upstreams,
    },
    notes,
  );
  const rest = notes.rest();
  const lost = notes.lost === 0 ? [] : [`${notes.lost} more, which found no room here`];
  const all = [...heading, ...(rest.length === 0 ? [] : ['', ...rest, ...lost])];
  const document = new Document(contents);
  return `${all.map((line) => (line === '' ? '#' : `# ${line}`)).join('\n')}\n\n${document.toString({ lineWidth: 0 })}`;
}

function nodeOf(value: unknown, notes: Notes): Node {
  if (Array.isArray(value)) {
    const list = new YAMLSeq();
    list.items = value.map((item) => nodeOf(item, notes));
    if (list.items.every((item) => isScalar(item) && item.commentBefore === undefined && String(item.value).length <= 40)) {
      list.flow = list.items.map(String).join(', ').length <= INLINE_CHARACTERS_MAX;
    }
    return list;
  }
  if (typeof value !== 'object' || value === null) {
    // What reads like a variable would be one.
    const scalar = new Scalar(typeof value === 'string' ? value.replaceAll('${', '$$${') : value);
    return scalar;
  }
  const map = new YAMLMap();
  for (const [key, item] of Object.entries(value)) if (item !== undefined) map.set(new Scalar(key), nodeOf(item, notes));
  map.flow = isShort(map);
  const comments = notes.take(value);
  if (comments.length > 0) map.commentBefore = comments.map((line) => ` ${line}`).join('\n');
  return map;
}

/** A mapping that reads better on one line. */
function isShort(map: YAMLMap): boolean {
  if (map.items.length === 0 || map.items.length > INLINE_MAX) return map.items.length === 0;
  const simple = map.items.every(
    ({ value }) =>
      (isScalar(value) && !String(value.value).includes('\n')) ||
      ((isMap(value) || value instanceof YAMLSeq) && value.flow === true && value.items.every((each) => isMap(value) || isScalar(each))),
  );
  return simple && JSON.stringify(map.toJSON()).length <= INLINE_CHARACTERS_MAX;
}
