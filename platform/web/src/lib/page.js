// What the server tells a page, and its texts.
const data = document.getElementById('page-data');

export const page = {
  locale: 'en', dir: 'ltr', strings: {}, user: null,
  ...(data ? JSON.parse(data.textContent) : {}),
};

// t returns the text of a key, with {0}, {1}… replaced. An unknown key shows itself: better than a hole.
export function t(key, ...args) {
  const text = page.strings[key] ?? key;
  return text.replace(/\{(\d)\}/g, (mark, i) => args[i] ?? mark);
}

const numbers = new Intl.NumberFormat(page.locale);
export const number = (n) => numbers.format(n);

const times = new Intl.DateTimeFormat(page.locale, { dateStyle: 'medium', timeStyle: 'short' });
export const time = (text) => times.format(new Date(text));
