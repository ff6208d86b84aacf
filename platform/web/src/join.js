// Joins a class by the code that the teacher shows.
import { page, t } from './lib/page.js';
import { write } from './lib/outbox.js';
import { ensureUser } from './lib/session.js';
import { $, h, saved, submit } from './lib/ui.js';

const form = $('form');
const code = form.elements.code;
saved($('#saved'));
// A teacher's link may carry the code.
const given = new URLSearchParams(location.search).get('code');
if (given) code.value = given;
$('#named').hidden = Boolean(page.user && page.user.kind !== 'guest');
// The teacher sees who a guest is only by what they say here.
const nameless = !page.user || (page.user.kind === 'guest' && !page.user.name);
$('#name').hidden = !nameless;
form.elements.name.required = nameless;

submit(form, async () => {
  code.value = code.value.replace(/[^a-z]/gi, '').toUpperCase();
  await ensureUser();
  try {
    const { section } = await write('POST', '/api/join', nameless ? { code: code.value, name: form.elements.name.value } : { code: code.value });
    const done = $('#done');
    done.replaceChildren(
      h('p', { class: 'big' }, t('student.joined', section.name)),
      h('a', { class: 'button primary', href: section.script ? `/s/${section.script}` : '/hoc' }, t('student.go')),
    );
    form.hidden = true;
    $('#named').hidden = true;
    done.hidden = false;
    $('a', done).focus();
  } catch (e) {
    if (e.field === 'code' || e.code === 'not-found') throw Object.assign(new Error(t('student.bad_code')), { field: 'code' });
    throw e;
  }
});
