// A long name is made smaller until it fits its line.
import { $ } from './lib/ui.js';

for (const text of document.querySelectorAll('svg [data-fit]')) {
  const room = Number(text.dataset.fit);
  const size = parseFloat(getComputedStyle(text).fontSize);
  const width = text.getComputedTextLength();
  if (width > room) text.style.fontSize = `${(size * room) / width}px`;
}
$('#print').addEventListener('click', () => print());
