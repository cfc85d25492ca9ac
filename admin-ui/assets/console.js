// What a page can do more with a script: times in the browser's zone, drawing over bars, the live tail. Keys are in keys.js.
// Nothing on a page needs it.
(() => {
  'use strict';

  // Times. The server says UTC; the title has both forms.
  const local = document.documentElement.dataset.zone === 'local';
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const clock = new Intl.DateTimeFormat('sv-SE', { dateStyle: 'short', timeStyle: 'medium' });
  const named = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short', hour: 'numeric' });
  const abbreviation = (at) => named.formatToParts(at).find((part) => part.type === 'timeZoneName').value;
  const tell = (time) => {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) return;
    const [here, name] = [clock.format(at), abbreviation(at)];
    time.title = `${time.dateTime} · ${here} ${name}`;
    const stamp = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( \S+)?$/.exec(time.textContent);
    if (local && stamp) time.textContent = stamp[1] ? `${here} ${name}` : here;
  };
  const tellAll = (root) => {
    root.querySelectorAll('time[datetime]').forEach(tell);
    if (local) root.querySelectorAll('.zone').forEach((slot) => { slot.textContent = zone; });
  };
  tellAll(document);
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) for (const node of addedNodes) if (node.nodeType === 1) tellAll(node);
  }).observe(document.body, { childList: true, subtree: true });
  for (const form of document.querySelectorAll('form.zones')) {
    form.hidden = false;
    if (zone !== 'UTC') form.querySelector('[value=local]').textContent = zone;
  }

  // A link to a form leads into it: what is folded unfolds, and its first field has the focus.
  const enterForm = () => {
    const place = document.getElementById(location.hash.slice(1));
    const form = place && (place.closest('details') ?? (place.matches('h2') ? place.closest('section') : null));
    if (!form) return;
    if (form.matches('details')) form.open = true;
    form.querySelector('input:not([type="hidden"]), select')?.focus();
  };
  addEventListener('hashchange', enterForm);
  enterForm();

  const bars = document.querySelector('.bars svg');
  if (bars) zoom(bars);
  const table = document.getElementById('tail');
  if (table && window.EventSource) watch(table);

  // A part of the time: drawn over with the pointer, or bar by bar with the arrow keys, of which one is in the order of focus.
  function zoom(svg) {
    const { begin, length, place } = svg.dataset;
    const { width, height } = svg.viewBox.baseVal;
    const last = Math.ceil(width / place) - 1;
    const at = (event) => {
      const box = svg.getBoundingClientRect();
      const bar = Math.floor((event.clientX - box.left) / box.width * width / place);
      return Math.max(0, Math.min(last, bar));
    };
    const moment = (bar) => new Date(Number(begin) + bar * Number(length)).toISOString();
    const go = (from, to) => {
      const named = { from: moment(from), to: moment(to + 1) };
      location.assign(svg.dataset.zoom.replace(/%7B(from|to)%7D/g, (_, name) => encodeURIComponent(named[name])));
    };
    const brush = document.createElementNS('http://www.w3.org/2000/svg', 'rect');
    brush.setAttribute('class', 'brush');
    brush.setAttribute('height', height);
    let from = null;
    let to = null;
    const draw = () => {
      const first = Math.min(from, to);
      brush.setAttribute('x', first * place);
      brush.setAttribute('width', (Math.abs(to - from) + 1) * place);
      if (!brush.parentNode) svg.append(brush);
    };
    svg.addEventListener('pointerdown', (event) => { if (event.button === 0) from = to = at(event); });
    svg.addEventListener('dragstart', (event) => event.preventDefault());
    svg.addEventListener('pointermove', (event) => {
      if (from === null || (!brush.parentNode && at(event) === from)) return;
      svg.setPointerCapture(event.pointerId);
      to = at(event);
      draw();
    });
    const end = () => { from = to = null; brush.remove(); };
    svg.addEventListener('pointerup', () => {
      const drawn = brush.parentNode && from !== null;
      const range = [Math.min(from, to), Math.max(from, to)];
      end();
      if (drawn) go(...range);
    });
    svg.addEventListener('pointercancel', end);

    const links = [...svg.querySelectorAll('a')];
    const enter = (link) => links.forEach((one) => one.setAttribute('tabindex', one === link ? '0' : '-1'));
    enter(links[links.length - 1]);
    svg.addEventListener('keydown', (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      const next = by && links[links.indexOf(document.activeElement) + by];
      if (!next) return;
      event.preventDefault();
      enter(next);
      next.focus();
    });
    document.getElementById('drag').hidden = false;
  }

  // Calls as they happen. They wait while somebody reads: points at them, has the focus in them, or has scrolled down.
  function watch(table) {
    const MOST = 200;
    const body = table.tBodies[0];
    const [state, hold, pause, skipped] = ['tail-state', 'tail-hold', 'tail-pause', 'tail-skipped'].map((id) => document.getElementById(id));
    const waiting = new Map();
    const held = new Set();
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
      if (old) old.replaceWith(row(call));
      else body.prepend(row(call));
      while (body.rows.length > MOST) body.lastElementChild.remove();
    };
    const WHY = { pointer: 'while you point at them', focus: 'while the focus is in them', scroll: 'until you scroll back up' };
    const settle = () => {
      if (!held.size) { for (const call of waiting.values()) show(call); waiting.clear(); }
      pause.textContent = held.size ? `Go on (${waiting.size})` : 'Pause';
      const why = [...held].find((reason) => WHY[reason]);
      hold.textContent = held.size ? `Paused ${held.has('button') || !why ? '' : WHY[why]}`.trim() : '';
    };
    const when = (reason, on) => { if (on) held.add(reason); else held.delete(reason); settle(); };
    body.addEventListener('pointerenter', (event) => event.pointerType === 'mouse' && when('pointer', true));
    body.addEventListener('pointerleave', () => when('pointer', false));
    body.addEventListener('focusin', () => when('focus', true));
    body.addEventListener('focusout', (event) => body.contains(event.relatedTarget) || when('focus', false));
    document.addEventListener('scroll', () => when('scroll', table.getBoundingClientRect().top < 0), { passive: true });
    pause.addEventListener('click', () => { if (held.size) { held.clear(); settle(); } else when('button', true); });
    pause.hidden = false;
    settle();

    const source = new EventSource(table.dataset.stream);
    source.onopen = () => say('Connected');
    source.onerror = () => say(source.readyState === EventSource.CLOSED ? 'Not connected. Reload the page.' : 'Connecting again…');
    source.addEventListener('call', (event) => {
      const call = JSON.parse(event.data);
      waiting.delete(call.id);
      waiting.set(call.id, call);
      if (waiting.size > MOST) waiting.delete(waiting.keys().next().value);
      settle();
    });
    source.addEventListener('skipped', (event) => {
      lost += JSON.parse(event.data).skipped;
      skipped.querySelector('span').textContent = lost;
      skipped.hidden = false;
    });
  }
})();
