// The console works without this module. It keeps live parts, times and the reader's zone up to date, and knows keys.
const root = document.documentElement;
root.classList.add('js');

// The server writes times in the zone of this cookie.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && root.dataset.zone !== zone && !document.cookie.includes('tocsin_zone=' + zone)) {
  document.cookie = `tocsin_zone=${zone}; path=/; max-age=31536000; samesite=lax`;
  if (document.cookie.includes('tocsin_zone=' + zone) && !document.querySelector('form.card')) location.reload();
}

// swap puts a part of the page in its place, and keeps the focus, the place in a wide table, and what is open.
function swap({ id, html }) {
  const old = document.getElementById(id);
  if (!old) return;
  const made = document.createElement('template');
  made.innerHTML = html;
  const part = made.content.firstElementChild;
  const held = old.contains(document.activeElement) ? document.activeElement.id : '';
  const scrolled = [...old.querySelectorAll('.scroll')].map((s) => s.scrollLeft);
  const open = [...old.querySelectorAll('details[open][id]')].map((d) => d.id);
  const said = old.dataset.say;
  old.replaceWith(part);
  part.querySelectorAll('.scroll').forEach((s, i) => { s.scrollLeft = scrolled[i] ?? 0; });
  for (const id of open) part.querySelector('#' + CSS.escape(id))?.setAttribute('open', '');
  age();
  if (held) document.getElementById(held)?.focus({ preventScroll: true });
  if (part.dataset.say && part.dataset.say !== said) document.getElementById('said').textContent = part.dataset.say;
}

// A tab that nobody sees holds no connection.
let events;
function follow() {
  events?.close();
  events = undefined;
  if (document.hidden || !document.querySelector('[data-live]')) return;
  events = new EventSource(location.href);
  events.onmessage = (e) => swap(JSON.parse(e.data));
}
document.addEventListener('visibilitychange', follow);
addEventListener('pagehide', () => events?.close());
follow();

const relative = new Intl.RelativeTimeFormat(root.lang, { style: 'short' });
function age() {
  for (const time of document.querySelectorAll('time')) {
    const s = (new Date(time.dateTime) - Date.now()) / 1000;
    if (Math.abs(s) < 10) continue;
    const [n, unit] = Math.abs(s) < 60 ? [s, 'second'] : Math.abs(s) < 3600 ? [s / 60, 'minute'] : Math.abs(s) < 172800 ? [s / 3600, 'hour'] : [s / 86400, 'day'];
    const ago = time.querySelector('.ago');
    if (ago) ago.textContent = relative.format(Math.trunc(n), unit);
  }
}
setInterval(age, 15000);

const keys = document.getElementById('keys');
document.querySelector('[data-keys]')?.addEventListener('click', () => keys.showModal());
const places = { n: '/now', h: '/', a: '/acts', q: '/queues' };
let going = false;
document.addEventListener('keydown', (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, select, textarea, dialog')) return;
  if (going && places[e.key]) location.assign(places[e.key]);
  going = e.key === 'g';
  if (e.key === '/') {
    e.preventDefault();
    (document.getElementById('text') ?? document.getElementById('find'))?.focus();
  } else if (e.key === '?') {
    e.preventDefault();
    keys.showModal();
  }
});

