// On every page: sends what earlier pages have left in the outbox, and works the header.
import { page, t } from './lib/page.js';
import { onAnswer, write } from './lib/outbox.js';
import './lib/session.js';
import { $, saved } from './lib/ui.js';

if (!$('main .saved')) saved($('#outbox'));

// The certificate needs to know which hour is finished; the page that asked may be gone by now.
onAnswer((path, body, answer) => {
  if (path === '/api/hoc/start') localStorage.setItem(`hour:${body.script}`, answer.hoc);
});

$('#sign-out')?.addEventListener('click', async () => {
  await write('POST', '/api/sign-out');
  for (const key of Object.keys(localStorage)) {
    if (/^(draft|hour):/.test(key)) localStorage.removeItem(key);
  }
  location.assign('/');
});

// One menu at a time, and Escape closes it.
for (const menu of document.querySelectorAll('details.menu')) {
  menu.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !menu.open) return;
    menu.open = false;
    $('summary', menu).focus();
  });
}
document.addEventListener('click', (event) => {
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.documentElement.dataset.ready = page.user ? page.user.kind : 'nobody';
if (page.user?.kind === 'guest') $('#who')?.setAttribute('title', t('common.guest'));
