// The keyboard: one palette for all pages, keys for lists, and fields of a search line as they are typed. Nothing needs it.
(() => {
  'use strict';

  const OFF = 'forelog-keys-off';
  const off = () => { try { return localStorage.getItem(OFF) === '1'; } catch { return false; } };
  const [palette, line, list, shortcuts] = ['palette', 'palette-line', 'palette-list', 'shortcuts'].map((id) => document.getElementById(id));

  // Places: those of the bar, of the palette's own list, and questions that take what was typed.
  const places = palette ? [...document.querySelectorAll('.bar nav a, #palette-places a')].map((link) => ({
    text: (link.dataset.name ?? link.textContent).trim(), href: link.getAttribute('href'), asks: link.dataset.asks,
  })) : [];
  let chosen = 0;
  const found = () => {
    const typed = line.value.trim();
    const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
    const named = places.filter(({ text, asks }) => !asks && words.every((word) => text.toLowerCase().includes(word)));
    const asked = typed ? places.filter(({ asks }) => asks).map(({ text, href }) => ({ text: `${text} “${typed}”`, href: href + encodeURIComponent(typed) })) : [];
    return [...named, ...asked];
  };
  const draw = () => {
    const all = found();
    chosen = Math.max(0, Math.min(chosen, all.length - 1));
    list.replaceChildren(...all.map(({ text, href }, at) => {
      const item = document.createElement('li');
      Object.assign(item, { id: `palette-${at}`, textContent: text });
      item.setAttribute('role', 'option');
      item.setAttribute('aria-selected', String(at === chosen));
      item.addEventListener('click', () => location.assign(href));
      return item;
    }));
    line.setAttribute('aria-activedescendant', all.length ? `palette-${chosen}` : '');
    list.children[chosen]?.scrollIntoView({ block: 'nearest' });
  };
  const openPalette = () => {
    if (!palette || palette.open) return;
    shortcuts.close();
    palette.showModal();
    line.value = '';
    chosen = 0;
    draw();
  };
  line?.addEventListener('input', () => { chosen = 0; draw(); });
  line?.addEventListener('keydown', (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) { event.preventDefault(); chosen += by; draw(); }
    if (event.key === 'Enter') { event.preventDefault(); const to = found()[chosen]; if (to) location.assign(to.href); }
  });
  palette?.addEventListener('click', (event) => event.target === palette && palette.close());
  const opener = document.getElementById('palette-open');
  if (opener) { opener.hidden = false; opener.addEventListener('click', openPalette); }

  // Lists: the first link of each row.
  const rows = () => [...document.querySelectorAll('main tbody tr')].filter((row) => row.checkVisibility()).map((row) => row.querySelector('a, summary, button')).filter(Boolean);
  const step = (by) => {
    const all = rows();
    all[Math.max(0, Math.min(all.length - 1, all.indexOf(document.activeElement) + by))]?.focus();
  };
  const help = () => { if (!shortcuts) return; if (shortcuts.open) shortcuts.close(); else shortcuts.showModal(); };
  document.getElementById('shortcuts-close')?.addEventListener('click', () => shortcuts.close());
  const own = () => { const field = document.getElementById('q'); if (field) { field.focus(); field.select(); } else openPalette(); };
  const keys = { '/': own, j: () => step(1), k: () => step(-1), '?': help };
  document.addEventListener('keydown', (event) => {
    if (event.key.toLowerCase() === 'k' && (event.ctrlKey || event.metaKey) && !event.altKey && palette) {
      event.preventDefault();
      return openPalette();
    }
    const typing = event.target.closest('input, select, textarea, [contenteditable]');
    if (event.key === 'Escape' && typing && !palette?.open) return typing.blur();
    if (typing || off() || event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  const button = document.getElementById('shortcuts-off');
  if (button) {
    const say = () => { button.textContent = off() ? 'Turn these keys on' : 'Turn these keys off'; };
    say();
    button.addEventListener('click', () => {
      try { if (off()) localStorage.removeItem(OFF); else localStorage.setItem(OFF, '1'); } catch { /* Not kept, then. */ }
      say();
    });
  }

  // A line of a search: the browser's own list offers fields, and the values of the field that is being typed.
  const query = document.querySelector('#q[list]');
  if (query) {
    const words = query.list.querySelectorAll('option');
    const known = [...words].map((option) => option.value);
    const offer = () => {
      const [, head, last] = /^(.*?)(\S*)$/s.exec(query.value);
      const fitting = known.filter((word) => word.startsWith(last.replace(/^-/, '')) && (last || !word.split(':')[1]));
      query.list.replaceChildren(...fitting.slice(0, 40).map((word) => new Option('', head + (last.startsWith('-') ? '-' : '') + word)));
    };
    query.addEventListener('input', offer);
    query.addEventListener('focus', offer);
  }

  // What is shown once is copied by a button; without a script it can be selected.
  for (const copier of document.querySelectorAll('button[data-copy]')) {
    const source = document.getElementById(copier.dataset.copy) ?? copier.previousElementSibling;
    copier.hidden = !navigator.clipboard;
    copier.addEventListener('click', async () => {
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
      try { await navigator.clipboard.writeText(source.value ?? source.textContent); copier.textContent = 'Copied'; } catch { copier.textContent = 'Press Ctrl+C'; }
    });
  }
})();
