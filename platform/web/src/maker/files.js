// The list of a project's pictures and sounds, with upload and delete.
import { t } from '../lib/page.js';
import { h, reason } from '../lib/ui.js';
import { byId, show } from './dom.js';
import { tell } from './say.js';

// filesPanel binds the elements file-list and file-upload; changed(files) is called with every new list.
export function filesPanel(project, changed = () => {}) {
  const list = byId('file-list');
  const input = byId('file-upload');

  async function refresh() {
    const files = await project.files();
    const rows = files.map((file) => h('li', {}, preview(project, file), h('span', { class: 'name' }, file.name), remove(file)));
    list.replaceChildren(...(rows.length ? rows : [h('li', { class: 'none' }, t('project.noFiles'))]));
    changed(files);
  }

  function remove(file) {
    if (!project.mine) return '';
    const label = `${t('project.delete')}: ${file.name}`;
    return h('button', { type: 'button', class: 'small', title: label, 'aria-label': label, onclick: async () => {
      if (await project.remove(file.name).catch((error) => tell(t('project.failed', reason(error))))) await refresh();
    } }, '✕');
  }

  show(input.closest('label'), project.mine);
  input.addEventListener('change', async () => {
    const [file] = input.files;
    if (!file) return;
    input.disabled = true;
    try {
      await project.upload(file);
      await refresh();
    } catch (error) {
      tell(t('project.failed', reason(error)));
    } finally {
      input.disabled = false;
      input.value = '';
    }
  });
  refresh().catch((error) => tell(t('project.failed', reason(error))));
  return refresh;
}

export const isPicture = (file) => file.contentType.startsWith('image/');

function preview(project, file) {
  if (isPicture(file)) return h('img', { src: project.fileURL(file.name), alt: '', width: 48, height: 48, loading: 'lazy' });
  return h('button', { type: 'button', class: 'small', 'aria-label': file.name, onclick: () => new Audio(project.fileURL(file.name)).play() }, '▶');
}