// A draft keeps itself, half a second after a change. Another one's changes in between are said, and nothing is saved until the reader decides.
const draft = document.querySelector('form[data-autosave]');
if (draft) {
  const saved = document.getElementById('saved');
  const touched = new Set(); // parts with a change that is not saved
  let due, glance, saving, stale = false, pressed = false, composing = false;
  // shape is a part without the values of its fields and without faults, and values are those.
  const shape = (part) => {
    const bare = part.cloneNode(true);
    for (const f of bare.querySelectorAll('textarea, input:not([type=radio], [type=checkbox])')) { f.textContent = ''; f.removeAttribute('value'); }
    for (const f of bare.querySelectorAll('input, option')) { f.removeAttribute('checked'); f.removeAttribute('selected'); }
    for (const f of bare.querySelectorAll('*')) { f.removeAttribute('aria-invalid'); f.removeAttribute('open'); f.classList.remove('ill'); }
    for (const f of bare.querySelectorAll('[data-swap]')) f.textContent = '';
    return bare.innerHTML;
  };
  const fields = (part) => [...part.querySelectorAll('input, textarea, select')];
  const held = (f) => (f.matches('[type=radio], [type=checkbox]') ? 'checked' : 'value');
  // take has the parts of a page that follow others, such as the phases of a kind, but those that have changed since it was asked for. Where a part has
  // other fields, it comes whole, and the reader stays in the field; else it takes the values.
  const take = (page) => {
    for (const part of draft.querySelectorAll('[data-follow]')) {
      const made = page.getElementById(part.id);
      const at = document.activeElement;
      const within = part.contains(at);
      if (!made || touched.has(part) || composing) continue;
      if (shape(part) === shape(made)) {
        const theirs = fields(made);
        fields(part).forEach((f, i) => {
          if (f !== at && f.name !== 'tab' && f[held(f)] !== theirs[i][held(f)]) f[held(f)] = theirs[i][held(f)];
          if (theirs[i].hasAttribute('aria-invalid')) f.setAttribute('aria-invalid', 'true'); else f.removeAttribute('aria-invalid');
        });
        part.querySelectorAll('label.tab').forEach((label, i) => { label.className = made.querySelectorAll('label.tab')[i].className; });
        continue;
      }
      const twin = within && at.id && made.querySelector('#' + CSS.escape(at.id));
      if (within && (at.matches('textarea') || !twin || twin.value !== at.value)) continue;
      const caret = within && at.matches('input') && at.selectionStart;
      part.replaceChildren(...made.childNodes);
      if (within) document.getElementById(at.id).focus({ preventScroll: true });
      if (typeof caret === 'number') document.activeElement.setSelectionRange(caret, caret);
    }
  };
  // count has the audience counted, and its time told.
  const count = async () => {
    try {
      const answer = await fetch(draft.action + '/audience', { headers: { Accept: 'text/html' } });
      if (!answer.ok) return;
      const made = document.createElement('template');
      made.innerHTML = await answer.text();
      for (const part of [...made.content.children]) document.getElementById(part.id)?.replaceWith(part);
    } catch { /* the next change counts again */ }
  };
  const save = async () => {
    saved.textContent = draft.dataset.saving;
    const body = new URLSearchParams(new FormData(draft));
    touched.clear();
    try {
      const answer = await fetch(draft.action, { method: 'POST', body, headers: { Accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      stale = answer.status === 409;
      if (!answer.ok && !stale || !page.getElementById('faults')) throw new Error(answer.status);
      if (!stale) {
        document.getElementById('version').value = page.getElementById('version').value;
        document.getElementById('filter-base')?.setAttribute('value', page.getElementById('filter-base')?.value ?? '');
        take(page);
        count();
      }
      for (const part of draft.querySelectorAll('[data-swap]')) part.replaceChildren(...(page.getElementById(part.id)?.childNodes ?? []));
    } catch {
      saved.textContent = draft.dataset.lost;
    }
  };
  const keep = () => { saving = (saving ?? Promise.resolve()).then(() => (stale ? undefined : save())); return saving; };
  // The preview comes in a frame of its own, so that no page is added to the history, and takes the place of the one before when it is there.
  const renew = document.getElementById('look');
  let next = null;
  const look = (button = renew) => {
    const old = document.querySelector('.look-frame:not(.coming)');
    if (!old || !button) return;
    next?.remove();
    const fresh = next = old.cloneNode();
    old.removeAttribute('id');
    old.name = 'past';
    fresh.classList.add('coming');
    fresh.id = fresh.name = 'preview';
    old.after(fresh);
    fresh.addEventListener('load', () => {
      if (next !== fresh) return;
      next = null;
      fresh.classList.remove('coming');
      old.remove();
    });
    looking = true;
    draft.requestSubmit(button);
    looking = false;
  };
  let looking = false;
  draft.addEventListener('input', (e) => {
    if (e.target.matches('input.tab, [name=preview-as]')) return look();
    clearTimeout(glance);
    glance = setTimeout(look, 700);
    if (e.target.id === 'customer') return;
    touched.add(e.target.closest('[data-follow]'));
    clearTimeout(due);
    due = setTimeout(keep, 500);
  });
  for (const [event, on] of [['compositionstart', true], ['compositionend', false]]) draft.addEventListener(event, () => { composing = on; });
  draft.addEventListener('submit', (e) => {
    if (looking) return;
    if (e.submitter?.formTarget === 'preview') {
      e.preventDefault();
      return look(e.submitter);
    }
    clearTimeout(due);
    clearTimeout(glance);
    if (pressed || !saving) return;
    e.preventDefault();
    const submitter = e.submitter; // a form does not submit again before it is told of all of this event
    saving.then(() => setTimeout(() => { pressed = true; draft.requestSubmit(submitter); }));
  });
  look();
  if (renew) count();
}
