// The list of events comes from the server; here its countries, dates and numbers get the page's language.
import { number, page } from './lib/page.js';
import { byId } from './maker/dom.js';
import { countryName, fillCountries } from './maker/countries.js';

const days = new Intl.DateTimeFormat(page.locale, { dateStyle: 'long', timeZone: 'UTC' });

byId('from').value = new URLSearchParams(location.search).get('from') ?? '';
fillCountries(byId('country'), byId('country').dataset.value);
for (const element of document.querySelectorAll('[data-country]')) element.textContent = countryName(element.dataset.country);
for (const element of document.querySelectorAll('[data-number]')) element.textContent = number(Number(element.textContent));
for (const element of document.querySelectorAll('time')) element.textContent = days.format(new Date(element.dateTime));
