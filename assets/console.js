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
