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
  const said = old.dataset.say;
  old.replaceWith(part);
  part.querySelectorAll('.scroll').forEach((s, i) => { s.scrollLeft = scrolled[i] ?? 0; });
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
  let due, saving, stale = false, pressed = false;
  const save = async () => {
    saved.textContent = draft.dataset.saving;
    try {
      const answer = await fetch(draft.action, { method: 'POST', body: new URLSearchParams(new FormData(draft)), headers: { Accept: 'text/html' } });
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
      stale = answer.status === 409;
      if (!answer.ok && !stale || !page.getElementById('faults')) throw new Error(answer.status);
      if (!stale) document.getElementById('version').value = page.getElementById('version').value;
      for (const part of draft.querySelectorAll('[data-swap]')) part.replaceChildren(...(page.getElementById(part.id)?.childNodes ?? []));
    } catch {
      saved.textContent = draft.dataset.lost;
    }
  };
  const keep = () => { saving = (saving ?? Promise.resolve()).then(() => (stale ? undefined : save())); return saving; };
  draft.addEventListener('input', () => { clearTimeout(due); due = setTimeout(keep, 500); });
  draft.addEventListener('submit', (e) => {
    clearTimeout(due);
    if (pressed || !saving) return;
    e.preventDefault();
    saving.then(() => { pressed = true; draft.requestSubmit(e.submitter); });
  });
}
