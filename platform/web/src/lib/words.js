// Words for results, ratings and people, the same on every page.
import { number, t } from './page.js';
import { get } from './api.js';

// levelState is none, tried, solved or best, from the best result (undefined: never tried).
export function levelState(best) {
  if (best === undefined) return 'none';
  if (best < 20) return 'tried';
  return best < 30 ? 'solved' : 'best';
}

export const ratingText = (rating) => t('teach.rating_' + rating);

// A guest has no name.
export const nameOf = (person) => person.name || `${t('common.guest')} ${number(person.id)}`;

// courseTitles are by the course's name; none is no reason to show no page.
export const courseTitles = () => get('/api/curriculum').then(
  ({ scripts }) => new Map(scripts.map((script) => [script.name, script.title])), () => new Map());
