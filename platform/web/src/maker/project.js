// A project in its page: autosave with compare-and-set, sharing, remix, files.
//
//   clean --changed()--> dirty --after a pause--> saving --answer--> clean (or dirty again)
//                                                   └--409--> conflict: the person chooses, nothing is saved until then
//
// A save names the version that it replaces, so there is never more than one under way.
// What isn't acknowledged yet is kept as a draft in this browser and taken up again after a reload.
import { page, t } from '../lib/page.js';
import { get } from '../lib/api.js';
import { onChange, state, waiting, write } from '../lib/outbox.js';
import { ensureUser } from '../lib/session.js';
import { uuidv7 } from '../lib/ids.js';
import { reason } from '../lib/ui.js';
import { byId, show } from './dom.js';
import { tell, confirmDelete } from './say.js';

const PAUSE_MS = 1200;
const FILE_TYPES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp', 'audio/mpeg', 'audio/wav', 'audio/ogg'];
const OTHER_NAMES = { 'audio/x-wav': 'audio/wav', 'audio/wave': 'audio/wav', 'audio/mp3': 'audio/mpeg' }; // what some browsers say
const FILE_LIMIT = 8 << 20;

export class Project {
  // source() gives what is to be saved; load(source) puts a saved one into the page.
  constructor({ kind, untitled, source, load }) {
    Object.assign(this, { kind, untitled, source, load });
    this.mine = !page.project || page.mine === true;
    this.onlyRun = page.run === true || new URLSearchParams(location.search).get('run') === '1';
    this.take(page.project);
    this.dirty = false;
    this.conflict = false;
    this.refused = null; // why the last save was not taken
    this.saving = null;
  }

  take(project) {
    this.uuid = project?.uuid ?? null;
    this.version = project?.version ?? 0;
    this.shared = project?.shared ?? false;
    this.title = project?.title ?? t(this.untitled);
    this.owner = project?.owner ?? null;
    this.first = project?.source ?? null;
  }

  get path() {
    return `/api/projects/${this.uuid}`;
  }

  get link() {
    return `${location.origin}/p/${this.uuid}`;
  }

  // start fills the page. A save that is still in the outbox goes first, or we would show what it replaces.
  async start() {
    let draft = this.mine ? this.#draft() : null;
    let ours = this.version; // the last version that is known to be this browser's
    const begun = this.uuid ? null : this.#begun() ?? draft?.uuid;
    if (begun) {
      ours = await this.#adopt(begun);
      draft ??= this.#draft();
    } else if (this.mine && this.uuid) ours = (await this.#settled()) ?? draft?.version;
    const resumed = draft && (draft.title !== this.title || JSON.stringify(draft.source) !== JSON.stringify(this.first));
    if (resumed) this.title = draft.title;
    this.load(resumed ? draft.source : this.first);
    this.#bar();
    if (draft && !resumed) this.#dropDraft();
    else if (resumed && ours === this.version) this.changed();
    else if (resumed) this.#conflict();
  }

  // settled waits for a save of an earlier page and returns the version that it made, if there was one.
  async #settled() {
    const earlier = await waiting(this.path).catch(() => ({}));
    if (earlier) this.take((await get(this.path)).project);
    return earlier?.version;
  }

