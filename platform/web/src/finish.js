// The end of an Hour of Code: a name, and the certificate is made.
import { page } from './lib/page.js';
import { waiting, write } from './lib/outbox.js';
import { ensureUser } from './lib/session.js';
import { $, saved, submit } from './lib/ui.js';

const note = `hour:${page.script}`;
const name = $('#name');
if (page.user?.name) name.value = page.user.name;
saved($('#saved'));

// hour is the number of the hour that was begun, here or on a page before this one.
async function hour() {
  await ensureUser();
  await waiting('/api/hoc/start');
  const begun = Number(localStorage.getItem(note));
  if (begun) return begun;
  return (await write('POST', '/api/hoc/start', { script: page.script })).hoc;
}

async function finish(again = true) {
  try {
    return await write('POST', '/api/hoc/finish', { hoc: await hour(), name: name.value.trim() });
  } catch (e) {
    // An hour of another person who used this browser: begin one of our own.
    if (!again || !['not-yours', 'not-found'].includes(e.code)) throw e;
    localStorage.removeItem(note);
    return finish(false);
  }
}

submit($('form'), async () => {
  const { certificate } = await finish();
  localStorage.removeItem(note);
  location.assign(`/certificate/${certificate}`);
});
