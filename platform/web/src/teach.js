// A teacher's classes.
import { number, page, t } from './lib/page.js';
import { get } from './lib/api.js';
import { write } from './lib/outbox.js';
import './lib/session.js';
import { $, h, saved, submit } from './lib/ui.js';

const titles = new Map(page.scripts.map((script) => [script.name, script.title]));

if (page.user?.kind === 'teacher') {
  const form = $('#new-class');
  form.elements.script.append(...page.scripts.filter((script) => script.kind === 'hoc' || script.kind === 'course')
    .map((script) => h('option', { value: script.name }, script.title)));
  saved($('#saved'));
  submit(form, async ({ name, script }) => {
    const { section } = await write('POST', '/api/sections', { name: name.trim(), script });
    location.assign(`/teach/${section.id}`);
  });
  show();
} else {
  $('#teachers-only').hidden = false;
  $('#classes').hidden = true;
}

async function show() {
  const { sections } = await get('/api/sections');
  $('#list').replaceChildren(...(sections.length === 0 ? [h('p', { class: 'quiet' }, t('teach.none'))] : sections.map((section) => h('a', { class: 'card class', href: `/teach/${section.id}` },
    h('strong', { dir: 'auto' }, section.name),
    h('span', { class: 'quiet' }, titles.get(section.script) ?? ''),
    h('span', {}, t('teach.students', number(section.students ?? 0))),
    h('code', { class: 'code', title: t('teach.code') }, section.code),
  ))));
}
