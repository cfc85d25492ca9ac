// Keys for lists, and the live tail. Nothing on a page needs it.
(() => {
  'use strict';
  const OFF = 'forelog-keys-off';
  const links = () => [...document.querySelectorAll('table.calls td.time a')];
  const off = () => { try { return localStorage.getItem(OFF) === '1'; } catch { return false; } };
  const step = (by) => {
    const all = links();
    const next = all[Math.max(0, Math.min(all.length - 1, all.indexOf(document.activeElement) + by))];
    if (next) next.focus();
  };
  const help = () => {
    const box = document.getElementById('shortcuts');
    if (!box) return;
    box.open = !box.open;
    if (box.open) box.querySelector('summary').focus();
  };
  const keys = {
    '/': () => { const line = document.getElementById('q'); if (line) { line.focus(); line.select(); } },
    j: () => step(1),
    k: () => step(-1),
    '?': help,
  };
  document.addEventListener('keydown', (event) => {
    const typing = event.target.closest('input, select, textarea, [contenteditable]');
    if (event.key === 'Escape' && typing) return typing.blur();
    if (typing || off() || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const table = document.getElementById('tail');
  if (table && window.EventSource) watch(table);

  function watch(table) {
    const MOST = 200;
    const body = table.tBodies[0];
    const [state, pause, skipped] = ['tail-state', 'tail-pause', 'tail-skipped'].map((id) => document.getElementById(id));
    const waiting = [];
    let paused = false;
    let lost = 0;
    const say = (text) => { if (state.textContent !== text) state.textContent = text; };
    const row = (call) => {
      const made = document.getElementById('tail-row').content.cloneNode(true).firstElementChild;
      made.dataset.call = call.id;
      const link = made.querySelector('a');
      link.href = `/console/calls/${encodeURIComponent(call.id)}`;
      const time = made.querySelector('time');
      time.dateTime = call.iso;
      time.textContent = call.time;
      made.querySelector('.chip').classList.add(call.class);
      made.querySelector('path').setAttribute('d', call.sign);
      for (const slot of made.querySelectorAll('[data-slot]')) slot.textContent = call[slot.dataset.slot] ?? '';
      return made;
    };
    const show = (call) => {
      const old = body.querySelector(`tr[data-call="${CSS.escape(call.id)}"]`);
      // A row that has the focus stays, so that nobody loses their place.
      if (old && !old.contains(document.activeElement)) old.replaceWith(row(call));
      else if (!old) body.prepend(row(call));
      while (body.rows.length > MOST) body.lastElementChild.remove();
    };
    const label = () => { pause.textContent = paused ? `Go on (${waiting.length})` : 'Pause'; };
    const source = new EventSource(table.dataset.stream);
    source.onopen = () => say('Connected');
    source.onerror = () => say(source.readyState === EventSource.CLOSED ? 'Not connected. Reload the page.' : 'Connecting again…');
    source.addEventListener('call', (event) => {
      if (!paused) return show(JSON.parse(event.data));
      waiting.push(JSON.parse(event.data));
      if (waiting.length > MOST) waiting.shift();
      label();
    });
    source.addEventListener('skipped', (event) => {
      lost += JSON.parse(event.data).skipped;
      skipped.querySelector('span').textContent = lost;
      skipped.hidden = false;
    });
    pause.hidden = false;
    label();
    pause.addEventListener('click', () => {
      paused = !paused;
      if (!paused) waiting.splice(0).forEach(show);
      label();
    });
  }

  const button = document.getElementById('shortcuts-off');
  if (button) {
    const say = () => { button.textContent = off() ? 'Turn these keys on' : 'Turn these keys off'; };
    button.hidden = false;
    say();
    button.addEventListener('click', () => {
      try { if (off()) localStorage.removeItem(OFF); else localStorage.setItem(OFF, '1'); } catch { /* Not kept, then. */ }
      say();
    });
  }
})();
