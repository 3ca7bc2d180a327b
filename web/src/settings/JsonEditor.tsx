import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { type Diagnostic, forceLinting, linter, lintGutter } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { drawSelection, EditorView, highlightSpecialChars, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { useEffect, useRef } from 'react';
import type { FieldError, Settings } from '../api/types';
import { parse } from './dialect';
import { rangeOf } from './rangeOf';

interface Props {
  label: string;
  text: string;
  errors?: readonly FieldError[];
  /** `value` is null while the text is not a JSON object. */
  onChange: (text: string, value: Settings | null) => void;
}

/** An editor in a shadow root: there, CodeMirror uses style sheets that the page's security policy allows. */
export default function JsonEditor({ label, text, errors = [], onChange }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ onChange, errors, text });
  latest.current = { onChange, errors, text };
  const first = useRef(text);

  useEffect(() => {
    if (!host.current) return;
    const root = host.current.shadowRoot ?? host.current.attachShadow({ mode: 'open' });
    const editor = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: first.current,
        extensions: [
          lineNumbers(),
          highlightSpecialChars(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          json(),
          syntaxHighlighting(colours),
          lintGutter(),
          linter((current) => diagnostics(current, latest.current.errors), { delay: 300 }),
          // Tab is not bound, so that it leaves the editor as it leaves any other field.
          keymap.of([...defaultKeymap, ...historyKeymap]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': label }),
          theme,
          EditorView.updateListener.of((update) => {
            if (!update.docChanged) return;
            const written = update.state.doc.toString();
            // A text that was set from outside is not a change by the admin.
            if (written !== latest.current.text) latest.current.onChange(written, parse(written).value);
          }),
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
  }, [label]);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== text) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: text } });
    }
    first.current = text;
  }, [text]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the linter reads them
  useEffect(() => {
    if (view.current) forceLinting(view.current);
  }, [errors]);

  return <div ref={host} className="editor" />;
}

const syntax = jsonParseLinter();

function diagnostics(view: EditorView, errors: readonly FieldError[]): Diagnostic[] {
  if (view.state.doc.toString().trim() === '') return [];
  const broken = syntax(view);
  if (broken.length > 0) return broken;
  return errors.map(({ pointer, message }) => ({ ...rangeOf(view.state, pointer), severity: 'error', message }));
}

const colours = HighlightStyle.define([
  { tag: tags.propertyName, color: 'var(--code-name)' },
  { tag: tags.string, color: 'var(--code-text)' },
  { tag: [tags.number, tags.bool, tags.null], color: 'var(--code-value)' },
]);

const theme = EditorView.theme({
  '&': { color: 'var(--text)', backgroundColor: 'var(--field)', fontSize: '0.8125rem' },
  '&.cm-focused': { outline: '2px solid var(--focus)', outlineOffset: '1px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55', minHeight: '9rem', maxHeight: '32rem' },
  '.cm-content': { caretColor: 'var(--text)', padding: '8px 0' },
  '.cm-gutters': { backgroundColor: 'var(--sunken)', color: 'var(--muted)', border: 'none' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    background: 'var(--selection)',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--raised)',
    color: 'var(--text)',
    border: '1px solid var(--line)',
    borderRadius: '6px',
  },
});