  get #newName() {
    return `new:${this.kind}`;
  }

  // begun is the project that this page was making when somebody reloaded it: the reload may have begun
  // before the page got its own address.
  #begun() {
    const uuid = sessionStorage.getItem(this.#newName);
    sessionStorage.removeItem(this.#newName);
    return performance.getEntriesByType('navigation')[0]?.type === 'reload' ? uuid : null;
  }

  // adopt looks whether a new project of a page that is gone has reached the server in the meantime.
  async #adopt(uuid) {
    await waiting('/api/projects').catch(() => {});
    try {
      this.take((await get(`/api/projects/${uuid}`)).project);
      history.replaceState(null, '', `/p/${uuid}`);
      this.#dropDraft('new');
      return this.version;
    } catch (error) {
      if (error.status !== 404 && error.status !== 403) throw error;
      if (error.status === 404) this.uuid = uuid;
      return 0;
    }
  }

  #conflict() {
    this.conflict = true;
    show(byId('project-conflict'), true);
  }

  #bar() {
    const title = byId('project-title');
    title.value = this.title;
    title.readOnly = !this.mine;
    title.addEventListener('input', () => this.changed());
    document.title = this.title;
    show(byId('project-share'), this.mine);
    show(byId('project-remix'), !this.mine || this.shared);
    show(byId('project-saved'), this.mine);
    show(byId('project-edit'), this.onlyRun);
    if (!this.mine && this.owner) {
      byId('project-owner').textContent = t('project.by', this.owner.name || t('common.guest'));
      show(byId('project-owner'), true);
    }
    if (this.onlyRun) byId('project-edit').href = `/p/${this.uuid}`;
    byId('project-saved').setAttribute('role', 'status');
    onChange(() => this.#status());
    this.#status();
    byId('project-share').addEventListener('click', () => this.#share());
    byId('project-remix').addEventListener('click', () => this.#remix());
    byId('project-reload').addEventListener('click', () => {
      this.#dropDraft();
      location.reload();
    });
    byId('project-copy').addEventListener('click', () => this.#keepCopy());
    byId('share-copy').addEventListener('click', () => this.#copyLink());
    byId('share-stop').addEventListener('click', () => this.#unshare());
    byId('share-close').addEventListener('click', () => byId('share').close());
    // The outbox lives through the end of the page; what was only a change would not.
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'hidden') this.save();
    });
  }

  // status says "saved" only if all that is on the page is: the outbox doesn't know of what is yet to be sent.
  #status() {
    const open = this.dirty || this.saving;
    let now = state() === 'waiting' ? 'waiting' : open || state() === 'saving' ? 'saving' : 'saved';
    if (this.refused) now = 'refused';
    const text = {
      saved: () => (this.version ? t('common.saved') : ''),
      saving: () => t('common.saving'),
      waiting: () => t('common.unsaved'),
      refused: () => t('common.not_saved', reason(this.refused)),
    }[now]();
    const line = byId('project-saved');
    if (line.textContent === text) return; // else a screen reader would say it again
    line.dataset.state = now;
    line.textContent = text;
  }

  changed() {
    if (!this.mine) return;
    this.dirty = true;
    this.#status();
    this.#keepDraft();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), PAUSE_MS);
  }

  // save resolves when everything that was changed until now is acknowledged, or can't be.
  async save() {
    clearTimeout(this.timer);
    while (this.dirty && this.mine && !this.conflict) {
      this.saving ??= this.#saveOnce().finally(() => {
        this.saving = null;
        this.#status();
      });
      if (!(await this.saving)) return;
    }
    if (this.saving) await this.saving;
  }

  async #saveOnce() {
    this.dirty = false;
    const title = byId('project-title').value.trim() || t(this.untitled);
    const body = { title, source: this.source() };
    if (!this.uuid) {
      this.uuid = uuidv7();
      sessionStorage.setItem(this.#newName, this.uuid);
      this.#keepDraft();
    }
    try {
      await ensureUser();
      if (!this.version) {
        const { project } = await write('POST', '/api/projects', { uuid: this.uuid, kind: this.kind, ...body }, { label: title });
        this.version = project.version;
        history.replaceState(null, '', `/p/${this.uuid}`);
        this.#dropDraft('new');
      } else {
        const answer = await write('PUT', this.path, { version: this.version, ...body, shared: this.shared }, { label: title });
        this.version = answer.version;
      }
      this.title = title;
      this.refused = null;
      if (!this.dirty) this.#dropDraft();
      else this.#keepDraft();
      return true;
    } catch (error) {
      this.dirty = true;
      this.refused = error;
      if (error.code === 'version-conflict') this.#conflict();
      else tell(t('project.failed', reason(error)));
      return false;
    }
  }

  // exists waits until the server knows the project: files and data need one to belong to.
  async exists() {
    if (this.version) return;
    this.dirty = true;
    await this.save();
    if (!this.version) throw new Error(t('project.failed', this.title));
  }

  async #share() {
    if (!this.shared) {
      this.shared = true;
      this.dirty = true;
    }
    await this.save();
    if (!this.version || this.conflict) return;
    byId('share-link').value = this.link;
    byId('share-said').textContent = '';
    byId('share').showModal();
    byId('share-link').select();
  }

  async #unshare() {
    this.shared = false;
    this.changed();
    byId('share').close();
    await this.save();
  }

  async #copyLink() {
    try {
      await navigator.clipboard.writeText(this.link);
    } catch {
      byId('share-link').select(); // no clipboard without https: the person copies the marked text
      document.execCommand('copy');
    }
    byId('share-said').textContent = t('project.copied');
  }

  async #remix() {
    await this.save();
    await this.#copy(t('project.remixOf', this.title).slice(0, 120), null);
  }

  // keepCopy makes a copy on the server first, files and all, and then puts this page's state into it.
  async #keepCopy() {
    const title = t('project.copyOf', byId('project-title').value || this.title).slice(0, 120);
    await this.#copy(title, this.source());
  }

  async #copy(title, source) {
    try {
      await ensureUser();
      const uuid = uuidv7();
      const { project } = await write('POST', `${this.path}/remix`, { uuid, title }, { label: title });
      if (source) {
        await write('PUT', `/api/projects/${uuid}`, { version: project.version, title, source, shared: false }, { label: title });
      }
      this.mine = false; // nothing of this page is to be saved into the old one any more
      this.#dropDraft();
      location.href = `/p/${uuid}`;
    } catch (error) {
      tell(t('project.failed', reason(error)));
    }
  }

  // Drafts.

  #draftName(id = this.version ? this.uuid : 'new') {
    return `draft:${this.kind}:${id}`;
  }

  #draft() {
    try {
      return JSON.parse(localStorage.getItem(this.#draftName()));
    } catch {
      return null;
    }
  }

  #keepDraft() {
    const draft = { uuid: this.uuid, version: this.version, title: byId('project-title').value, source: this.source() };
    try {
      localStorage.setItem(this.#draftName(), JSON.stringify(draft));
    } catch {
      // full or forbidden: the save itself is on its way
    }
  }

  #dropDraft(id) {
    localStorage.removeItem(this.#draftName(id));
  }

  // Files.

  fileURL(name) {
    return `${this.path}/assets/${encodeURIComponent(name)}`;
  }

  async files() {
    if (!this.version) return [];
    return (await get(`${this.path}/assets`)).assets;
  }

  async upload(file) {
    const type = OTHER_NAMES[file.type] ?? file.type;
    if (!FILE_TYPES.includes(type)) throw new Error(t('project.fileType'));
    if (file.size > FILE_LIMIT) throw new Error(t('project.fileBig'));
    await this.exists();
    const name = file.name.replaceAll('/', '-').slice(-100);
    return write('PUT', this.fileURL(name), file.slice(0, file.size, type), { label: name });
  }

  async remove(name) {
    if (!(await confirmDelete(name))) return false;
    await write('DELETE', this.fileURL(name), {}, { label: name });
    return true;
  }
}
