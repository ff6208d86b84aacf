// One event: registered by anybody, changed by whoever has its secret link. The secret is in the link's
// fragment, which a browser never sends to a server or to the next page.
import { page, t } from './lib/page.js';
import { write } from './lib/outbox.js';
import { token } from './lib/ids.js';
import { reason, saved } from './lib/ui.js';
import { byId, show } from './maker/dom.js';
import { fillCountries } from './maker/countries.js';

const form = byId('event');
const fields = form.elements;
let event = page.event ?? null;
let secret = event ? decodeURIComponent(location.hash.slice(1)) : token();

function fill() {
  for (const name of ['name', 'description', 'city', 'date', 'time', 'hours', 'size', 'latitude', 'longitude']) {
    fields[name].value = event[name] ?? '';
  }
  fields.time.value = (event.time ?? '').slice(0, 5);
  for (const box of fields.features) box.checked = event.features.includes(box.value);
}

const optional = (text, read = (x) => x) => (text === '' ? {} : { value: read(text) });

function body() {
  const latitude = optional(fields.latitude.value, Number).value;
  const longitude = optional(fields.longitude.value, Number).value;
  const time = optional(fields.time.value).value;
  return {
    secret,
    name: fields.name.value.trim(), description: fields.description.value.trim(), country: fields.country.value, city: fields.city.value.trim(),
    ...(latitude !== undefined && { latitude }), ...(longitude !== undefined && { longitude }),
    date: fields.date.value, ...(time && { time }), hours: Number(fields.hours.value), size: Number(fields.size.value),
    features: [...fields.features].filter((box) => box.checked).map((box) => box.value),
  };
}

async function send() {
  show(byId('problem'), false);
  byId('save').disabled = true;
  try {
    if (event) {
      const { version } = await write('PUT', `/api/events/${event.id}`, { version: event.version, ...body() }, { label: fields.name.value });
      event.version = version;
      done();
    } else {
      ({ event } = await write('POST', '/api/events', body(), { label: fields.name.value }));
      registered();
    }
  } catch (error) {
    byId('problem').textContent = reason(error);
    show(byId('problem'), true);
    fields[error.field]?.focus?.();
  } finally {
    byId('save').disabled = false;
  }
}

function registered() {
  const address = `${location.origin}/events/${event.id}/edit#${secret}`;
  byId('link').value = address;
  byId('change').href = address;
  show(byId('secret'), true);
  show(byId('change'), true);
  show(form, false);
  done();
  byId('link').focus();
  byId('link').select();
}

function done() {
  show(byId('done'), true);
  byId('done').scrollIntoView({ block: 'nearest' });
}

byId('copy').addEventListener('click', async () => {
  byId('link').select();
  try {
    await navigator.clipboard.writeText(byId('link').value);
  } catch {
    document.execCommand('copy'); // no clipboard without https
  }
  show(byId('copied'), true);
});
form.addEventListener('submit', (submission) => {
  submission.preventDefault();
  send();
});
form.addEventListener('input', () => show(byId('done'), false));

fillCountries(byId('country'), event?.country);
saved(byId('saved'));
if (event) {
  byId('heading').textContent = t('events.change');
  document.title = t('events.change');
  fill();
  // A secret is 32 bytes in base64url. Without one the server would refuse; say so before somebody types.
  if (!/^[\w-]{43}$/.test(secret)) {
    byId('problem').textContent = t('events.badLink');
    show(byId('problem'), true);
    byId('save').disabled = true;
  }
}
form.inert = false; // from now on a click does what it says
