// Signs in. The password goes over memory only, never over the disk's outbox.
import { t } from './lib/page.js';
import { token } from './lib/ids.js';
import { write } from './lib/outbox.js';
import './lib/session.js';
import { $, saved, submit } from './lib/ui.js';
import { next } from './lib/next.js';

saved($('#saved'));
submit($('form'), async ({ login, password }) => {
  try {
    const { user } = await write('POST', '/api/sign-in', { session: token(), login: login.trim(), password }, { secret: true });
    location.assign(next(user));
  } catch (e) {
    throw e.code === 'wrong-password' ? Object.assign(new Error(t('account.wrong_password')), { field: 'password' }) : e;
  }
});
