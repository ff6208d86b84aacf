// Who the browser is. A guest is made at the first write, and waits in the outbox like any other write,
// so that an anonymous student can begin while the server is away.
import { page } from './page.js';
import { token } from './ids.js';
import { lock } from './lock.js';
import { onAnswer, queued, waiting, write } from './outbox.js';

// What another tab has found out since this page was made: the cookie itself can't be read. A note of the
// last minute is believed over this page, which may have been on its way when the guest was made.
const NOTE = 'user';
const noted = () => JSON.parse(localStorage.getItem(NOTE) ?? 'null');

function note(user) {
  page.user = user;
  if (user) localStorage.setItem(NOTE, JSON.stringify({ user, at: Date.now() }));
  else localStorage.removeItem(NOTE);
}

if (page.user || !(noted()?.at > Date.now() - 60_000)) note(page.user);

onAnswer((path, body, answer) => {
  if (path === '/api/sign-out') note(null);
  else if (['/api/guest', '/api/account', '/api/sign-in'].includes(path)) note(answer.user);
});

// makeGuest returns {user} or {answer}, a guest to come. The lock keeps two tabs from making two guests.
function makeGuest() {
  return lock('guest', async () => {
    page.user ??= noted()?.user;
    if (page.user) return { user: page.user };
    if (await queued('/api/guest')) {
      const answer = waiting('/api/guest');
      answer.catch(() => {}); // for whoever waits for it
      return { answer };
    }
    const answer = write('POST', '/api/guest', { session: token(), locale: page.locale });
    await answer.kept;
    return { answer };
  });
}

// ensureUser resolves with the user; with a guest's if there was none.
export async function ensureUser() {
  const { user, answer } = await makeGuest();
  return user ?? (await answer)?.user ?? page.user;
}

// expectUser resolves as soon as a later write is sure to be sent after the guest is made.
export async function expectUser() {
  await makeGuest();
}

// forget is for a write that was refused because the session is gone: the next one makes a guest.
export function forget() {
  note(null);
}
