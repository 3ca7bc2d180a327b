import { ensureSyntaxTree } from '@codemirror/language';
import type { EditorState } from '@codemirror/state';
import type { SyntaxNode } from '@lezer/common';
import { steps } from './pointer';

interface Range {
  from: number;
  to: number;
}

/** The range of a JSON pointer's target in a text, or that of the nearest enclosing value. */
export function rangeOf(state: EditorState, pointer: string): Range {
  let node = ensureSyntaxTree(state, state.doc.length, 200)?.topNode.firstChild ?? null;
  let range: Range = node ? { from: node.from, to: Math.min(node.to, node.from + 1) } : { from: 0, to: 0 };
  for (const step of steps(pointer)) {
    const found: SyntaxNode | null = node && child(state, node, step);
    if (!found) break;
    range = { from: found.from, to: found.to };
    node = found.name === 'Property' ? found.lastChild : found;
  }
  return range;
}

function child(state: EditorState, node: SyntaxNode, step: string): SyntaxNode | null {
  if (node.name === 'Object') {
    return node.getChildren('Property').findLast((property) => nameOf(state, property) === step) ?? null;
  }
  if (node.name === 'Array') {
    let index = 0;
    for (let entry = node.firstChild; entry; entry = entry.nextSibling) {
      if (!VALUES.has(entry.name)) continue;
      if (String(index) === step) return entry;
      index += 1;
    }
  }
  return null;
}

const VALUES = new Set(['Object', 'Array', 'String', 'Number', 'True', 'False', 'Null']);

function nameOf(state: EditorState, property: SyntaxNode): string | null {
  const name = property.getChild('PropertyName');
  if (!name) return null;
  try {
    return JSON.parse(state.sliceDoc(name.from, name.to)) as string;
  } catch {
    return null;
  }
}
