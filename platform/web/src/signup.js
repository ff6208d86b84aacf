// Makes an account; a guest becomes that account and keeps the work.
import { page, t } from './lib/page.js';
import { token } from './lib/ids.js';
import { write } from './lib/outbox.js';
import './lib/session.js';
import { $, saved, submit } from './lib/ui.js';
import { next } from './lib/next.js';

const form = $('form');
saved($('#saved'));
$('#keeps').hidden = page.user?.kind !== 'guest';
const wanted = new URLSearchParams(location.search).get('kind');
const choice = form.querySelector(`[name=kind][value="${CSS.escape(wanted ?? '')}"]`);
if (choice) choice.checked = true;

submit(form, async ({ kind, login, password, name, email, birthYear }) => {
  const body = { session: token(), kind, login: login.trim(), password, name: name.trim(), locale: page.locale };
  if (email.trim()) body.email = email.trim();
  if (birthYear) body.birthYear = Number(birthYear);
  try {
    const { user } = await write('POST', '/api/account', body, { secret: true });
    location.assign(next(user));
  } catch (e) {
    throw e.code === 'taken' ? Object.assign(new Error(t('account.taken')), { field: e.field }) : e;
  }
});
