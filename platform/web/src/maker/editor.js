// The program's editor.
import { basicSetup } from 'codemirror';
import { EditorView } from '@codemirror/view';
import { Annotation, EditorState } from '@codemirror/state';
import { javascript, javascriptLanguage } from '@codemirror/lang-javascript';

// loading marks a change that the page makes itself: there is nothing to save.
const loading = Annotation.define();

// editor makes one in parent. calls are offered while typing; changed() is called when the text changes.
export function editor({ parent, calls, readOnly, label, changed }) {
  const options = calls.map((call) => ({ label: call.split('(')[0], type: 'function', detail: call.split('\n')[0].slice(call.indexOf('(')), apply: call }));
  const complete = (context) => {
    const word = context.matchBefore(/[\w.]+/);
    return word ? { from: word.from, options, validFor: /^[\w.]*$/ } : null;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      extensions: [
        basicSetup,
        javascript(),
        javascriptLanguage.data.of({ autocomplete: complete }),
        EditorState.readOnly.of(readOnly),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false' }),
        EditorView.updateListener.of((update) => update.docChanged && update.transactions.some((tr) => !tr.annotation(loading)) && changed()),
      ],
    }),
  });
  return {
    text: () => view.state.doc.toString(),
    setText: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text }, annotations: loading.of(true) }),
    // insert puts a statement on a line of its own, below the cursor's.
    insert(statement) {
      const line = view.state.doc.lineAt(view.state.selection.main.head);
      const empty = line.text.trim() === '';
      const from = empty ? line.from : line.to;
      const insert = `${empty ? '' : '\n'}${statement};`;
      view.dispatch({ changes: { from, to: line.to, insert }, selection: { anchor: from + insert.length }, scrollIntoView: true });
      view.focus();
    },
    goTo(number) {
      const line = view.state.doc.line(Math.min(number, view.state.doc.lines));
      view.dispatch({ selection: { anchor: line.from, head: line.to }, scrollIntoView: true });
      view.focus();
    },
  };
}
