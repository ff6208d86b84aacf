// A student's own page: progress, projects, what the teacher says.
import { number, page, t, time } from './lib/page.js';
import { get } from './lib/api.js';
import { write } from './lib/outbox.js';
import './lib/session.js';
import { $, h } from './lib/ui.js';
import { levelState, ratingText } from './lib/words.js';

if (page.user) {
  get('/api/me').then(({ user }) => { $('#lines').textContent = t('common.lines', number(user.totalLines)); }, quiet);
  Promise.all([showProgress(), showProjects(), showFeedback()]).catch(quiet);
}

function quiet(e) {
  console.warn(e);
}

async function showProgress() {
  const place = $('#progress');
  const courses = await Promise.all(page.scripts.filter((script) => script.kind === 'hoc' || script.kind === 'course').map(async (script) => {
    const { levels } = await get(`/api/progress?script=${encodeURIComponent(script.name)}`);
    return { script, levels };
  }));
  // What was begun comes first.
  courses.sort((a, b) => (b.levels.length > 0) - (a.levels.length > 0));
  place.replaceChildren(...courses.map(({ script, levels }) => {
    const best = new Map(levels.map((level) => [level.level, level.bestResult]));
    return h('section', { class: 'course' },
      h('h3', {}, h('a', { href: `/s/${script.name}` }, script.title)),
      h('ol', { class: 'dots' }, Array.from({ length: script.levels }, (_, i) => {
        const state = levelState(best.get(i + 1));
        return h('li', {}, h('a', {
          class: 'dot', href: `/s/${script.name}/${i + 1}`, 'data-state': state,
          'aria-label': t('student.level', number(i + 1), t('puzzle.state_' + state)),
        }, number(i + 1)));
      })));
  }));
}

async function showProjects() {
  const { projects } = await get('/api/projects');
  $('#projects').replaceChildren(...(projects.length === 0 ? [h('p', { class: 'quiet' }, t('student.no_projects'))] : projects.map((project) => h('a', { class: 'card project', href: `/p/${project.uuid}` },
    h('span', { class: `badge ${project.kind}` }, t(project.kind === 'dance' ? 'common.dance_party' : 'common.app_lab')),
    h('strong', { dir: 'auto' }, project.title),
    h('time', { class: 'quiet', datetime: project.updatedAt }, time(project.updatedAt)),
  ))));
}

async function showFeedback() {
  const { feedback } = await get('/api/feedback');
  const place = $('#feedback');
  if (feedback.length === 0) {
    place.replaceChildren(h('p', { class: 'quiet' }, t('student.no_feedback')));
    return;
  }
  place.replaceChildren(...feedback.map((item) => h('article', { class: 'card feedback', id: `feedback-${item.id}` },
    h('header', {},
      h('a', { href: `/s/${item.script}/${item.level}` }, item.levelTitle),
      !item.seenAt && h('span', { class: 'badge new' }, t('student.new'))),
    h('p', { dir: 'auto', class: 'comment' }, item.comment),
    h('footer', { class: 'quiet' },
      h('span', { dir: 'auto' }, item.teacher),
      item.rating !== 'none' && h('span', { class: 'rating', 'data-rating': item.rating }, ratingText(item.rating)),
      h('time', { datetime: item.createdAt }, time(item.createdAt))),
  )));
  // Seen is what has been on the screen.
  const unseen = new Map(feedback.filter((item) => !item.seenAt).map((item) => [`feedback-${item.id}`, item.id]));
  const observer = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting || !unseen.delete(target.id)) continue;
      write('POST', `/api/feedback/${target.id.slice('feedback-'.length)}/seen`);
      observer.unobserve(target);
    }
  }, { threshold: 0.6 });
  for (const id of unseen.keys()) observer.observe(document.getElementById(id));
}
